"""Emoji as emojibase lists them: code points, names, keywords, and the concept that variants of an emoji share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text2x.data import captions, packages
from text2x.data.tables import load_table

SKIN_TONE = re.compile(r"-(?:light|medium|dark)(?:-skin-tone)?(?=$|-)|-skin-tone")

# Emoji whose neutral form has a code point of its own: variant -> neutral (Unicode emoji-test.txt, person groups).
NEUTRAL = {
    "1F468": "1F9D1", "1F469": "1F9D1", "1F466": "1F9D2", "1F467": "1F9D2", "1F474": "1F9D3", "1F475": "1F9D3",
    "1F934": "1FAC5", "1F478": "1FAC5", "1F930": "1FAC4", "1FAC3": "1FAC4", "1F57A": "1F483",
    "1F385": "1F9D1-200D-1F384", "1F936": "1F9D1-200D-1F384", "1F46F": "1F46F",
    "1F46B": "1F9D1-200D-1F91D-200D-1F9D1", "1F46C": "1F9D1-200D-1F91D-200D-1F9D1",
    "1F46D": "1F9D1-200D-1F91D-200D-1F9D1", "1F931": "1F9D1-200D-1F37C", "1F471": "1F471",
}  # fmt: skip
MALE, FEMALE, RIGHTWARDS, JOINER = "2642", "2640", "27A1", "200D"
HEART, KISS, COUPLE, FAMILY = "2764", "1F48B", "1F491", "1F46A"
ADULTS, CHILDREN = {"1F468", "1F469", "1F9D1"}, {"1F466", "1F467", "1F9D2"}


@dataclass(frozen=True)
class Emoji:
    """One emoji without skin tone; `code` is its code points in hex joined by "-", without variation selectors."""

    code: str
    label: str
    concept: str
    keywords: tuple[str, ...]
    other_names: tuple[str, ...]
    group: str
    subgroup: str
    flips: bool


def slug(text: str) -> str:
    """Lower-case words joined by dashes, as icon sets name their icons."""
    for sign, word in (("’", ""), ("'", ""), ("&", "and"), ("#", "hash"), ("*", "asterisk")):
        text = text.replace(sign, word)
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def without_selectors(code: str) -> str:
    """Code points in upper case without FE0F and FE0E, which only choose the presentation."""
    return "-".join(part for part in code.upper().split("-") if part not in ("FE0F", "FE0E"))


def base_code(code: str) -> str:
    """The code of the neutral emoji that a gender, family or direction variant goes with."""
    parts = code.split("-")
    people = [part for part in parts if part != JOINER]
    if HEART in people and people[0] in ADULTS:
        return "1F48F" if KISS in people else COUPLE
    if len(people) > 1 and people[0] in ADULTS | CHILDREN and set(people) <= ADULTS | CHILDREN:
        return FAMILY
    if people[0] in ADULTS and "1F91D" in people:
        return NEUTRAL["1F46B"]
    while len(people) > 1 and people[-1] in (MALE, FEMALE, RIGHTWARDS):
        people.pop()
    if len(people) > 1 and people[0] in ADULTS:
        people[0] = "1F9D1"
    joined = f"-{JOINER}-".join(people) if JOINER in parts else "-".join(people)
    return NEUTRAL.get(joined, joined)


def read_emojis(tarball: Path) -> tuple[Emoji, ...]:
    """All emoji of the emojibase package but regional letters and skin tones, in its order."""
    rows = [row for row in packages.read_json(tarball, "en/data.json") if row.get("group", 2) != 2]
    names = packages.read_json(tarball, "meta/groups.json")
    sources = ("emojibase", "github")
    shortcodes = [packages.read_json(tarball, f"en/shortcodes/{source}.json") for source in sources]
    labels = {without_selectors(row["hexcode"]): row["label"] for row in rows}
    return tuple(_emoji(row, names, labels, shortcodes) for row in rows)


def _emoji(
    row: Mapping[str, Any], names: Mapping[str, Any], labels: Mapping[str, str], shortcodes: Iterable[Mapping[str, Any]]
) -> Emoji:
    code = without_selectors(row["hexcode"])
    label = row["label"]
    group, subgroup = names["groups"][str(row["group"])], names["subgroups"][str(row["subgroup"])]
    base = labels.get(base_code(code), label)
    others = (
        () if group in ("flags", "symbols") or subgroup == "family" else _other_names(label, row["hexcode"], shortcodes)
    )
    keywords = tuple(word.lower().translate(captions.MARKS) for word in row.get("tags", ()))
    return Emoji(code, label, slug(base), keywords, others, group, subgroup, flips(label, group, subgroup))


def _other_names(label: str, hexcode: str, shortcodes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names that chat programs give the emoji, where they are words and differ from its label."""
    found: list[str] = []
    for table in shortcodes:
        given = table.get(hexcode, [])
        for code in [given] if isinstance(given, str) else given:
            name = code.replace("_", " ").replace("-", " ")
            if len(name) >= 3 and re.fullmatch(r"[a-z ]+", name) and _letters(name) != _letters(label):
                found.append(name)
    return tuple(dict.fromkeys(found))[:3]


def _letters(text: str) -> str:
    return slug(text).replace("-", "")


def flips(label: str, group: str, subgroup: str) -> bool:
    """Whether the mirror image means the same: not so for flags, signs, clocks, letters and directions."""
    table = load_table("groups.json")
    if group in table["never_flip_groups"] or subgroup in table["never_flip_subgroups"]:
        return False
    words = set(re.split(r"[\s:,!]+", label))
    return not words & set(table["never_flip_words"])


def translations(tarball: Path, emojis: Iterable[Emoji]) -> dict[str, dict[str, list[Any]]]:
    """language -> concept -> [name, keywords], for each language of the emojibase package."""
    bases: dict[str, str] = {}
    for emoji in emojis:
        if base_code(emoji.code) == emoji.code or emoji.concept not in bases:
            bases[emoji.concept] = emoji.code
    concepts = {code: concept for concept, code in bases.items()}
    found: dict[str, dict[str, list[Any]]] = {}
    for member in sorted(packages.members(tarball)):
        if re.fullmatch(r"[a-z]{2}(-[a-z]+)?/data\.json", member):
            rows = ((without_selectors(row["hexcode"]), row) for row in packages.read_json(tarball, member))
            named = {concepts[code]: [row["label"], row.get("tags", [])] for code, row in rows if code in concepts}
            found[member.split("/")[0]] = named
    return found
