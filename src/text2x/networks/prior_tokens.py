"""The autoregressive prior of DALL-E 2: an image embedding as a row of tokens (Ramesh et al. 2022, Sec. 2.2).

Principal components of the embedding, ordered by eigenvalue, are each put into one of N buckets. A causal transformer
reads [text tokens, CLIP text embedding, dot token, first components] and says how the next one is distributed; the dot
token is the bucket of the picture's dot product with the text, and good pictures are asked for by a high one.
Shapes: B batch, L text tokens, C width of their states, D CLIP embedding, K components, N buckets, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.networks.prior import CausalBlock, causal_mask, small
from text2x.nn.embeddings import in_fours


@dataclass(frozen=True)
class TokenPriorConfig:
    """Shape of an autoregressive prior; the published one has 319 components of 1024 buckets, from 1024 numbers."""

    embedding: int = 256  # D
    components: int = 64  # K
    buckets: int = 64  # N
    dots: int = 16  # buckets of the dot product
    context_width: int = 384  # C
    tokens: int = 24  # L
    width: int = 192
    depth: int = 6
    num_heads: int = 4
    dropout: float = 0.0


class TokenPrior(nn.Module):
    """Text and the components so far to logits of each next one; `fit` it to embeddings before it is trained."""

    mean: Tensor  # [D]
    axes: Tensor  # [K, D], orthonormal
    lows: Tensor  # [K]
    highs: Tensor  # [K]
    dot_edges: Tensor  # [dots - 1]

    def __init__(self, config: TokenPriorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.text_in = nn.Linear(config.embedding, width)
        self.tokens_in = nn.Linear(config.context_width, width)
        self.dot_tokens = nn.Embedding(config.dots, width)
        self.component_tokens = nn.Embedding(config.buckets, width)
        self.positions = nn.Parameter(torch.empty(config.tokens + 2 + config.components - 1, width))
        self.blocks = nn.ModuleList(CausalBlock(width, config.num_heads, config.dropout) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width)
        self.logits_out = nn.Linear(width, config.buckets)
        self.register_buffer("mean", torch.zeros(config.embedding))
        self.register_buffer("axes", torch.eye(config.embedding)[: config.components])
        self.register_buffer("lows", torch.full((config.components,), -1.0))
        self.register_buffer("highs", torch.full((config.components,), 1.0))
        self.register_buffer("dot_edges", torch.linspace(-1, 1, config.dots + 1)[1:-1])
        small(self, config.depth)

    @torch.no_grad()
    def fit(self, embeddings: Tensor, dots: Tensor) -> None:
        """Axes by PCA, each component's range, and dot buckets of equal number, from embeddings [M, D] and dots [M]."""
        values = embeddings.double()
        mean = values.mean(0)
        _, axes = torch.linalg.eigh((values - mean).T @ (values - mean) / len(values))
        axes = axes.flip(1).T[: self.config.components]  # eigenvalues ascend: the largest come first
        axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()  # a sign that every machine gives
        parts = (values - mean) @ axes.T
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        self.lows.copy_(parts.amin(0))
        self.highs.copy_(parts.amax(0))
        shares = torch.arange(1, self.config.dots, dtype=torch.float64) / self.config.dots
        self.dot_edges.copy_(torch.quantile(dots.double(), shares.to(dots.device)))

    def quantised(self, embeddings: Tensor) -> Tensor:
        """Buckets [B, K] int64 of embeddings [B, D]; what lies beyond the range counts as its end."""
        parts = in_fours(lambda rows: (rows - self.mean) @ self.axes.T, embeddings)
        place = (parts - self.lows) / (self.highs - self.lows).clamp_min(1e-12) * self.config.buckets
        return place.floor().long().clamp(0, self.config.buckets - 1)

    def restored(self, buckets: Tensor) -> Tensor:
        """Embeddings [B, D] from the middles of buckets [B, K]; components that were left out are at their mean."""
        parts = self.lows + (buckets + 0.5) / self.config.buckets * (self.highs - self.lows)
        return in_fours(lambda rows: rows @ self.axes + self.mean, parts)

    def dot_buckets(self, dots: Tensor) -> Tensor:
        """[B] -> [B] int64: from 0, the worst fit of picture and text, to dots - 1."""
        return torch.bucketize(dots.contiguous(), self.dot_edges)

    def forward(self, conditioning: Conditioning, dots: Tensor, buckets: Tensor) -> Tensor:
        """Logits [B, k + 1, N] of the components 0 to k, from dot buckets [B] and the first k components [B, k]."""
        context, mask, vector = conditioning.context, conditioning.context_mask, conditioning.vector
        if context is None or mask is None or vector is None:
            raise ValueError("a prior needs text tokens with their mask, and a text embedding as the vector")
        text = in_fours(self.text_in, vector)[:, None]
        parts = [self.tokens_in(context), text, self.dot_tokens(dots)[:, None], self.component_tokens(buckets)]
        hidden = torch.cat([each.to(text.dtype) for each in parts], dim=1)
        hidden = hidden + self.positions[: hidden.shape[1]]
        seen = causal_mask(mask, 2 + buckets.shape[1])
        for block in self.blocks:
            hidden = block(hidden, seen)
        known = hidden[:, self.config.tokens + 1 :]  # from the dot token on
        return self.logits_out(self.norm_out(known))
