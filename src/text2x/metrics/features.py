"""Feature spaces: pictures [N, 4, H, W] in [-1, 1], premultiplied RGBA, to features [N, D] float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.efficientnet import DEVIATION, MEAN, load_efficientnet_lite0

CHUNK = 64  # pictures in one call
SIDE = 128  # pixels that EfficientNet-Lite0 is shown


@dataclass(frozen=True)
class FeatureSpace:
    """A way to describe pictures, and the name that every figure taken in it bears."""

    name: str
    describe: Callable[[Tensor], Tensor]  # [B, 4, H, W] to [B, D]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [N, D] of pictures [N, 4, H, W], computed in parts."""
        if images.ndim != 4 or images.shape[1] != 4 or 0 in images.shape:
            raise InputError(f"pictures must be [N, 4, H, W] with N at least 1, got {list(images.shape)}")
        parts = [self.describe(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
        return torch.cat([part.float().cpu() for part in parts])


def pixels(side: int = 32) -> FeatureSpace:
    """The premultiplied pixels themselves, brought to `side` x `side` by area; smaller pictures are enlarged."""
    if side < 1:
        raise InputError(f"side is {side}; take at least 1 pixel")

    def describe(images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images.float(), side).flatten(1)

    return FeatureSpace(f"pixels {side} x {side}", describe)


def efficientnet_lite0(
    file: Path | None = None, background: float = 1.0, device: torch.device | str = "cpu"
) -> FeatureSpace:
    """EfficientNet-Lite0's 1280 features, at 128 px over an opaque grey `background` from 0 (black) to 1 (white).

    A white thing on white cannot be seen: look at a second background where that matters. InputError names the command
    that gets the weights.
    """
    if not 0 <= background <= 1:
        raise InputError(f"background is {background}; it lies between 0 (black) and 1 (white)")
    network = load_efficientnet_lite0(file).to(device)

    def describe(images: Tensor) -> Tensor:
        seen = shown(images.to(device).float(), background)
        return network(((seen * 255 - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last))

    ground = {0.0: "black", 1.0: "white"}.get(background, f"grey {background:g}")
    return FeatureSpace(f"EfficientNet-Lite0 on {ground}", describe)


def shown(images: Tensor, background: float, side: int = SIDE) -> Tensor:
    """Pictures [B, 4, H, W] over a grey background, [B, 3, side, side] in [0, 1]."""
    values = (images + 1) / 2
    opaque = values[:, :3] + (1 - values[:, 3:]) * background
    return F.interpolate(opaque, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
