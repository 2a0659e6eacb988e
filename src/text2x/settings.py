"""A request with a model's defaults filled in, and one pass through the model's stages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from text2x.diffusion.samplers import Step
from text2x.edits import Edit, Inpainting, Outpainting
from text2x.guidance_terms import WHOLE, GuidanceTerm, format_guidance, parse_guidance
from text2x.guiding import Asked
from text2x.recipe import Recipe
from text2x.requests import read_weighted


@dataclass(frozen=True)
class Settings:
    """A request with the model's defaults filled in."""

    prompt: str
    negative: str
    steps: int
    sampler: str
    guidance: str  # as guidance_terms writes it
    guidance_interval: tuple[float, float]
    style: str | None
    size: int
    also: tuple[str, ...] = ()
    method: str | None = None  # of in- and outpainting

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        return {name: value for name, value in self.__dict__.items() if value not in (None, ())}

    def asked(self) -> Asked:
        """What of it reaches the network; the interval is that of each form which has none of its own."""
        terms = parse_guidance(self.guidance)
        if self.guidance_interval != WHOLE:
            terms = tuple(
                replace(each, interval=self.guidance_interval) if each.interval == WHOLE else each for each in terms
            )
        further = tuple(read_weighted(each) for each in self.also)
        return Asked(self.prompt, self.negative, self.style, further, terms)


def guidance_of(asked: str | float | None, scale: float, threshold: float | None) -> str:
    """The guidance asked for, or cfg of the model's scale; `threshold`, the model's own, where it names none itself.

    A dynamic threshold belongs to how a model was made (Saharia et al. 2022, Sec. 2.3), so it stays at another scale;
    threshold=1 is as good as none.
    """
    terms = (GuidanceTerm("cfg", scale),) if asked is None else parse_guidance(asked)
    if threshold is None or any(term.threshold is not None for term in terms):
        return format_guidance(terms)
    first = next((term for term in terms if term.form in ("cfg", "apg")), None)
    return format_guidance(replace(term, threshold=threshold) if term is first else term for term in terms)


Reporter = Callable[[str, int], Callable[[Step], None] | None]  # stage, its steps -> what its sampler tells


@dataclass(frozen=True)
class Run:
    """One pass through the stages: what was asked, who is told, how long the parts took, what guides chose."""

    settings: Settings
    report: Reporter
    timings: dict[str, float] = field(default_factory=dict)  # seconds
    chosen: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds of what is inside."""
        begin = time.perf_counter()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin


def has_hole(edit: Edit | None) -> bool:
    """Whether the edit paints into or around a picture."""
    return isinstance(edit, (Inpainting, Outpainting))


def reads_masks(recipe: Recipe) -> bool:
    """Whether the network takes the known part and the mask as further channels."""
    network = recipe.network
    low = 0 if recipe.low_resolution is None else network.in_channels
    return network.extra_channels - low > network.in_channels
