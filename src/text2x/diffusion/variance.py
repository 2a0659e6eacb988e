"""Learned variance: where between its two bounds the variance of a step back lies, and the loss that teaches it.

A step back goes from t to s < t. Its variance lies between that of the posterior q(x_s | x_t, x_0), "small", and that
of the step forward q(x_t | x_s), "large" (beta-tilde and beta of Ho et al. 2020). v is -1 at small and 1 at large, and
linear in the logarithm between (Nichol and Dhariwal 2021, Eq. 15). Levels are alpha, sigma, broadcastable to x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from text2x.diffusion.schedules import SMALLEST, NoiseSchedule, expand

Bound = TypeVar("Bound", float, Tensor)
VLB_WEIGHT = 0.001  # of the whole bound beside the plain loss, Nichol and Dhariwal 2021, Eq. 16
HALF_BIN = 1 / 255  # half the distance of two 8-bit values in [-1, 1]


@dataclass
class LastVariance:
    """Carries v from the network's latest call to the sampler, past the guidance between them.

    Hand it as `on_variance` to the conditional denoise only, so that guidance leaves the variance alone.
    """

    v: Tensor | None = None  # [B, C, *], or more rows of which the first B count

    def __call__(self, v: Tensor) -> None:  # noqa: D102
        self.v = v


def log_variance(v: Tensor, small: float | Tensor, large: float | Tensor) -> Tensor:
    """The log-variance at v, from its two bounds (Nichol and Dhariwal 2021, Eq. 15)."""
    return small + (v + 1) / 2 * (large - small)


def variational_bound(
    schedule: NoiseSchedule,
    num_steps: int,  # N: the bound is that of steps back by 1 / N
    x_0: Tensor,  # [B, C, *]
    t: Tensor,  # [B]
    estimate: Tensor,  # [B, C, *] of x_0
    v: Tensor,  # [B, C, *]
) -> Tensor:
    """The bound's term of one step, in bits a dimension, [B] (Ho et al. 2020, Eq. 5).

    It is KL(q(x_s | x_t, x_0) || p(x_s | x_t)); in the last step, t <= 1 / N, minus log p(x_0 | x_t) of 8-bit values.
    """
    first = 1 / num_steps
    held = t.clamp_min(first)
    alpha, sigma = (expand(value, x_0) for value in schedule(held))
    alpha_s, sigma_s = (expand(value, x_0) for value in schedule(held - first))
    ratio = alpha * sigma_s / (alpha_s * sigma)
    large = 2 * sigma.log() + torch.log1p(-ratio.square())
    # The posterior of the last step has variance 0: its bound is narrowed to that of the step before it.
    earlier = t.clamp_min(2 * first)
    below, above = (expand(schedule(time)[1], x_0) for time in (earlier - first, earlier))
    small = large + 2 * (below / above).log()
    predicted = log_variance(v, small, large)
    shift = (alpha_s - alpha * ratio * sigma_s / sigma) * (x_0 - estimate)
    kl = 0.5 * (predicted - small + torch.expm1(small - predicted) + shift.square() * torch.exp(-predicted))
    likelihood = discretized_log_likelihood(x_0, estimate, predicted / 2)
    nats = torch.where(expand(t <= first, x_0), -likelihood, kl)
    return nats.flatten(1).mean(1) / math.log(2)


def discretized_log_likelihood(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log of the normal probability of the 8-bit bin of x in [-1, 1], the outer ones open (Ho et al. 2020, Eq. 13)."""
    scale = torch.exp(-log_std)
    upper = torch.special.ndtr((x - mean + HALF_BIN) * scale).where(x < 1 - HALF_BIN, torch.ones_like(x))
    lower = torch.special.ndtr((x - mean - HALF_BIN) * scale).where(x > HALF_BIN - 1, torch.zeros_like(x))
    return (upper - lower).clamp_min(SMALLEST).log()
