"""What every metric returns, and the checks of what it is given. Features are [N, D], one row an item."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from text2x.errors import InputError

Rows = NDArray[Any] | Tensor  # [N, D], of any real type, on any device


@dataclass(frozen=True)
class Metric:
    """A figure, its 95 % interval, the number of items it was taken over, and the space it was measured in."""

    value: float
    low: float
    high: float
    n: int
    space: str
    note: str = ""

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            figure = f"{self.value} ({self.low} to {self.high})"
            raise InputError(
                f"a figure in {self.space!r} over {self.n} items is not finite: {figure}; look at the items"
            )

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}, N {self.n}, {self.space})"


def exact(value: float, n: int, space: str, note: str = "") -> Metric:
    """A figure that is known, not estimated: a chance level, or a spread that needs no interval."""
    return Metric(value, value, value, n, space, note)


def to_json(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Plain dictionaries of nested ones that hold metrics, ready for `json.dumps`."""
    return {
        name: dataclasses.asdict(each) if isinstance(each, Metric) else to_json(each) for name, each in figures.items()
    }


def rows_of(features: Rows, what: str, least: int = 1) -> NDArray[np.float64]:
    """Features as float64 [N, D] on the CPU; InputError where they are too few, misshapen or not finite."""
    given: Any = features
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    rows = np.asarray(given, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise InputError(f"{what} must be [N, D], one row an item; got {list(rows.shape)}")
    if len(rows) < least:
        raise InputError(f"{what}: {len(rows)} items are too few, at least {least} are needed; take more")
    bad = int((~np.isfinite(rows)).any(1).sum())
    if bad:
        raise InputError(f"{what}: {bad} of {len(rows)} items have values that are not finite; leave them out")
    return rows


def same_width(first: NDArray[np.float64], second: NDArray[np.float64], what: str) -> None:
    """Refuse two sets of features that cannot be of one space."""
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"{what}: {first.shape[1]} features an item against {second.shape[1]}; both must be of the same space"
        )


def same_length(named: Mapping[str, Sequence[Any] | Rows]) -> int:
    """The common number of items of what belongs together, item by item."""
    lengths = {name: len(each) for name, each in named.items()}
    if len(set(lengths.values())) != 1:
        raise InputError(
            f"one of each an item is needed, got {', '.join(f'{n} {name}' for name, n in lengths.items())}"
        )
    return next(iter(lengths.values()))
