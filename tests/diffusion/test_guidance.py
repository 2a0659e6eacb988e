import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from text2x.diffusion.guidance import classifier_free, combine, paired, vanilla
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
