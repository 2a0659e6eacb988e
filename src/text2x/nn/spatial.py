"""Blocks of latent diffusion over [B, C, H, W]: residual blocks to which time is added, transformers, resampling.

Rombach et al. 2022, App. E.2.1, and their code. Shapes: B batch, C channels, E embedding width, S = H W positions,
L text tokens, N heads, d head width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.nn.attention import Attention, KeysValues
from text2x.nn.blocks import conv1, num_groups, upsample, zeroed
from text2x.nn.embeddings import in_fours

EPSILON = 1e-6  # of the group norms in the autoencoder and before a transformer (Rombach et al. 2022, their code)


def group_norm(channels: int, groups: int = 0, epsilon: float = EPSILON) -> nn.GroupNorm:
    """A group norm of `groups` groups; 0: as many as `num_groups` says, 32 in the published widths."""
    return nn.GroupNorm(groups or num_groups(channels), channels, epsilon)


class AddedResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the embedding is added in between (Ho et al. 2020, App. B), if there is one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_width: int = 0,  # 0: no embedding
        groups: int = 0,
        epsilon: float = EPSILON,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm_in = group_norm(in_channels, groups, epsilon)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shift = nn.Linear(embedding_width, out_channels) if embedding_width else None
        self.norm_out = group_norm(out_channels, groups, epsilon)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Identity() if in_channels == out_channels else conv1(2, in_channels, out_channels)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """[B, C, H, W] and the activated embedding [B, E] -> [B, C', H, W]."""
        hidden = self.conv_in(F.silu(self.norm_in(x)))
        if self.shift is not None:
            if embedding is None:
                raise ValueError("this block needs the embedding")
            hidden = hidden + in_fours(self.shift, embedding)[:, :, None, None]
        hidden = self.conv_out(self.dropout(F.silu(self.norm_out(hidden))))
        return self.skip(x) + hidden


class Halving(nn.Module):
    """A convolution of stride 2. `both_sides`: padded by 1 all around, otherwise by 1 at the right and the bottom."""

    def __init__(self, channels: int, both_sides: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if both_sides else 0)
        self.both_sides = both_sides

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2]."""
        return self.conv(x if self.both_sides else F.pad(x, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """Each pixel four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2 H, 2 W]."""
        return self.conv(upsample(x))


class PositionAttention(nn.Module):
    """Attention with one head over all positions of a picture, added to it: the middle of the autoencoder."""

    def __init__(self, channels: int, groups: int = 0) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.attention = Attention(channels, 1, qk_norm=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        tokens = self.norm(x).flatten(2).transpose(1, 2).contiguous()  # [B, S, C]
        return x + self.attention(tokens).transpose(1, 2).reshape(x.shape)


class GEGLU(nn.Module):
    """Two linear layers around a gated GELU (Shazeer 2020, Eq. 6); the gate is the second half."""

    def __init__(self, width: int, ratio: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.into = nn.Linear(width, 2 * ratio * width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        hidden, gate = self.into(x).chunk(2, dim=-1)
        return self.out(self.dropout(hidden * F.gelu(gate)))


class CrossBlock(nn.Module):
    """Self-attention, attention over the text if there is any, feed-forward; each after a layer norm and added to x."""

    def __init__(self, width: int, num_heads: int, context_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads, qk_norm=False, bias=False)
        self.norm_cross = nn.LayerNorm(width) if context_width else None
        self.cross = Attention(width, num_heads, "cross", context_width, False, bias=False) if context_width else None
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = GEGLU(width, dropout=dropout)

    def forward(self, x: Tensor, text: KeysValues | None, mask: Tensor | None) -> Tensor:
        """[B, S, D] -> [B, S, D]; without text the attention over it is left out."""
        x = x + self.attention(self.norm_attention(x))
        if self.cross is not None and self.norm_cross is not None and text is not None:
            x = x + self.cross(self.norm_cross(x), text, mask)
        return x + self.feed_forward(self.norm_feed_forward(x))


class SpatialTransformer(nn.Module):
    """`depth` blocks over all positions of a picture, between two linear maps of its channels; starts as the identity.

    In published models the maps are convolutions of width 1 (SD 1.x) or linear layers (SD 2.x), which is the same.
    """

    def __init__(
        self, channels: int, num_heads: int, context_width: int, depth: int, groups: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.into = nn.Linear(channels, channels)
        self.blocks = nn.ModuleList(CrossBlock(channels, num_heads, context_width, dropout) for _ in range(depth))
        self.out = zeroed(nn.Linear(channels, channels))

    def text_keys_values(self, context: Tensor) -> list[KeysValues]:
        """Keys and values of the text for each block, two of [B, N, L, d]; none if the blocks take no text."""
        crosses = [block.cross for block in self.blocks]
        return [cross.text_keys_values(context) for cross in crosses if isinstance(cross, Attention)]

    def forward(self, x: Tensor, texts: list[KeysValues], mask: Tensor | None) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]; `texts` has an entry a block, or is empty: no text."""
        tokens = self.into(self.norm(x).flatten(2).transpose(1, 2).contiguous())  # [B, S, C]
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, texts[index] if texts else None, mask)
        return x + self.out(tokens).transpose(1, 2).reshape(x.shape)


def from_first(module: nn.Conv2d, known: int) -> nn.Conv2d:
    """The convolution with zero weights for the input channels behind the first `known`: it starts without them."""
    with torch.no_grad():
        module.weight[:, known:] = 0
    return module
