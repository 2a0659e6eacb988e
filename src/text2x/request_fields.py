"""The fields of what can be asked: their help, flags and ranges, and the one-line errors for values out of them.

None means "as the model likes it". Loads no torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import field
from typing import Any

from text2x.errors import InputError
from text2x.text import clean_prompt

LINE_SPACES = "\t\n\v\f\r\x85"  # control characters that are white space in a text
MAX_NAME = 100  # characters of a sampler's or a style's name
MOST_NAMES = 20  # that an error lists


def request_field(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    flags: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A field of a request; `flags` as the command line writes them, a bare word in capitals for an argument."""
    return field(default=default, metadata={"help": help, "flags": flags, "minimum": minimum, "maximum": maximum})


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
    rest = ", ..." if len(names) > MOST_NAMES else ""
    return InputError(f"{message}{'' if near else ';'} known: {', '.join(names[:MOST_NAMES])}{rest}")


def shortened(text: str, length: int = 60) -> str:
    """The text on one line, cut to `length` characters: fit for an error message."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 3] + "..."


def check_prompt(request: object, name: str, allow_empty: bool) -> None:
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


def check_number(request: object, name: str, whole: bool) -> None:
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


def check_interval(request: object, name: str) -> None:
    """Raise unless the field is None or two times with 0 <= low < high <= 1."""
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


def check_name(request: object, name: str) -> None:
    """Raise unless the field is None or a short printable name."""
    value = getattr(request, name)
    if value is None:
        return
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise InputError(f"{name} is {shortened(repr(value))}; it must be a name of 1 to {MAX_NAME} letters")


def check_choice(request: object, name: str, known: Iterable[str]) -> None:
    """Raise unless the field is None (where the field allows it) or one of the known names."""
    value = getattr(request, name)
    default = {each.name: each for each in dataclasses.fields(request)}[name].default  # type: ignore[arg-type]
    if value is None and default is None:
        return
    if value not in tuple(known):
        raise unknown(name, value, known)
