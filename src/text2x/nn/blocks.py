"""Convolutions, resampling and residual blocks in 1 to 3 dimensions; x is [B, C, *], * is T, H W or T H W."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.nn.attention import Attention, KeysValues, TextAttention
from text2x.nn.embeddings import in_fours


class FactorizedConv3d(nn.Module):
    """A 3x3 convolution of each frame, then one of length 3 over time (Tran et al. 2018): faster than a 3x3x3 one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Conv1d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, C', T, H, W]."""
        frames = x.shape[2]
        x = self.space(x.transpose(1, 2).flatten(0, 1))  # [B T, C', H, W]
        channels, height, width = x.shape[1:]
        x = x.unflatten(0, (-1, frames)).permute(0, 3, 4, 2, 1).flatten(0, 2)  # [B H W, C', T]
        x = self.time(x).unflatten(0, (-1, height, width))  # [B, H, W, C', T]
        return x.permute(0, 3, 4, 1, 2)


def conv3(dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """A convolution of width 3 that keeps the size."""
    if dims == 3:
        return FactorizedConv3d(in_channels, out_channels)
    return {1: nn.Conv1d, 2: nn.Conv2d}[dims](in_channels, out_channels, 3, padding=1)


class Pointwise(nn.Module):
    """The same linear map of the channels at each position, as a matrix product.

    A convolution of width 1 gives the same, but oneDNN splits its sums by the number of threads, so that its last bits
    would depend on them.
    """

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        like = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims](in_channels, out_channels, 1)
        self.weight, self.bias = like.weight, like.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, *] -> [B, C', *]."""
        assert self.bias is not None
        weight = self.weight.flatten(1).expand(x.shape[0], -1, -1)  # [B, C', C]
        return torch.baddbmm(self.bias[:, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])


def conv1(dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """A convolution of width 1: the same linear map at each position."""
    return Pointwise(dims, in_channels, out_channels)


def zeroed(module: nn.Module) -> nn.Module:
    """The module with its last layer zero: it returns 0, so that the block it ends starts as the identity."""
    # Of two layers in a row only one may be zero: else each keeps the gradient of the other's weights at 0 for ever.
    last = module.time if isinstance(module, FactorizedConv3d) else module
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return module


def downsample(x: Tensor) -> Tensor:
    """Halve each of the last axes by averaging; of video the frames only, not time."""
    if x.ndim == 3:
        return F.avg_pool1d(x, 2)
    if x.ndim == 4:
        return F.avg_pool2d(x, 2)
    return F.avg_pool3d(x, (1, 2, 2))


def upsample(x: Tensor) -> Tensor:
    """Double each of the last axes by repetition; of video the frames only, not time."""
    scale = (1.0, 2.0, 2.0) if x.ndim == 5 else 2.0
    return F.interpolate(x, scale_factor=scale, mode="nearest")


def num_groups(channels: int) -> int:
    """Groups for a group norm: 32, or the largest power of two below it that divides the channels into at least 4."""
    groups = 32
    while channels % groups or channels // groups < 4:
        groups //= 2
        if groups <= 1:
            return 1
    return groups


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the embedding of time and text scales and shifts the second norm.

    (Dhariwal and Nichol 2021, "adaptive group normalisation"). `resample` halves ("down") or doubles ("up") the size.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        embedding_width: int,
        dropout: float = 0.0,
        resample: str = "none",
    ) -> None:
        super().__init__()
        self.resample = {"none": nn.Identity(), "down": _Resample(downsample), "up": _Resample(upsample)}[resample]
        self.norm_in = nn.GroupNorm(num_groups(in_channels), in_channels)
        self.conv_in = conv3(dims, in_channels, out_channels)
        self.modulation = nn.Linear(embedding_width, 2 * out_channels)
        self.norm_out = nn.GroupNorm(num_groups(out_channels), out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zeroed(conv3(dims, out_channels, out_channels))
        self.skip = nn.Identity() if in_channels == out_channels else conv1(dims, in_channels, out_channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, *] and the activated embedding [B, E] -> [B, C', *]."""
        hidden = self.conv_in(self.resample(F.silu(self.norm_in(x))))
        scale, shift = in_fours(self.modulation, embedding)[(...,) + (None,) * (x.ndim - 2)].chunk(
            2, dim=1
        )  # [B, C', 1...]
        hidden = torch.addcmul(shift, self.norm_out(hidden), 1 + scale)
        hidden = self.conv_out(self.dropout(F.silu(hidden)))
        return self.skip(self.resample(x)) + hidden


class _Resample(nn.Module):
    """A function of x as a module without parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class AttentionBlock(nn.Module):
    """Attention over all positions of [B, C, *], with text joined in front or in a cross-attention of its own."""

    def __init__(self, channels: int, head_width: int, text: TextAttention, context_width: int, qk_norm: bool) -> None:
        super().__init__()
        heads = max(1, channels // head_width)
        joint: TextAttention = "joint" if text == "joint" else "none"
        self.norm = nn.GroupNorm(num_groups(channels), channels)
        self.attention = Attention(channels, heads, joint, context_width, qk_norm)
        zeroed(self.attention.out)
        self.cross_norm = nn.LayerNorm(channels) if text == "cross" else None
        self.cross = Attention(channels, heads, "cross", context_width, qk_norm) if text == "cross" else None
        if self.cross is not None:
            zeroed(self.cross.out)

    def text_keys_values(self, context: Tensor) -> KeysValues | None:
        """Keys and values of the text for the attention of this block that takes text, if one does."""
        if self.cross is not None:
            return self.cross.text_keys_values(context)
        return self.attention.text_keys_values(context) if self.attention.text == "joint" else None

    def forward(self, x: Tensor, text: KeysValues | None, mask: Tensor | None) -> Tensor:
        """[B, C, *] -> [B, C, *]."""
        tokens = x.flatten(2).transpose(1, 2)  # [B, S, C]
        normed = (
            self.norm(x).flatten(2).transpose(1, 2).contiguous()
        )  # linear layers then add their bias in the product
        if self.cross is None:
            tokens = tokens + self.attention(normed, text, mask)
        else:
            assert self.cross_norm is not None
            tokens = tokens + self.attention(normed)
            tokens = tokens + self.cross(self.cross_norm(tokens), text, mask)
        return tokens.transpose(1, 2).reshape(x.shape)
