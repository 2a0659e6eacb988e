"""Joint Gaussians are the oracle: their best denoiser and the hole given the known part both have a closed form."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.inpainting import METHODS, Known, forward, langevin, repaint
from text2x.diffusion.samplers import SAMPLERS, Sampler, time_grid
from text2x.diffusion.schedules import SCHEDULES, Linear, NoiseSchedule
from text2x.diffusion.steps import NoiseLike, OnStep, read_levels

LINEAR = Linear()
COUNT = 1500


def noise_from(seed: int) -> NoiseLike:
    rng = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=rng, dtype=x.dtype)


@dataclass(frozen=True)
class Row:
    """Rows of pixels [B, 1, P], jointly Gaussian with mean 0, of which some are known to have some values."""

    covariance: Tensor  # [P, P]
    known: Tensor  # [P] bool
    values: Tensor  # of the known ones

    def denoise(self, schedule: NoiseSchedule) -> Denoise:
        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = (float(value[0]) for value in schedule(t))
            total = alpha**2 * self.covariance + sigma**2 * torch.eye(len(self.known), dtype=x_t.dtype)
            return x_t @ torch.linalg.solve(total, alpha * self.covariance)

        return denoise

    def hole(self, alpha: float = 1.0, sigma: float = 0.0) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the hole of alpha x_0 + sigma noise, given the known part of x_0."""
        hole, known = ~self.known, self.known
        regression = torch.linalg.solve(self.covariance[known][:, known], self.covariance[known][:, hole]).T
        left = self.covariance[hole][:, hole] - regression @ self.covariance[known][:, hole]
        return alpha * regression @ self.values, alpha**2 * left + sigma**2 * torch.eye(len(left), dtype=left.dtype)

    def region(self, count: int, seed: int = 0) -> Known:
        image = torch.zeros(count, 1, len(self.known), dtype=torch.float64)
        image[..., self.known] = self.values
        return Known(image, self.known.double().expand(count, 1, -1), noise_from(seed)(image))

    def distance(self, sample: Tensor) -> float:
        """Wasserstein-2 from the sampled hole to the true one (as Gaussians), in standard deviations of the data."""
        mean, covariance = self.hole()
        made, spread = moments(sample[..., ~self.known])
        inner = root(root(covariance) @ spread @ root(covariance))
        cost = (made - mean).square().sum() + (covariance + spread - 2 * inner).trace()
        return math.sqrt(max(float(cost / self.covariance[~self.known][:, ~self.known].trace()), 0.0))


def moments(sample: Tensor) -> tuple[Tensor, Tensor]:
    rows = sample.flatten(1)
    return rows.mean(0), torch.cov(rows.T).reshape(rows.shape[1], rows.shape[1])


def root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def pair() -> Row:
    """Two pixels of correlation 0.9; the first is known to be 1.5."""
    covariance = torch.tensor([[1, 0.9], [0.9, 1]], dtype=torch.float64)
    return Row(covariance, torch.tensor([True, False]), torch.tensor([1.5], dtype=torch.float64))


def smooth() -> Row:
    """Twelve pixels of a smooth random curve with a hole of four; the known ones follow a wave."""
    place = torch.arange(12, dtype=torch.float64)
    covariance = torch.exp(-(place[:, None] - place).square() / 8) * 0.5 + 0.01 * torch.eye(12, dtype=torch.float64)
    known = (place < 4) | (place > 7)
    return Row(covariance, known, 0.8 * torch.cos(place / 3)[known])


ROWS = {"pair": pair, "smooth": smooth}


def drawn(
    row: Row, method: Callable[[Sampler, Known], Sampler], sampler: str, schedule: NoiseSchedule, count: int = COUNT
) -> Tensor:
    ts, known = time_grid(16), row.region(count)
    x = known.noise * float(schedule(ts[:1])[1])
    return method(SAMPLERS[sampler], known)(row.denoise(schedule), x, ts, schedule, noise_from(1))


@pytest.mark.parametrize("schedule_name", SCHEDULES)
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "ddpm"])
def test_langevin_draws_a_hole_with_the_conditional_mean_and_variance(sampler: str, schedule_name: str) -> None:
    row = pair()
    mean, covariance = row.hole()
    made, spread = moments(drawn(row, langevin, sampler, SCHEDULES[schedule_name])[..., ~row.known])
    assert float(made) == pytest.approx(float(mean), rel=0.04)
    assert float(spread) == pytest.approx(float(covariance), rel=0.25)  # ddpm itself is 10 % short in 16 steps


@pytest.mark.parametrize("schedule_name", ["linear", "cosine"])
def test_keep_alone_binds_the_hole_too_loosely(schedule_name: str) -> None:
    row = pair()
    mean, covariance = row.hole()
    made, spread = moments(drawn(row, METHODS["keep"], "ddim", SCHEDULES[schedule_name])[..., ~row.known])
    assert float(made) < 0.7 * float(mean)
    assert float(spread) > 2 * float(covariance)


@pytest.mark.parametrize("schedule_name", ["linear", "cosine"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
@pytest.mark.parametrize("row_name", ["pair", pytest.param("smooth", marks=pytest.mark.medium)])
def test_keep_is_farther_from_the_truth_than_repaint_and_repaint_than_langevin(
    row_name: str, sampler: str, schedule_name: str
) -> None:
    row, schedule = ROWS[row_name](), SCHEDULES[schedule_name]
    kept, repainted, settled = (
        row.distance(drawn(row, METHODS[name], sampler, schedule)) for name in ("keep", "repaint", "langevin")
    )
    assert kept > 1.5 * repainted
    assert repainted > 1.2 * settled


@pytest.mark.medium
def test_more_walks_and_more_steps_come_closer_to_the_truth() -> None:
    row = smooth()
    walks = [row.distance(drawn(row, partial(repaint, resample=count), "ddim", LINEAR)) for count in (1, 3, 9)]
    steps = [row.distance(drawn(row, partial(langevin, steps=count), "ddim", LINEAR)) for count in (1, 3, 9)]
    for distances in (walks, steps):
        assert distances[0] > 1.1 * distances[1] > 1.2 * distances[2]


def still(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """A sampler that stays where it is."""
    return x


def settled(row: Row, known: Known, schedule: NoiseSchedule, t: float, **settings: float) -> Tensor:
    """Where many Langevin steps at one level end."""
    method = partial(langevin, steps=80, **settings)  # type: ignore[arg-type]
    ts = torch.tensor([1.0, t, 0.0], dtype=torch.float64)
    return method(still, known)(row.denoise(schedule), known.noise, ts, schedule, noise_from(2))


@pytest.mark.parametrize(("schedule_name", "t"), [("linear", 0.4), ("linear", 0.6), ("cosine", 0.5), ("karras", 0.35)])
def test_strong_langevin_settles_where_the_noisy_hole_given_the_image_is(schedule_name: str, t: float) -> None:
    row, schedule = pair(), SCHEDULES[schedule_name]
    _, level, _ = read_levels(torch.tensor([1.0, t, 0.0]), schedule)
    mean, covariance = row.hole(level.alpha, level.sigma)
    strong, weak = (
        moments(settled(row, row.region(COUNT), schedule, t, strength=strength)[..., ~row.known])
        for strength in (200.0, 0.0)
    )
    deviation = float(covariance.sqrt())
    assert float(strong[0]) == pytest.approx(float(mean), abs=0.1 * deviation)
    assert 0.95 < float(strong[1] / covariance) < 1.3  # y follows x with a delay
    assert float(weak[0]) < float(mean) - 0.3 * deviation  # the model's own score sees a noisy y


@pytest.mark.parametrize("t", [0.15, 0.4, 0.8])
def test_langevin_leaves_the_noisy_data_as_they_are_where_nothing_is_known(t: float) -> None:
    row = replace(pair(), known=torch.zeros(2, dtype=torch.bool), values=torch.zeros(0, dtype=torch.float64))
    known = row.region(2 * COUNT)
    alpha, sigma = 1 - t, t
    total = alpha**2 * row.covariance + sigma**2 * torch.eye(2, dtype=torch.float64)
    start = replace(known, noise=known.noise @ torch.linalg.cholesky(total).T)
    _, spread = moments(settled(row, start, LINEAR, t, step_size=0.5))
    torch.testing.assert_close(spread, total, rtol=0.08, atol=0.01)  # 2.6 % are the error of 3000 draws


@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_the_way_back_has_the_law_of_the_forward_process(schedule_name: str) -> None:
    there, here, data = read_levels(torch.tensor([0.8, 0.3, 0.0]), SCHEDULES[schedule_name])
    ones = torch.ones(1, 1, 1, dtype=torch.float64)
    for start in (here, data):
        mean = forward(start.alpha * ones, start, there, torch.zeros_like)
        torch.testing.assert_close(mean, there.alpha * ones)
        fresh = float(forward(0 * ones, start, there, torch.ones_like))
        carried = float(forward(start.sigma * ones, start, there, torch.zeros_like))
        assert fresh**2 + carried**2 == pytest.approx(there.sigma**2)


@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_the_largest_langevin_step_is_stable_at_every_noise_level(schedule_name: str) -> None:
    row, schedule = smooth(), SCHEDULES[schedule_name]
    hard = partial(langevin, steps=10, step_size=1.0, strength=100.0)
    assert drawn(row, hard, "ddim", schedule, count=20).abs().max() < 10
