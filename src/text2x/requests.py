"""What can be asked and what comes back: requests, results, progress and the Generator protocol. Loads no torch.

The fields of a request are the only place that says what can be asked: their metadata carries the help text, the
command line's flags and the range, and the command line is built from them. None means "as the model likes it".
Guidance scale w is null + w (cond - null): 1 = off. Times are t in [0, 1]: 0 data, 1 noise.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from text2x.config import from_dict
from text2x.errors import InputError
from text2x.text import clean_prompt

if TYPE_CHECKING:
    from text2x.media import Image

MAX_SEED = 2**63 - 1  # what a torch.Generator takes
LINE_SPACES = "\t\n\v\f\r\x85"  # control characters that are white space in a text
MAX_NAME = 100  # characters of a sampler's or a style's name


def _field(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    flags: tuple[str, ...],
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A field of a request; `flags` as the command line writes them, a bare word in capitals for an argument."""
    return field(default=default, metadata={"help": help, "flags": flags, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True)
class ImageRequest:
    """A picture from words. Item i depends on the model, the request and seed + i only, not on count."""

    prompt: str = _field(help="What the picture shows.", flags=("PROMPT",))
    negative: str = _field("", help="What it should not show.", flags=("--negative",))
    count: int = _field(1, help="How many pictures.", flags=("--count", "-n"), minimum=1, maximum=1000)
    seed: int | None = _field(
        None, help="The first picture's seed, the next has one more; drawn and printed if not given.",
        flags=("--seed",), minimum=0, maximum=MAX_SEED,
    )  # fmt: skip
    steps: int | None = _field(
        None, help="Sampling steps: more is slower and finer.", flags=("--steps",), minimum=1, maximum=1000
    )
    sampler: str | None = _field(None, help="Sampler; `text2x samplers` lists them.", flags=("--sampler",))
    guidance: float | None = _field(
        None, help="How closely to follow the prompt: 1 is off, 2 to 7 is usual.", flags=("--guidance",),
        minimum=-20, maximum=50,
    )  # fmt: skip
    guidance_interval: tuple[float, float] | None = _field(
        None, help="Guide only between these two times; 0 is the picture, 1 is noise.",
        flags=("--guidance-interval",), minimum=0, maximum=1,
    )  # fmt: skip
    style: str | None = _field(
        None, help="One of the model's styles; `text2x models show NAME` lists them.", flags=("--style",)
    )
    size: int | None = _field(
        None, help="Side of the square picture in pixels.", flags=("--size",), minimum=8, maximum=4096
    )

    def __post_init__(self) -> None:
        _check_prompt(self, "prompt", allow_empty=False)
        _check_prompt(self, "negative", allow_empty=True)
        for name in ("count", "seed", "steps", "size"):
            _check_number(self, name, whole=True)
        _check_number(self, "guidance", whole=False)
        _check_interval(self, "guidance_interval")
        for name in ("sampler", "style"):
            _check_name(self, name)
        if self.seed is not None and self.seed + self.count - 1 > MAX_SEED:
            raise InputError(f"seed is {self.seed}; with {self.count} pictures it must be at most 2**63 - {self.count}")

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
        prompt = clean_prompt(self.prompt)
        negative = clean_prompt(self.negative, allow_empty=True, where="the negative prompt")
        request = dataclasses.replace(self, prompt=prompt.text, negative=negative.text)
        return request, prompt.warnings + negative.warnings

    def seeded(self) -> ImageRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))


@dataclass(frozen=True)
class Result:
    """One piece of media and how it came about."""

    media: Image
    seed: int  # this item's own: with it, count=1 gives the same media again
    warnings: tuple[str, ...] = ()  # what was ignored, clamped or cut off, one sentence each
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds by part of the work
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # the request's fields as they were used, defaults filled in

    def _repr_png_(self) -> bytes:
        return self.media._repr_png_()


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


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a table: it names the nearest ones, and all of them if they are few."""
    names = sorted(known)
    shown = shortened(str(name))
    near = difflib.get_close_matches(str(name)[:MAX_NAME], names, n=3, cutoff=0.6)
    message = f"unknown {what} {shown!r}"
    if near:
        message += f"; did you mean {' or '.join(near)}?"
    if not names:
        return InputError(f"{message}; there is none")
    return InputError(f"{message}{'' if near else ';'} known: {', '.join(names[:40])}{', ...' * (len(names) > 40)}")


def shortened(text: str, length: int = 60) -> str:
    """The text on one line, cut to `length` characters: fit for an error message."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 3] + "..."


def _check_prompt(request: object, name: str, allow_empty: bool) -> None:
    """Tidy the text where nothing is lost by it; raise for binary, endless, empty text and control characters."""
    value = getattr(request, name)
    where = "the prompt" if name == "prompt" else f"the {name} prompt"
    if not isinstance(value, str):
        raise InputError(f"{where} is {shortened(repr(value))}; it must be text")
    prompt = clean_prompt(value, allow_empty=allow_empty, where=where)
    control = next((each for each in value if unicodedata.category(each) == "Cc" and each not in LINE_SPACES), None)
    if control is not None:
        raise InputError(f"{where} holds the control character U+{ord(control):04X}: remove it")
    if not prompt.warnings:
        object.__setattr__(request, name, prompt.text)


def _check_number(request: object, name: str, whole: bool) -> None:
    """Raise unless the field is None (where the field allows it) or a finite number within its range."""
    value = getattr(request, name)
    about = {each.name: each for each in dataclasses.fields(request)}[name]  # type: ignore[arg-type]
    if value is None and about.default is None:
        return
    low, high = about.metadata["minimum"], about.metadata["maximum"]
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        number = "a whole number" if whole else "a number"
        raise InputError(f"{name} is {shortened(repr(value))}; it must be {number} from {low} to {high}")
    if not whole:
        object.__setattr__(request, name, float(value))


def _check_interval(request: object, name: str) -> None:
    value = getattr(request, name)
    if value is None:
        return
    good = isinstance(value, (tuple, list)) and len(value) == 2
    good = good and all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in value)
    if not good or not 0 <= value[0] < value[1] <= 1:
        raise InputError(
            f"{name} is {shortened(repr(value))}; it must be two times with 0 <= low < high <= 1, as 0.1 0.8"
        )
    object.__setattr__(request, name, (float(value[0]), float(value[1])))


def _check_name(request: object, name: str) -> None:
    value = getattr(request, name)
    if value is None:
        return
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise InputError(f"{name} is {shortened(repr(value))}; it must be a name of 1 to {MAX_NAME} letters")
