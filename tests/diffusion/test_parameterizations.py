import pytest
import torch

from text2x.diffusion.parameterizations import PARAMETERIZATIONS, to_noise
from text2x.diffusion.schedules import SCHEDULES, Linear, expand

TIMES = torch.tensor([0.0, 0.01, 0.3, 0.7, 0.99, 1.0], dtype=torch.float64)


def draw() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    x_0, noise = torch.randn(2, len(TIMES), 3, 4, dtype=torch.float64, generator=rng)
    return x_0, noise


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", PARAMETERIZATIONS)
def test_x_0_comes_back_from_the_target_wherever_it_is_defined(name: str, schedule: str) -> None:
    parameterization, (x_0, noise) = PARAMETERIZATIONS[name], draw()
    alpha, sigma = (expand(value, x_0) for value in SCHEDULES[schedule](TIMES))
    x_t = alpha * x_0 + sigma * noise
    found = parameterization.to_x_0(x_t, parameterization.target(x_0, noise, alpha, sigma), alpha, sigma)
    rows = (alpha.flatten() > 0) if name == "epsilon" else torch.ones(len(TIMES), dtype=torch.bool)
    torch.testing.assert_close(found[rows], x_0[rows], rtol=1e-8, atol=1e-8)


def test_an_epsilon_estimate_at_pure_noise_in_float32_stays_small() -> None:
    x_0, noise = (value.float() for value in draw())
    alpha, sigma = torch.zeros(6, 1, 1), torch.ones(6, 1, 1)
    estimate = PARAMETERIZATIONS["epsilon"].to_x_0(noise, noise * (1 + 1e-7), alpha, sigma)
    assert estimate.abs().max() < 0.1


def test_the_velocity_is_the_time_derivative_on_rectified_flow() -> None:
    x_0, noise = draw()
    t, step = TIMES[1:-1], 1e-6
    (ahead_a, ahead_s), (behind_a, behind_s) = Linear()(t + step), Linear()(t - step)
    x_0, noise = x_0[1:-1], noise[1:-1]
    rise = expand(ahead_a - behind_a, x_0) * x_0 + expand(ahead_s - behind_s, x_0) * noise
    alpha, sigma = (expand(value, x_0) for value in Linear()(t))
    target = PARAMETERIZATIONS["velocity"].target(x_0, noise, alpha, sigma)
    torch.testing.assert_close(rise / (2 * step), target, rtol=1e-8, atol=1e-8)


def test_to_noise_finds_the_noise() -> None:
    x_0, noise = draw()
    alpha, sigma = (expand(value, x_0) for value in SCHEDULES["cosine"](TIMES))
    found = to_noise(alpha * x_0 + sigma * noise, x_0, alpha, sigma)
    torch.testing.assert_close(found[1:], noise[1:])
