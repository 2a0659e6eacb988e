"""Attention pooling: text tokens to one vector beside the time embedding (Saharia et al. 2022, Imagen, App. D.3.1).

Shapes: B batch, L text tokens, D text width, E embedding width. Masks are True where there is a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from text2x.nn.attention import Attention
from text2x.nn.embeddings import in_fours

HEAD_WIDTH = 64
ROWS = 4  # of the same query: a matrix product on a CPU has the same bits in every batch from 4 rows on


class AttentionPooling(nn.Module):
    """A learned query attends to the layer-normed tokens; what it finds is normed and projected to E."""

    def __init__(self, context_width: int, width: int) -> None:
        super().__init__()
        heads = max(1, width // HEAD_WIDTH)
        self.norm_context = nn.LayerNorm(context_width)
        self.query = nn.Parameter(torch.randn(width) * width**-0.5)
        self.attention = Attention(width, heads, "cross", context_width, qk_norm=False)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, L, D] and its mask [B, L] -> [B, E]."""
        text = self.attention.text_keys_values(self.norm_context(context))
        query = self.query.to(context.dtype).expand(len(context), ROWS, -1)  # [B, 4, E], all the same
        return in_fours(self.out, self.norm(self.attention(query, text, mask)[:, 0]))
