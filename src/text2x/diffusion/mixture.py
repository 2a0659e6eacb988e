"""The oracle: data whose every element is drawn from a Gaussian mixture, so that the best denoiser has a closed form.

What a sampler makes of it can be compared with the truth on any schedule: see `Mixture.transport` and `Mixture.mean`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import NoiseSchedule, expand

FARTHEST = 30.0  # where the quantile search starts, in units of x


@dataclass(frozen=True)
class Mixture:
    """Elements are independent; component k has weight, mean and standard deviation k."""

    weights: tuple[float, ...] = (0.3, 0.7)
    means: tuple[float, ...] = (-0.8, 0.5)
    stds: tuple[float, ...] = (0.3, 0.2)

    def _components(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, means and variances, each [K]."""
        weights, means, stds = (like.new_tensor(values) for values in (self.weights, self.means, self.stds))
        return weights / weights.sum(), means, stds.square()

    @property
    def mean(self) -> float:
        """The mean of one element."""
        weights, means, _ = self._components(torch.zeros((), dtype=torch.float64))
        return float((weights * means).sum())

    @property
    def variance(self) -> float:
        """The variance of one element."""
        weights, means, variances = self._components(torch.zeros((), dtype=torch.float64))
        return float((weights * (means.square() + variances)).sum()) - self.mean**2

    def sample(self, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """Clean data in float64."""
        weights, means, variances = self._components(torch.zeros((), dtype=torch.float64))
        numel = torch.Size(shape).numel()
        chosen = torch.multinomial(weights, numel, replacement=True, generator=rng)
        noise = torch.randn(numel, generator=rng, dtype=torch.float64)
        return (means[chosen] + variances[chosen].sqrt() * noise).reshape(shape)

    def denoise(self, schedule: NoiseSchedule) -> Denoise:
        """E[x_0 | x_t], the best estimate there is."""

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = (expand(value, x_t).unsqueeze(-1) for value in schedule(t))
            weights, means, variances = self._components(x_t)
            total = alpha.square() * variances + sigma.square()  # [B, 1, ..., K]
            offset = x_t.unsqueeze(-1) - alpha * means
            posterior = (weights.log() - total.log() / 2 - offset.square() / (2 * total)).softmax(-1)
            return (posterior * (means + alpha * variances / total * offset)).sum(-1)

        return denoise

    def below(self, x_t: Tensor, alpha: float, sigma: float) -> Tensor:
        """The probability of an element of alpha x_0 + sigma noise below x_t."""
        weights, means, variances = self._components(x_t)
        std = (alpha**2 * variances + sigma**2).sqrt()
        return (weights * torch.special.ndtr((x_t.unsqueeze(-1) - alpha * means) / std)).sum(-1)

    def transport(self, x_t: Tensor, level: tuple[float, float], to: tuple[float, float]) -> Tensor:
        """Where the probability-flow ODE takes x_t, from one (alpha, sigma) to another, exactly.

        In one dimension the flow keeps the order of points, hence their quantile; searched by bisection.
        """
        wanted = self.below(x_t, *level)
        low, high = torch.full_like(x_t, -FARTHEST), torch.full_like(x_t, FARTHEST)
        for _ in range(60):
            middle = (low + high) / 2
            less = self.below(middle, *to) < wanted
            low, high = torch.where(less, middle, low), torch.where(less, high, middle)
        return (low + high) / 2
