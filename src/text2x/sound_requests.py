"""What can be asked of sound and music: SoundRequest and MusicRequest, their help, flags and ranges. Loads no torch.

None means "as the model likes it". Item i depends on the model, the request and seed + i alone. Both kinds of model
take prompt, negative, count, seed, seconds, guidance and continuation. A model of codes uses temperature, top_k, top_p
and, for music, melody; one of diffusion uses steps, sampler, loop, init, strength and repaint (init is the sound of
which a part is made anew). What a model does not use is a warning of its result: `ignored`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from text2x.config import from_dict
from text2x.errors import InputError
from text2x.guidance_terms import GuidanceTerm, format_guidance, parse_guidance
from text2x.request_fields import check_name, check_number, check_prompt, request_field, shortened, unknown
from text2x.requests import MAX_SEED
from text2x.text import clean_prompt

if TYPE_CHECKING:
    from text2x.audio import Audio

SHORTEST, LONGEST = 0.1, 600.0  # seconds
OF_TOKENS = ("temperature", "top_k", "top_p", "melody")
OF_DIFFUSION = ("steps", "sampler", "loop", "init", "strength", "repaint")
SOUNDS = ("continuation", "init", "melody")  # fields that hold a sound, or its file


def _seconds() -> Any:
    return request_field(
        None, help="How long it lasts.", flags=("--seconds",), minimum=SHORTEST, maximum=LONGEST
    )  # fmt: skip


def _count() -> Any:
    return request_field(1, help="How many.", flags=("--count", "-n"), minimum=1, maximum=1000)


def _seed() -> Any:
    return request_field(
        None, help="The first one's seed, the next has one more; drawn and printed if not given.",
        flags=("--seed",), minimum=0, maximum=MAX_SEED,
    )  # fmt: skip


def _guidance() -> Any:
    return request_field(
        None, help="How closely to follow the prompt; 1 is off, 3 is usual; of diffusion also forms of guidance, as "
        "cfg:4,interval=0.1-0.8 or apg:4.", flags=("--guidance",),
        minimum=0, maximum=20,
    )  # fmt: skip


def _temperature() -> Any:
    return request_field(
        None, help="Of a model of codes: how daring each choice is; 0 takes the likeliest.", flags=("--temperature",),
        minimum=0, maximum=10,
    )  # fmt: skip


def _top_k() -> Any:
    return request_field(
        None, help="Of a model of codes: choose among so many of the likeliest; 0 is all.", flags=("--top-k",),
        minimum=0, maximum=100_000,
    )  # fmt: skip


def _top_p() -> Any:
    return request_field(
        None, help="Of a model of codes: choose among the likeliest that make up this share; 0 is off.",
        flags=("--top-p",), minimum=0, maximum=1,
    )  # fmt: skip


def _continuation() -> Any:
    return request_field(
        None, help="A file of sound to go on from; seconds are those of the whole.",
        flags=("--continue",),
    )  # fmt: skip


def _steps() -> Any:
    return request_field(
        None, help="Of diffusion: sampling steps, more is slower and finer.", flags=("--steps",),
        minimum=1, maximum=1000,
    )  # fmt: skip


def _sampler() -> Any:
    return request_field(None, help="Of diffusion: sampler; `text2x samplers` lists them.", flags=("--sampler",))


def _loop() -> Any:
    return request_field(
        False, help="Of diffusion: its end leads into its beginning without a seam.", flags=("--loop",)
    )


def _init() -> Any:
    return request_field(
        None, help="Of diffusion: a file of sound to begin from, to vary or to repaint.", flags=("--init",)
    )


def _strength() -> Any:
    return request_field(
        None,
        help="How far to go from --init; 0 gives it back, 1 leaves nothing of it.",
        flags=("--strength",),
        minimum=0,
        maximum=1,
    )


def _repaint() -> Any:
    return request_field(
        None, help="The part of --init that is made anew, in seconds, as 1.0-2.5; the rest stays.",
        flags=("--repaint",),
    )  # fmt: skip


@dataclass(frozen=True)
class SoundRequest:
    """A sound from words. `continuation` and `init` are an Audio or the path of a file."""

    prompt: str = request_field(help="What is heard.", flags=("PROMPT",))
    negative: str = request_field("", help="What should not be heard.", flags=("--negative",))
    seconds: float | None = _seconds()
    count: int = _count()
    seed: int | None = _seed()
    guidance: str | float | None = _guidance()
    temperature: float | None = _temperature()
    top_k: int | None = _top_k()
    top_p: float | None = _top_p()
    continuation: Any = _continuation()
    steps: int | None = _steps()
    sampler: str | None = _sampler()
    loop: bool = _loop()
    init: Any = _init()
    strength: float | None = _strength()
    repaint: Any = _repaint()

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SoundRequest:
        """The request written as plain values, as JSON gives them; an unknown field raises InputError."""
        return _read(cls, values)

    def seeded(self) -> SoundRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))


@dataclass(frozen=True)
class MusicRequest:
    """Music from words. `continuation`, `init` and `melody` are an Audio or the path of a file."""

    prompt: str = request_field(help="What is played.", flags=("PROMPT",))
    negative: str = request_field("", help="What should not be played.", flags=("--negative",))
    seconds: float | None = _seconds()
    count: int = _count()
    seed: int | None = _seed()
    guidance: str | float | None = _guidance()
    temperature: float | None = _temperature()
    top_k: int | None = _top_k()
    top_p: float | None = _top_p()
    continuation: Any = _continuation()
    melody: Any = request_field(
        None, help="Of a model of codes: a file of sound whose melody is followed.", flags=("--melody",)
    )
    steps: int | None = _steps()
    sampler: str | None = _sampler()
    loop: bool = _loop()
    init: Any = _init()
    strength: float | None = _strength()
    repaint: Any = _repaint()

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MusicRequest:
        """The request written as plain values, as JSON gives them; an unknown field raises InputError."""
        return _read(cls, values)

    def seeded(self) -> MusicRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))


AudioRequest = SoundRequest | MusicRequest


def _read(kind: Any, values: Mapping[str, Any]) -> Any:
    names = [each.name for each in dataclasses.fields(kind)]
    for name in values:
        if name not in names:
            raise unknown("field", name, names)
    return from_dict(kind, values, where="request")


def _check(request: AudioRequest) -> None:
    """Bring every field into its one form; raises InputError for what cannot be asked."""
    check_prompt(request, "prompt", allow_empty=False)
    check_prompt(request, "negative", allow_empty=True)
    for name in ("count", "seed", "steps", "top_k"):
        check_number(request, name, whole=True)
    for name in ("seconds", "temperature", "top_p", "strength"):
        check_number(request, name, whole=False)
    _check_guidance(request)
    check_name(request, "sampler")
    if not isinstance(request.loop, bool):
        raise InputError(f"loop is {shortened(repr(request.loop))}; it must be true or false")
    if request.seed is not None and request.seed + request.count - 1 > MAX_SEED:
        raise InputError(
            f"seed is {request.seed}; with {request.count} sounds it must be at most 2**63 - {request.count}"
        )
    for name in SOUNDS:
        _check_sound(request, name)
    if request.continuation is not None and request.init is not None:
        raise InputError("--continue and --init are both given; leave one of them out")
    if request.init is None:
        for name in ("strength", "repaint"):
            if getattr(request, name) is not None:
                raise InputError(f"{name} is of a sound to begin from; give it with --init FILE")
    object.__setattr__(request, "repaint", _interval(request.repaint))


def _check_guidance(request: AudioRequest) -> None:
    """Bring guidance into its one form: a number, or forms beyond plain cfg in their one spelling."""
    value = request.guidance
    if isinstance(value, str):
        terms = parse_guidance(value)
        plain = all(term == GuidanceTerm("cfg", term.scale) for term in terms)
        value = (terms[0].scale if terms else 1.0) if plain else format_guidance(terms)
        object.__setattr__(request, "guidance", value)
    if not isinstance(value, str):
        check_number(request, "guidance", whole=False)


def scale_of(request: AudioRequest, model: str) -> float | None:
    """The guidance of a model that knows plain numbers only; InputError for other forms."""
    if isinstance(request.guidance, str):
        raise InputError(
            f"guidance is {shortened(request.guidance)!r}; {model} is a model of codes and takes a number, as 3"
        )
    return request.guidance


def _check_sound(request: AudioRequest, name: str) -> None:
    value = getattr(request, name, None)
    if value is None or isinstance(value, Path) or (isinstance(value, str) and value):
        return
    from text2x.audio import Audio  # loads numpy

    if not isinstance(value, Audio):
        raise InputError(f"{name} is {shortened(repr(value))}; it must be a file of sound, or an Audio")


def _interval(value: Any) -> tuple[float, float] | None:
    """Two rising times in seconds from "1.0-2.5" or a pair."""
    if value is None:
        return None
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,4}(?:\.\d*)?)\s*-\s*(\d{1,4}(?:\.\d*)?)\s*", value)
        value = (float(found[1]), float(found[2])) if found else value
    good = isinstance(value, (tuple, list)) and len(value) == 2
    good = good and all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in value)
    if not good or not 0 <= value[0] < value[1] < math.inf:
        raise InputError(f"repaint is {shortened(repr(value))}; it must be two rising times in seconds, as 1.0-2.5")
    return float(value[0]), float(value[1])


def opened(request: AudioRequest, name: str) -> Audio | None:
    """The sound of a field, read if it is a file's path; raises InputError for a file that cannot be read."""
    from text2x.audio import Audio

    value = getattr(request, name, None)
    return value if value is None or isinstance(value, Audio) else Audio.read(Path(value).expanduser())


def cleaned(request: Any) -> tuple[Any, tuple[str, ...]]:
    """The same request without invisible characters in its prompts, and a warning for each that lost some."""
    prompt = clean_prompt(request.prompt)
    negative = clean_prompt(request.negative, allow_empty=True, where="the negative prompt")
    made = dataclasses.replace(request, prompt=prompt.text, negative=negative.text)
    return made, prompt.warnings + negative.warnings


def ignored(request: AudioRequest, names: Iterable[str], why: str) -> tuple[str, ...]:
    """A warning for each of the fields that is given; `why` ends it, as "this model is one of codes"."""
    given = {each.name: each.default for each in dataclasses.fields(request)}
    flags = {"continuation": "continue"}
    return tuple(
        f"{flags.get(name, name)} is given and is ignored: {why}"
        for name in names
        if name in given and getattr(request, name) != given[name]
    )


def as_settings(request: AudioRequest, names: Iterable[str]) -> dict[str, Any]:
    """The given fields as plain values for a file's metadata; a sound is told by its file's name, or its seconds."""
    values: dict[str, Any] = {}
    for name in names:
        value = getattr(request, name, None)
        if value is None or value is False or value == "":
            continue
        if name in SOUNDS:
            value = Path(value).name if isinstance(value, (str, Path)) else f"a sound of {value.seconds:.2f} s"
        values[name] = value
    return values
