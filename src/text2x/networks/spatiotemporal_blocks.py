"""Blocks of Stable Video Diffusion: a layer of pictures, then one over time, blended by a number that is learned.

(Blattmann et al. 2023, App. D; "Align your latents", Blattmann et al. 2023, Sec. 3.1, Eq. 2.) Frames lie in the batch,
in order. Shapes: B clips, T frames, C channels, E embedding width, S = H W positions, L text tokens, N heads, d head
width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.nn.attention import Attention, KeysValues
from text2x.nn.embeddings import in_fours, sinusoid
from text2x.nn.spatial import GEGLU, AddedResidualBlock, CrossBlock, group_norm

TAPS = 3  # frames that a convolution over time sees
FRAMES_OF_ONE = 1000  # sinusoid() counts its times in thousandths: the number n of a frame is n / 1000


class TimeConv(nn.Module):
    """A convolution of length 3 over time at each position, as matrix products: no frame is copied for it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        like = nn.Conv1d(channels, channels, TAPS)
        assert like.bias is not None
        self.weight = nn.Parameter(
            like.weight.detach().permute(2, 0, 1).contiguous()
        )  # [3, C, C], the frame before first
        self.bias = nn.Parameter(like.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, S] -> [B, C, T, S]; beyond the ends there are zeros."""
        count, _, frames, _ = x.shape
        before, here, after = (each.to(x.dtype).expand(count, -1, -1) for each in self.weight)
        made = torch.baddbmm(self.bias.to(x.dtype)[:, None], here, x.flatten(2)).unflatten(2, x.shape[2:])
        if frames > 1:
            made[:, :, 1:].flatten(2).baddbmm_(before, x[:, :, :-1].flatten(2))
            made[:, :, :-1].flatten(2).baddbmm_(after, x[:, :, 1:].flatten(2))
        return made


class TimeResidual(nn.Module):
    """What a residual block over time adds: norm over all frames, SiLU, convolution over time, twice."""

    def __init__(self, channels: int, embedding_width: int, groups: int, epsilon: float) -> None:
        super().__init__()
        self.norm_in = group_norm(channels, groups, epsilon)
        self.conv_in = TimeConv(channels)
        self.shift = nn.Linear(embedding_width, channels) if embedding_width else None
        self.norm_out = group_norm(channels, groups, epsilon)
        self.conv_out = TimeConv(channels)

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """[B, C, T, S] and the activated embedding [B, E] -> [B, C, T, S]."""
        hidden = self.conv_in(F.silu(self.norm_in(x)))
        if self.shift is not None and embedding is not None:
            hidden = hidden + in_fours(self.shift, embedding)[:, :, None, None]
        return self.conv_out(F.silu(self.norm_out(hidden)))


class VideoResidualBlock(nn.Module):
    """A residual block of pictures, then one over time; `mix` says how much of the second is used.

    The share of time is 1 - sigmoid(mix), and sigmoid(mix) with `time_mix` (as the decoder has it).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_width: int = 0,
        groups: int = 0,
        epsilon: float = 1e-6,
        time_epsilon: float | None = None,
        time_mix: bool = False,
    ) -> None:
        super().__init__()
        self.space = AddedResidualBlock(in_channels, out_channels, embedding_width, groups, epsilon)
        self.time = TimeResidual(
            out_channels, embedding_width, groups, epsilon if time_epsilon is None else time_epsilon
        )
        self.mix = nn.Parameter(torch.full((1,), 0.0 if time_mix else 0.5))
        self.time_mix = time_mix

    def forward(self, x: Tensor, frames: int, embedding: Tensor | None = None) -> Tensor:
        """[B T, C, H, W] and the activated embedding [B, E] -> [B T, C', H, W]."""
        each = None if embedding is None else embedding.repeat_interleave(frames, dim=0)
        hidden = self.space(x, each)
        height, width = hidden.shape[2:]
        clips = hidden.flatten(2).unflatten(0, (-1, frames)).transpose(1, 2)  # [B, C, T, S]
        clips = clips.contiguous()
        share = torch.sigmoid(self.mix if self.time_mix else -self.mix).to(clips.dtype)
        mixed = torch.addcmul(clips, share, self.time(clips, embedding))
        return mixed.transpose(1, 2).flatten(0, 1).unflatten(2, (height, width))


class TimeBlock(nn.Module):
    """A feed-forward, then attention of each position over time, over the text, and another feed-forward."""

    def __init__(self, width: int, num_heads: int, context_width: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(width)
        self.feed_in = GEGLU(width)
        self.block = CrossBlock(width, num_heads, context_width)

    def forward(self, x: Tensor, text: KeysValues | None) -> Tensor:
        """[B S, T, C] -> [B S, T, C]."""
        return crossed(self.block, x + self.feed_in(self.norm_in(x)), text)


class VideoTransformer(nn.Module):
    """Blocks over the positions of each frame, each with one over the time of each position behind it."""

    def __init__(self, channels: int, num_heads: int, context_width: int, depth: int, groups: int = 0) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.into = nn.Linear(channels, channels)
        self.blocks = nn.ModuleList(CrossBlock(channels, num_heads, context_width) for _ in range(depth))
        self.time_blocks = nn.ModuleList(TimeBlock(channels, num_heads, context_width) for _ in range(depth))
        self.frame = nn.Sequential(nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, channels))
        self.mix = nn.Parameter(torch.full((1,), 0.5))  # sigmoid(mix) is the share of the picture's blocks
        self.out = nn.Linear(channels, channels)

    def text_keys_values(self, context: Tensor) -> list[KeysValues]:
        """Keys and values of the text for each block over positions and the one over time behind it."""
        pairs = zip(self.blocks, self.time_blocks, strict=True)
        crosses = [each for block, time in pairs for each in (block.cross, time.block.cross)]  # type: ignore[union-attr]
        return [cross.text_keys_values(context) for cross in crosses if isinstance(cross, Attention)]

    def forward(self, x: Tensor, frames: int, texts: list[KeysValues]) -> Tensor:
        """[B T, C, H, W] -> [B T, C, H, W]; `texts` has two entries a block, or is empty: no text."""
        positions = x.shape[2] * x.shape[3]
        tokens = self.into(self.norm(x).flatten(2).transpose(1, 2).contiguous())  # [B T, S, C]
        places = self._places(frames, tokens)  # [T, 1, C]
        share = torch.sigmoid(-self.mix).to(tokens.dtype)
        for index, (block, time) in enumerate(zip(self.blocks, self.time_blocks, strict=True)):
            told, told_time = texts[2 * index : 2 * index + 2] if texts else (None, None)
            tokens = crossed(block, tokens, told)  # type: ignore[arg-type]
            placed = (tokens.unflatten(0, (-1, frames)) + places).transpose(1, 2)  # [B, S, T, C]
            moved = time(placed.flatten(0, 1), told_time).unflatten(0, (-1, positions)).transpose(1, 2)
            tokens = torch.lerp(tokens, moved.flatten(0, 1), share)
        return x + self.out(tokens).transpose(1, 2).reshape(x.shape)

    def _places(self, frames: int, like: Tensor) -> Tensor:
        """The embedding of each frame's number, [T, 1, C]."""
        numbers = torch.arange(frames, device=like.device) / FRAMES_OF_ONE
        return in_fours(self.frame, sinusoid(numbers, like.shape[2]).to(like.dtype))[:, None]


def crossed(block: CrossBlock, x: Tensor, text: KeysValues | None) -> Tensor:
    """The block over [R, S, C], the text's keys and values [B, N, L, d] each for R / B rows in a row.

    One token of text has all the weight: what it adds is the same for every position, and is computed once.
    """
    x = x + block.attention(block.norm_attention(x))
    if block.cross is not None and block.norm_cross is not None and text is not None:
        key, value = text
        times = x.shape[0] // key.shape[0]
        if key.shape[2] == 1:
            added = in_fours(block.cross.out, value.flatten(1).to(x.dtype))  # [B, C]
            x = x + added.repeat_interleave(times, dim=0)[:, None]
        else:
            spread = (key.repeat_interleave(times, dim=0), value.repeat_interleave(times, dim=0))
            x = x + block.cross(block.norm_cross(x), spread)
    return x + block.feed_forward(block.norm_feed_forward(x))


def told_waves(numbers: Tensor, frequencies: int) -> Tensor:
    """[B, K] numbers -> [B, K frequencies]: cosines, then sines, of each at geometric frequencies down to 1 / 10000."""
    half = frequencies // 2
    steps = torch.exp(-math.log(10_000.0) * torch.arange(half, device=numbers.device, dtype=torch.float32) / half)
    angle = numbers.float()[:, :, None] * steps  # [B, K, half]
    return torch.cat([angle.cos(), angle.sin()], dim=2).flatten(1)
