"""English captions of a named picture: plain name first, then richer wordings in a fixed order."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from text2x.data.tables import load_table

KEYWORDS = 4  # keywords in one caption
MARKS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


@functools.cache
def _words() -> dict[str, Any]:
    table: dict[str, Any] = load_table("words.json")
    return {name: frozenset(values) for name, values in table.items()}


def plain_name(label: str) -> str:
    """A CLDR label as a person would type it: "flag: Chad" is "flag of Chad", "man: beard" is "man with beard"."""
    name = label.translate(MARKS)
    name = re.sub(r"^(.*?) \((.*)\)$", r"\1, \2", name) if not name.startswith("flag:") else name
    head, colon, rest = name.partition(": ")
    if not colon:
        return name
    if head == "flag":
        rest = re.sub(r" \(.*?\)", "", rest)
        return f"flag of the {rest}" if rest in _words()["flags_with_the"] else f"flag of {rest}"
    if head == "keycap":
        return f"keycap {rest}"
    if rest == "bald":
        return f"bald {head}"
    if rest == "facing right":
        return f"{head} {rest}"
    people = " and ".join(filter(None, [", ".join(rest.split(", ")[:-1]), rest.split(", ")[-1]]))
    if head == "couple with heart":
        return f"{head}, {people}"
    return f"{head} of {people}" if head in ("family", "kiss") else f"{head} with {people}"


def with_article(name: str, group: str = "") -> str:
    """Put "a" or "an" before a countable singular name; plural, mass and proper names stay as they are."""
    words = _words()
    if group == "flags":
        return f"the {name}" if name.startswith("flag of ") else f"a {name}"
    if name in words["without_article"] or name in words["mass"] or name[:1].isdigit() and "place" not in name:
        return name
    head = _head(name)
    if name.endswith(("o'clock", "-thirty")) or head in words["mass"] or _is_plural(head) or _is_proper(name):
        return name
    if group == "symbols" and head not in words["symbols_with_article"]:
        return name
    return f"{article(name)} {name}"


def article(name: str) -> str:
    """ "a" or "an" by the sound that the name begins with."""
    words = _words()
    first = re.split(r"[\s\-!,.]", name)[0]
    low = first.lower()
    if low in words["an"] or low in words["a"]:
        return "an" if low in words["an"] else "a"
    if first.isupper() and len(first) <= 2:  # spelled out: an A, an O, a B
        return "an" if first[0] in "AEFHILMNORSX" else "a"
    return "an" if low[:1] in tuple("aeiou8") else "a"


def _head(name: str) -> str:
    """The noun that decides the number: the last word before the first preposition or comma."""
    before = name.split(",")[0].split()
    for index, word in enumerate(before):
        if index and word in _words()["prepositions"]:
            before = before[:index]
            break
    return before[-1] if before else ""


def _is_plural(word: str) -> bool:
    words = _words()
    if word in words["plural"]:
        return True
    return word.endswith("s") and not word.endswith(("ss", "'s")) and word not in words["singular_s"]


def _is_proper(name: str) -> bool:
    adjectives = ("Japanese", "Christmas", "OK", "ATM", "UFO", "T-Rex", "French", "Tokyo", "NEW")
    first = name.split()[0]
    signs = name.endswith((" button", " arrow")) or first.isupper()
    return first[:1].isupper() and first not in adjectives and not signs


def captions_for(
    label: str,
    other_names: Sequence[str],
    keywords: Sequence[str],
    group: str,
    phrase: str,
    colours: Sequence[str],
    style: str,
) -> tuple[str, ...]:
    """Distinct captions: name, name with article, other names, then with keywords, kind, colours, style and all.

    `phrase` says in words what kind of thing it is, `style` how it is drawn; either may be empty.
    """
    name = plain_name(label)
    named = with_article(name, group)
    extra = [word for word in keywords if word not in name.lower().split() and word not in other_names]
    first, second = extra[::2][:KEYWORDS], extra[1::2][:KEYWORDS]
    hues = join_words(colours)
    wordings = [name, named, *other_names]
    wordings += [", ".join([start, *part]) for start, part in ((name, first), (named, second)) if part]
    wordings += [f"{named}, {part}" for part in (phrase, hues, style) if part]
    wordings += [", ".join(filter(None, [name, phrase, hues, style]))]
    wordings += [", ".join(filter(None, [start, hues, style])) for start in other_names[:1]]
    return tuple(dict.fromkeys(wordings))


def join_words(words: Sequence[str]) -> str:
    """ "red", "red and green", "red, green and brown"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
