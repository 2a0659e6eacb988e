"""Residual vector quantisation: latents [B, D, S] to codes [B, K, S], each codebook on what those before it left over.

Codes are found in few dimensions and by direction alone (Kumar et al. 2023, DAC, Sec. 3.3: factorised, L2-normalised).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError


@dataclass(frozen=True)
class ResidualQuantizerConfig:
    """K codebooks of `cardinality` codes in `code_width` dimensions; DAC has 9 of 1024 in 8.

    `dropout` is the share of training items that use the first few codebooks only, so that those matter most.
    """

    codebooks: int = 4
    cardinality: int = 256
    code_width: int = 8
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if min(self.codebooks, self.code_width) < 1 or self.cardinality < 2 or not 0 <= self.dropout <= 1:
            raise InputError(
                f"the quantiser has {self.codebooks} codebooks of {self.cardinality} codes, code_width"
                f" {self.code_width} and dropout {self.dropout}; at least 1, 2 and 1, and a share from 0 to 1"
            )


class Quantized(NamedTuple):
    """Latents put together from codes, and how far codes and latents are from each other."""

    latents: Tensor  # [B, D, S], with the gradient passed straight through
    codes: Tensor  # [B, K, S] int64
    commitment: Tensor  # [], of what the encoder says from the codes, which it is drawn to
    codebook: Tensor  # [], the same number, which draws the codes


class CodeBook(nn.Module):
    """One codebook with its way into few dimensions and back; sequences are [B, S, D]."""

    def __init__(self, latent: int, cardinality: int, code_width: int) -> None:
        super().__init__()
        self.into = nn.Linear(latent, code_width)
        self.codes = nn.Embedding(cardinality, code_width)
        self.back = nn.Linear(code_width, latent)

    def nearest(self, values: Tensor) -> Tensor:
        """[B, S, d] -> [B, S] the codes whose direction is nearest."""
        return (F.normalize(values, dim=-1) @ F.normalize(self.codes.weight, dim=-1).T).argmax(-1)

    def decoded(self, codes: Tensor) -> Tensor:
        """[B, S] -> [B, S, D]."""
        return self.back(self.codes(codes))


class ResidualQuantizer(nn.Module):
    """All codebooks, one after the other; always in float32."""

    def __init__(self, latent: int, config: ResidualQuantizerConfig) -> None:
        super().__init__()
        self.config = config
        books = (CodeBook(latent, config.cardinality, config.code_width) for _ in range(config.codebooks))
        self.books = nn.ModuleList(books)

    def forward(self, latents: Tensor, used: Tensor | None = None) -> Quantized:
        """[B, D, S] -> what is left of it; `used` [B] is how many codebooks each item uses, None: all."""
        with torch.autocast(latents.device.type, enabled=False):
            rest = latents.float().transpose(1, 2)  # [B, S, D]
            total, losses, codes = torch.zeros_like(rest), rest.new_zeros(2), []
            count = torch.full((len(rest),), len(self.books), device=rest.device) if used is None else used
            for place, book in enumerate(self.books):
                assert isinstance(book, CodeBook)
                heard = (place < count.to(rest.device)).float()  # [B]
                values = book.into(rest)
                chosen = book.nearest(values)
                exact = book.codes(chosen)
                each = [(values - exact.detach()).square(), (values.detach() - exact).square()]
                losses = losses + torch.stack([(one.mean((1, 2)) * heard).mean() for one in each])
                made = book.back(values + (exact - values).detach())  # straight through (van den Oord et al. 2017)
                total = total + made * heard[:, None, None]
                rest = rest - made
                codes.append(chosen)
        return Quantized(total.transpose(1, 2), torch.stack(codes, 1), losses[0], losses[1])

    def encode(self, latents: Tensor) -> Tensor:
        """[B, D, S] -> codes [B, K, S]."""
        rest, codes = latents.float().transpose(1, 2), []
        for book in self.books:
            assert isinstance(book, CodeBook)
            codes.append(book.nearest(book.into(rest)))
            rest = rest - book.decoded(codes[-1])
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, S] of the first K codebooks -> latents [B, D, S]."""
        parts = [book.decoded(codes[:, place]) for place, book in enumerate(list(self.books)[: codes.shape[1]])]  # type: ignore[operator]
        return torch.stack(parts).sum(0).transpose(1, 2)
