"""What a comparison is of: methods, each a recipe with settings and a way to sample, and claims about two of them.

Methods with the same recipe and settings are one training: they differ in how they sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Measure = Literal["agreement", "fidelity", "likeness", "motion"]
Makes = Literal["pictures", "clips", "sounds"]


@dataclass(frozen=True)
class Part:
    """A training of a system beside its base: an upsampler, a prior, or the CLIP or codec that the others need."""

    recipe: str
    share: float  # of the method's budget
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A recipe with settings as `text2x train --set` takes them, fields of requests, and what is trained beside it."""

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    guide: str | None = None  # recipe of a classifier or a CLIP, trained with a budget of its own
    guide_settings: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()  # which share the method's budget with its base

    @property
    def share(self) -> float:
        """What is left of the budget for the base."""
        return round(1 - sum(part.share for part in self.parts), 6)


@dataclass(frozen=True)
class Claim:
    """That the first method is better than the second, and by what it is decided.

    agreement: R-precision at 1 of 100 by the judge; fidelity: kernel distance to real pictures; likeness: distance to
    the nearest real picture of the same concept and style; motion: distance of how clips move to how real ones do.
    Where there is no judge, likeness stands for agreement. Of sounds, agreement is the accuracy of a classifier.
    """

    name: str
    first: str
    second: str
    measure: Measure
    confirmed_if: str


@dataclass(frozen=True)
class ComparisonSet:
    """Methods and claims for one data set, and questions that cannot be answered yet."""

    name: str
    data: str
    methods: tuple[Method, ...]
    claims: tuple[Claim, ...]
    gaps: tuple[str, ...] = ()
    prompts: int = 40  # of each part
    seeds: int = 2
    curve_prompts: int = 10  # of each part, where a curve is drawn and no claim decided
    steps: tuple[int, ...] = (5, 10, 20, 40)  # of samplers, for quality against sampling time
    fast: bool = False  # drawn in bfloat16
    makes: Makes = "pictures"

    def method(self, name: str) -> Method:
        """A method by its name."""
        return next(each for each in self.methods if each.name == name)
