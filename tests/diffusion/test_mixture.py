import pytest
import torch

from text2x.diffusion.mixture import Mixture
from text2x.diffusion.schedules import SCHEDULES


def test_samples_have_the_stated_mean_and_variance() -> None:
    mixture = Mixture()
    samples = mixture.sample((200, 500), torch.Generator().manual_seed(0))
    assert float(samples.mean()) == pytest.approx(mixture.mean, abs=0.01)
    assert float(samples.var()) == pytest.approx(mixture.variance, abs=0.01)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_no_change_of_its_estimate_lowers_the_squared_error(t: float) -> None:
    mixture, schedule, rng = Mixture(), SCHEDULES["cosine"], torch.Generator().manual_seed(1)
    x_0 = mixture.sample((100_000, 1), rng)
    time = torch.full((100_000,), t, dtype=torch.float64)
    alpha, sigma = (value.unsqueeze(1) for value in schedule(time))
    x_t = alpha * x_0 + sigma * torch.randn(x_0.shape, generator=rng, dtype=torch.float64)
    error = x_0 - mixture.denoise(schedule)(x_t, time)
    for feature in (torch.ones_like(x_t), x_t, x_t.square(), x_t.sin()):  # orthogonal to any function of x_t
        product = error * feature
        assert abs(float(product.mean())) < 4 * float(product.std()) / len(product) ** 0.5


def test_transport_there_and_back_is_the_identity() -> None:
    mixture = Mixture()
    x = torch.linspace(-1.5, 1.2, 9, dtype=torch.float64)
    there = mixture.transport(x, (1.0, 0.0), (0.2, 0.8))
    torch.testing.assert_close(mixture.transport(there, (0.2, 0.8), (1.0, 0.0)), x, rtol=1e-9, atol=1e-9)


def test_transport_of_one_gaussian_scales_it() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    moved = Mixture((1.0,), (0.0,), (0.5,)).transport(x, (0.0, 1.0), (1.0, 0.0))
    torch.testing.assert_close(moved, x / 2)
