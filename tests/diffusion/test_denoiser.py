import math

import pytest
import torch
from torch import Tensor, nn

from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, TimeDistribution, draw_times, shift_time, uniform_weight
from text2x.diffusion.guidance import classifier_free
from text2x.diffusion.mixture import Mixture
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import ddpm, time_grid
from text2x.diffusion.schedules import SCHEDULES, Linear, expand
from text2x.diffusion.variance import LastVariance


class Affine(nn.Module):
    """x -> one affine map for each output channel; the condition is added. Counts its preparations."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, outputs, 1)
        self.prepared = 0

    def prepare(self, conditioning: Tensor) -> Tensor:
        self.prepared += 1
        return conditioning

    def forward(self, x: Tensor, t: Tensor, conditioning: Tensor) -> Tensor:
        return self.linear(x) + conditioning + t[:, None, None]


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    x_0, noise = torch.rand(2, 6, 2, 5, generator=rng) * 2 - 1
    return x_0, torch.linspace(0.05, 0.95, 6), noise, torch.zeros(6, 1, 1)


def denoiser(outputs: int = 2, schedule: str = "cosine", parameterization: str = "epsilon") -> Denoiser:
    torch.manual_seed(0)
    return Denoiser(Affine(2, outputs), SCHEDULES[schedule], PARAMETERIZATIONS[parameterization])


def test_the_condition_is_prepared_once_for_all_steps() -> None:
    made = denoiser()
    denoise = made.denoise(torch.zeros(6, 1, 1))
    for _ in range(3):
        denoise(*batch()[:2])
    assert isinstance(made.network, Affine)
    assert made.network.prepared == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
def test_the_loss_is_the_mean_squared_error_of_the_target(schedule: str, parameterization: str) -> None:
    made, (x_0, t, noise, condition) = denoiser(2, schedule, parameterization), batch()
    alpha, sigma = (expand(value, x_0) for value in made.schedule(t))
    output = made.network(alpha * x_0 + sigma * noise, t, condition)
    expected = (output - made.parameterization.target(x_0, noise, alpha, sigma)).square().mean((1, 2))
    torch.testing.assert_close(made.loss(x_0, t, noise, condition, uniform_weight), expected)


def test_the_estimate_of_the_loss_and_of_sampling_agree() -> None:
    made, (x_0, t, noise, condition) = denoiser(2, "linear", "x_0"), batch()
    alpha, sigma = (expand(value, x_0) for value in made.schedule(t))
    x_t = alpha * x_0 + sigma * noise
    expected = (made.denoise(condition)(x_t, t) - x_0).square().mean((1, 2))
    torch.testing.assert_close(made.loss(x_0, t, noise, condition, uniform_weight), expected)


def test_a_learned_variance_leaves_the_mean_to_the_plain_loss() -> None:
    x_0, t, noise, condition = batch()
    both = denoiser(4)
    plain = denoiser(2)
    assert isinstance(both.network, Affine) and isinstance(plain.network, Affine)
    with torch.no_grad():
        for ours, theirs in zip(plain.network.parameters(), both.network.parameters(), strict=True):
            ours.copy_(theirs[:2])
    hybrid = both.loss(x_0, t, noise, condition, uniform_weight)
    simple = plain.loss(x_0, t, noise, condition, uniform_weight)
    hybrid.sum().backward()
    simple.sum().backward()
    assert (hybrid != simple).all()
    both_gradient, plain_gradient = both.network.linear.weight.grad, plain.network.linear.weight.grad
    assert both_gradient is not None and plain_gradient is not None
    torch.testing.assert_close(both_gradient[:2], plain_gradient)
    assert (both_gradient[2:] != 0).any()


def test_the_learned_variance_of_the_conditional_reaches_ddpm_through_guidance() -> None:
    made, last, seen = denoiser(4, "linear", "velocity"), LastVariance(), []

    def keep(v: Tensor) -> None:
        last(v)
        seen.append(v)

    conditional = made.denoise(torch.zeros(2, 1, 1), on_variance=keep)
    null = made.denoise(torch.ones(2, 1, 1))
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 5, generator=rng)
    with torch.no_grad():
        sample = ddpm(
            classifier_free(conditional, null, 2.0),
            x,
            time_grid(4),
            made.schedule,
            lambda like: torch.randn(like.shape, generator=rng),
            variance=last,
        )
    assert sample.isfinite().all()
    assert len(seen) == 4
    assert last.v is seen[-1]
    assert seen[0].shape == x.shape


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_velocity_weight_makes_an_error_in_x_0_one_in_velocity(schedule: str) -> None:
    x_0, t, noise, _ = batch()
    alpha, sigma = (expand(value, x_0) for value in SCHEDULES[schedule](t))
    x_t, guess = alpha * x_0 + sigma * noise, x_0 + 0.1
    velocity = ((alpha + sigma) * guess - x_t) / -sigma  # the output that stands for the guess
    torch.testing.assert_close(PARAMETERIZATIONS["velocity"].to_x_0(x_t, velocity, alpha, sigma), guess)
    error = (velocity - PARAMETERIZATIONS["velocity"].target(x_0, noise, alpha, sigma)).square()
    torch.testing.assert_close(WEIGHTINGS["velocity"](alpha, sigma) * 0.01 * torch.ones_like(x_0), error)


def test_min_snr_weight_is_the_snr_up_to_5() -> None:
    alpha, sigma = Linear()(torch.tensor([0.0, 0.1, 0.5, 1.0]))
    assert WEIGHTINGS["min_snr"](alpha, sigma).tolist() == pytest.approx([5, 5, 1, 0])


def test_drawn_times_hit_each_stratum_once_and_repeat_with_the_seed() -> None:
    times = draw_times(64, torch.Generator().manual_seed(3), TimeDistribution())
    assert (times.sort().values * 64).floor().tolist() == list(range(64))
    assert (times.sort().values != times).any()
    assert torch.equal(times, draw_times(64, torch.Generator().manual_seed(3), TimeDistribution()))


def test_logit_normal_times_have_the_stated_mean_and_spread() -> None:
    times = draw_times(20_000, torch.Generator().manual_seed(0), TimeDistribution("logit_normal", -0.4, 1.2))
    logits = torch.logit(times.double())
    assert float(logits.mean()) == pytest.approx(-0.4, abs=0.01)
    assert float(logits.std()) == pytest.approx(1.2, rel=0.01)
    assert times.min() >= 0
    assert times.max() <= 1


def test_a_shift_scales_the_noise_level_of_rectified_flow() -> None:
    t = torch.linspace(0.1, 0.9, 5)
    shifted = shift_time(t, 3.0)
    torch.testing.assert_close(shifted / (1 - shifted), 3 * t / (1 - t))


def test_training_on_two_values_teaches_the_mean_and_the_variance() -> None:
    """Constant outputs at one time: the hybrid loss finds E[x_0] and the variance that the error asks for."""
    rng = torch.Generator().manual_seed(0)
    mixture, schedule = Mixture((0.5, 0.5), (-0.6, 0.6), (0.05, 0.05)), SCHEDULES["cosine"]
    x_0 = mixture.sample((512, 1, 1), rng).float()
    constants = nn.Parameter(torch.zeros(1, 2, 1))

    class Constant(nn.Module):
        def prepare(self, conditioning: None) -> None:
            return conditioning

        def forward(self, x: Tensor, t: Tensor, conditioning: None) -> Tensor:
            return constants.expand(len(x), 2, 1)

    made = Denoiser(Constant(), schedule, PARAMETERIZATIONS["x_0"], num_steps=10)
    optimizer = torch.optim.Adam([constants], lr=0.05)
    times, noise = torch.full((512,), 0.8), torch.randn(512, 1, 1, generator=rng)
    for _ in range(150):
        loss = made.loss(x_0, times, noise, None, uniform_weight).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean, v = constants.detach().flatten().tolist()
    assert mean == pytest.approx(float(x_0.mean()), abs=0.02)
    alpha, sigma = (float(value) for value in schedule(torch.tensor(0.8, dtype=torch.float64)))
    alpha_s, sigma_s = (float(value) for value in schedule(torch.tensor(0.7, dtype=torch.float64)))
    ratio = alpha * sigma_s / (alpha_s * sigma)
    pull = alpha_s * (1 - ratio**2)
    small, large = sigma_s**2 * (1 - ratio**2), sigma**2 * (1 - ratio**2)
    wanted = math.log((small + pull**2 * float(x_0.var())) / small) / math.log(large / small) * 2 - 1
    assert v == pytest.approx(wanted, abs=0.05)
