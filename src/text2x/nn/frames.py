"""Layers over the time of clips whose frames lie in the batch, in order: x is [B T, C, H, W].

All but the change of rate start as the identity. Where a clip loops its first frame follows its last: convolutions are
padded in a circle and attention turns by whole harmonics of the clip's length, so that rolling the frames of a looping
clip rolls what comes out. Shapes: B clips, T frames, C channels, N heads, d head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from text2x.nn.attention import Attention, Rotate
from text2x.nn.blocks import conv1, num_groups, zeroed

TAPS = 3  # frames that a convolution over time sees (Singer et al. 2022, Make-A-Video, Sec. 3.2.1)
LARGEST_PERIOD = 10_000.0  # of rotary positions (Su et al. 2021)


@dataclass(frozen=True)
class Clips:
    """How the frames in a batch belong together."""

    frames: int  # T of each clip
    loops: Tensor  # [B] bool: the first frame follows the last

    def halved(self) -> Clips:
        """The same clips with half of the frames."""
        return replace(self, frames=self.frames // 2)


def neighbours(x: Tensor, clips: Clips) -> Tensor:
    """Each frame between the one before and the one after, zeros beyond an end: [B T, C, H, W] -> [B, T, 3 C, H, W]."""
    shown = x.unflatten(0, (-1, clips.frames))
    circle = clips.loops.to(x.dtype)[:, None, None, None, None]
    padded = torch.cat([shown[:, -1:] * circle, shown, shown[:, :1] * circle], dim=1)
    return torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], dim=2)


def _mixed(weight: Tensor, bias: Tensor, stacked: Tensor) -> Tensor:
    """A linear map of the channels at each pixel: [C', K] and [B', K, H, W] -> [B', C', H, W]."""
    rows = weight.expand(stacked.shape[0], -1, -1)
    return torch.baddbmm(bias[:, None], rows, stacked.flatten(2)).unflatten(2, stacked.shape[2:])


class TimeConv(nn.Module):
    """x plus a convolution over time that starts at zero: together one that starts as the identity.

    (Singer et al. 2022, Sec. 3.2.1: the temporal half of a pseudo-3D convolution.) `weight` is [C, 3 C], the frame
    before first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, TAPS * channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, clips: Clips) -> Tensor:
        """[B T, C, H, W] -> [B T, C, H, W]."""
        return x + _mixed(self.weight, self.bias, neighbours(x, clips).flatten(0, 1))


class InflatedConv(nn.Module):
    """x plus a convolution over time, which starts as the identity, behind a map of the channels that starts at zero.

    (Bar-Tal et al. 2024, Lumiere, Sec. 3.1: convolution-based inflation.)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = torch.eye(channels)
        self.weight = nn.Parameter(torch.cat([torch.zeros_like(middle), middle, torch.zeros_like(middle)], dim=1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.project = zeroed(conv1(2, channels, channels))

    def forward(self, x: Tensor, clips: Clips) -> Tensor:
        """[B T, C, H, W] -> [B T, C, H, W]."""
        return x + self.project(_mixed(self.weight, self.bias, neighbours(x, clips).flatten(0, 1)))


class TimeDownsample(nn.Module):
    """Every second frame, plus a convolution over time of stride 2 that starts at zero (Lumiere, Sec. 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, TAPS * channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, clips: Clips) -> Tensor:
        """[B T, C, H, W] -> [B T / 2, C, H, W]."""
        kept = x.unflatten(0, (-1, clips.frames))[:, ::2].flatten(0, 1)
        return kept + _mixed(self.weight, self.bias, neighbours(x, clips)[:, ::2].flatten(0, 1))


class TimeUpsample(nn.Module):
    """Each frame twice, plus a convolution over time that starts at zero (Lumiere, Sec. 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = TimeConv(channels)

    def forward(self, x: Tensor, clips: Clips) -> Tensor:
        """[B T / 2, C, H, W] -> [B T, C, H, W]; `clips` says how many frames there are before."""
        doubled = x.unflatten(0, (-1, clips.frames)).repeat_interleave(2, dim=1).flatten(0, 1)
        return self.conv(doubled, replace(clips, frames=2 * clips.frames))


class TimeAttention(nn.Module):
    """x plus attention of each pixel over its own time, whose last layer starts at zero (Make-A-Video, Sec. 3.2.2)."""

    def __init__(self, channels: int, head_width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups(channels), channels)
        self.attention = Attention(channels, max(1, channels // head_width))
        zeroed(self.attention.out)
        self.head_width = channels // self.attention.num_heads

    def forward(self, x: Tensor, clips: Clips) -> Tensor:
        """[B T, C, H, W] -> [B T, C, H, W]."""
        height, width = x.shape[2:]
        tokens = self.norm(x).unflatten(0, (-1, clips.frames)).permute(0, 3, 4, 1, 2)  # [B, H, W, T, C]
        rotate = time_rotation(clips, self.head_width, height * width)
        mixed = self.attention(tokens.flatten(0, 2).contiguous(), rotate=rotate)  # [B H W, T, C]
        return x + mixed.unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2).flatten(0, 1)


def time_rotation(clips: Clips, head_width: int, positions: int) -> Rotate:
    """Turn queries and keys [B positions, N, T, d] by their frames; in a looping clip by whole harmonics of its length.

    Angles between frames depend on their distance alone (Su et al. 2021), in a loop on the distance around it.
    """
    loops, frames = clips.loops, clips.frames
    pairs = head_width // 2
    steps = LARGEST_PERIOD ** -(torch.arange(pairs, device=loops.device, dtype=torch.float32) / max(1, pairs))
    circle = 2 * math.pi / frames
    harmonics = (steps / circle).round() * circle
    speed = torch.where(loops[:, None], harmonics, steps)  # [B, d / 2]
    angle = torch.arange(frames, device=loops.device, dtype=torch.float32)[None, :, None] * speed[:, None]
    cos, sin = angle.cos().repeat(1, 1, 2), torch.cat([-angle.sin(), angle.sin()], dim=2)  # [B, T, d]
    if len(loops) > 1:
        cos, sin = cos.repeat_interleave(positions, 0), sin.repeat_interleave(positions, 0)
    cos, sin = cos[:, None], sin[:, None]

    def rotate(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return torch.addcmul(x * cos.to(x.dtype), torch.cat([second, first], dim=-1), sin.to(x.dtype))

    return rotate
