"""English words that no dictionary holds: letters to ARPAbet phones by rules learned from CMUdict, and their stress."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from text2x.spoken.phone_set import VOWELS

NEIGHBOURS = (1, -1, 2, -2, 3, -3, 4)  # of a letter, in the order that a rule looks at them
EDGE = "#"


def context(word: str, i: int) -> str:
    """The letter at i and its neighbours, nearest first; `EDGE` outside the word."""
    around = (i + offset for offset in NEIGHBOURS)
    return word[i] + "".join(word[at] if 0 <= at < len(word) else EDGE for at in around)


@dataclass(frozen=True)
class Rules:
    """Contexts to phones; the longest context that is known decides. Learned by benchmarks/letter_sounds.py."""

    table: Mapping[str, str]

    def phones(self, word: str) -> tuple[str, ...]:
        """Phones of a word of the letters a to z, with one primary stress if it has a vowel."""
        said: list[str] = []
        for i in range(len(word)):
            said += self._letter(context(word, i)).split()
        return stressed(tuple(said))

    def _letter(self, key: str) -> str:
        return next((self.table[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.table), "")


def stressed(phones: tuple[str, ...]) -> tuple[str, ...]:
    """The phones with exactly one primary stress: the first that is marked, else the first full vowel."""
    vowels = [i for i, phone in enumerate(phones) if phone.rstrip("012") in VOWELS]
    if not vowels:
        return phones
    marked = [i for i in vowels if phones[i].endswith("1")]
    full = [i for i in vowels if phones[i].rstrip("012") not in ("AH", "ER", "IH")]
    primary = (marked or full or vowels)[0]
    levels = {i: "1" if i == primary else "2" if phones[i][-1] in "12" else "0" for i in vowels}
    return tuple(phone.rstrip("012") + levels[i] if i in levels else phone for i, phone in enumerate(phones))


@functools.cache
def rules() -> Rules:
    """The rules that come with the package."""
    packed = files("text2x.spoken").joinpath("tables", "letter_sounds.json.gz").read_bytes()
    return Rules(json.loads(gzip.decompress(packed)))
