from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.gradients import with_gradient
from text2x.diffusion.guidance import (
    Sources,
    clamped,
    classifier_free,
    combine,
    compose,
    joint,
    paired,
    projected,
    rescaled,
    thresholded,
)
from text2x.diffusion.samplers import euler, heun, time_grid
from text2x.diffusion.schedules import Linear
from text2x.errors import InputError
from text2x.guidance_terms import parse_guidance

SCHEDULE = Linear()
PLAIN_APG = "apg:4,eta=1,norm=none,momentum=0"
FORMS = ["none", "cfg:4", "cfg:4,rescale=0.7,threshold=0.9", "apg:6", "apg:6,interval=0.3-0.8", "cfg:3+auto:2"]


class Rows:
    """Denoisers of one network: each row has its own function, and calls are written down."""

    def __init__(self, *functions: Callable[[Tensor], Tensor]) -> None:
        self.functions = functions
        self.calls = list[int]()

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.calls.append(len(x_t))
        pieces = zip(self.functions, x_t.chunk(len(self.functions)), t.chunk(len(self.functions)), strict=True)
        return torch.cat([function(x) * (0.5 + time).reshape(-1, 1, 1) for function, x, time in pieces])


def conditional(x: Tensor) -> Tensor:
    return torch.sin(2 * x) * 0.8 + 0.1


def null(x: Tensor) -> Tensor:
    return torch.cos(x) * 0.5


def hat(x: Tensor) -> Tensor:
    return x.tanh() - 0.2


def data(count: int = 3) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, torch.linspace(0.25, 0.85, count, dtype=torch.float64)


def sources() -> Sources:
    return Sources(Rows(conditional), Rows(conditional, null))


def composed(of: Sources, text: str, pixels: bool = True) -> Denoise:
    return compose(of, parse_guidance(text), SCHEDULE, pixels)


def calls(of: Sources) -> tuple[list[int], list[int]]:
    assert isinstance(of.alone, Rows)
    assert isinstance(of.joined, Rows)
    return of.alone.calls, of.joined.calls


# One network call a step


@pytest.mark.parametrize("text", ["none", "cfg:1", "apg:1", "auto:1", "classifier:0+clip:0"])
def test_without_guidance_the_prompt_s_rows_are_all_that_is_asked_for(text: str) -> None:
    of, (x, t) = sources(), data()
    made = composed(of, text)(x, t)
    assert calls(of) == ([3], [])
    assert torch.equal(made, Rows(conditional)(x, t).clamp(-1, 1))


@pytest.mark.parametrize("text", ["cfg:4", "apg:4"])
def test_guidance_by_the_null_makes_one_call_with_both_rows(text: str) -> None:
    of, (x, t) = sources(), data()
    composed(of, text)(x, t)
    assert calls(of) == ([], [6])


@pytest.mark.parametrize("form", ["cfg", "apg"])
def test_outside_the_interval_only_the_prompt_s_rows_are_asked_for(form: str) -> None:
    of, (x, _) = sources(), data()
    guided = composed(of, f"{form}:4,interval=0.3-0.6")
    for t in (0.29, 0.61):
        times = torch.full((3,), t, dtype=torch.float64)
        assert torch.equal(guided(x, times), Rows(conditional)(x, times).clamp(-1, 1))
    assert calls(of) == ([3, 3], [])
    for t in (0.3, 0.6):  # the ends belong to it
        guided(x, torch.full((3,), t, dtype=torch.float64))
    assert calls(of) == ([3, 3], [6, 6])


# What the forms come to


def test_classifier_free_guidance_is_that_of_paired_bit_for_bit() -> None:
    of, (x, t) = sources(), data()
    assert of.joined is not None
    for interval in ("", ",interval=0.3-0.6"):
        low_high = (0.3, 0.6) if interval else (0.0, 1.0)
        expected = clamped(paired(of.alone, of.joined, 4.0, low_high))
        assert torch.equal(composed(of, f"cfg:4{interval}")(x, t), expected(x, t))


def test_adaptive_projected_guidance_without_its_three_changes_is_classifier_free() -> None:
    of, (x, t) = sources(), data()
    torch.testing.assert_close(composed(of, PLAIN_APG)(x, t), composed(of, "cfg:4")(x, t))


def test_autoguidance_with_the_null_as_the_bad_network_is_classifier_free() -> None:
    x, t = data()
    of = Sources(Rows(conditional), bad=Rows(null))
    torch.testing.assert_close(composed(of, "auto:4")(x, t), composed(sources(), "cfg:4")(x, t))


def test_autoguidance_is_bad_plus_scale_times_the_difference() -> None:
    x, t = data()
    of = Sources(Rows(conditional), bad=Rows(hat))
    expected = classifier_free(Rows(conditional), Rows(hat), 2.5)
    torch.testing.assert_close(composed(of, "auto:2.5", pixels=False)(x, t), expected(x, t))


def test_directions_of_cfg_and_autoguidance_add_up() -> None:
    x, t = data()
    of = Sources(Rows(conditional), Rows(conditional, null), bad=Rows(hat))
    given, other, weak = (Rows(each)(x, t) for each in (conditional, null, hat))
    expected = given + 3.0 * (given - other) + 0.5 * (given - weak)
    torch.testing.assert_close(composed(of, "cfg:4+auto:1.5", pixels=False)(x, t), expected)


def test_the_bad_network_is_asked_within_its_own_interval_only() -> None:
    x, _ = data()
    bad = Rows(hat)
    guided = composed(Sources(Rows(conditional), bad=bad), "auto:2,interval=0.4-0.6")
    for t in (0.3, 0.5, 0.7):
        guided(x, torch.full((3,), t, dtype=torch.float64))
    assert bad.calls == [3]


def test_several_prompts_go_through_the_network_in_one_call() -> None:
    x, t = data()
    joined = Rows(conditional, null, hat)
    of = Sources(Rows(conditional), joined, weights=(1.0, -0.5))
    given, other, third = (Rows(each)(x, t) for each in (conditional, null, hat))
    both = joint([given, third], other, (1.0, -0.5))
    torch.testing.assert_close(composed(of, "cfg:3", pixels=False)(x, t), combine(both, other, 3.0))
    assert joined.calls == [9]


def test_one_prompt_of_several_with_the_others_at_weight_0_is_plain_guidance() -> None:
    x, t = data()
    of = Sources(Rows(conditional), Rows(conditional, null, hat), weights=(1.0, 0.0))
    torch.testing.assert_close(composed(of, "cfg:3")(x, t), composed(sources(), "cfg:3")(x, t))


def test_several_prompts_are_one_estimate_without_guidance_too() -> None:
    x, t = data()
    of = Sources(Rows(conditional), Rows(conditional, null, hat), weights=(1.0, 0.5))
    given, other, third = (Rows(each)(x, t) for each in (conditional, null, hat))
    expected = joint([given, third], other, (1.0, 0.5))
    torch.testing.assert_close(composed(of, "none", pixels=False)(x, t), expected)


def test_text_comes_first_then_gradients_then_the_bound() -> None:
    x, t = data()
    of = Sources(
        Rows(conditional),
        Rows(conditional, null),
        gradients={"classifier": lambda x_t, t: x_t.cos(), "clip": lambda x_t, t: x_t},
    )
    given, other = (Rows(each)(x, t) for each in (conditional, null))
    text = rescaled(combine(given, other, 4.0), given, 0.7)
    led = with_gradient(lambda x_t, t: text, of.gradients["classifier"], SCHEDULE, 2.0)
    led = with_gradient(led, of.gradients["clip"], SCHEDULE, 0.5, (0.3, 0.6))
    forms = "clip:0.5,interval=0.3-0.6+classifier:2+cfg:4,rescale=0.7"
    torch.testing.assert_close(composed(of, forms)(x, t), clamped(led)(x, t))
    made = composed(of, f"{forms},threshold=0.95")(x, t)
    torch.testing.assert_close(made, thresholded(led, 0.95)(x, t))
    assert not torch.equal(made, clamped(led)(x, t))


def test_latents_are_not_clamped() -> None:
    x, t = data()
    assert composed(sources(), "cfg:9", pixels=False)(x, t).abs().max() > 1
    assert composed(sources(), "cfg:9")(x, t).abs().max() == 1


# Momentum


def test_momentum_runs_over_the_steps_of_one_run() -> None:
    x, _ = data()
    guided = composed(sources(), "apg:3,eta=1,norm=none,momentum=-0.5", pixels=False)
    times = [torch.full((3,), t, dtype=torch.float64) for t in (0.9, 0.6, 0.3)]
    made = [guided(x, t) for t in times]
    running = torch.zeros_like(x)
    for t, each in zip(times, made, strict=True):
        given, other = Rows(conditional)(x, t), Rows(null)(x, t)
        running = given - other - 0.5 * running
        torch.testing.assert_close(each, given + 2 * running)


def test_each_step_bounds_and_projects_the_running_difference() -> None:
    x, _ = data()
    guided = composed(sources(), "apg:3,eta=0.5,norm=0.1,momentum=0.5", pixels=False)
    running = torch.zeros_like(x)
    for t in (0.8, 0.4):
        times = torch.full((3,), t, dtype=torch.float64)
        given, other = Rows(conditional)(x, times), Rows(null)(x, times)
        running = given - other + 0.5 * running
        torch.testing.assert_close(guided(x, times), given + 2 * projected(running, given, 0.5, 0.1))


def test_momentum_starts_anew_for_an_item_whose_time_rises() -> None:
    x, _ = data()
    guided = composed(sources(), "apg:5")
    first = guided(x, torch.full((3,), 0.9, dtype=torch.float64))
    guided(x, torch.full((3,), 0.5, dtype=torch.float64))
    again = guided(x, torch.tensor([0.9, 0.4, 0.9], dtype=torch.float64))
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[2], first[2])


def test_a_second_run_of_the_same_denoise_equals_the_first() -> None:
    x, _ = data()
    guided, ts = composed(sources(), "apg:5"), time_grid(6)
    first = heun(guided, x, ts, SCHEDULE)
    assert torch.equal(heun(guided, x, ts, SCHEDULE), first)
    assert not torch.equal(heun(composed(sources(), "apg:5,momentum=0"), x, ts, SCHEDULE), first)


# Laws


@pytest.mark.parametrize("text", FORMS)
def test_an_item_does_not_depend_on_its_batch(text: str) -> None:
    x, _ = data()

    def run(rows: slice) -> Tensor:
        of = Sources(Rows(conditional), Rows(conditional, null), bad=Rows(hat))
        return euler(composed(of, text), x[rows].float(), time_grid(8), SCHEDULE)

    together = run(slice(0, 3))
    for item in range(3):
        torch.testing.assert_close(run(slice(item, item + 1)), together[item : item + 1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("text", FORMS)
def test_items_at_different_times_are_each_guided_by_their_own(text: str) -> None:
    x, t = data(5)

    def run(rows: slice) -> Tensor:
        guided = composed(Sources(Rows(conditional), Rows(conditional, null), bad=Rows(hat)), text)
        guided(x[rows].roll(1, -1), t[rows] + 0.15)  # one item enters the interval between the two calls
        return guided(x[rows], t[rows])

    torch.testing.assert_close(run(slice(0, 5)), torch.cat([run(slice(i, i + 1)) for i in range(5)]))


@pytest.mark.parametrize("text", FORMS)
def test_half_precision_stays_half_and_near(text: str) -> None:
    x, t = data()
    of = Sources(Rows(conditional), Rows(conditional, null), bad=Rows(hat))
    half = composed(of, text)(x.bfloat16(), t.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), composed(of, text)(x, t), rtol=0, atol=0.15)


# Errors


@pytest.mark.parametrize("form", ["classifier", "clip", "auto"])
def test_a_guide_that_the_model_lacks_is_named(form: str) -> None:
    with pytest.raises(InputError, match=f"guidance {form} needs .* leave {form} out"):
        composed(sources(), f"cfg:2+{form}:2")


def test_a_threshold_on_latents_is_refused() -> None:
    with pytest.raises(InputError, match="latents"):
        composed(sources(), "cfg:2,threshold=0.99", pixels=False)


@pytest.mark.parametrize(("text", "weights"), [("cfg:2", (1.0,)), ("apg:2", (1.0,)), ("none", (1.0, 0.5))])
def test_guidance_by_the_null_needs_its_rows(text: str, weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="joined"):
        composed(Sources(Rows(conditional), weights=weights), text)
