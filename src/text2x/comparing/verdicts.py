"""Verdicts on claims: values of two methods prompt by prompt, their difference with its interval, which is better.

A prompt's items are of one mind, so each prompt counts once: values are means over its seeds, intervals are over
prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from text2x.comparing.claims import Claim
from text2x.errors import InputError
from text2x.metrics.intervals import paired_difference
from text2x.metrics.metric import Metric, to_json

HIGHER_IS_BETTER = {"agreement": True, "likeness": False, "fidelity": False, "motion": False}
OF_SETS = ("fidelity", "motion")  # measures of a whole set of pictures or clips


@dataclass(frozen=True)
class Values:
    """Figures by name, and by measure one value a prompt, in the order of the prompts."""

    figures: Mapping[str, Metric]
    prompts: Mapping[str, Sequence[float]]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"figures": to_json(self.figures), "prompts": {name: list(each) for name, each in self.prompts.items()}}


def values_from_dict(values: Mapping[str, Any]) -> Values:
    """Values as they were kept."""
    return Values({name: Metric(**each) for name, each in values["figures"].items()}, values["prompts"])


@dataclass(frozen=True)
class Verdict:
    """What a claim came to: the difference first minus second, and which is better, or that it cannot be told."""

    claim: Claim
    measure: str  # by which it was decided
    difference: Metric | None
    better: str | None  # the name of a method
    answer: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def verdict(claim: Claim, first: Values, second: Values, of_sets: Callable[[], Metric]) -> Verdict:
    """Decide a claim: one is better where the 95 % interval of the difference leaves out 0.

    `of_sets` gives the difference by a measure that has no value for a single prompt.
    """
    measure: str = claim.measure
    if measure == "agreement" and "agreement" not in {*first.prompts} & {*second.prompts}:
        measure = "likeness"
    try:
        if measure in OF_SETS:
            difference = of_sets()
        else:
            difference = paired_difference(
                first.prompts[measure], second.prompts[measure], first.figures[measure].space
            )
    except InputError as reason:
        return Verdict(claim, measure, None, None, f"cannot tell: {reason}")
    gain = difference if HIGHER_IS_BETTER[measure] else _turned(difference)
    better = claim.first if gain.low > 0 else claim.second if gain.high < 0 else None
    answer = "cannot tell" if better is None else f"{better} is better"
    if better is not None:
        answer += ": confirmed" if better == claim.first else ": refuted"
    return Verdict(claim, measure, difference, better, answer)


def _turned(metric: Metric) -> Metric:
    return Metric(-metric.value, -metric.high, -metric.low, metric.n, metric.space, metric.note)
