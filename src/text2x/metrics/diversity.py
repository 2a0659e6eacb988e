"""How much pictures of the same prompt differ from seed to seed: what strong guidance takes away."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from text2x.errors import InputError
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric, Rows, rows_of, same_length
from text2x.metrics.neighbours import squared_distances


def diversity(pictures: Rows, prompts: Sequence[Hashable], space: str, seed: int = 0) -> Metric:
    """Mean Euclidean distance between two pictures [N, D] of the same prompt, averaged over prompts.

    A prompt with one picture says nothing and is left out (the note counts them). Bootstrap interval over prompts.
    """
    rows, members = _by_prompt(pictures, prompts, space)
    several = [places for places in members if len(places) > 1]
    if not several:
        raise InputError(f"all {len(rows)} pictures have prompts of their own; take at least 2 seeds a prompt")
    values = []
    for places in several:
        distances = np.linalg.norm(rows[places][:, None] - rows[places], axis=2)
        values.append(distances.sum() / (len(places) * (len(places) - 1)))
    alone = len(members) - len(several)
    return mean(values, space, seed, f"{alone} prompts with one picture left out" if alone else "")


def spread(pictures: Rows, prompts: Sequence[Hashable], space: str, seed: int = 0) -> Metric:
    """Mean Euclidean distance between pictures of different prompts: the scale that `diversity` is read on.

    Averaged over prompts, each against all others; bootstrap interval over prompts.
    """
    rows, members = _by_prompt(pictures, prompts, space)
    if len(members) < 2:
        raise InputError(f"all {len(rows)} pictures have one prompt; take at least 2 prompts")
    labels = np.empty(len(rows), np.int64)
    for number, places in enumerate(members):
        labels[places] = number
    sums, counts = np.zeros(len(members)), np.zeros(len(members))
    for part, squares in squared_distances(rows, rows):
        other = labels[part, None] != labels
        np.add.at(sums, labels[part], (np.sqrt(squares) * other).sum(1))
        np.add.at(counts, labels[part], other.sum(1))
    return mean(sums / counts, space, seed)


def _by_prompt(pictures: Rows, prompts: Sequence[Hashable], space: str) -> tuple[np.ndarray, list[list[int]]]:
    """Features, and the rows of each distinct prompt in the order of first mention."""
    same_length({"pictures": pictures, "prompts": prompts})
    rows = rows_of(pictures, f"diversity in {space}", 2)
    members: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        members.setdefault(prompt, []).append(row)
    return rows, list(members.values())
