"""One yardstick for every method of pictures: the same prompts, real pictures and judge.

A prompt's pictures are of one mind, so each prompt counts once: values are means over its seeds, intervals are over
prompts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from text2x.comparing.verdicts import Values
from text2x.data.imageset import Split
from text2x.errors import InputError
from text2x.evaluating import Asked, Instruments, Subject
from text2x.evaluating.measuring import joined
from text2x.metrics.agreement import Distractors, r_precision
from text2x.metrics.companions import halves
from text2x.metrics.copies import copies
from text2x.metrics.distances import kernel_difference, kernel_distance
from text2x.metrics.diversity import diversity
from text2x.metrics.features import pixels
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric, rows_of
from text2x.metrics.pictures import Pictures

MOST = 150  # real pictures of a part in the reference
SIDE = 32  # pixels at which likeness is measured


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What every method is asked and measured by."""

    asked: Asked
    seeds: int
    subject: Subject  # styles, groups and size that all methods have in common
    real: Mapping[Split, Pictures]
    instruments: Instruments
    left_out: tuple[str, ...]
    fast: bool = False  # drawn in bfloat16

    @cached_property
    def reference(self) -> Pictures:
        """Real pictures of all parts, at most so many of each."""
        return self._half(0)

    def others(self) -> Pictures:
        """As many other real pictures."""
        return self._half(1)

    def _half(self, which: int) -> Pictures:
        parts = [self.real[part] for part in dict.fromkeys(self.asked.parts)]
        return joined([each.take(halves(len(each), 0, MOST)[which]) for each in parts], self.real["train"])

    def empty(self) -> Pictures:
        """The prompts of every picture that is asked for, without pictures."""
        columns = (
            tuple(value for value in column for _ in range(self.seeds))
            for column in (self.asked.prompts, self.asked.concepts, self.asked.parts, self.asked.styles)
        )
        size = self.subject.size
        return Pictures(torch.zeros(len(self.asked) * self.seeds, 4, size, size), *columns)  # type: ignore[arg-type]

    def of_few(self, count: int) -> Yardstick:
        """The same with only the first prompts of each part."""
        rows = [
            row
            for part in dict.fromkeys(self.asked.parts)
            for row in [place for place, each in enumerate(self.asked.parts) if each == part][:count]
        ]
        columns = (
            tuple(column[row] for row in rows)
            for column in (self.asked.prompts, self.asked.concepts, self.asked.parts, self.asked.styles)
        )
        return replace(self, asked=Asked(*columns, self.asked.missing))  # type: ignore[arg-type]

    def question(self, more: Mapping[str, Any]) -> str:
        """A hash of all that a drawing depends on."""
        about = [asdict(self.asked), self.seeds, self.subject.size, more, *(["fast"] if self.fast else [])]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def measures(self) -> list[str]:
        """The names of what figures are taken by: other ones need measuring anew."""
        judge = self.instruments.judge
        return [*(space.name for space in self.instruments.spaces), judge.recipe.name if judge else "no judge"]

    @cached_property
    def distractors(self) -> Distractors | None:
        """One caption of each real concept."""
        judge = self.instruments.judge
        if judge is None:
            return None
        captions: dict[str, str] = {}
        for pictures in self.real.values():
            for concept, caption in zip(pictures.concepts, pictures.prompts, strict=True):
                captions.setdefault(concept, caption)
        return Distractors(judge.text_embeddings(list(captions.values())), list(captions))


def measured(yard: Yardstick, made: Pictures) -> Values:
    """Agreement, likeness, fidelity, diversity and copies of a method's pictures, or of a companion's."""
    figures: dict[str, Metric] = {}
    prompts: dict[str, Sequence[float]] = {}
    own = made.prompts == yard.empty().prompts  # not so for other real pictures, which are of other prompts
    hits = _agreement(yard, made)
    units = np.arange(len(made)) // yard.seeds if own else np.arange(len(made))
    for name, found, space in (
        ("agreement", hits, "the judge, 1 of 100"),
        ("likeness", _likeness(yard, made, own), ""),
    ):
        if found is None:
            continue
        space = space or f"root mean square over pixels {SIDE} x {SIDE}"
        values = [float(found[units == unit].mean()) for unit in range(int(units[-1]) + 1)]
        parts = [made.parts[int(np.flatnonzero(units == unit)[0])] for unit in range(len(values))]
        prompts |= {name: values} if own else {}
        figures[name] = mean(values, space)
        for part in dict.fromkeys(parts):
            chosen = [value for value, each in zip(values, parts, strict=True) if each == part]
            figures[f"{name}, {part}"] = mean(chosen, space)
    figures |= _in_space(yard, made, own)
    return Values(figures, prompts)


def _in_space(yard: Yardstick, made: Pictures, own: bool) -> dict[str, Metric]:
    """Fidelity, diversity and copies in the best space, as far as there are enough pictures."""
    space = yard.instruments.spaces[0]
    features, reference = space(made.images), space(yard.reference.images)
    keys = list(zip(made.prompts, made.styles, strict=True))
    foreign = [row for row, part in enumerate(made.parts) if own or part != "train"]  # no training pictures themselves
    figures: dict[str, Metric] = {}
    for name, measure in (
        ("fidelity", lambda: kernel_distance(features, reference, space.name)),
        ("diversity", lambda: diversity(features, keys, space.name)),
        ("copies", lambda: copies(features[foreign], space(yard.real["train"].images), space.name).rate),
    ):
        try:
            figures[name] = measure()
        except InputError:
            continue  # too few pictures: the table shows a gap
    return figures


def _agreement(yard: Yardstick, made: Pictures) -> NDArray[np.float64] | None:
    """[N]: whether the judge finds a picture's own prompt among 100; None without a judge, or with too few concepts."""
    judge, others = yard.instruments.judge, yard.distractors
    if judge is None or others is None:
        return None
    images, texts = judge.image_embeddings(made.images), judge.text_embeddings(made.prompts)
    try:
        return np.array(
            [
                r_precision(images[row : row + 1], texts[row : row + 1], [concept], judge.space, others).value
                for row, concept in enumerate(made.concepts)
            ]
        )
    except InputError:
        return None


def _likeness(yard: Yardstick, made: Pictures, own: bool) -> NDArray[np.float64] | None:
    """[N]: distance to the nearest real picture of the same concept and style; other real pictures have none."""
    if not own:
        return None
    space = pixels(SIDE)
    rows = rows_of(space(made.images), space.name)
    real = joined(list(yard.real.values()), yard.real["train"])
    features = rows_of(space(real.images), space.name)
    found = np.empty(len(rows))
    for row, (concept, style) in enumerate(zip(made.concepts, made.styles, strict=True)):
        same = [
            place for place, each in enumerate(real.concepts) if each == concept and style in (None, real.styles[place])
        ]
        found[row] = np.sqrt(((features[same] - rows[row]) ** 2).mean(1)).min()
    return found


def paired_kernel_difference(yard: Yardstick, first: torch.Tensor, second: torch.Tensor) -> Metric:
    """Kernel distance of the first pictures minus that of the second, to one reference.

    The interval is a jackknife over blocks of prompts, left out of both, and of the reference.
    """
    space = yard.instruments.spaces[0]
    units = np.arange(len(first)) // yard.seeds
    return kernel_difference(space(first), space(second), space(yard.reference.images), units, space.name)
