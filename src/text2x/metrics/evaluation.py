"""All metrics of generated pictures beside those of real ones, a retrieval, the mean picture and noise.

Figures are taken apart by part of the data: what was seen in training, and things and pairs of thing and style that
were not. Within a part every source is measured against one reference, at one N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data.imageset import Split
from text2x.errors import InputError
from text2x.metrics.agreement import DISTRACTORS, Distractors, Judge, chance, r_precision
from text2x.metrics.companions import Sentences, halves, mean_picture, noise, retrieved
from text2x.metrics.copies import copies
from text2x.metrics.distances import frechet_distance, kernel_distance
from text2x.metrics.diversity import diversity
from text2x.metrics.features import FeatureSpace
from text2x.metrics.manifold import clipped_manifold, manifold
from text2x.metrics.metric import Metric, rows_of, to_json
from text2x.metrics.pictures import Pictures

Figures = dict[str, Metric]  # "kernel distance, pixels 32 x 32" -> figure
Measure = tuple[str, str, Callable[[], Mapping[str, Metric]]]  # source, space, figures by the name of the metric


@dataclass(frozen=True)
class EvaluationConfig:
    """How figures are taken: neighbours, principal components, most pictures a side, the seed of every draw."""

    k: int = 5
    dims: int = 64
    most: int = 2000
    seed: int = 0
    judge: str = "judge"  # its name in figures


@dataclass(frozen=True)
class Evaluation:
    """Figures by part, source and name, and what could not be measured, with the reason.

    Sources: "generated", "real", "retrieval", "mean picture", "noise", and "chance" where it is known.
    """

    figures: dict[str, dict[str, Figures]]
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `json.dumps`."""
        return {"figures": to_json(self.figures), "left_out": list(self.left_out)}


def evaluate(
    generated: Pictures,
    train: Pictures,
    held_out: Pictures,
    spaces: Sequence[FeatureSpace],
    judge: Judge | None = None,
    sentences: Sentences | None = None,
    config: EvaluationConfig | None = None,
) -> Evaluation:
    """Measure generated pictures, part by part, in the given spaces, beside their floor and ceiling.

    Half of a part's real pictures (training pictures for what was seen) is the reference, the other half the source
    "real". `sentences` turns prompts into [N, D] for the retrieval, `judge` is asked for R-precision. What has too few
    pictures, or lacks a judge or sentences, is left out, with the reason.
    """
    config = config or EvaluationConfig()
    _check_sizes({"generated": generated, "training": train, "held-out": held_out})
    training = [rows_of(space(train.images), f"training pictures in {space.name}") for space in spaces]
    distractors = _distractors(judge, train, held_out) if judge else None
    left_out = [] if sentences else ["retrieval: no sentence encoder was given"]
    left_out += [] if judge else ["R-precision: no judge was given"]
    figures: dict[str, dict[str, Figures]] = {}
    for name in dict.fromkeys(generated.parts):
        real = train if name == "train" else held_out.of(name)
        part = _part(name, generated.of(name), real, train, sentences, config)
        measures = [m for space, known in zip(spaces, training, strict=True) for m in _in_space(part, space, known)]
        if judge and distractors:
            measures += _by_judge(part, judge, distractors)
        taken = figures.setdefault(name, {source: {} for source in part.sources})
        for source, space, measure in measures:
            try:
                found = measure()
            except InputError as reason:
                left_out.append(f"{name}, {source}, {space}: {reason}")
                continue
            taken.setdefault(source, {}).update({f"{metric}, {space}": each for metric, each in found.items()})
    return Evaluation(figures, tuple(left_out))


@dataclass(frozen=True, eq=False)
class _Part:
    """What is measured of one part: the sources, what they are measured against, and the rows that sets are cut to."""

    name: Split
    sources: dict[str, Pictures]
    reference: Pictures
    rows: dict[str, NDArray[np.int64]]
    config: EvaluationConfig


def _part(
    name: Split, asked: Pictures, real: Pictures, train: Pictures, sentences: Sentences | None, config: EvaluationConfig
) -> _Part:
    first, second = halves(len(real), config.seed, config.most)
    sources = {"generated": asked, "real": real.take(second), "mean picture": mean_picture(asked, train)}
    sources |= {"retrieval": retrieved(asked, train, sentences)} if sentences else {}
    sources |= {"noise": noise(asked, config.seed)}
    count = min(len(asked), len(second))
    order = np.random.default_rng([config.seed, len(asked)]).permutation(len(asked))[:count]
    rows = {source: np.arange(count) if source == "real" else order for source in sources}
    return _Part(name, {source: each for source, each in sources.items() if len(each)}, real.take(first), rows, config)


def _in_space(part: _Part, space: FeatureSpace, training: NDArray[np.float64]) -> Iterator[Measure]:
    """Distances, neighbourhoods, copies and diversity of each source."""
    config = part.config
    goal = rows_of(space(part.reference.images), space.name) if len(part.reference) else training[:0]
    for source, pictures in part.sources.items():
        own = rows_of(space(pictures.images), space.name)
        both = (own[part.rows[source]], goal, space.name)
        yield source, space.name, partial(_named, "kernel distance", kernel_distance, *both, config.seed)
        yield source, space.name, partial(_named, "Fréchet distance", frechet_distance, *both, config.dims, config.seed)
        yield source, space.name, partial(manifold, *both, config.k, config.seed)
        yield source, space.name, partial(clipped_manifold, *both, config.k, config.seed)
        if not (part.name == "train" and source == "real"):  # those are training pictures
            yield source, space.name, partial(_copy_rate, own, training, space.name)
        if source in ("generated", "retrieval"):
            prompts = list(zip(pictures.prompts, pictures.styles, strict=True))
            yield source, space.name, partial(_named, "diversity", diversity, own, prompts, space.name, config.seed)


def _by_judge(part: _Part, judge: Judge, distractors: Distractors) -> Iterator[Measure]:
    """R-precision of each source, and of a guess."""
    config = part.config
    for source, pictures in part.sources.items():
        images, prompts = judge.image_embeddings(pictures.images), judge.text_embeddings(pictures.prompts)
        given = (images, prompts, pictures.concepts, config.judge, distractors, config.seed)
        yield source, config.judge, partial(_named, "R-precision", r_precision, *given)
    yield "chance", config.judge, partial(_named, "R-precision", chance, DISTRACTORS + 1, config.judge)


def _named(name: str, measure: Callable[..., Metric], *given: Any) -> dict[str, Metric]:
    return {name: measure(*given)}


def _copy_rate(own: NDArray[np.float64], training: NDArray[np.float64], space: str) -> dict[str, Metric]:
    return {"copies": copies(own, training, space).rate}


def _distractors(judge: Judge, train: Pictures, held_out: Pictures) -> Distractors:
    """One caption of each real concept, the same for every source."""
    captions: dict[str, str] = {}
    for pictures in (train, held_out):
        for concept, caption in zip(pictures.concepts, pictures.prompts, strict=True):
            captions.setdefault(concept, caption)
    return Distractors(judge.text_embeddings(list(captions.values())), list(captions))


def _check_sizes(sets: Mapping[str, Pictures]) -> None:
    sizes = {name: list(each.images.shape[2:]) for name, each in sets.items()}
    if len({tuple(size) for size in sizes.values()}) > 1:
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"pictures must be of one size, got {found}; resize them to that of the generated ones")
    for name in ("generated", "training"):
        if len(sets[name]) == 0:
            raise InputError(f"there are 0 {name} pictures; give at least 1")
