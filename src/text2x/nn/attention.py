"""Multi-head attention with text keys and values, computed once a prompt.

Shapes: B batch, S positions, L text tokens, N heads, d head width, D = N d. Masks are True where there is a token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention

from text2x.errors import InputError

TextAttention = Literal["joint", "cross", "none"]
KeysValues = tuple[Tensor, Tensor]  # each [B, N, L, d]
Rotate = Callable[[Tensor], Tensor]  # turns queries and keys [B, N, S, d] by their positions
LONGEST_BY_PRODUCTS = 512  # keys; the scores are stored for the backward pass


class Attention(nn.Module):
    """Attention of x over itself ("none"), over text and itself at once ("joint"), or over text alone ("cross").

    "joint" puts the text's keys and values in front of x's own (Nichol et al. 2021, GLIDE). With `qk_norm` queries and
    keys are divided by their root mean square and scaled per channel (Henry et al. 2020; Esser et al. 2024, Sec. 5.3).
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        text: TextAttention = "none",
        context_width: int = 0,
        qk_norm: bool = True,
        bias: bool = True,  # of queries, keys and values
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise InputError(f"width {width} is not a multiple of the number of heads, {num_heads}")
        self.num_heads, self.text = num_heads, text
        self.query = nn.Linear(width, width, bias)
        self.key_value = nn.Linear(width, 2 * width, bias) if text != "cross" else None
        self.text_key_value = nn.Linear(context_width, 2 * width, bias) if text != "none" else None
        self.query_scale = nn.Parameter(torch.ones(width // num_heads)) if qk_norm else None
        self.key_scale = nn.Parameter(torch.ones(width // num_heads)) if qk_norm else None
        self.out = nn.Linear(width, width)

    def _split(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """[B, S, D] -> [B, N, S, d], normalised if there is a scale."""
        heads = x.unflatten(-1, (self.num_heads, -1))  # normalised before the axes change places: memory in order
        return (heads if scale is None else rms_norm(heads, scale.shape, scale.to(x.dtype))).transpose(1, 2)

    def text_keys_values(self, context: Tensor) -> KeysValues:
        """Keys and values of the text tokens, [B, L, context_width] -> two of [B, N, L, d]."""
        if self.text_key_value is None:
            raise ValueError("this attention takes no text")
        key, value = self.text_key_value(context).chunk(2, dim=-1)
        return self._split(key, self.key_scale), self._split(value)

    def forward(
        self,
        x: Tensor,  # [B, S, D]
        text: KeysValues | None = None,
        mask: Tensor | None = None,  # [B, L]
        rotate: Rotate | None = None,
    ) -> Tensor:
        """[B, S, D] -> [B, S, D]; without text, "joint" is self-attention and "cross" is zero."""
        if self.text == "cross" and text is None:
            return torch.zeros_like(x)
        query = self._split(self.query(x), self.query_scale)
        query = query if rotate is None else rotate(query)
        if self.key_value is not None:
            key, value = self.key_value(x).chunk(2, dim=-1)
            key, value = self._split(key, self.key_scale), self._split(value)
            key = key if rotate is None else rotate(key)
        else:
            key, value = query[:, :, :0], query[:, :, :0]
        own = key.shape[2]
        if text is not None:
            text_key, text_value = (each.to(key.dtype) for each in text)
            key = torch.cat([text_key, key], dim=2) if own else text_key  # [B, N, L + S, d]
            value = torch.cat([text_value, value], dim=2) if own else text_value
        joined = _joined_mask(mask, text, own)
        some_open = joined is None or own > 0  # each query has a key that is not masked
        attend = _attend_by_products if some_open and _trains_in_bfloat16(query, key) else scaled_dot_product_attention
        return self.out(attend(query, key, value, joined).transpose(1, 2).flatten(2))


def _joined_mask(mask: Tensor | None, text: KeysValues | None, own: int) -> Tensor | None:
    """[B, L] -> [B, 1, 1, L + own]: x's own positions are always there."""
    if mask is None or text is None:
        return None
    return torch.cat([mask, mask.new_ones(mask.shape[0], own)], dim=1)[:, None, None, :]


def _trains_in_bfloat16(query: Tensor, key: Tensor) -> bool:
    """Where torch's own attention is slow: its bfloat16 backward on a CPU takes 4 times as long as two products."""
    short = key.shape[2] <= LONGEST_BY_PRODUCTS
    return short and query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad


def _attend_by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(query key^T / sqrt(d)) value with the scores in memory; mask [B, 1, 1, L] leaves each query a key."""
    batch, heads, length, width = query.shape
    scaled = query.flatten(0, 1) * width**-0.5  # [B N, S, d]
    bias = scaled.new_zeros(batch, 1, 1, key.shape[2])
    if mask is not None:
        bias = bias.masked_fill(~mask, -torch.inf)
    bias = bias.expand(batch, heads, length, key.shape[2]).flatten(0, 1)
    scores = torch.baddbmm(bias, scaled, key.flatten(0, 1).transpose(1, 2))  # [B N, S, L]
    attended = torch.bmm(scores.softmax(-1).to(value.dtype), value.flatten(0, 1))
    return attended.unflatten(0, (batch, heads))
