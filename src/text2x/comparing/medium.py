"""What a comparison needs to know of pictures or clips: how they are drawn, kept, measured, shown and spoken of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from text2x.comparing.budgets import AnyRecipe
from text2x.comparing.claims import ComparisonSet, Method
from text2x.comparing.verdicts import Values
from text2x.evaluating import Asked
from text2x.media import Image
from text2x.metrics.metric import Metric


class Yard(Protocol):
    """By what all methods are measured: the same prompts and seeds, real things, and instruments."""

    @property
    def asked(self) -> Asked:
        """What every method is asked."""
        ...

    @property
    def seeds(self) -> int:
        """Items of each prompt."""
        ...

    @property
    def left_out(self) -> tuple[str, ...]:
        """What cannot be measured, with the reason."""
        ...

    def of_few(self, count: int) -> Yard:
        """The same with only the first prompts of each part."""
        ...

    def question(self, more: Mapping[str, Any]) -> str:
        """A hash of all that a drawing depends on."""
        ...

    def measures(self) -> list[str]:
        """The names of what figures are taken by."""
        ...


@dataclass(frozen=True)
class Made:
    """What a method drew: levels uint8 [N, ...], in steps of 1/255 from -1, a prompt's seeds one after the other."""

    levels: Tensor
    seconds: float  # an item
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Medium:
    """What methods make; functions take the yard that `yardstick` made."""

    noun: str  # of one item, in the report
    file: str  # in which a drawing's levels are kept, under "images"
    introduction: str
    figures: Mapping[str, str]  # by name, those that are followed on the way, and what the axis of a curve says
    curves: Sequence[str]  # figures of which the last two that there are become curves
    columns: Callable[[Any], str]  # a sentence on the table's figures
    data_set: Callable[[str, Path | None], Any]
    check: Callable[[Method, Sequence[AnyRecipe]], None]  # the recipes of its trainings; raises InputError
    generator: Callable[[Path, Sequence[Path], str], Any]  # folders of the base and of others, device
    one_step: Callable[[Mapping[str, Any]], bool]  # of a recipe.json: whether there are no sampling steps to vary
    yardstick: Callable[
        [ComparisonSet, Any, Mapping[str, Any], Path | None, str], Any
    ]  # data, generators, judge, device
    draw: Callable[[Any, str, Any, Mapping[str, Any]], Made]  # yard, method, generator, options
    measure: Callable[[Any, Tensor], Values]
    companions: Callable[[Any], dict[str, Values]]
    difference: Callable[[Any, str, Tensor, Tensor], Metric]  # by a measure of whole sets, first minus second
    sheet: Callable[[Any, Mapping[str, Tensor]], Image]
