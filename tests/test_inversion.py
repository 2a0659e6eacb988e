"""Inversion: on a Gaussian mixture the way back is known exactly; the sampler retraces what was inverted."""

from __future__ import annotations

import math

import pytest
import torch

from text2x.diffusion.mixture import Mixture
from text2x.diffusion.samplers import ddim, time_grid
from text2x.diffusion.schedules import SCHEDULES
from text2x.inversion import invert, renoised, slerp

pytestmark = pytest.mark.medium

MIXTURE = Mixture()


def data(count: int = 64) -> torch.Tensor:
    return MIXTURE.sample((count, 1, 4), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_sampler_comes_back_to_what_was_inverted(name: str) -> None:
    schedule, x_0 = SCHEDULES[name], data()
    denoise, ts = MIXTURE.denoise(schedule), time_grid(20)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alpha, sigma = schedule(ts[-2:-1])
    end = denoise(alpha * x_0 + sigma * noise, ts[-2:-1].expand(len(x_0)))  # the sampler's last estimate
    means = []
    for rounds in (1, 3, 12):
        x = invert(denoise, x_0, ts, schedule, noise, rounds)
        errors = (ddim(denoise, x, ts, schedule) - end).abs()
        means.append(float(errors.mean()))
    assert means[2] < means[1] < means[0] < 0.05
    assert float(errors.median()) < 1e-5 and float(errors.quantile(0.9)) < 1e-4  # the rest lies between both modes


@pytest.mark.parametrize("name", SCHEDULES)
def test_more_steps_come_nearer_to_the_exact_flow(name: str) -> None:
    schedule, x_0 = SCHEDULES[name], data()
    denoise = MIXTURE.denoise(schedule)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = []
    for steps in (15, 30, 60):
        ts = time_grid(steps)
        alphas, sigmas = (values.tolist() for values in schedule(ts))
        alpha, sigma = alphas[-2], sigmas[-2]
        exact = MIXTURE.transport(alpha * x_0 + sigma * noise, (alpha, sigma), (alphas[0], sigmas[0]))
        made = invert(denoise, x_0, ts, schedule, noise, rounds=8)
        errors.append(float((made - exact).square().mean().sqrt()))
    assert errors[2] < 0.75 * errors[1] < 0.6 * errors[0] and errors[2] < 0.1


def test_inverted_data_is_standard_normal() -> None:
    schedule = SCHEDULES["cosine"]
    x_0 = data(500)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = invert(MIXTURE.denoise(schedule), x_0, time_grid(60), schedule, noise, rounds=6)
    assert abs(float(x.mean())) < 0.05 and float(x.std()) == pytest.approx(1, abs=0.05)
    assert float((x.abs() < 1).double().mean()) == pytest.approx(0.683, abs=0.03)


def test_an_item_is_inverted_alone() -> None:
    schedule, x_0 = SCHEDULES["linear"], data(5)
    denoise, ts = MIXTURE.denoise(schedule), time_grid(10)
    together = invert(denoise, x_0, ts, schedule)
    assert torch.equal(invert(denoise, x_0[3:4], ts, schedule), together[3:4])


def test_slerp_goes_along_the_arc_and_its_ends_are_exact() -> None:
    first, second = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    assert torch.equal(slerp(first, second, 0), first) and torch.equal(slerp(first, second, 1), second)
    third = slerp(first, second, 1 / 3)
    length = 1 + 1 / 3
    assert torch.allclose(third, length * torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6), 0.0]]))
    unit = slerp(first, second / 2, 0.7)
    assert float(unit.norm()) == pytest.approx(1, abs=1e-6)


def test_slerp_is_by_item_and_mixes_straight_where_there_is_no_arc() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    second = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [0.0, 4.0]])
    made = slerp(first, second, 0.5)
    assert torch.allclose(made[:2], torch.tensor([[2.0, 0.0], [0.0, 0.0]])) and made.isfinite().all()
    assert torch.equal(slerp(first[:1], second[:1], 0.5), made[:1])


def test_slerp_of_noises_is_noise_of_the_same_size() -> None:
    rng = torch.Generator().manual_seed(0)
    one, two = (torch.randn(1, 4, 32, 32, generator=rng) for _ in range(2))
    assert float(slerp(one, two, 0.5).std()) == pytest.approx(1, abs=0.03)
    assert float(torch.lerp(one, two, 0.5).std()) < 0.75


def test_renoising_forgets_a_share_and_keeps_the_size() -> None:
    rng = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(1, 4, 64, 64, generator=rng) for _ in range(2))
    assert torch.equal(renoised(x, noise, 0), x) and torch.equal(renoised(x, noise, 1), noise)
    for share in (0.2, 0.5, 0.8):
        made = renoised(x, noise, share)
        assert float(made.std()) == pytest.approx(1, abs=0.03)
        assert float((made * x).mean()) == pytest.approx(math.cos(share * math.pi / 2), abs=0.03)
