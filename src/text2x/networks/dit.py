"""Diffusion transformer over patches in 1 to 3 dimensions, modulated by adaLN-Zero (Peebles and Xie 2023) or not.

Shapes: B batch, C channels, * = T, H W or T H W, S patches, K tokens in front, L text tokens, D width of the
transformer, E width of the time embedding (= D), V vector width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.nn.attention import Attention, TextAttention
from text2x.nn.blocks import zeroed
from text2x.nn.embeddings import TimeEmbedding, in_fours
from text2x.nn.patches import from_patches, to_patches
from text2x.nn.rotary import angles, axis_sines, positions, rotation, sines
from text2x.nn.transformer import EPSILON, FeedForward, FeedForwardKind, TransformerBlock, modulate

Modulation = Literal["adaln_zero", "none"]
Positions = Literal["rope", "sines", "axis_sines"]


@dataclass(frozen=True)
class DiTConfig:
    """Shape of a diffusion transformer; it takes any size whose axes the patch divides."""

    dims: int = 2
    in_channels: int = 4  # of x_t
    extra_channels: int = 0  # of Conditioning.channels; missing ones count as zero
    out_channels: int = 4  # twice in_channels: a learned variance as well
    patch: int = 4  # along each axis
    time_patch: int = 1  # along T where dims is 3
    bottleneck: int = 0  # width between the two linear layers of the patch embedding; 0: one layer (Li and He 2025)
    width: int = 384
    depth: int = 12
    num_heads: int = 6
    feed_forward: FeedForwardKind = "swiglu"
    mlp_ratio: float = 4.0
    modulation: Modulation = "adaln_zero"  # "none": time and vector are tokens in front of the patches
    positions: Positions = "rope"  # "sines", and "axis_sines" in the published order: added to the patches once
    qk_norm: bool = True
    text_attention: TextAttention = "joint"
    context_width: int = 0  # D of the text tokens; 0: no token context
    vector_width: int = 0  # V added to the time embedding; 0: no vector
    linear_vector: bool = False  # projected by one layer: a table of classes for a one-hot vector
    num_steps: int = 0  # N of a published network, which is told its step t N - 1; 0: told 1000 t
    last_frequency: bool = False  # the frequencies of time end at 1 / 10000 (as diffusers has it)
    local: int = 0  # patches, an odd number, of the convolution before each block where dims is 1; 0: none
    dropout: float = 0.0

    @property
    def text(self) -> TextAttention:
        """How text tokens enter attention; without a context width they do not."""
        return self.text_attention if self.context_width else "none"

    @property
    def patches(self) -> tuple[int, ...]:
        """Size of a patch along each axis."""
        return (self.time_patch, self.patch, self.patch) if self.dims == 3 else (self.patch,) * self.dims


class DiT(nn.Module):
    """Noisy x, time and condition to the network's prediction, of the size of x; a fresh one returns zero."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        if config.dims not in (1, 2, 3):
            raise InputError(f"dims is {config.dims}; a DiT has 1, 2 or 3")
        if config.local and (config.dims != 1 or config.local % 2 == 0 or config.modulation != "adaln_zero"):
            raise InputError(f"local is {config.local}; it is odd, and only where dims is 1 and modulation adaln_zero")
        self.config = config
        values = math.prod(config.patches)  # of a patch, in each channel
        self.embedding = TimeEmbedding(
            config.width,
            config.vector_width,
            num_steps=config.num_steps,
            linear=config.linear_vector,
            last_included=config.last_frequency,
        )
        self.context_norm = nn.LayerNorm(config.context_width) if config.text != "none" else None
        self.patch_in = _patch_embedding((config.in_channels + config.extra_channels) * values, config)
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.depth))
        self.locals = nn.ModuleList(_Local(config) for _ in range(config.depth if config.local else 0))
        modulated = config.modulation == "adaln_zero"
        self.modulation = zeroed(nn.Linear(config.width, 2 * config.width)) if modulated else None
        self.norm_out = None if modulated else nn.LayerNorm(config.width, EPSILON)
        self.patch_out = zeroed(nn.Linear(config.width, config.out_channels * values))
        _initialize(self)

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Project the vector and the text keys and values once: they do not change from step to step."""
        keys_values = ()
        if self.context_norm is not None and conditioning.context is not None:
            context = self.context_norm(conditioning.context)
            keys_values = tuple(block.text_keys_values(context) for block in self.blocks)  # type: ignore[operator]
        vector = self.embedding.project(conditioning.vector)
        return Prepared(vector, keys_values, conditioning.context_mask, conditioning.channels)

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared, circular: bool = False) -> Tensor:
        """[B, C, *], [B] -> [B, out_channels, *].

        With `circular` the last patch of each axis leads into the first: rolling x rolls what comes out.
        """
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        sizes = x.shape[2:]
        hidden = self.patch_in(to_patches(self._with_channels(x, prepared.channels), self.config.patches))  # [B, S, D]
        in_front = self._tokens_in_front(t, prepared.vector)
        points = self._points(sizes, x.device)
        rotate = None
        if self.config.positions == "rope":
            circles = [size // patch for size, patch in zip(sizes, self.config.patches, strict=True)]
            head = self.config.width // self.config.num_heads
            angle = angles(points, head, circles=circles if circular else None)
            rotate = rotation(F.pad(angle, (0, 0, len(in_front), 0)))  # tokens in front are not turned
        else:
            if circular:
                raise InputError(f"positions are {self.config.positions!r}; loops need 'rope'")
            hidden = hidden + self._sines(points).to(hidden.dtype)
        hidden = torch.cat([*in_front, hidden], dim=1) if in_front else hidden  # [B, K + S, D]

        embedding = None if self.modulation is None else F.silu(self.embedding(t, prepared.vector))  # [B, E]
        texts = prepared.keys_values or (None,) * len(self.blocks)
        for index, (block, text) in enumerate(zip(self.blocks, texts, strict=True)):
            if self.config.local:
                hidden = self.locals[index](hidden, circular)
            hidden = block(hidden, embedding, text, prepared.mask, rotate)
        hidden = self._normalized(hidden[:, len(in_front) :], embedding)
        return from_patches(self.patch_out(hidden), self.config.patches, sizes)

    def _tokens_in_front(self, t: Tensor, vector: Tensor | None) -> list[Tensor]:
        """Without modulation: time as a token [B, 1, D], and the projected vector as one if it is switched on."""
        if self.modulation is not None:
            return []
        time = self.embedding(t, None)
        return [time[:, None]] if vector is None else [time[:, None], vector[:, None]]

    def _points(self, sizes: Sequence[int], device: torch.device) -> Tensor:
        """Coordinates of the patches, [S, axes]."""
        counts = [size // patch for size, patch in zip(sizes, self.config.patches, strict=True)]
        return positions(counts, device)

    def _sines(self, points: Tensor) -> Tensor:
        """[S, axes] -> [S, D]."""
        width = self.config.width
        return axis_sines(points, width) if self.config.positions == "axis_sines" else sines(angles(points, width))

    def _normalized(self, hidden: Tensor, embedding: Tensor | None) -> Tensor:
        if self.modulation is None or embedding is None:
            assert self.norm_out is not None
            return self.norm_out(hidden)
        shift, scale = in_fours(self.modulation, embedding)[:, None].chunk(2, dim=-1)  # [B, 1, D]
        return modulate(hidden, shift, scale)

    def _with_channels(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """x with the condition's channels behind it, zeros where there are none: [B, C + extra, *]."""
        if any(size % patch for size, patch in zip(x.shape[2:], self.config.patches, strict=True)):
            raise InputError(f"size {tuple(x.shape[2:])} does not fit patches of {self.config.patches}: take multiples")
        if not self.config.extra_channels:
            return x
        if channels is None:
            channels = x.new_zeros(x.shape[0], self.config.extra_channels, *x.shape[2:])
        return torch.cat([x, channels.to(x.dtype)], dim=1)


class _Local(nn.Module):
    """[B, S, D] with what lies around each patch added to it, channel by channel; at first nothing.

    (Chu et al. 2023, conditional positional encodings: attention alone learns late what neighbours have in common.)
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.around = config.local // 2
        self.convolution = nn.Conv1d(config.width, config.width, config.local, groups=config.width)
        zeroed(self.convolution)

    def forward(self, x: Tensor, circular: bool) -> Tensor:
        rows = x.transpose(1, 2)  # [B, D, S]
        if circular:
            places = torch.arange(-self.around, rows.shape[2] + self.around, device=x.device) % rows.shape[2]
            rows = rows[..., places]
        else:
            rows = F.pad(rows, (self.around, self.around))
        return x + self.convolution(rows).transpose(1, 2)


def _patch_embedding(values: int, config: DiTConfig) -> nn.Module:
    if not config.bottleneck:
        return nn.Linear(values, config.width)
    return nn.Sequential(nn.Linear(values, config.bottleneck), nn.Linear(config.bottleneck, config.width))


def _block(config: DiTConfig) -> TransformerBlock:
    def attention(text: TextAttention) -> Attention:
        return Attention(config.width, config.num_heads, text, config.context_width, config.qk_norm)

    return TransformerBlock(
        config.width,
        attention("joint" if config.text == "joint" else "none"),
        FeedForward(config.width, config.mlp_ratio, config.feed_forward, config.dropout),
        attention("cross") if config.text == "cross" else None,
        modulated=config.modulation == "adaln_zero",
    )


def _initialize(network: nn.Module) -> None:
    """Xavier's uniform weights and zero biases (Peebles and Xie 2023, their code); layers that are zero stay zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
            if module.weight.count_nonzero():
                nn.init.xavier_uniform_(module.weight)
