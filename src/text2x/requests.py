"""What can be asked and what comes back: requests, results, progress and the Generator protocol. Loads no torch.

The fields of a request are the only place that says what can be asked: their metadata carries the help text, the
command line's flags and the range, and the command line is built from them. None means "as the model likes it".
Guidance scale w is null + w (cond - null): 1 = off. Times are t in [0, 1]: 0 data, 1 noise.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from text2x.config import from_dict
from text2x.edits import Edit
from text2x.errors import InputError
from text2x.guidance_terms import format_guidance, parse_guidance
from text2x.request_fields import (
    MAX_NAME,
    check_interval,
    check_name,
    check_number,
    check_prompt,
    request_field,
    shortened,
    unknown,
)
from text2x.text import clean_prompt

if TYPE_CHECKING:
    from text2x.media import Image
    from text2x.timestamps import Timestamps

__all__ = [
    "MAX_NAME", "MAX_SEED", "Generator", "ImageRequest", "OnStep", "Progress", "Result", "shortened", "unknown",
]  # fmt: skip
MAX_SEED = 2**63 - 1  # what a torch.Generator takes
LARGEST_WEIGHT = 10.0  # of a further prompt, beside the 1 of the first


@dataclass(frozen=True)
class ImageRequest:
    """A picture from words. Item i depends on the model, the request and seed + i only, not on count."""

    prompt: str = request_field(help="What the picture shows.", flags=("PROMPT",))
    negative: str = request_field("", help="What it should not show.", flags=("--negative",))
    count: int = request_field(1, help="How many pictures.", flags=("--count", "-n"), minimum=1, maximum=1000)
    seed: int | None = request_field(
        None, help="The first picture's seed, the next has one more; drawn and printed if not given.",
        flags=("--seed",), minimum=0, maximum=MAX_SEED,
    )  # fmt: skip
    steps: int | None = request_field(
        None, help="Sampling steps: more is slower and finer.", flags=("--steps",), minimum=1, maximum=1000
    )
    sampler: str | None = request_field(None, help="Sampler; `text2x samplers` lists them.", flags=("--sampler",))
    also: tuple[str, ...] = request_field(
        (), help="A further prompt with its weight, as snow::0.5 or hat::-1; may be repeated.", flags=("--also",)
    )
    guidance: str | float | None = request_field(
        None, help="How closely to follow the prompt, 1 is off, 2 to 7 is usual; or forms of guidance such as "
        "cfg:4,interval=0.1-0.8, apg:4, auto:2, classifier:2, clip:3, joined by +, or none.", flags=("--guidance",),
    )  # fmt: skip
    guidance_interval: tuple[float, float] | None = request_field(
        None, help="Guide only between these two times; 0 is the picture, 1 is noise.",
        flags=("--guidance-interval",), minimum=0, maximum=1,
    )  # fmt: skip
    style: str | None = request_field(
        None, help="One of the model's styles; `text2x models show NAME` lists them.", flags=("--style",)
    )
    truncation: float | None = request_field(
        None, help="Of a GAN: how far its noise may go; below 1 is safer and less varied.", flags=("--truncation",),
        minimum=0, maximum=2,
    )  # fmt: skip
    size: int | None = request_field(
        None, help="Side of the square picture in pixels.", flags=("--size",), minimum=8, maximum=4096
    )
    edit: Edit | None = request_field(None, help="A picture to paint into, to paint around or to vary.")

    def __post_init__(self) -> None:
        check_prompt(self, "prompt", allow_empty=self.edit is not None)
        check_prompt(self, "negative", allow_empty=True)
        for name in ("count", "seed", "steps", "size"):
            check_number(self, name, whole=True)
        check_number(self, "truncation", whole=False)
        self._check_guidance()
        check_interval(self, "guidance_interval")
        for name in ("sampler", "style"):
            check_name(self, name)
        if self.seed is not None and self.seed + self.count - 1 > MAX_SEED:
            raise InputError(f"seed is {self.seed}; with {self.count} pictures it must be at most 2**63 - {self.count}")

    def _check_guidance(self) -> None:
        """Put guidance into its one spelling and see that every further prompt can be read."""
        if isinstance(self.guidance, float) and not math.isfinite(self.guidance):
            raise InputError(f"guidance is {self.guidance}; it must be a finite number, 1 is off")
        if self.guidance is not None:
            object.__setattr__(self, "guidance", format_guidance(parse_guidance(self.guidance)))
        if not isinstance(self.also, (tuple, list)):
            raise InputError(f"also is {shortened(repr(self.also))}; it must be a list of prompts, as snow::0.5")
        object.__setattr__(self, "also", tuple(self.also))
        self.further()

    def further(self) -> tuple[tuple[str, float], ...]:
        """The prompts of `also` and their weights."""
        return tuple(read_weighted(each) for each in self.also)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageRequest:
        """The request written as plain values, as JSON gives them; an unknown field raises InputError."""
        names = [each.name for each in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise unknown("field", name, names)
        return from_dict(cls, values, where="request")

    def cleaned(self) -> tuple[ImageRequest, tuple[str, ...]]:
        """The same request without invisible characters in its prompts, and a warning for each that lost some."""
        prompt = clean_prompt(self.prompt, allow_empty=self.edit is not None)
        negative = clean_prompt(self.negative, allow_empty=True, where="the negative prompt")
        request = dataclasses.replace(self, prompt=prompt.text, negative=negative.text)
        return request, prompt.warnings + negative.warnings

    def seeded(self) -> ImageRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))


@dataclass(frozen=True)
class Result:
    """One piece of media and how it came about."""

    media: Any  # Image, Audio, Video
    seed: int  # this item's own: with it, count=1 gives the same media again
    warnings: tuple[str, ...] = ()  # what was ignored, clamped or cut off, one sentence each
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds by part of the work
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # the request's fields as they were used, defaults filled in
    timestamps: Timestamps | None = None  # of speech: when each word is said

    def _repr_png_(self) -> bytes | None:
        return self.media._repr_png_() if hasattr(self.media, "_repr_png_") else None

    def _repr_html_(self) -> str | None:
        return self.media._repr_html_() if hasattr(self.media, "_repr_html_") else None


@dataclass(frozen=True)
class Progress:
    """What a caller sees of the work after a step."""

    step: int  # 1 for the first one done
    steps: int
    stage: str  # "base", "upsampler": what is being sampled
    items: tuple[int, ...]  # which items of the request, counted from 0
    estimate: Callable[[], list[Image]]  # these items as they would be if sampling ended now; computed when called


OnStep = Callable[[Progress], None]


class Generator(Protocol):
    """Whatever turns a request into media; safe to call again and again, keeps nothing of a request."""

    def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order: item i of the request has seed + i."""
        ...


def read_weighted(text: str) -> tuple[str, float]:
    """A prompt and its weight from "snow::0.5", the weight 1 if there is none; it may be negative."""
    prompt, colons, number = text.rpartition("::") if isinstance(text, str) else (text, "", "")
    try:
        weight = float(number) if colons else 1.0
    except ValueError:
        weight = math.nan
    if not -LARGEST_WEIGHT <= weight <= LARGEST_WEIGHT:
        raise InputError(
            f"the weight {shortened(number)!r} of a further prompt must be a number from -{LARGEST_WEIGHT:g} to "
            f"{LARGEST_WEIGHT:g}, as in snow::0.5"
        )
    return clean_prompt(prompt if colons else text, where="a further prompt").text, weight
