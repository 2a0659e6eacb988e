"""Guidance: functions from Denoise to Denoise. Scale w: null + w (conditional - null); 1 is off, 0 is unconditional.

It acts on estimates of x_0; these are linear in what a network predicts, so guiding noise or velocity is the same.
A negative prompt is the null: pass the denoise of its text. Intervals are in t, 0 data to 1 noise, ends included.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import expand
from text2x.errors import InputError

WHOLE = (0.0, 1.0)


def vanilla(conditional: Denoise) -> Denoise:
    """No guidance: the network's own estimate for the prompt."""
    return conditional


def classifier_free(
    conditional: Denoise,
    null: Denoise,
    scale: float,
    interval: tuple[float, float] = WHOLE,
) -> Denoise:
    """Classifier-free guidance (Ho and Salimans 2022) within an interval of t (Kynkaanniemi et al. 2024).

    At scale 1 and outside the interval `null` is never called; `conditional` is not called at scale 0.
    """

    def both(x_t: Tensor, t: Tensor) -> Tensor:
        return null(x_t, t) if scale == 0 else combine(conditional(x_t, t), null(x_t, t), scale)

    return within(interval, both, conditional, scale)


def paired(
    conditional: Denoise,
    pair: Denoise,
    scale: float,
    interval: tuple[float, float] = WHOLE,
) -> Denoise:
    """Classifier-free guidance with one network call a step.

    `pair` denoises [2B, C, *]: B conditional rows, then B null ones. At scale 1 and outside the interval `conditional`
    is called instead, on [B, C, *].
    """

    def both(x_t: Tensor, t: Tensor) -> Tensor:
        given, null = pair(torch.cat([x_t, x_t]), torch.cat([t, t])).chunk(2)
        return combine(given, null, scale)

    return within(interval, both, conditional, scale)


def combine(conditional: Tensor, null: Tensor, scale: float) -> Tensor:
    """null + scale (conditional - null)."""
    return torch.lerp(null, conditional, scale)


def within(interval: tuple[float, float], guided: Denoise, plain: Denoise, scale: float) -> Denoise:
    """`guided` for items whose t lies in the interval, `plain` for the rest and everywhere at scale 1."""
    low, high = interval
    if not math.isfinite(scale):
        raise InputError(f"guidance is {scale}, but it must be a finite number; 1 turns it off")
    if not 0 <= low <= high <= 1:
        raise InputError(f"the guidance interval is {low} to {high}, but it must satisfy 0 <= low <= high <= 1")
    if scale == 1:
        return plain
    if (low, high) == WHOLE:
        return guided

    def chosen(x_t: Tensor, t: Tensor) -> Tensor:
        inside = (t >= low) & (t <= high)
        if inside.all():
            return guided(x_t, t)
        if not inside.any():
            return plain(x_t, t)
        return torch.where(expand(inside, x_t), guided(x_t, t), plain(x_t, t))

    return chosen
