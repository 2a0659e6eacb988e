import math

import pytest
import torch

from text2x.diffusion.schedules import SCHEDULES, Betas, Linear
from text2x.diffusion.variance import LastVariance, discretized_log_likelihood, log_variance, variational_bound

SMALL_TABLE = Betas(num_steps=50)


def bound(
    schedule: object, t: float, x_0: torch.Tensor, estimate: torch.Tensor, v: torch.Tensor, steps: int = 50
) -> torch.Tensor:
    times = torch.full((len(x_0),), t, dtype=x_0.dtype)
    return variational_bound(schedule, steps, x_0, times, estimate, v)  # type: ignore[arg-type]


def test_log_variance_is_linear_between_its_bounds() -> None:
    v = torch.tensor([-1.0, 0.0, 1.0])
    assert log_variance(v, -3.0, -2.0).tolist() == pytest.approx([-3, -2.5, -2])


@pytest.mark.parametrize("step", [1, 7, 48])
def test_the_bound_is_the_divergence_of_the_two_normals_of_ddpm(step: int) -> None:
    betas = SMALL_TABLE.table()
    products = torch.cumprod(1 - betas, 0)
    before, here, beta = (float(value) for value in (products[step - 1], products[step], betas[step]))
    posterior = beta * (1 - before) / (1 - here)  # Ho et al. 2020, Eq. 7
    pull = math.sqrt(before) * beta / (1 - here)
    rng = torch.Generator().manual_seed(0)
    x_0, estimate, v = torch.randn(3, 4, 2, generator=rng, dtype=torch.float64)
    predicted = torch.exp((v + 1) / 2 * math.log(beta) + (1 - v) / 2 * math.log(posterior))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(pull * x_0, math.sqrt(posterior)),
        torch.distributions.Normal(pull * estimate, predicted.sqrt()),
    )
    found = bound(SMALL_TABLE, (step + 1) / 50, x_0, estimate, v)
    torch.testing.assert_close(found, expected.mean(1) / math.log(2), rtol=1e-8, atol=1e-10)


def test_a_right_estimate_at_the_small_variance_costs_nothing() -> None:
    x_0 = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(bound(Linear(), 0.5, x_0, x_0, -torch.ones_like(x_0)), torch.zeros(3).double())


def test_the_best_v_gives_the_true_variance_of_the_step() -> None:
    schedule, t, std = SCHEDULES["cosine"], 0.6, 0.5  # data N(0, std^2), 50 steps
    alpha, sigma = (float(value) for value in schedule(torch.tensor(t, dtype=torch.float64)))
    alpha_s, sigma_s = (float(value) for value in schedule(torch.tensor(t - 0.02, dtype=torch.float64)))
    total, correlation = alpha**2 * std**2 + sigma**2, alpha * alpha_s * std**2 + alpha / alpha_s * sigma_s**2
    true = alpha_s**2 * std**2 + sigma_s**2 - correlation**2 / total  # of x_s given x_t
    spread = math.sqrt(std**2 * sigma**2 / total)  # of x_0 given x_t
    errors = torch.tensor([[-spread], [spread]], dtype=torch.float64)
    grid = torch.linspace(-1, 1, 401, dtype=torch.float64)
    costs = torch.stack([bound(schedule, t, errors, torch.zeros(2, 1).double(), v.expand(2, 1)).mean() for v in grid])
    ratio = alpha * sigma_s / (alpha_s * sigma)
    large = sigma**2 * (1 - ratio**2)
    small = sigma_s**2 * (1 - ratio**2)
    best = log_variance(grid[costs.argmin()], math.log(small), math.log(large))
    assert float(best.exp()) == pytest.approx(true, rel=0.01)


def test_the_probabilities_of_all_256_values_add_up_to_1() -> None:
    values = torch.linspace(-1, 1, 256, dtype=torch.float64).unsqueeze(1)
    for std in (0.005, 0.3, 2.0):
        log = discretized_log_likelihood(values, torch.full_like(values, 0.2), torch.full_like(values, math.log(std)))
        assert float(log.exp().sum()) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", [0.0, 0.0005, 0.001, 0.0015, 0.5, 1.0])
def test_the_bound_and_its_gradient_are_finite_at_every_time_in_float32(name: str, t: float) -> None:
    x_0 = torch.linspace(-1, 1, 12).reshape(3, 4)
    v = torch.zeros(3, 4, requires_grad=True)
    loss = bound(SCHEDULES[name], t, x_0, x_0 * 0.9, v, steps=1000)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert v.grad is not None
    assert v.grad.isfinite().all()


def test_the_last_variance_is_kept() -> None:
    last, v = LastVariance(), torch.ones(2, 3)
    last(v)
    assert last.v is v
