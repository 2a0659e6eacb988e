"""The diffusion prior of DALL-E 2: from a text to the CLIP embedding of a picture (Ramesh et al. 2022, Sec. 2.2).

A causal transformer over [text tokens, CLIP text embedding, time embedding, noised image embedding, query]; what comes
out at the query is x_0, the image embedding. The parts are those of diffusers' PriorTransformer with `prd` embedding.
Shapes: B batch, L text tokens, C width of their states, D CLIP embedding, W width, S = L + 4. x_t is [B, D], t is [B].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.nn.embeddings import in_fours, sinusoid, step_sinusoid

CLOSED = -10_000.0  # added to the score of a key that may not be seen (diffusers, prior_transformer.py)
BEHIND = 4  # positions after the text tokens
PIXEL_STD = 17.2 / 32  # of an embedding's numbers: unit vectors of 1024 numbers times 17.2 (Ramesh et al. 2022, App. C)


@dataclass(frozen=True)
class PriorConfig:
    """Shape of a diffusion prior; the published one is 2048 wide with 24 layers, 32 heads and 256 tokens."""

    embedding: int = 256  # D
    context_width: int = 384  # C
    tokens: int = 24  # L, the same for every prompt
    width: int = 192
    depth: int = 6
    num_heads: int = 4
    dropout: float = 0.0
    norm_in: bool = False  # a layer norm before the first block
    num_steps: int = 0  # of a published network, which is told its step; 0: 1000 t (nn/embeddings.py)


@dataclass(frozen=True)
class PreparedPrior:
    """What does not depend on x_t and t: the sequence's beginning, [B, L + 1, W], and what may see what."""

    front: Tensor
    mask: Tensor  # [B, 1, S, S], added to scores


class CausalBlock(nn.Module):
    """Attention and feed-forward, each after its layer norm and added to what came in."""

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % num_heads:
            raise InputError(f"width {width} is not a multiple of the number of heads, {num_heads}")
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 4 * width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, S, W] and a mask [B or 1, 1, S, S] that is added to the scores -> [B, S, W]."""
        heads = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind()  # each [B, N, S, d]
        attend = by_products if query.requires_grad and query.device.type == "cpu" else F.scaled_dot_product_attention
        attended = attend(query, key, value, mask.to(query.dtype))
        x = x + self.attention_out(attended.transpose(1, 2).flatten(2))
        return x + self.dropout(self.out(F.gelu(self.hidden(self.norm(x)))))


def by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention [B, N, S, d] with the scores in memory: in training on a CPU four times as fast as torch's own."""
    batch, heads, length, width = query.shape
    bias = mask.expand(batch, heads, length, length).flatten(0, 1)
    scores = torch.baddbmm(bias, query.flatten(0, 1) * width**-0.5, key.flatten(0, 1).transpose(1, 2))
    return torch.bmm(scores.softmax(-1).to(value.dtype), value.flatten(0, 1)).unflatten(0, (batch, heads))


def causal_mask(valid: Tensor, behind: int) -> Tensor:
    """What is added to scores, [B, 1, S, S]: a position sees itself and valid ones before it.

    `valid` [B, L] says which text tokens there are; the `behind` positions after them are always there.
    """
    keys = torch.cat([valid, valid.new_ones(len(valid), behind)], dim=1)  # [B, S]
    length = keys.shape[1]
    later = torch.ones(length, length, dtype=torch.bool, device=valid.device).triu(1)
    return CLOSED * (later[None].float() + (~keys)[:, None, :].float())[:, None]


def small(module: nn.Module, depth: int) -> None:
    """Begin as GPT-2 does (Radford et al. 2019): matrices of std 0.02, those that end a residual smaller."""
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2:
            continue
        ends = name.endswith(("attention_out.weight", ".out.weight"))
        nn.init.normal_(parameter, std=0.02 / (2 * depth) ** 0.5 if ends else 0.02)


class DiffusionPrior(nn.Module):
    """Noised image embedding, time and text to the image embedding, image embeddings as `scaled` makes them."""

    mean: Tensor  # [D]
    std: Tensor  # [D]

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.image_in = nn.Linear(config.embedding, width)
        self.text_in = nn.Linear(config.embedding, width)
        self.tokens_in = nn.Linear(config.context_width, width)
        self.positions = nn.Parameter(torch.empty(config.tokens + BEHIND, width))
        self.query = nn.Parameter(torch.empty(1, width))
        self.norm_in = nn.LayerNorm(width) if config.norm_in else None
        self.blocks = nn.ModuleList(CausalBlock(width, config.num_heads, config.dropout) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width)
        self.image_out = nn.Linear(width, config.embedding)
        self.register_buffer("mean", torch.zeros(config.embedding))
        self.register_buffer("std", torch.full((config.embedding,), config.embedding**-0.5))
        small(self, config.depth)

    def scaled(self, embeddings: Tensor) -> Tensor:
        """CLIP embeddings [B, D] as diffusion sees them: (z - mean) / std."""
        return (embeddings - self.mean) / self.std

    def unscaled(self, x: Tensor) -> Tensor:
        """The inverse: x std + mean (Karlo's clip_mean and clip_std)."""
        return x * self.std + self.mean

    def prepare(self, conditioning: Conditioning) -> PreparedPrior:
        """The text tokens [B, L, C] in `context` and the CLIP text embedding [B, D] in `vector`, projected once."""
        context, mask, vector = conditioning.context, conditioning.context_mask, conditioning.vector
        if context is None or mask is None or vector is None:
            raise ValueError("a prior needs text tokens with their mask, and a text embedding as the vector")
        if context.shape[1] != self.config.tokens:
            raise ValueError(f"context is {tuple(context.shape)}, expected {self.config.tokens} tokens")
        front = torch.cat([self.tokens_in(context), in_fours(self.text_in, vector)[:, None]], dim=1)
        return PreparedPrior(front, causal_mask(mask, BEHIND))

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | PreparedPrior) -> Tensor:
        """[B, D], [B] -> [B, D]."""
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        count, width = len(x), self.config.width
        steps = self.config.num_steps
        waves = step_sinusoid(t, width, steps) if steps else sinusoid(t, width)
        time = in_fours(self.time, waves.to(self.positions.dtype))  # [B, W]
        behind = [time, in_fours(self.image_in, x), self.query.expand(count, width)]
        hidden = torch.cat([prepared.front, *(each[:, None].to(prepared.front.dtype) for each in behind)], dim=1)
        hidden = hidden + self.positions
        hidden = hidden if self.norm_in is None else self.norm_in(hidden)
        for block in self.blocks:
            hidden = block(hidden, prepared.mask)
        return in_fours(self.image_out, self.norm_out(hidden[:, -1]))
