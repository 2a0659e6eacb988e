from typing import Literal

import pytest
import torch
from torch import Tensor

from text2x.diffusion.gradients import LEAST_ALPHA, LogProbability, gradient_of, on_schedule, scaled, with_gradient
from text2x.diffusion.mixture import Mixture
from text2x.diffusion.samplers import ddpm, euler, time_grid
from text2x.diffusion.schedules import SCHEDULES, Betas, Linear, NoiseSchedule, expand
from text2x.diffusion.steps import NoiseLike
from text2x.diffusion.variance import LastVariance
from text2x.errors import InputError

MIXTURE = Mixture()
CLASSES = [Mixture((1.0,), (mean,), (std,)) for mean, std in zip(MIXTURE.means, MIXTURE.stds, strict=True)]


def class_of(index: int, schedule: NoiseSchedule) -> LogProbability:
    """log p(y | x_t) of one component of the mixture, in closed form; items have one element."""

    def log_probability(x_t: Tensor, t: Tensor) -> Tensor:  # x_t [B, 1]
        alpha, sigma = (expand(value, x_t) for value in schedule(t))
        means, stds = x_t.new_tensor(MIXTURE.means), x_t.new_tensor(MIXTURE.stds)
        total = alpha**2 * stds**2 + sigma**2  # [B, 2]
        joint = x_t.new_tensor(MIXTURE.weights).log() - total.log() / 2 - (x_t - alpha * means) ** 2 / (2 * total)
        return joint.log_softmax(-1)[:, index]

    return log_probability


def points(schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """A grid of x_t and of times at which alpha is at least LEAST_ALPHA."""
    t = torch.linspace(0.02, 1, 50, dtype=torch.float64)
    t = t[schedule(t)[0] >= LEAST_ALPHA]
    x = torch.linspace(-2.5, 2.5, 21, dtype=torch.float64)
    return x.repeat(len(t)).unsqueeze(1), t.repeat_interleave(21)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("index", [0, 1])
def test_the_exact_gradient_at_scale_1_turns_the_unconditional_estimate_into_the_class_s_own(
    name: str, index: int
) -> None:
    schedule = SCHEDULES[name]
    x, t = points(schedule)
    guided = with_gradient(MIXTURE.denoise(schedule), gradient_of(class_of(index, schedule)), schedule)
    torch.testing.assert_close(guided(x, t), CLASSES[index].denoise(schedule)(x, t), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_guide_of_the_linear_schedule_serves_every_schedule(name: str) -> None:
    schedule = SCHEDULES[name]
    x, t = points(schedule)
    log_probability = on_schedule(class_of(1, Linear()), Linear(), schedule)
    torch.testing.assert_close(log_probability(x, t), class_of(1, schedule)(x, t), rtol=0, atol=1e-9)
    guided = with_gradient(MIXTURE.denoise(schedule), gradient_of(log_probability), schedule)
    torch.testing.assert_close(guided(x, t), CLASSES[1].denoise(schedule)(x, t), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_moved_guide_sees_finite_values_at_both_ends(name: str) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def record(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x, t))
        return x.sum(1)

    on_schedule(record, Linear(), SCHEDULES[name])(torch.ones(3, 2), torch.tensor([0.0, 0.5, 1.0]))
    x, t = seen[0]
    assert x.isfinite().all()
    assert ((t >= 0) & (t <= 1)).all()


def test_a_guide_of_the_same_schedule_is_used_as_it_is() -> None:
    log_probability = class_of(0, Linear())
    assert on_schedule(log_probability, Linear(), Linear()) is log_probability


def test_at_pure_noise_the_exact_gradient_moves_nothing_and_any_other_one_stays_finite() -> None:
    schedule, x, t = Linear(), torch.linspace(-2, 2, 5).unsqueeze(1), torch.ones(5)
    plain = MIXTURE.denoise(schedule)
    exact = with_gradient(plain, gradient_of(class_of(0, schedule)), schedule)
    torch.testing.assert_close(exact(x, t), plain(x, t))
    shift = with_gradient(plain, lambda x_t, t: torch.full_like(x_t, 0.01), schedule)(x, t) - plain(x, t)
    torch.testing.assert_close(shift, torch.full_like(x, 0.01 / LEAST_ALPHA))


def test_the_least_alpha_is_that_of_the_last_step_of_ddpm() -> None:
    assert float(Betas()(torch.ones(1))[0]) == pytest.approx(LEAST_ALPHA, rel=1e-3)


def test_the_shift_grows_in_proportion_to_the_scale() -> None:
    schedule = SCHEDULES["cosine"]
    x, t = points(schedule)
    plain, gradient = MIXTURE.denoise(schedule), gradient_of(class_of(0, schedule))
    one, three = (with_gradient(plain, gradient, schedule, scale)(x, t) - plain(x, t) for scale in (1.0, 3.0))
    torch.testing.assert_close(three, 3 * one)
    assert one.abs().max() > 0.5


def test_outside_the_interval_nothing_changes_and_the_guide_is_not_called() -> None:
    calls = list[Tensor]()

    def gradient(x_t: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return torch.ones_like(x_t)

    schedule = Linear()
    plain = MIXTURE.denoise(schedule)
    guided = with_gradient(plain, gradient, schedule, 2.0, (0.3, 0.6))
    x = torch.linspace(-1, 1, 3).unsqueeze(1)
    for t in (0.1, 0.7):
        assert torch.equal(guided(x, torch.full((3,), t)), plain(x, torch.full((3,), t)))
    assert not calls
    mixed = torch.tensor([0.29, 0.3, 0.61])
    changed = (guided(x, mixed) != plain(x, mixed)).squeeze(1)
    assert changed.tolist() == [False, True, False]


def test_a_scale_of_0_calls_no_guide() -> None:
    def never(x_t: Tensor, t: Tensor) -> Tensor:
        raise AssertionError("the guide was called")

    assert torch.equal(scaled(never, 0.0)(torch.ones(2, 1), torch.ones(2)), torch.zeros(2, 1))


def test_gradients_are_taken_inside_inference_mode_and_leave_no_graph() -> None:
    schedule, x, t = Linear(), torch.linspace(-1, 1, 4).unsqueeze(1), torch.full((4,), 0.4)
    gradient = gradient_of(class_of(0, schedule))
    outside = gradient(x, t)
    with torch.inference_mode():
        inside = gradient(x * 1, t * 1)  # tensors of inference mode, as a sampler's are
        guided = with_gradient(MIXTURE.denoise(schedule), gradient, schedule)(x * 1, t * 1)
    assert torch.equal(inside, outside)
    assert outside.abs().min() > 0.01
    assert not inside.requires_grad
    assert not guided.requires_grad


def test_each_item_s_gradient_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 3)
    gradient = gradient_of(lambda x, t: ((x @ weight).tanh() * expand(t, x)).sum(1))
    x, t = torch.randn(5, 6), torch.linspace(0.1, 0.9, 5)
    alone = torch.cat([gradient(x[i : i + 1], t[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(gradient(x, t), alone, rtol=1e-6, atol=1e-7)


def test_a_probability_that_is_not_one_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gave \(\), but it must be \(2,\)"):
        gradient_of(lambda x, t: x.sum())(torch.ones(2, 1), torch.ones(2))


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_scale_that_is_no_number_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="finite"):
        scaled(lambda x, t: x, scale)


def test_an_impossible_interval_is_refused() -> None:
    with pytest.raises(InputError, match=r"interval is 0\.6 to 0\.3"):
        scaled(lambda x, t: x, 1.0, (0.6, 0.3))


# The mean form, in the sampler ddpm


def noise(seed: int, count: int) -> Tensor:
    return torch.randn(count, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def draws(seed: int) -> NoiseLike:
    rng = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, dtype=x.dtype, generator=rng)


@pytest.mark.medium
@pytest.mark.parametrize(("index", "variance"), [(0, "small"), (1, "small"), (0, "large"), (1, "learned")])
def test_shifting_ddpm_s_means_samples_the_class(index: int, variance: Literal["small", "large", "learned"]) -> None:
    schedule, x = Linear(), noise(0, 3000)
    made = ddpm(
        MIXTURE.denoise(schedule),
        x,
        time_grid(150, kind="log_snr", schedule=schedule),
        schedule,
        draws(1),
        variance=LastVariance(torch.zeros_like(x)) if variance == "learned" else variance,
        gradient=gradient_of(class_of(index, schedule)),
    )
    assert float(made.mean()) == pytest.approx(MIXTURE.means[index], abs=0.03)
    assert float(made.std()) == pytest.approx(MIXTURE.stds[index], rel=0.06)


@pytest.mark.parametrize(("variance", "std"), [("small", "there"), ("large", "here")])
def test_one_step_of_ddpm_moves_its_mean_by_the_step_s_variance_times_the_gradient(
    variance: Literal["small", "large"], std: str
) -> None:
    schedule, ts = Linear(), torch.tensor([0.8, 0.5], dtype=torch.float64)
    x, seen = noise(3, 4), list[tuple[Tensor, Tensor]]()

    def gradient(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append((x_t, t))
        return torch.full_like(x_t, 2.0)

    plain, moved = (
        ddpm(MIXTURE.denoise(schedule), x, ts, schedule, torch.zeros_like, variance=variance, gradient=each)
        for each in (None, gradient)
    )
    quotient = (0.2 * 0.5) / (0.5 * 0.8)  # of the levels sigma / alpha after and before
    level = {"here": 0.8, "there": 0.5}[std]
    torch.testing.assert_close(moved - plain, torch.full_like(x, 2.0 * level**2 * (1 - quotient**2)))
    assert torch.equal(seen[0][0], x)
    assert seen[0][1].tolist() == pytest.approx([0.8] * 4)


def test_a_gradient_of_zeros_leaves_ddpm_as_it_is() -> None:
    schedule, x = Linear(), noise(0, 5)
    made = [
        ddpm(MIXTURE.denoise(schedule), x, time_grid(6), schedule, draws(2), gradient=gradient)
        for gradient in (None, lambda x, t: torch.zeros_like(x))
    ]
    assert torch.equal(made[0], made[1])


def test_score_and_mean_form_lead_to_the_same_class() -> None:
    schedule, x, gradient = Linear(), noise(5, 200), gradient_of(class_of(0, Linear()))
    ts = time_grid(120, kind="log_snr", schedule=schedule)
    plain = MIXTURE.denoise(schedule)
    score = euler(with_gradient(plain, gradient, schedule), x, ts, schedule)
    mean = ddpm(plain, x, ts, schedule, draws(6), gradient=gradient)
    unguided = euler(plain, x, ts, schedule)
    shares = [float((made < -0.15).double().mean()) for made in (score, mean, unguided)]
    assert shares[0] > 0.95
    assert shares[1] > 0.95
    assert shares[2] < 0.5
