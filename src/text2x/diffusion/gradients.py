"""Guidance by a gradient, d log p(y | x_t) / d x_t, of a classifier or a CLIP that knows noisy x_t.

Score form: it moves the estimate of x_0, for any sampler (`with_gradient`). Mean form: it moves the mean of each step
of the sampler ddpm (`scaled`, then ddpm's `gradient`). t is [B]: 0 data, 1 noise; x_t = alpha x_0 + sigma noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import NoiseSchedule, expand, log_snr
from text2x.errors import InputError
from text2x.guidance_terms import WHOLE, check_interval

Gradient = Callable[[Tensor, Tensor], Tensor]  # (x_t [B, C, *], t [B]) -> d log p / d x_t [B, C, *]
LogProbability = Callable[[Tensor, Tensor], Tensor]  # (x_t [B, C, *], t [B]) -> log p(y | x_t) [B]
LEAST_ALPHA = 0.00635  # that of the last of DDPM's 1000 steps (Ho et al. 2020), the noisiest classifiers were used at


def gradient_of(log_probability: LogProbability) -> Gradient:
    """The gradient in x_t by automatic differentiation, inside torch.inference_mode too; each item's own.

    Whatever `log_probability` closes over (weights, an embedded prompt) must have been made outside inference_mode.
    """

    def gradient(x_t: Tensor, t: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x = x_t.clone().detach().requires_grad_(True)
            value = log_probability(x, t.clone().detach())
            if value.shape != t.shape:
                raise ValueError(
                    f"log_probability gave {tuple(value.shape)}, but it must be {tuple(t.shape)}, one an item"
                )
            return torch.autograd.grad(value.sum(), x)[0]

    return gradient


def on_schedule(log_probability: LogProbability, own: NoiseSchedule, schedule: NoiseSchedule) -> LogProbability:
    """A guide trained on the schedule `own`, made to read the x_t of another schedule at the same noise level.

    t_own is where `own` has the same sigma / alpha, and x_own is x_t stretched to its length; on the linear schedule
    these are sigma / (alpha + sigma) and x_t / (alpha + sigma). The chain rule is left to automatic differentiation.
    """
    if own == schedule:
        return log_probability

    def moved(x_t: Tensor, t: Tensor) -> Tensor:
        t_own = own.time_of(log_snr(schedule, t))
        stretch = torch.hypot(*own(t_own)) / torch.hypot(*schedule(t))
        return log_probability(x_t * expand(stretch, x_t), t_own)

    return moved


def scaled(gradient: Gradient, scale: float = 1.0, interval: tuple[float, float] = WHOLE) -> Gradient:
    """scale times the gradient for items whose t lies in the interval, 0 for the rest; not called if all are 0."""
    check_interval(interval)
    if not math.isfinite(scale):
        raise InputError(f"the scale of a gradient is {scale}, but it must be a finite number; 0 turns it off")
    low, high = interval

    def within(x_t: Tensor, t: Tensor) -> Tensor:
        inside = (t >= low) & (t <= high)
        if scale == 0 or not inside.any():
            return torch.zeros_like(x_t)
        value = gradient(x_t, t) * scale
        return value if inside.all() else torch.where(expand(inside, x_t), value, 0.0)

    return within


def with_gradient(
    denoise: Denoise,
    gradient: Gradient,
    schedule: NoiseSchedule,
    scale: float = 1.0,
    interval: tuple[float, float] = WHOLE,
) -> Denoise:
    """x_0 + scale sigma^2 / alpha gradient: Alg. 2 of Dhariwal and Nichol 2021, eps - sigma gradient, read as x_0.

    With the exact gradient and scale 1 it turns E[x_0 | x_t] into E[x_0 | x_t, y]. The exact gradient falls as alpha
    towards pure noise, that of a network does not, and its error would be magnified without bound: alpha counts as at
    least LEAST_ALPHA there, so that the shift is finite and, for the exact gradient, fades to 0 at alpha = 0.
    """
    push = scaled(gradient, scale, interval)

    def guided(x_t: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule(t)
        factor = sigma.square() / alpha.clamp_min(LEAST_ALPHA)
        return denoise(x_t, t) + expand(factor, x_t) * push(x_t, t)

    return guided
