"""Transformer blocks, modulated by time (adaLN-Zero) or not. Shapes: B batch, S positions, D width, L text tokens."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.nn.attention import Attention, KeysValues, Rotate
from text2x.nn.blocks import zeroed
from text2x.nn.embeddings import in_fours

FeedForwardKind = Literal["gelu", "swiglu"]
EPSILON = 1e-6  # of the layer norms (Peebles and Xie 2023, their code)


class FeedForward(nn.Module):
    """Two linear layers around GELU, or around a gated SiLU with as many parameters (Shazeer 2020, "SwiGLU")."""

    def __init__(self, width: int, ratio: float = 4.0, kind: FeedForwardKind = "swiglu", dropout: float = 0.0) -> None:
        super().__init__()
        self.gated = kind == "swiglu"
        hidden = round(width * ratio * 2 / 3 / 8) * 8 if self.gated else round(width * ratio)
        self.into = nn.Linear(width, 2 * hidden if self.gated else hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        hidden = self.into(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * hidden
        else:
            hidden = F.gelu(hidden, approximate="tanh")
        return self.out(self.dropout(hidden))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm of [B, S, D] without own parameters, scaled and shifted by [B, 1, D]."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=EPSILON), 1 + scale)


class TransformerBlock(nn.Module):
    """Attention, cross-attention if there is one, and feed-forward, each added to x; the block starts as the identity.

    A modulated block takes shift, scale and gate of attention and feed-forward from the embedding of time and condition
    (Peebles and Xie 2023, "adaLN-Zero"); otherwise the embedding is not used and the norms have parameters.
    """

    def __init__(
        self,
        width: int,
        attention: Attention,
        feed_forward: FeedForward,
        cross: Attention | None = None,
        modulated: bool = True,
    ) -> None:
        super().__init__()
        self.modulation = zeroed(nn.Linear(width, 6 * width)) if modulated else None
        self.norm_attention = None if modulated else nn.LayerNorm(width, EPSILON)
        self.attention = attention
        self.norm_cross = nn.LayerNorm(width, EPSILON) if cross is not None else None
        self.cross = cross
        self.norm_feed_forward = None if modulated else nn.LayerNorm(width, EPSILON)
        self.feed_forward = feed_forward
        if cross is not None:
            zeroed(cross.out)
        if not modulated:
            zeroed(attention.out)
            zeroed(feed_forward.out)

    def text_keys_values(self, context: Tensor) -> KeysValues | None:
        """Keys and values of the text for the attention of this block that takes text, if one does."""
        if self.cross is not None:
            return self.cross.text_keys_values(context)
        return self.attention.text_keys_values(context) if self.attention.text == "joint" else None

    def forward(
        self,
        x: Tensor,  # [B, S, D]
        embedding: Tensor | None = None,  # [B, D], activated
        text: KeysValues | None = None,
        mask: Tensor | None = None,  # [B, L]
        rotate: Rotate | None = None,
    ) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        joint = text if self.cross is None else None
        if self.modulation is None:
            assert self.norm_attention is not None and self.norm_feed_forward is not None
            x = x + self.attention(self.norm_attention(x), joint, mask, rotate)
            x = self._crossed(x, text, mask)
            return x + self.feed_forward(self.norm_feed_forward(x))
        if embedding is None:
            raise ValueError("a modulated block needs the embedding")
        modulation = in_fours(self.modulation, embedding)[:, None]  # [B, 1, 6 D]
        shift, scale, gate, shift_2, scale_2, gate_2 = modulation.chunk(6, dim=-1)
        x = torch.addcmul(x, gate, self.attention(modulate(x, shift, scale), joint, mask, rotate))
        x = self._crossed(x, text, mask)
        return torch.addcmul(x, gate_2, self.feed_forward(modulate(x, shift_2, scale_2)))

    def _crossed(self, x: Tensor, text: KeysValues | None, mask: Tensor | None) -> Tensor:
        if self.cross is None or text is None:
            return x
        assert self.norm_cross is not None
        return x + self.cross(self.norm_cross(x), text, mask)
