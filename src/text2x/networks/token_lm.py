"""A decoder transformer over K codebooks: codes so far and a condition to logits of the next (AudioGen, MusicGen).

Shapes: B batch, K codebooks, S steps, V codes a codebook, D width, N heads, L text tokens, P prepended positions.
Kreuk et al. 2022; Copet et al. 2023. Pre-norm, no biases in the products, sinusoidal positions, K embeddings that are
summed and K heads, as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError

EPSILON = 1e-5  # of the layer norms, as published
LARGEST_PERIOD = 10_000.0
FEW = 8  # rows: products with fewer are limited by reading the weights, see `product`
ROOM = 64  # steps that a cache has room for at first; it doubles


@dataclass(frozen=True)
class TokenLMConfig:
    """Shape of the language model. `codes` is V; the special code V has an embedding of its own."""

    codebooks: int = 4
    codes: int = 1024
    width: int = 256
    depth: int = 6
    num_heads: int = 4
    ratio: float = 4.0  # of the feed-forward layer's width
    context_width: int = 0  # of the text tokens; 0: no cross-attention
    prepended_width: int = 0  # of what is put before the sequence, as chroma; 0: nothing
    dropout: float = 0.0
    text_prepended: bool = False  # text is put before the sequence too, in the place of cross-attention


class Cache:
    """Keys and values of the steps so far, by layer, with room for those to come, and how many steps there are."""

    def __init__(self, depth: int) -> None:
        self.held: list[Tensor | None] = [None] * depth  # [2, B, N, room, d] by layer
        self.steps = 0

    def extended(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put [B, N, S, d] behind those that there are: all of them, [B, N, steps + S, d]."""
        end, held = self.steps + key.shape[2], self.held[layer]
        if held is None or held.shape[3] < end:
            room = max(ROOM, 2 * end)
            larger = key.new_empty(2, *key.shape[:2], room, key.shape[3])
            if held is not None:
                larger[:, :, :, : self.steps] = held[:, :, :, : self.steps]
            self.held[layer] = held = larger
        held[0, :, :, self.steps : end] = key
        held[1, :, :, self.steps : end] = value
        return held[0, :, :, :end], held[1, :, :, :end]


@dataclass(frozen=True)
class Told:
    """A condition after what does not change from step to step."""

    keys_values: tuple[tuple[Tensor, Tensor], ...] = ()  # of the text, by layer: [B, N, L, d]
    mask: Tensor | None = None  # [B, 1, 1, L] True where there is a token
    prepended: Tensor | None = None  # [B, P, D]


def product(layer: nn.Linear, x: Tensor) -> Tensor:
    """The layer's product; of few rows on a CPU as W x^T, which reads weights that no cache holds at twice the speed.

    Not where there are more inputs than outputs: that is slower.
    """
    rows, plain = x.numel() // x.shape[-1], layer.in_features > layer.out_features or torch.is_grad_enabled()
    if plain or rows >= FEW or x.device.type != "cpu" or x.dtype != torch.float32:
        return layer(x)
    made = torch.mm(layer.weight, x.reshape(rows, -1).t()).t()
    made = made if layer.bias is None else made + layer.bias
    return made.reshape(*x.shape[:-1], -1)


def attended_by_one(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of one step, [B, N, 1, d] to [B, N, S, d]: two small products."""
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1) @ value


class SelfAttention(nn.Module):
    """Attention to what came before."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cache: Cache | None, layer: int) -> Tensor:
        """[B, S, D] -> [B, S, D]; with a cache, S new steps attend to those in it and are added to it."""
        query, key, value = (
            each.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for each in product(self.query_key_value, x).chunk(3, dim=-1)
        )
        if cache is not None:
            key, value = cache.extended(layer, key, value)
        new, known = query.shape[2], key.shape[2]
        if new == 1:
            attended = attended_by_one(query, key, value)
        elif new == known:
            attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            steps = torch.arange(known, device=x.device)
            mask = steps <= steps[known - new :, None]  # [S, known]
            attended = F.scaled_dot_product_attention(query, key, value, mask)
        return product(self.out, attended.transpose(1, 2).flatten(2))


def _heads(x: Tensor, num_heads: int) -> Tensor:
    """[B, S, D] -> [B, N, S, d]."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


class CrossAttention(nn.Module):
    """Attention to text tokens."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """[B, L, D] -> two of [B, N, L, d]."""
        key, value = (_heads(each, self.num_heads).contiguous() for each in self.key_value(context).chunk(2, dim=-1))
        return key, value

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        query = _heads(product(self.query, x), self.num_heads)
        if query.shape[2] == 1:
            attended = attended_by_one(query, *keys_values, mask)
        else:
            attended = F.scaled_dot_product_attention(query, *keys_values, mask)
        return product(self.out, attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Self-attention, cross-attention if there is text, feed-forward; each after a norm, added to x."""

    def __init__(self, config: TokenLMConfig) -> None:
        super().__init__()
        width, hidden = config.width, round(config.width * config.ratio)
        self.norm_attention = nn.LayerNorm(width, EPSILON)
        self.attention = SelfAttention(width, config.num_heads)
        crosses = config.context_width > 0 and not config.text_prepended
        self.norm_cross = nn.LayerNorm(width, EPSILON) if crosses else None
        self.cross = CrossAttention(width, config.num_heads) if crosses else None
        self.norm_feed_forward = nn.LayerNorm(width, EPSILON)
        self.into = nn.Linear(width, hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, told: Told, cache: Cache | None, layer: int) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        x = x + self.dropout(self.attention(self.norm_attention(x), cache, layer))
        if self.cross is not None and self.norm_cross is not None and told.keys_values:
            x = x + self.dropout(self.cross(self.norm_cross(x), told.keys_values[layer], told.mask))
        hidden = self.dropout(F.gelu(product(self.into, self.norm_feed_forward(x))))
        return x + self.dropout(product(self.out, hidden))


class TokenLM(nn.Module):
    """Codes so far to logits of the next; with a cache, only the new steps are computed."""

    def __init__(self, config: TokenLMConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.embeddings = nn.ModuleList(nn.Embedding(config.codes + 1, config.width) for _ in range(config.codebooks))
        self.context = nn.Linear(config.context_width, config.width) if config.context_width else None
        self.prepended = nn.Linear(config.prepended_width, config.width) if config.prepended_width else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, EPSILON)
        self.heads = nn.ModuleList(nn.Linear(config.width, config.codes, bias=False) for _ in range(config.codebooks))
        _initialise(self)

    def new_cache(self) -> Cache:
        """A cache for a sequence that has not begun."""
        return Cache(self.config.depth)

    def prepare(
        self, context: Tensor | None = None, mask: Tensor | None = None, prepended: Tensor | None = None
    ) -> Told:
        """Text [B, L, context_width], its mask [B, L] and what is put in front [B, P, prepended_width], once a prompt.

        A masked token counts as a zero vector after its projection, and cross-attention leaves it out; those behind the
        last token of the longest row are cut off. Text that is put in front comes after what is prepended.
        """
        keys_values: tuple[tuple[Tensor, Tensor], ...] = ()
        fronts = [self.prepended(prepended)] if self.prepended is not None and prepended is not None else []
        if mask is not None and context is not None:
            used = mask.any(0).nonzero()
            longest = int(used.max()) + 1 if len(used) else 1
            context, mask = context[:, :longest], mask[:, :longest]
        if self.context is not None and context is not None:
            projected = self.context(context)
            if mask is not None:
                projected = projected * mask[..., None].to(projected.dtype)
            if self.config.text_prepended:
                return Told(prepended=torch.cat([*fronts, projected], dim=1))
            keys_values = tuple(layer.cross.keys_values(projected) for layer in self.layers)  # type: ignore[union-attr]
        if mask is not None:  # an empty prompt: a row without any token looks at all of the zeros
            mask = (mask | ~mask.any(1, keepdim=True))[:, None, None, :]
        return Told(keys_values, mask, fronts[0] if fronts else None)

    def forward(self, codes: Tensor, told: Told, cache: Cache | None = None) -> Tensor:
        """[B, K, S] -> logits [B, K, S, V] of the codes at the step after each."""
        x = torch.stack([table(codes[:, book]) for book, table in enumerate(self.embeddings)]).sum(0)  # [B, S, D]
        front = 0
        if told.prepended is not None and (cache is None or cache.steps == 0):
            front = told.prepended.shape[1]
            x = torch.cat([told.prepended.to(x.dtype), x], dim=1)
        begin = 0 if cache is None else cache.steps
        x = x + positions(begin, x.shape[1], self.config.width, x.device).to(x.dtype)
        for number, layer in enumerate(self.layers):
            x = layer(x, told, cache, number)
        if cache is not None:
            cache.steps += x.shape[1]
        x = self.norm(x[:, front:])
        return torch.stack([product(head, x) for head in self.heads if isinstance(head, nn.Linear)], dim=1)


def positions(begin: int, count: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """[count, width]: cosines, then sines, of the places from `begin` on (Vaswani et al. 2017, audiocraft's order)."""
    half = width // 2
    exponents = torch.arange(half, device=device, dtype=torch.float32) / max(1, half - 1)
    places = torch.arange(begin, begin + count, device=device, dtype=torch.float32)
    angles = places[:, None] * torch.exp(-math.log(LARGEST_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


@torch.no_grad()
def _initialise(network: TokenLM) -> None:
    """Normal weights of variance 1 / inputs, those of layer i smaller by sqrt(2 (i + 1)) (audiocraft: "current")."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=module.embedding_dim**-0.5)
    for number, layer in enumerate(network.layers):
        for name, value in layer.named_parameters():
            if name.endswith("weight") and value.ndim == 2:
                value.div_(math.sqrt(2 * (number + 1)))


def _check(config: TokenLMConfig) -> None:
    if config.width % config.num_heads or config.width % 2:
        raise InputError(f"width is {config.width}; it must be even and a multiple of num_heads, {config.num_heads}")
    for name in ("codebooks", "codes", "depth"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; it must be at least 1")
