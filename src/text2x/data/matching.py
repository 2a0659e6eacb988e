"""Which icon of a style shows which emoji: by code point where the package says so, else by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from text2x.data.concepts import SKIN_TONE, Emoji, slug
from text2x.data.tables import load_table

View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Icon:
    """A drawing of one style before it is rendered: SVG body, view box (left, top, width, height), mirrored or not."""

    name: str
    body: str
    view: View
    flip: bool


def match(
    emojis: Sequence[Emoji], icon_set: Mapping[str, Any], own: Mapping[str, str], others: Sequence[Mapping[str, str]]
) -> tuple[list[tuple[Emoji, Icon]], tuple[str, ...]]:
    """Pair emoji with the icons of one style, each icon at most once; second: names of icons left without an emoji.

    `own` and `others` are tables code -> icon name: of this style, and of styles whose names are like its names.
    """
    found: dict[str, Icon] = {}
    taken: set[tuple[str, bool]] = set()
    for by_code in (True, False):
        for emoji in emojis:
            if emoji.code in found:
                continue
            names = filter(None, [own.get(emoji.code)]) if by_code else _likely_names(emoji, others)
            icons = filter(None, (resolve(icon_set, name) for name in names))
            icon = next((icon for icon in icons if (icon.name, icon.flip) not in taken), None)
            if icon is not None:
                found[emoji.code] = icon
                taken.add((icon.name, icon.flip))
    pairs = [(emoji, found[emoji.code]) for emoji in emojis if emoji.code in found]
    return pairs, _left_over(icon_set, {icon.name for icon in found.values()})


def _likely_names(emoji: Emoji, others: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Slugs of its name, as of today and as older releases of the sets spelt it."""
    yield slug(emoji.label)
    if emoji.code in (old := load_table("old_names.json")):
        yield old[emoji.code]
    if emoji.group == "flags":
        country = slug(emoji.label.removeprefix("flag: "))
        yield from (f"flag-for-{country}", f"flag-for-flag-{country}")
    for table in others:
        if emoji.code in table:
            yield table[emoji.code]


def resolve(icon_set: Mapping[str, Any], name: str, depth: int = 4) -> Icon | None:
    """The icon of that name, through aliases (which may mirror it); None if there is none or it is withdrawn."""
    flip = False
    for _ in range(depth):
        if name in icon_set["icons"]:
            icon = icon_set["icons"][name]
            if icon.get("hidden"):
                return None
            side = icon_set.get("width", 16), icon_set.get("height", 16)
            view = icon.get("left", 0), icon.get("top", 0), icon.get("width", side[0]), icon.get("height", side[1])
            return Icon(name, icon["body"], view, flip)
        alias = icon_set.get("aliases", {}).get(name)
        if alias is None or alias.get("rotate") or alias.get("vFlip"):
            return None
        name, flip = alias["parent"], flip != bool(alias.get("hFlip"))
    return None


def _left_over(icon_set: Mapping[str, Any], used: Iterable[str]) -> tuple[str, ...]:
    """Icons that nothing was paired with, but withdrawn ones and skin tones of an icon that the set also has."""
    names = set(icon_set["icons"]) | set(icon_set.get("aliases", {}))

    def is_tone(name: str) -> bool:
        return SKIN_TONE.search(name) is not None and (SKIN_TONE.sub("", name) in names or "skin-tone" in name)

    hidden = {name for name, icon in icon_set["icons"].items() if icon.get("hidden")}
    return tuple(sorted(set(icon_set["icons"]) - set(used) - hidden - {name for name in names if is_tone(name)}))
