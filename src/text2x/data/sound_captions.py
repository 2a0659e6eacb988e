"""Captions of sounds by their file names: a table of patterns a source, each with a label and several phrasings."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from text2x.data.captions import article
from text2x.data.tables import load_table

TABLE = "sounds.json"
NUMBERED = re.compile(r"[-_.]?\d+$")
VARIANTS = re.compile(r"[-_](?:miss|hard|soft|big|small|puny|open|close|opened|closed|left|male|female|white)\b")


@dataclass(frozen=True)
class Told:
    """What a sound is: a label for classifiers, and captions, the plainest first."""

    label: str
    captions: tuple[str, ...]


@functools.cache
def _rules(source: str) -> tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...]:
    rows = load_table(TABLE)[source]
    return tuple(
        (re.compile(pattern), label, tuple(each.strip() for each in told.split("|"))) for pattern, label, told in rows
    )


def told_of(source: str, name: str) -> Told | None:
    """What the table of a source says of a name without suffix, as "Animal/Dog1"; None if nothing."""
    base = NUMBERED.sub("", name)
    for pattern, label, phrases in _rules(source):
        match = pattern.fullmatch(name) or pattern.fullmatch(base)
        if match:
            groups = [words(group) for group in match.groups() if group]
            made = [_filled(phrase, groups) for phrase in phrases]
            return Told(label, tuple(dict.fromkeys([*(each for each in made if each), label])))
    return None


def group_of(source: str, name: str) -> str:
    """What near twins share: the name without its number and without words such as hard, soft or miss."""
    base = VARIANTS.sub("", NUMBERED.sub("", name))
    return f"{source}/{NUMBERED.sub('', base).lower()}"


def family_of(label: str) -> str:
    """The family of a label, such as drums of "snare drum"; a label of no family is its own."""
    return next((family for family, labels in load_table(TABLE)["families"].items() if label in labels), label)


def words(name: str) -> str:
    """ "sea lion" of "SeaLion" or "sea_lion"."""
    table = load_table(TABLE)["words"]
    if name in table:
        return table[name]
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    kept = [table.get(part, part) for part in re.split(r"[\s_/.\-]+", parts.lower()) if part]
    return re.sub(r"\d+$", "", " ".join(each for each in kept if each)).strip()


def _filled(phrase: str, groups: Sequence[str]) -> str:
    """{1} and {2} are groups of the pattern, {a} the first with its article."""
    first = groups[0] if groups else ""
    plural = first.endswith("s") and not first.endswith("ss")
    named = {"a": first if plural or not first else f"{article(first)} {first}"}
    named |= {str(place): group for place, group in enumerate(groups, 1)}
    filled = re.sub(r"\{(\w)\}", lambda match: named.get(match[1], ""), phrase)
    return " ".join(filled.split()).strip(" ,:")
