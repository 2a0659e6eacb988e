"""What a user writes after --guidance: "cfg:4,rescale=0.7+classifier:2" to terms and back. Loads no torch.

Scale w is null + w (cond - null): 1 is off for the forms that compare two estimates, 0 for those that add a gradient.
Times are t in [0, 1]: 0 data, 1 noise; the ends of an interval belong to it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from text2x.errors import InputError

FormName = Literal["cfg", "apg", "classifier", "clip", "auto"]


@dataclass(frozen=True)
class Form:
    """One form of guidance: what it does, the scales it takes and the options beside the scale."""

    summary: str
    scale: float  # if none is written
    off: float  # the scale at which it changes nothing
    lowest: float
    largest: float
    options: tuple[str, ...]
    example: str


# Scales if none is written: GLIDE's for its text and CLIP (Nichol et al. 2021); 1 for a classifier at 64 pixels
# (Dhariwal and Nichol 2021); autoguidance's best are 1.7 at 64 and 2.1 at 512 pixels (Karras et al. 2024). APG is for
# scales above those of cfg (Sadat et al. 2024); 5 is this project's choice.
FORMS: Mapping[str, Form] = {
    "cfg": Form(
        "classifier-free: away from what is seen without the words",
        3.0, 1.0, -20.0, 50.0, ("interval", "rescale", "threshold"), "cfg:4,interval=0.1-0.8",
    ),
    "apg": Form(
        "adaptive projected: cfg that keeps colours from saturating",
        5.0, 1.0, -20.0, 50.0, ("interval", "threshold", "eta", "norm", "momentum"), "apg:8,eta=0.2",
    ),
    "classifier": Form(
        "towards the class that a classifier of noisy pictures is asked for",
        1.0, 0.0, 0.0, 100.0, ("interval", "threshold"), "classifier:2",
    ),
    "clip": Form(
        "towards pictures that a CLIP of noisy pictures finds close to the words",
        3.0, 0.0, 0.0, 100.0, ("interval", "threshold"), "clip:3,interval=0-0.7",
    ),
    "auto": Form(
        "autoguidance: away from what a weaker network sees",
        2.0, 1.0, -20.0, 50.0, ("interval", "threshold"), "auto:2",
    ),
}  # fmt: skip
# Of Sadat et al. 2024, Table 10 for SDXL: momentum -0.5, and r = 15 over the 4 x 128 x 128 elements of its latents.
APG_MOMENTUM = -0.5
APG_NORM = 0.0586  # 15 / sqrt(65536), as a root mean square: it fits any size
RANGES: Mapping[str, tuple[float, float]] = {
    "rescale": (0.0, 1.0),
    "threshold": (0.9, 1.0),
    "eta": (-10.0, 10.0),
    "norm": (0.001, 2.0),  # estimates in [-1, 1] are never further apart than 2
    "momentum": (-0.95, 0.95),
}
EXAMPLES: Mapping[str, str] = {
    "interval": "0.1-0.8",
    "rescale": "0.7",
    "threshold": "0.995",
    "eta": "0.2",
    "norm": "0.06",
    "momentum": "-0.5",
}
WITHOUT = ("norm", "threshold")  # the options that may be "none"
WHOLE = (0.0, 1.0)
LONGEST = 10_000  # characters: that of a prompt
HUGE = 1e308  # integers beyond it are no floats


@dataclass(frozen=True)
class GuidanceTerm:
    """One form of guidance with its scale; raises InputError for a value out of range or an option not of the form.

    `threshold` is the share of elements within the bound of dynamic thresholding, 0.995 for Imagen's 99.5th percentile.
    `norm` bounds the root mean square of apg's difference over the elements of an item: the paper's r is
    norm sqrt(elements). None: no bound.
    """

    form: FormName
    scale: float
    interval: tuple[float, float] = WHOLE
    rescale: float = 0.0
    threshold: float | None = None
    eta: float = 0.0
    norm: float | None = APG_NORM
    momentum: float = APG_MOMENTUM

    def __post_init__(self) -> None:
        form = FORMS.get(self.form)
        if form is None:
            raise _no_form(self.form)
        if not _between(self.scale, form.lowest, form.largest):
            raise InputError(
                f"guidance {self.form}: the scale is {_shown(self.scale)}, but it must lie between "
                f"{_shown(form.lowest)} and {_shown(form.largest)}, as in {form.example}"
            )
        for name, default in OPTIONS.items():
            value: Any = getattr(self, name)
            if name not in form.options:
                if value != default:
                    raise _no_option(self.form, name)
            elif name == "interval":
                check_interval(value, f"guidance {self.form}: the")
            else:
                _check_option(self.form, name, value)

    @property
    def off(self) -> bool:
        """Whether the scale is the one at which the form changes nothing; a threshold still counts."""
        return self.scale == FORMS[self.form].off

    def __str__(self) -> str:
        written = [f"{self.form}:{_shown(self.scale)}"]
        for name in FORMS[self.form].options:
            value: Any = getattr(self, name)
            if value == OPTIONS[name]:
                continue
            numbers = value if name == "interval" else (value,)
            written.append(f"{name}={'-'.join('none' if each is None else _shown(each) for each in numbers)}")
        return ",".join(written)


# The options of all forms, in the order of GuidanceTerm, with their values if they are not written.
OPTIONS: Mapping[str, object] = {
    each.name: each.default for each in fields(GuidanceTerm) if each.default is not MISSING
}


def parse_guidance(text: str | float | int) -> tuple[GuidanceTerm, ...]:
    """The terms of "cfg:4,interval=0.1-0.8+classifier:2"; "none" gives (), a bare number is cfg's scale.

    A term is a form, then `:scale`, then `,option=value` as often as wanted. Each form comes at most once, and only one
    of cfg and apg; raises InputError that names the piece it cannot read.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise InputError(f"guidance is {text!r:.40}, but it must be a number or words such as cfg:4,interval=0.1-0.8")
    written = text.strip() if isinstance(text, str) else _shown(max(min(text, HUGE), -HUGE))
    if len(written) > LONGEST:
        raise InputError(f"guidance has {len(written)} characters, but at most {LONGEST}, as in cfg:4+classifier:2")
    if written.lower() == "none":
        return ()
    return checked(_parse_term(piece) for piece in written.split("+"))


def checked(terms: Iterable[GuidanceTerm]) -> tuple[GuidanceTerm, ...]:
    """The terms as they are; raises InputError if they cannot stand together."""
    terms = tuple(terms)
    names = [term.form for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"guidance has {name} {names.count(name)} times, but each form may come once")
    if {"cfg", "apg"} <= set(names):
        raise InputError("guidance has both cfg and apg, which are two ways of the same; keep one of them")
    if sum(term.threshold is not None for term in terms) > 1:
        raise InputError("guidance has threshold twice, but there is one for all forms; keep one of them")
    return terms


def check_interval(interval: tuple[float, float], what: str = "the guidance") -> None:
    """Raise InputError unless both ends are times and in order; `what` begins the message."""
    low, high = interval
    if not 0 <= low <= high <= 1:
        raise InputError(
            f"{what} interval is {_shown(low)} to {_shown(high)}, but it must satisfy 0 <= low <= high <= 1, "
            f"as in {EXAMPLES['interval']}"
        )


def format_guidance(terms: Iterable[GuidanceTerm]) -> str:
    """The one way to write these terms; `parse_guidance` of it gives them back."""
    return "+".join(str(term) for term in terms) or "none"


def _parse_term(piece: str) -> GuidanceTerm:
    head, *options = (part.strip() for part in piece.split(","))
    name, colon, scale = (part.strip() for part in head.partition(":"))
    name = name.lower()
    if not colon and _number(name) is not None:
        name, colon, scale = "cfg", ":", name
    if not head or name == "none":
        raise InputError(
            f"guidance has {'none beside others' if name == 'none' else 'an empty piece'}; "
            "write none alone, or forms joined by +, as in cfg:4+classifier:2"
        )
    form = FORMS.get(name)
    if form is None:
        raise _no_form(name)
    value = _number(scale) if colon else form.scale
    if value is None:
        raise InputError(f"guidance {name}: the scale {scale!r:.40} is no number, write it as in {form.example}")
    return GuidanceTerm(name, value, **dict(_parse_options(name, form, options)))  # type: ignore[arg-type]


def _parse_options(name: str, form: Form, options: list[str]) -> Iterator[tuple[str, object]]:
    seen = set[str]()
    for option in options:
        key, equals, written = (part.strip() for part in option.partition("="))
        key = key.lower()
        if key not in form.options:
            raise _no_option(name, key)
        if key in seen:
            raise InputError(f"guidance {name} has {key} twice; keep one of them")
        seen.add(key)
        if key == "interval":
            ends = re.fullmatch(r"([0-9.]+)\s*-\s*([0-9.]+)", written)
            value = tuple(_number(end) for end in ends.groups()) if ends else None
            wanted, wrong = "two times", value is None or None in value
        elif key in WITHOUT and written.lower() == "none":
            value, wanted, wrong = None, "", False
        else:
            value = _number(written)
            wanted, wrong = "a number", value is None
        if wrong:
            shown = f"{key}={written}" if equals else key
            raise InputError(f"guidance {name}: {shown!r:.40} must give {wanted}, as in {key}={EXAMPLES[key]}")
        yield key, value


def _check_option(form: str, name: str, value: float | None) -> None:
    if value is None and name in WITHOUT:
        return
    low, high = RANGES[name]
    if value is None or not _between(value, low, high):
        remark = "; it is a root mean square over elements" if name == "norm" else ""
        raise InputError(
            f"guidance {form}: {name} is {'none' if value is None else _shown(value)}, but it must lie between "
            f"{_shown(low)} and {_shown(high)}, as in {name}={EXAMPLES[name]}{remark}"
        )


def _between(value: float, low: float, high: float) -> bool:
    return math.isfinite(value) and low <= value <= high


def _number(text: str) -> float | None:
    try:
        return float(text) if re.fullmatch(r"[-+0-9.eE]+", text) else None
    except ValueError:
        return None


def _shown(value: float) -> str:
    """Digits that read back as the same number, without an exponent: 4, 0.1, -0.5."""
    if not math.isfinite(value):
        return str(value)
    shown = format(Decimal(repr(float(value) or 0.0)), "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _no_form(name: str) -> InputError:
    known = (*FORMS, "none")
    return InputError(f"guidance {name!r:.40} is not known{_meant(name, known)}; it is {_either(known)}, as in cfg:4")


def _no_option(form: str, name: str) -> InputError:
    known, example = FORMS[form].options, FORMS[form].example
    return InputError(
        f"guidance {form} has no option {name!r:.40}{_meant(name, known)}; it takes {', '.join(known)}, as in {example}"
    )


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
