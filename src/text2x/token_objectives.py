"""Next-token prediction over K codebooks: cross entropy where the pattern holds a code, with conditions left out.

Shapes: B batch, K codebooks, S steps, V codes, L text tokens, P frames of chroma. Kreuk et al. 2022, AudioGen; Copet
et al. 2023, MusicGen. A condition that is left out is a text without tokens and a chroma of zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioner
from text2x.data.token_batches import TokenBatch
from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM
from text2x.tokens import Pattern


@dataclass(frozen=True)
class NextTokenConfig:
    """Shares of items whose text, and whose melody, is left out: 0.1 is AudioGen's, 0.5 MusicGen's for melodies."""

    drop: float = 0.1
    melody_drop: float = 0.5

    def __post_init__(self) -> None:
        for name in ("drop", "melody_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be from 0 to 1")


class NextToken:
    """The loss of a language model on codes of captioned sounds."""

    def __init__(
        self,
        network: TokenLM,
        text: Conditioner | None,
        pattern: Pattern,
        config: NextTokenConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.text, self.pattern, self.config = network, text, pattern, config
        self.device = torch.device(device)

    def __call__(self, batch: TokenBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """ "loss", the mean over codebooks, and "codebook_k" of each."""
        kept = torch.rand(2, len(batch.captions), generator=rng) >= torch.tensor(
            [[self.config.drop], [self.config.melody_drop]]
        )
        books = self.losses(batch, kept[0], kept[1])
        told = {f"codebook_{number}": each.detach() for number, each in enumerate(books)}
        return {"loss": books.mean(), **told}

    def losses(self, batch: TokenBatch, text_kept: Tensor, melody_kept: Tensor) -> Tensor:
        """Cross entropy [K] in nats, where `text_kept` [B] and `melody_kept` [B] say who is told what."""
        special = self.network.config.codes
        sequence = self.pattern.interleave(batch.codes, special).to(self.device)  # [B, K, S + 1]
        context = mask = None
        if self.text is not None:
            told = self.text(batch.captions)
            assert told.context is not None and told.context_mask is not None
            context, mask = told.context.to(self.device), (told.context_mask & text_kept[:, None]).to(self.device)
        melody = None
        if batch.melody is not None:
            melody = (batch.melody * melody_kept[:, None, None]).to(self.device)
        logits = self.network(sequence[..., :-1], self.network.prepare(context, mask, melody))  # [B, K, S, V]
        valid = self.pattern.valid(batch.codes.shape[2], self.device)[:, 1:]  # [K, S]
        targets = sequence[..., 1:].masked_fill(~valid, 0)
        surprise = F.cross_entropy(logits.float().flatten(0, 2), targets.flatten(), reduction="none")
        surprise = surprise.unflatten(0, targets.shape) * valid
        return surprise.sum((0, 2)) / (len(targets) * valid.sum(1))

    @torch.no_grad()
    def held_out(self, batches: Iterable[TokenBatch]) -> dict[str, float]:
        """ "held_out" with every condition, "held_out/untold" with none."""
        with_text, without = [], []
        for batch in batches:
            every = torch.ones(len(batch.captions), dtype=torch.bool)
            with_text.append(self.losses(batch, every, every).mean())
            without.append(self.losses(batch, ~every, ~every).mean())
        return {
            "held_out": float(torch.stack(with_text).mean()),
            "held_out/untold": float(torch.stack(without).mean()),
        }
