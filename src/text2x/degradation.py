"""Faults put into the picture that an upsampler starts from, in training: blur, resampling, noise, blocks.

x is [B, C, H, W] in [-1, 1]; every random number comes from the CPU generator that is given.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL = 3  # of the blur (Ramesh et al. 2022, App. C)
WIDEST_BLUR = 1.2  # sigma in pixels of the low resolution
LARGEST_NOISE = 0.1  # standard deviation
LARGEST_STEP = 0.25  # of the quantised cosine transform, at its lowest frequency
BLOCK = 8  # pixels, as in JPEG
EACH = 0.5  # probability of each fault in a degraded picture


def blurred(x: Tensor, sigma: Tensor, kernel: int = KERNEL) -> Tensor:
    """Gaussian blur of each picture with its own sigma [B] above 0, in pixels, over kernel x kernel pixels."""
    offsets = torch.arange(kernel, dtype=x.dtype) - (kernel - 1) / 2
    line = torch.exp(-offsets.square() / (2 * sigma[:, None].square()))
    line = line / line.sum(1, keepdim=True)  # [B, k]
    weights = (line[:, :, None] * line[:, None, :]).repeat_interleave(x.shape[1], 0)[:, None]  # [B C, 1, k, k]
    padded = F.pad(x, [kernel // 2] * 4, mode="replicate").reshape(1, -1, *[side + kernel - 1 for side in x.shape[2:]])
    return F.conv2d(padded, weights.to(x.dtype), groups=len(weights)).reshape(x.shape)


def degraded(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """A share of the pictures with faults in random order, each present by half (after Zhang et al. 2021, BSRGAN)."""
    count = len(x)
    chosen = torch.rand(count, generator=rng) < share
    faults = (_blur, _resample, _noise, _blocks)
    made = x
    for place in torch.randperm(len(faults), generator=rng).tolist():
        here = torch.rand(count, generator=rng) < EACH
        strength = torch.rand(count, generator=rng)
        made = torch.where((chosen & here)[:, None, None, None], faults[place](made, strength, rng), made)
    return made.clamp(-1, 1) if share > 0 else x


def _blur(x: Tensor, strength: Tensor, rng: torch.Generator) -> Tensor:
    return blurred(x, 0.1 + strength * WIDEST_BLUR, 5)


def _resample(x: Tensor, strength: Tensor, rng: torch.Generator) -> Tensor:
    if any(side % 2 for side in x.shape[2:]):
        return x
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.lerp(x, coarse, strength[:, None, None, None])


def _noise(x: Tensor, strength: Tensor, rng: torch.Generator) -> Tensor:
    return x + LARGEST_NOISE * strength[:, None, None, None] * torch.randn(x.shape, generator=rng)


def _blocks(x: Tensor, strength: Tensor, rng: torch.Generator) -> Tensor:
    """Cosine transforms of 8 x 8 pixels rounded to steps that grow with the frequency: what JPEG does to a picture."""
    if any(side % BLOCK for side in x.shape[2:]):
        return x
    at = torch.arange(BLOCK, dtype=x.dtype)
    basis = torch.cos(math.pi / BLOCK * (at + 0.5)[None, :] * at[:, None]) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    blocks = x.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).transpose(3, 4)  # [B, C, h, w, 8, 8]
    frequencies = basis @ blocks @ basis.T
    steps = (LARGEST_STEP * strength[:, None, None] * (1 + at[:, None] + at[None, :]))[:, None, None, None] + 1e-3
    rounded = (frequencies / steps).round() * steps
    return (basis.T @ rounded @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)
