"""Codes of several codebooks as one sequence, and choosing the next ones.

Shapes: B batch, K codebooks, T frames, S steps of the sequence, V codes a codebook. A code is from 0 to V - 1; V itself
is the special code that fills the places of a pattern where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from text2x.errors import InputError


@dataclass(frozen=True)
class Pattern:
    """By how many steps each codebook comes later than the first (Copet et al. 2023, MusicGen, Sec. 2.2).

    Step 0 of the sequence holds special codes alone; frame t of codebook k stands at step t + 1 + delays[k].
    """

    delays: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.delays or any(delay < 0 for delay in self.delays):
            raise InputError(f"delays are {list(self.delays)}; there must be one a codebook, none below 0")

    @property
    def codebooks(self) -> int:
        """K."""
        return len(self.delays)

    def steps(self, frames: int) -> int:
        """S for so many frames: one more than the last frame of the latest codebook."""
        return frames + 1 + max(self.delays)

    def interleave(self, codes: Tensor, special: int) -> Tensor:
        """[B, K, T] -> [B, K, S], with the special code where the pattern has none."""
        _, count, frames = codes.shape
        self._check(count)
        sequence = codes.new_full((*codes.shape[:2], self.steps(frames)), special)
        for book, delay in enumerate(self.delays):
            sequence[:, book, 1 + delay : 1 + delay + frames] = codes[:, book]
        return sequence

    def separate(self, sequence: Tensor) -> Tensor:
        """[B, K, S] -> [B, K, T]: the inverse, of as many frames as all codebooks have reached."""
        self._check(sequence.shape[1])
        frames = sequence.shape[2] - 1 - max(self.delays)
        if frames < 0:
            raise InputError(f"{sequence.shape[2]} steps are too few for the delays {list(self.delays)}")
        rows = [sequence[:, book, 1 + delay : 1 + delay + frames] for book, delay in enumerate(self.delays)]
        return torch.stack(rows, dim=1)

    def valid(self, frames: int, device: torch.device | str = "cpu") -> Tensor:
        """[K, S] True where the sequence of so many frames holds a code and no special one."""
        steps = torch.arange(self.steps(frames), device=device)
        begins = torch.tensor(self.delays, device=device)[:, None] + 1
        return (steps >= begins) & (steps < begins + frames)

    def _check(self, count: int) -> None:
        if count != self.codebooks:
            raise InputError(f"there are {count} codebooks, and the pattern is for {self.codebooks}")


def delayed(codebooks: int, channels: int = 1) -> Pattern:
    """Codebook k one step after codebook k - 1; of `channels` the codebooks take turns (L0 R0 L1 R1 ...)."""
    return Pattern(tuple(book for book in range(codebooks) for _ in range(channels)))


def parallel(codebooks: int) -> Pattern:
    """All codebooks of a frame in one step."""
    return Pattern((0,) * codebooks)


@dataclass(frozen=True)
class Choosing:
    """How the next code is drawn from logits: the `top_p` likeliest share if it is set, else the `top_k` likeliest.

    Temperature 0 takes the likeliest. (Order and meaning as in audiocraft.)
    """

    temperature: float = 1.0
    top_k: int = 0  # 0: all
    top_p: float = 0.0  # 0: all

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise InputError(f"temperature is {self.temperature:g}; it must be from 0 (the likeliest) to 10")
        if not 0 <= self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p:g}; it must be from 0 (off) to 1")
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}; it must be at least 0, which is off")


def choose(logits: Tensor, how: Choosing, uniform: Tensor) -> Tensor:
    """Codes [...] from logits [..., V] and a uniform number in [0, 1) each [...]: the inverse of the cumulated chances.

    One uniform number a code, drawn beforehand, makes an item's codes independent of the batch it is in.
    """
    logits = logits.float()
    if how.temperature == 0:
        return logits.argmax(-1)
    chances = (logits / how.temperature).softmax(-1)
    ordered, places = chances.sort(dim=-1, descending=True, stable=True)
    if how.top_p > 0:
        before = ordered.cumsum(-1) - ordered  # of the likelier ones
        ordered = ordered.masked_fill(before > how.top_p, 0)
    elif 0 < how.top_k < ordered.shape[-1]:
        ordered = ordered.masked_fill(torch.arange(ordered.shape[-1], device=ordered.device) >= how.top_k, 0)
    summed = ordered.double().cumsum(-1)
    wanted = uniform.to(summed)[..., None] * summed[..., -1:]
    found = torch.searchsorted(summed, wanted, right=True)
    last = (ordered > 0).sum(-1, keepdim=True) - 1  # where rounding leads beyond the kept ones
    return places.gather(-1, torch.minimum(found, last)).squeeze(-1)


def guided(conditional: Tensor, null: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance on logits: null + scale (conditional - null); 1 is off (Kreuk et al. 2022, AudioGen)."""
    return conditional if scale == 1 else torch.lerp(null, conditional, scale)


def doubly_guided(full: Tensor, partial: Tensor, null: Tensor, scale: float, inner: float) -> Tensor:
    """null + scale (partial + inner (full - partial) - null): text over melody or style (Rouard et al. 2024, Eq. 3)."""
    return null + scale * (partial + inner * (full - partial) - null)


def uniforms(seeds: Sequence[int], steps: int, codebooks: int) -> Tensor:
    """[B, steps, codebooks] uniform numbers, a row a seed from its own CPU generator."""
    rows = [torch.rand(steps, codebooks, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)
