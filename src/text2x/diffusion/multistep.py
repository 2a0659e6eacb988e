"""Samplers that remember earlier estimates: second order and more for one estimate a step.

They are second order in log(alpha / sigma) of each step; t = 0 is reached by a first-order step, which returns x_0.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import NoiseSchedule
from text2x.diffusion.steps import (
    Level,
    NoiseLike,
    OnStep,
    drawing,
    estimate,
    line,
    read_levels,
    shrink,
)


def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022b, Alg. 2): order 2 with one estimate a step; the first and the last are DDIM."""
    levels = read_levels(ts, schedule)
    before: Tensor | None = None
    for index, (here, there) in enumerate(pairwise(levels)):
        x_0 = estimate(denoise, x, here, index, on_step)
        x = line(x, ahead(x_0, before, index, levels), here, there)
        before = x_0
    return x


def ahead(x_0: Tensor, before: Tensor | None, index: int, levels: list[Level]) -> Tensor:
    """x_0 carried on by half a step, linearly in log(alpha / sigma), from its last two estimates."""
    here, there = levels[index], levels[index + 1]
    if before is None or there.sigma == 0:
        return x_0
    step, step_before = there.log_ratio - here.log_ratio, here.log_ratio - levels[index - 1].log_ratio
    part = step / (2 * step_before)
    return torch.lerp(before, x_0, 1 + part)


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
    *,
    eta: float = 1.0,
) -> Tensor:
    """SDE-DPM-Solver++(2M), midpoint form (Lu et al. 2022b, Alg. 2 for the SDE): DPM-Solver++(2M) with fresh noise."""
    levels = read_levels(ts, schedule)
    draw = drawing(noise_like, "dpmpp_2m_sde", eta)
    before: Tensor | None = None
    for index, (here, there) in enumerate(pairwise(levels)):
        x_0 = estimate(denoise, x, here, index, on_step)
        if there.sigma == 0:
            return x_0
        quotient = shrink(here, there)
        mean = ahead(x_0, before, index, levels)
        kept = x * (there.sigma / here.sigma * quotient**eta)
        x = kept.add_(mean, alpha=there.alpha * (1 - quotient ** (1 + eta)))
        if draw is not None:
            x.add_(draw(x), alpha=there.sigma * math.sqrt(1 - quotient ** (2 * eta)))
        before = x_0
    return x


def unipc(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """UniPC-2 on x_0 with B(h) = e^h - 1 (Zhao et al. 2023, Alg. 5 and 6): order 3 inside, one estimate a step.

    Each estimate also corrects the x it was made from; its predictor is DPM-Solver++(2M).
    """
    levels = read_levels(ts, schedule)
    earlier: list[Tensor] = []  # estimates of x_0, the latest last
    start = x
    for index, (here, there) in enumerate(pairwise(levels)):
        x_0 = estimate(denoise, x, here, index, on_step)
        if earlier and there.sigma > 0:
            x = line(start, _corrected(x_0, earlier, index, levels), levels[index - 1], here)
        start = x
        x = line(x, ahead(x_0, earlier[-1] if earlier else None, index, levels), here, there)
        earlier = [*earlier[-1:], x_0]
    return x


def _corrected(x_0: Tensor, earlier: list[Tensor], index: int, levels: list[Level]) -> Tensor:
    """The mean x_0 of the step to level `index`, once the estimate there is known (Zhao et al. 2023, Eq. 5)."""
    before, here = levels[index - 1], levels[index]
    if len(earlier) == 1:
        return torch.lerp(earlier[-1], x_0, 0.5)
    step = here.log_ratio - before.log_ratio
    place = (levels[index - 2].log_ratio - before.log_ratio) / step  # of the oldest estimate, in steps from `before`
    decay = math.expm1(-step)
    first = decay / -step - 1
    second = first / -step - 0.5
    total, moment = first / decay, 2 * second / decay  # 1/2 and 1/3 for a short step
    old = (total - moment) / (1 - place)
    mean = torch.lerp(earlier[-1], x_0, total - old)
    return mean.add_(earlier[-2] - earlier[-1], alpha=old / place)
