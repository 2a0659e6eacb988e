"""A small text transformer that is trained together with the network it conditions (Nichol et al. 2021, GLIDE).

Shapes: B batch, L text tokens, D width. Masks are True where there is a token.
Learned positions, a learned padding embedding for each position, no causal mask, pre-LN, a final LN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from text2x.nn.attention import Attention


@dataclass(frozen=True)
class TextTransformerConfig:
    """Sizes of the transformer; GLIDE's released one is 512 wide with 16 layers, 8 heads and 128 tokens."""

    vocabulary: int = 259  # bytes and three marks
    tokens: int = 128  # L, the same for every prompt
    width: int = 256
    layers: int = 4
    heads: int = 4
    pooling: Literal["last", "mean"] = "last"  # "last": state of the last position, as GLIDE; "mean": over the tokens


class TextTransformerLayer(nn.Module):
    """Attention and feed-forward, each after its layer norm and added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, qk_norm=False)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 4 * width)
        self.out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.out(F.gelu(self.hidden(self.norm(x))))


class TextTransformer(nn.Module):
    """Token ids to token states and one vector a prompt, both after the final layer norm."""

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.empty(config.tokens, config.width))
        self.padding = nn.Parameter(torch.empty(config.tokens, config.width))
        self.layers = nn.ModuleList(TextTransformerLayer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self._initialize()

    def _initialize(self) -> None:
        for table in (self.words.weight, self.positions, self.padding):
            nn.init.normal_(table, std=0.02)  # Radford et al. 2019 (GPT-2)
        for layer in self.layers:
            assert isinstance(layer, TextTransformerLayer)
            for end in (layer.attention.out, layer.out):  # the sum of the residuals keeps its size at every depth
                nn.init.normal_(end.weight, std=0.02 / (2 * self.config.layers) ** 0.5)
                nn.init.zeros_(end.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token states [B, L, D] and pooled vectors [B, D] of ids [B, L] under mask [B, L]; L is config.tokens."""
        if ids.shape[1] != self.config.tokens:
            raise ValueError(f"ids are {tuple(ids.shape)}, expected [B, {self.config.tokens}]")
        valid = mask.unsqueeze(-1)  # [B, L, 1]
        x = torch.where(valid, self.words(ids) + self.positions, self.padding)  # [B, L, D]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        if self.config.pooling == "last":
            return x, x[:, -1]
        return x, (x * valid).sum(1) / valid.sum(1).clamp(min=1)
