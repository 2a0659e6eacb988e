"""What a text is before it is cut into sentences: characters, and what was said about them by tags.

Plain text flows as it is; of SSML the text between the tags does, and every character knows where it came from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from text2x.errors import InputError
from text2x.spoken.script import Prosody

MAX_PAUSE = 10.0  # seconds; the most that Amazon Polly and Google Cloud allow for a break
PLACEHOLDER = "\ufffc"  # stands in the flow for a tag without text, such as a break
_PAUSE = re.compile(r"\[\s*pause\b([^\]\n]{0,40})\]", re.IGNORECASE)
_SECONDS = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(ms|s)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Atom:
    """Characters [begin, end) of the flow that are not read by the rules, but as it was told."""

    begin: int
    end: int
    words: str = ""  # what is said, marks attached
    phones: tuple[str, ...] = ()  # how it is said
    seconds: float | None = None  # of silence


@dataclass(frozen=True)
class Manner:
    """Prosody and language from a place of the flow on."""

    begin: int
    prosody: Prosody
    language: str


@dataclass(frozen=True)
class Flow:
    """The characters that are read; `offsets` of each in the given text, one more for the end."""

    text: str
    offsets: Sequence[int]
    atoms: tuple[Atom, ...]
    manners: tuple[Manner, ...]  # in order; the first begins at 0
    cuts: tuple[tuple[int, bool], ...] = ()  # places where a sentence must end; whether a paragraph does

    def manner(self, at: int) -> Manner:
        """The manner at a place of the flow."""
        return self.manners[bisect_right(self.manners, at, key=lambda manner: manner.begin) - 1]


def seconds_of(text: str, where: str) -> float:
    """Seconds of "500ms" or "0.5s", at most `MAX_PAUSE`."""
    match = _SECONDS.fullmatch(text)
    if not match:
        raise InputError(f'{where}: the pause {text.strip()!r} is no time; write it as "500ms" or "0.5s"')
    seconds = float(match[1]) / (1000 if match[2].lower() == "ms" else 1)
    if seconds > MAX_PAUSE:
        raise InputError(f"{where}: the pause of {seconds:g} s is too long; the limit is {MAX_PAUSE:g} s, use several")
    return seconds


def place_in(text: str, at: int) -> str:
    """ "line 3, column 7" of an offset."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def plain_flow(text: str, language: str) -> Flow:
    """Plain text with its inline pauses, as "[pause 0.5s]"; one that is not well formed raises InputError."""
    atoms = [
        Atom(match.start(), match.end(), seconds=seconds_of(match[1], place_in(text, match.start())))
        for match in _PAUSE.finditer(text)
    ]
    return Flow(text, range(len(text) + 1), tuple(atoms), (Manner(0, Prosody(), language),))
