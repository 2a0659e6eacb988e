"""Does the picture show what was asked for: retrieval of the own prompt among others, and accuracy of a classifier.

The judge must be another network than any that guided the pictures, trained on the training part only.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from text2x.errors import InputError
from text2x.metrics.intervals import rate
from text2x.metrics.metric import Metric, Rows, exact, rows_of, same_length, same_width

DISTRACTORS = 99  # R-precision at 1 of 100 (Xu et al. 2018, AttnGAN, Sec. 4)


class Judge(Protocol):
    """A network that puts pictures and prompts into one space."""

    def image_embeddings(self, images: Tensor) -> Tensor:
        """Pictures [N, 4, H, W] in [-1, 1], premultiplied, to [N, D]."""
        ...

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to [N, D]."""
        ...


@dataclass(frozen=True)
class Distractors:
    """Texts to tell the own prompt from: embeddings [M, D] and the concept that each is about."""

    embeddings: Rows
    concepts: Sequence[str]


def r_precision(
    pictures: Rows, prompts: Rows, concepts: Sequence[str], space: str, others: Distractors | None = None, seed: int = 0
) -> Metric:
    """Share of pictures [N, D] that are more like their own prompt [N, D] than like 99 others; chance is 0.01.

    Similarity is the cosine. The 99 are of other concepts, one of each, drawn from `others` (None: the prompts
    themselves) by the seed and the picture's own concept, so that every model is asked the same. A tie counts in part.
    Wilson's interval, over distinct concepts where a concept has several pictures.
    """
    hits = found_prompts(pictures, prompts, concepts, space, others, seed)
    return rate(hits, f"{space}, 1 of {DISTRACTORS + 1}", concepts)


def found_prompts(
    pictures: Rows, prompts: Rows, concepts: Sequence[str], space: str, others: Distractors | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """Of each picture [N] whether its prompt is found, as `r_precision` says: 1, 0, or the share of a tie."""
    same_length({"pictures": pictures, "prompts": prompts, "concepts": concepts})
    images, own = (_unit(rows_of(each, f"R-precision in {space}", 1)) for each in (pictures, prompts))
    texts, about = (prompts, concepts) if others is None else (others.embeddings, others.concepts)
    same_length({"distractors": texts, "concepts of distractors": about})
    pool = _unit(rows_of(texts, f"distractors in {space}"))
    same_width(images, own, "R-precision")
    same_width(images, pool, "R-precision")
    first = {concept: place for place, concept in reversed(list(enumerate(about)))}
    names = sorted(first)
    rows = {c: np.array([first[name] for name in _drawn(c, names, seed)]) for c in dict.fromkeys(concepts)}
    hits = np.empty(len(images))
    for i, concept in enumerate(concepts):
        right = images[i] @ own[i]
        wrong = pool[rows[concept]] @ images[i]
        rounding = 1e-9  # of unit vectors in float64
        hits[i] = 0.0 if (wrong > right + rounding).any() else 1 / (1 + (wrong >= right - rounding).sum())
    return hits


def _drawn(concept: str, names: Sequence[str], seed: int) -> list[str]:
    """99 other concepts of the sorted names."""
    own = bisect.bisect_left(names, concept)
    listed = own < len(names) and names[own] == concept
    others = len(names) - listed
    if others < DISTRACTORS:
        raise InputError(
            f"R-precision needs texts of {DISTRACTORS} concepts other than {concept!r}, there are {others}; "
            "give more distractors"
        )
    number = int.from_bytes(hashlib.sha256(concept.encode()).digest()[:8], "big")
    chosen = np.random.default_rng([seed, number]).choice(others, DISTRACTORS, replace=False)
    return [names[int(place) + (listed and place >= own)] for place in chosen]


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise InputError(f"{int((lengths == 0).sum())} of {len(rows)} embeddings are zero; they have no direction")
    return rows / lengths


def accuracy(
    logits: Rows, classes: Sequence[int], space: str, top: int = 1, groups: Sequence[Hashable] | None = None
) -> Metric:
    """Share of items whose own class is among the `top` of a classifier's logits [N, K]; chance is top / K.

    A tie counts as a miss. `groups` says which items belong together and count once in the interval.
    """
    same_length({"rows of logits": logits, "classes": classes})
    rows = rows_of(logits, f"accuracy in {space}")
    own = np.asarray(classes)
    count = rows.shape[1]
    if not 1 <= top < count:
        raise InputError(f"top is {top}; with {count} classes take 1 to {count - 1}")
    if own.min() < 0 or own.max() >= count:
        raise InputError(f"classes run from {own.min()} to {own.max()}; the logits have the classes 0 to {count - 1}")
    mine = rows[np.arange(len(rows)), own]
    return rate((rows >= mine[:, None]).sum(1) <= top, f"{space}, top {top} of {count}", groups)


def chance(candidates: int, space: str, top: int = 1) -> Metric:
    """What guessing gets: top / candidates; the companion of `r_precision` (100 candidates) and `accuracy`."""
    if not 1 <= top <= candidates:
        raise InputError(f"top is {top}; with {candidates} candidates take 1 to {candidates}")
    return exact(top / candidates, candidates, space, "chance")
