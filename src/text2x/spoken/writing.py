"""Writing systems: which script a character is of, native digits, and the characters that a reader never sees.

A cleaned sentence is NFC with composed nukta letters taken apart, ASCII digits and plain quotes; every character of it
knows which character of the given text it came from.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from text2x.spoken.languages import LANGUAGES, language_of_script

_BLOCKS = {language.block: language.script for language in LANGUAGES.values() if language.block}
_QUOTES = {
    "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2032": "'", "\uff07": "'", "\u201c": '"', "\u201d": '"',
    "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"', "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "\u2007": " ", "\u3000": " ", "\u2044": "/", "\u066a": "%", "\uff05": "%", "\uff0c": ",", "\uff0e": ".",
}  # fmt: skip
_JOINERS = "\u200c\u200d"
# Soft hyphen, zero-width space, marks and overrides of direction, word joiner, byte-order mark, variation selectors
_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe00-\ufe0f]")
_CHILLU = {"ണ്\u200d": "ൺ", "ന്\u200d": "ൻ", "ര്\u200d": "ർ", "ല്\u200d": "ൽ", "ള്\u200d": "ൾ", "ക്\u200d": "ൿ"}


@functools.lru_cache(4096)
def script_of(character: str) -> str:
    """The first word of a letter's Unicode name, as "LATIN" or "CJK"; "" of what is no letter or mark of one."""
    code = ord(character)
    if code < 0x250:
        return "LATIN" if character.isalpha() else ""
    block = _BLOCKS.get(code & ~0x7F)
    if block is None and unicodedata.category(character)[0] not in "LM":
        return ""
    if block:
        return block if character not in "।॥" and not character.isdecimal() else ""
    name = unicodedata.name(character, "")
    return "" if name.startswith(("COMBINING", "VARIATION", "MODIFIER")) else name.split(" ")[0].split("-")[0]


def brahmic_pattern() -> str:
    """A class of the letters and signs of the Brahmic scripts that can be read, joiners too, digits and dandas not."""
    ranges = (f"{chr(b)}-{chr(b + 0x63)}{chr(b + 0x70)}-{chr(b + 0x7F)}" for b in sorted(_BLOCKS))
    return f"[{''.join(ranges)}{_JOINERS}]"


def language_at(text: str, preferred: str) -> str:
    """The language that the first letter's script is read in; the preferred one if it is written so."""
    script = next(filter(None, map(script_of, text)), LANGUAGES[preferred].script)
    language = language_of_script(script, LANGUAGES[preferred])
    return language.code if language else preferred


def scripts_of(letters: Iterable[str]) -> dict[str, int]:
    """How many letters of each script there are, in order of appearance."""
    counts: dict[str, int] = {}
    for character in letters:
        script = script_of(character)
        if script:
            counts[script] = counts.get(script, 0) + 1
    return counts


@dataclass(frozen=True)
class Clean:
    """A cleaned sentence; `offsets` of its characters in the given text, one more for its end."""

    text: str
    offsets: Sequence[int]


def clean(text: str, offsets: Sequence[int]) -> Clean:
    """Normalise a part of a text; `offsets` has the place of each of its characters and of its end."""
    if text.isascii():
        return Clean(text, offsets)
    kept: list[str] = []
    places: list[int] = []
    at = 0
    while at < len(text):
        end = at + 1
        while end < len(text) and (unicodedata.combining(text[end]) or text[end] == "\u200d"):
            end += 1
        for character in _plain(text[at:end]):
            kept.append(character)
            places.append(offsets[at])
        at = end
    return Clean("".join(kept), [*places, offsets[len(text)]])


def _plain(cluster: str) -> str:
    """A character with the marks on it."""
    cluster = unicodedata.normalize("NFC", _UNSEEN.sub("", cluster))
    cluster = _CHILLU.get(cluster, cluster).replace("\u200d", "").replace("\u200c", "")
    cluster = "".join(_QUOTES.get(character, character) for character in cluster)
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in cluster)
