"""What a network is told, by where it enters: text tokens, a vector beside the time embedding, channels beside x_t.

Shapes: B batch, L text tokens, D text width, V vector width, E time-embedding width, * space or time.
A mask is True where there is a token. The null condition is the condition of the empty prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """What the network is told about each item; a field that is None is switched off."""

    context: Tensor | None = None  # [B, L, D] text tokens, for attention
    context_mask: Tensor | None = None  # [B, L] True where there is a token
    vector: Tensor | None = None  # [B, V] added to the time embedding: the vanilla way to condition on text
    channels: Tensor | None = None  # [B, C, *] concatenated to x_t: known region and mask, low resolution, first frame

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Conditioning:
        """Move every tensor; `dtype` applies to the floating-point ones."""

        def moved(value: Tensor | None) -> Tensor | None:
            if value is None:
                return None
            return value.to(device, dtype if value.is_floating_point() else None)

        return Conditioning(*(moved(getattr(self, field.name)) for field in fields(self)))

    def __getitem__(self, index: slice | Tensor) -> Conditioning:
        """Select items of the batch."""
        values = (getattr(self, field.name) for field in fields(self))
        return Conditioning(*(None if value is None else value[index] for value in values))

    def with_vector(self, more: Tensor) -> Conditioning:
        """The same condition with more numbers [B, M] at the end of the vector."""
        if self.vector is None:
            return replace(self, vector=more)
        return replace(self, vector=torch.cat([self.vector, more.to(self.vector)], dim=1))

    def with_channels(self, channels: Tensor | None) -> Conditioning:
        """The same condition with other channels beside x_t."""
        return replace(self, channels=channels)


def concatenate(conditionings: Sequence[Conditioning]) -> Conditioning:
    """Join batches of conditions; a field must be set in all of them or in none."""

    def joined(name: str) -> Tensor | None:
        values = [getattr(each, name) for each in conditionings]
        present = [value for value in values if value is not None]
        if not present:
            return None
        if len(present) != len(values):
            raise ValueError(f"{name} is set in {len(present)} of {len(values)} conditionings; it must be all or none")
        return torch.cat(present)

    return Conditioning(*(joined(field.name) for field in fields(Conditioning)))


@dataclass(frozen=True)
class Prepared:
    """A condition after the parts of the network that do not depend on x_t or t: computed once a prompt, not a step."""

    vector: Tensor | None = None  # [B, E] projected, added to the time embedding
    keys_values: tuple[tuple[Tensor, Tensor], ...] = ()  # per attention block: text keys and values [B, N, L, d]
    mask: Tensor | None = None  # [B, L] True where there is a token
    channels: Tensor | None = None  # [B, C, *] concatenated to x_t


class Conditioner(Protocol):
    """Prompts (and styles) to conditions; frozen, so its results may be cached."""

    def __call__(  # noqa: D102
        self,
        prompts: Sequence[str],
        styles: Sequence[str | None] | None = None,  # names from the recipe's style list; None: unspecified
        augmentations: Tensor | None = None,  # [B, A] labels of non-leaky augmentation; None: zeros, not augmented
    ) -> Conditioning: ...

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt that does not fit and is dropped, or None if all of it is used."""
        ...
