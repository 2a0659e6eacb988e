import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from text2x.diffusion.guidance import (
    clamped,
    classifier_free,
    combine,
    joint,
    paired,
    projected,
    rescaled,
    thresholded,
    vanilla,
)
from text2x.diffusion.mixture import Mixture
from text2x.diffusion.schedules import Linear
from text2x.errors import InputError


class Counted:
    """A denoise that counts its rows."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function, self.rows = function, 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.rows += len(x_t)
        return self.function(x_t) * t[:, None]


def parts() -> tuple[Counted, Counted, Tensor, Tensor]:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    return Counted(torch.sin), Counted(torch.cos), x, torch.linspace(0.1, 0.9, 5)


def test_vanilla_is_the_conditional_itself() -> None:
    conditional, _, x, t = parts()
    assert torch.equal(vanilla(conditional)(x, t), conditional(x, t))


def test_scale_1_equals_the_conditional_bit_for_bit_and_never_calls_null() -> None:
    conditional, null, x, t = parts()
    assert torch.equal(classifier_free(conditional, null, 1.0)(x, t), conditional(x, t))
    assert null.rows == 0


def test_scale_0_equals_null_bit_for_bit_and_never_calls_the_conditional() -> None:
    conditional, null, x, t = parts()
    assert torch.equal(classifier_free(conditional, null, 0.0)(x, t), null(x, t))
    assert conditional.rows == 0


@pytest.mark.parametrize("scale", [-1.0, 0.5, 3.0, 7.5])
def test_guidance_is_null_plus_scale_times_the_difference(scale: float) -> None:
    conditional, null, x, t = parts()
    guided = classifier_free(conditional, null, scale)(x, t)
    torch.testing.assert_close(guided, null(x, t) + scale * (conditional(x, t) - null(x, t)), rtol=1e-5, atol=1e-5)


def test_guidance_is_linear_in_its_scale() -> None:
    conditional, null, x, t = parts()
    low, middle, high = (classifier_free(conditional, null, scale)(x, t) for scale in (2.0, 3.0, 4.0))
    torch.testing.assert_close(middle, (low + high) / 2)


def test_swapping_prompt_and_negative_mirrors_the_scale() -> None:
    conditional, negative, x, t = parts()
    there = classifier_free(conditional, negative, 3.0)(x, t)
    torch.testing.assert_close(there, classifier_free(negative, conditional, -2.0)(x, t))


def test_outside_the_interval_only_the_conditional_is_called() -> None:
    conditional, null, x, _ = parts()
    guided = classifier_free(conditional, null, 4.0, (0.2, 0.7))
    for t in (0.1, 0.75):
        times = torch.full((5,), t)
        assert torch.equal(guided(x, times), conditional(x, times))
    assert null.rows == 0
    inside = torch.full((5,), 0.5)
    torch.testing.assert_close(guided(x, inside), combine(conditional(x, inside), null(x, inside), 4.0))


def test_each_item_of_a_mixed_batch_follows_its_own_time() -> None:
    conditional, null, x, t = parts()
    guided = classifier_free(conditional, null, 4.0, (0.25, 0.75))
    alone = torch.cat([guided(x[i : i + 1], t[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(guided(x, t), alone)


def stacked(conditional: Counted, null: Counted) -> Callable[[Tensor, Tensor], Tensor]:
    def pair(x_t: Tensor, t: Tensor) -> Tensor:
        half = len(x_t) // 2
        return torch.cat([conditional(x_t[:half], t[:half]), null(x_t[half:], t[half:])])

    return pair


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.3, 0.6)])
def test_a_pair_in_one_call_equals_two_calls(scale: float, interval: tuple[float, float]) -> None:
    conditional, null, x, t = parts()
    once = paired(conditional, stacked(conditional, null), scale, interval)(x, t)
    assert torch.equal(once, classifier_free(conditional, null, scale, interval)(x, t))


def test_a_pair_is_not_called_when_guidance_is_off() -> None:
    conditional, null, x, t = parts()
    paired(conditional, stacked(conditional, null), 1.0)(x, t)
    assert null.rows == 0


@pytest.mark.parametrize("scale", [math.nan, math.inf])
def test_a_scale_that_is_no_number_is_refused(scale: float) -> None:
    conditional, null, _, _ = parts()
    with pytest.raises(InputError, match="finite"):
        classifier_free(conditional, null, scale)


@pytest.mark.parametrize("interval", [(0.6, 0.3), (-0.1, 1.0), (0.0, 1.5), (math.nan, 1.0)])
def test_an_impossible_interval_is_refused(interval: tuple[float, float]) -> None:
    conditional, null, _, _ = parts()
    with pytest.raises(InputError, match="interval"):
        classifier_free(conditional, null, 2.0, interval)


# On estimates, by numbers worked out by hand


def test_joint_adds_each_prompt_s_weighted_difference_from_null() -> None:
    null, cat, hat = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 5.0]])
    assert joint([cat, hat], null, [1.0, -0.5]).tolist() == [[2.0, -1.0]]


def test_joint_of_one_prompt_is_classifier_free_guidance() -> None:
    conditional, null, x, t = parts()
    given, other = conditional(x, t), null(x, t)
    torch.testing.assert_close(joint([given], other, [3.0]), combine(given, other, 3.0))


def test_rescaling_gives_the_deviation_of_the_conditional_and_a_share_of_it_lies_between() -> None:
    conditional = torch.tensor([[-1.0, 1.0], [0.0, 4.0]])  # deviations 1 and 2
    guided = torch.tensor([[-4.0, 4.0], [1.0, 9.0]])  # deviations 4 and 4
    assert rescaled(guided, conditional, 1.0).tolist() == [[-1.0, 1.0], [0.5, 4.5]]
    assert rescaled(guided, conditional, 0.5).tolist() == [[-2.5, 2.5], [0.75, 6.75]]
    assert torch.equal(rescaled(guided, conditional, 0.0), guided)


def test_rescaling_leaves_an_even_estimate_alone() -> None:
    even = torch.full((1, 4), 0.5)
    assert torch.equal(rescaled(even, torch.tensor([[0.0, 1.0, 2.0, 3.0]]), 0.7), even)


def test_projection_splits_the_difference_into_parallel_and_orthogonal() -> None:
    difference, conditional = torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]])
    assert projected(difference, conditional, eta=0.0, norm=None).tolist() == [[0.0, 4.0]]
    assert projected(difference, conditional, eta=1.0, norm=None).tolist() == [[3.0, 4.0]]
    assert projected(difference, conditional, eta=0.5, norm=None).tolist() == [[1.5, 4.0]]


def test_the_norm_bounds_the_root_mean_square_of_each_item_s_difference() -> None:
    difference = torch.tensor([[3.0, 4.0], [0.3, 0.4]])  # lengths 5 and 0.5
    conditional = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    made = projected(difference, conditional, eta=1.0, norm=1 / math.sqrt(2))  # a length of at most 1
    torch.testing.assert_close(made, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_the_orthogonal_update_is_orthogonal_and_a_zero_conditional_has_no_parallel() -> None:
    rng = torch.Generator().manual_seed(0)
    difference, conditional = (torch.randn(3, 2, 4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    made = projected(difference, conditional, eta=0.0, norm=None)
    assert (made * conditional).flatten(1).sum(1).abs().max() < 1e-12
    torch.testing.assert_close(projected(difference, torch.zeros_like(difference), 0.0, None), difference)


def test_dynamic_thresholding_clips_at_the_percentile_and_divides_by_it() -> None:
    x_0 = torch.tensor([[0.5, -1.0, 2.0, -4.0], [0.1, 0.2, -0.3, 0.9]])
    made = thresholded(lambda x_t, t: x_t, 0.75)(x_0, torch.ones(2))
    assert made[0].tolist() == [0.25, -0.5, 1.0, -1.0]  # 3 of 4 are at most 2
    assert torch.equal(made[1], x_0[1])  # within [-1, 1] already
    assert thresholded(lambda x_t, t: x_t, 0.7)(x_0, torch.ones(2))[0].tolist() == [0.25, -0.5, 1.0, -1.0]  # 2.8 of 4
    assert thresholded(lambda x_t, t: x_t, 1.0)(x_0, torch.ones(2))[0].tolist() == [0.125, -0.25, 0.5, -1.0]


def test_dynamic_thresholding_stays_within_the_range_of_pixels() -> None:
    x_0 = 3 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    made = thresholded(lambda x_t, t: x_t, 0.9)(x_0, torch.ones(2))
    assert made.abs().max() == 1
    assert float((made.abs() == 1).double().mean()) == pytest.approx(0.1, abs=0.01)


def test_the_clamp_keeps_pixels_in_their_range() -> None:
    assert clamped(lambda x_t, t: x_t)(torch.tensor([[-3.0, 0.5, 2.0]]), torch.ones(1)).tolist() == [[-1.0, 0.5, 1.0]]


@pytest.mark.parametrize("scale", [0.0, 2.0, 5.0])
def test_on_normal_data_guidance_is_the_line_through_two_closed_forms(scale: float) -> None:
    """Two classes N(+-m, s^2): both estimates are known, and so is where w leads."""
    schedule, mean, std = Linear(), 0.5, 0.2
    x, t = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1), torch.full((5,), 0.6, dtype=torch.float64)
    plus, minus = (Mixture((1.0,), (each,), (std,)).denoise(schedule) for each in (mean, -mean))
    gain = 0.4 * std**2 / (0.4**2 * std**2 + 0.6**2)  # of (x_t - alpha mean) in E[x_0 | x_t]
    expected = gain * x + (2 * scale - 1) * mean * (1 - 0.4 * gain)
    torch.testing.assert_close(classifier_free(plus, minus, scale)(x, t), expected)
