"""What a figure is read beside: real pictures, the training picture of the nearest caption, the mean picture, noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.errors import InputError
from text2x.metrics.metric import rows_of, same_width
from text2x.metrics.pictures import Pictures

Sentences = Callable[[Sequence[str]], Tensor]  # prompts to [N, D]


def halves(n: int, seed: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two random sets of rows without a common one, each of at most `most` rows."""
    order = np.random.default_rng([seed, n]).permutation(n)
    count = min(n // 2, most)
    return order[:count], order[count : 2 * count]


def retrieved(asked: Pictures, train: Pictures, sentences: Sentences) -> Pictures:
    """For each prompt the training picture whose caption is nearest; a style that was asked for is kept to."""
    found = nearest_captions(asked.prompts, train.prompts, sentences, asked.styles, train.styles)
    return asked.show(train.images[found])


def nearest_captions(
    prompts: Sequence[str],
    captions: Sequence[str],
    sentences: Sentences,
    styles: Sequence[str | None] | None = None,  # that are asked for; None: any
    own_styles: Sequence[str | None] | None = None,  # of what the captions are of
) -> list[int]:
    """Of each prompt the row of the caption that is nearest by the cosine of the sentences' embeddings.

    The j-th time that a prompt (with its style) comes, the j-th nearest is given, so that seeds differ as far as the
    data allow; of equally near ones the earlier comes first.
    """
    asked_styles = tuple(styles or (None,) * len(prompts))
    known_styles = tuple(own_styles or (None,) * len(captions))
    distinct, texts = tuple(dict.fromkeys(prompts)), tuple(dict.fromkeys(captions))
    wanted, known = (rows_of(sentences(each), "embeddings of sentences") for each in (distinct, texts))
    same_width(wanted, known, "embeddings of sentences")
    wanted, known = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (wanted, known))
    likeness = wanted @ known.T  # [prompts, captions]
    place = {prompt: row for row, prompt in enumerate(distinct)}
    column = {caption: i for i, caption in enumerate(texts)}
    caption_of = np.array([column[caption] for caption in captions])
    seen: Counter[tuple[str, str | None]] = Counter()
    orders: dict[tuple[str, str | None], NDArray[np.int64]] = {}
    chosen = []
    for key in zip(prompts, asked_styles, strict=True):
        if key not in orders:
            prompt, style = key
            rows = np.array([r for r, own in enumerate(known_styles) if style in (None, own)], dtype=np.int64)
            if len(rows) == 0:
                raise InputError(f"no training picture has the style {style!r}; ask for a style of the training set")
            orders[key] = rows[np.argsort(-likeness[place[prompt]][caption_of[rows]], kind="stable")]
        chosen.append(int(orders[key][seen[key] % len(orders[key])]))
        seen[key] += 1
    return chosen


def mean_picture(asked: Pictures, train: Pictures) -> Pictures:
    """The mean of the training pictures, whatever was asked."""
    return asked.show(train.images.mean(0, keepdim=True).expand(len(asked), -1, -1, -1))


def noise(asked: Pictures, seed: int) -> Pictures:
    """Gaussian noise within [-1, 1], colours at most alpha as in any premultiplied picture."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(asked.images.shape, generator=rng).clamp(-1, 1)
    return asked.show(torch.cat([torch.minimum(images[:, :3], images[:, 3:]), images[:, 3:]], 1))


def sentence_embeddings() -> Sentences:
    """The frozen sentence encoder that models are conditioned on by default; InputError says how to get it."""
    from text2x.text_conditioner import MiniLMConfig, build_conditioner

    conditioner = build_conditioner(MiniLMConfig(context=False))

    def embed(prompts: Sequence[str]) -> Tensor:
        vector = conditioner(prompts).vector
        assert vector is not None
        return vector

    return embed
