"""DDIM inversion: the noise from which a deterministic sampler makes a given picture (Song et al. 2021, Sec. 4.3).

t is in [0, 1], 0 data; x_t = alpha x_0 + sigma noise; x is [B, C, *]. A step of `samplers.ddim` with eta 0 from a noisy
level to a less noisy one is x' = k x + c x_0(x): here it is solved for x, so that the sampler retraces it.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import NoiseSchedule
from text2x.diffusion.steps import Level, estimate, read_levels

ROUNDS = 3  # estimates a step; at the steps of a usual grid each leaves at most a third of the last one's error
SLOPE = 0.5  # of the estimate by x, which lies between 0 (noise) and about 1 (data): its middle halves the worst error


def invert(
    denoise: Denoise,
    x_0: Tensor,  # [B, C, *]
    ts: Tensor,  # [steps + 1] falling to 0, the sampler's
    schedule: NoiseSchedule,
    noise: Tensor | None = None,  # [B, C, *] that the picture is given at the last level above 0; None: none
    rounds: int = ROUNDS,
) -> Tensor:
    """x at time ts[0] from which `ddim` with eta 0 on the same times comes to x_0's estimate at the last level.

    At data the noise that a point came from is not determined: it is `noise`, of that level's size, which is small.
    Each step back is implicit: x = (x' - c x_0(x)) / k is iterated, slowed by SLOPE so that it contracts wherever the
    estimate is no steeper than x itself: everywhere but where x lies between two pictures.
    """
    levels = [level for level in read_levels(ts, schedule) if level.sigma > 0]
    last = levels[-1]
    x, guess = last.alpha * x_0, x_0
    if noise is not None:
        x = torch.add(x, noise, alpha=last.sigma)
    for there, here in pairwise(reversed(levels)):
        x, guess = _back(denoise, x, guess, here, there, rounds)
    return x


def _back(denoise: Denoise, x: Tensor, guess: Tensor, here: Level, there: Level, rounds: int) -> tuple[Tensor, Tensor]:
    """x at the noisier level `here` that a step takes to x at `there`, and the estimate made of it."""
    keep = there.sigma / here.sigma
    gain = there.alpha - here.alpha * keep
    noisier = torch.sub(x, guess, alpha=gain) / keep
    for _ in range(rounds):
        guess = estimate(denoise, noisier, here)
        rest = guess - SLOPE * noisier
        noisier = torch.sub(x, rest, alpha=gain) / (keep + gain * SLOPE)
    return noisier, guess


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Spherical interpolation of the items of two batches, each item as one long vector; the ends are exact.

    The direction turns evenly by angle and the length goes evenly from one to the other. Vectors of the same or of
    opposite direction, between which no arc is marked out, are mixed in a straight line.
    """
    if share <= 0:
        return first
    if share >= 1:
        return second
    one, two = first.flatten(1).double(), second.flatten(1).double()
    lengths = one.norm(dim=1, keepdim=True), two.norm(dim=1, keepdim=True)
    ends = [each / length.clamp_min(1e-12) for each, length in zip((one, two), lengths, strict=True)]
    angle = (ends[0] * ends[1]).sum(1, keepdim=True).clamp(-1, 1).acos()
    arc = (torch.sin((1 - share) * angle) * ends[0] + torch.sin(share * angle) * ends[1]) / angle.sin().clamp_min(1e-12)
    turned = arc * torch.lerp(lengths[0], lengths[1], share)
    straight = torch.lerp(one, two, share)
    result = torch.where((angle < 1e-4) | (angle > math.pi - 1e-4), straight, turned)
    return result.reshape(first.shape).to(first.dtype)


def renoised(x: Tensor, noise: Tensor, share: float) -> Tensor:
    """x at time 1 with a share of it forgotten: cos(share pi / 2) x + sin(share pi / 2) noise, of the same size."""
    angle = share * math.pi / 2
    return torch.add(math.cos(angle) * x, noise, alpha=math.sin(angle)) if share < 1 else noise
