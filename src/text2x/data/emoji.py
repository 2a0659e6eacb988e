"""The emoji set: seven drawing styles from public icon packages, named by emojibase, drawn, captioned and split."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data import concepts, drawing, packages
from text2x.data.captions import captions_for
from text2x.data.concepts import Emoji
from text2x.data.imageset import Item, Report, check_size, report, store_images, write_folder, write_index
from text2x.data.matching import Icon, match
from text2x.data.packages import Package
from text2x.data.tables import load_table
from text2x.errors import InputError

NAME = "emoji"
SIZE = 128

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """One style: its package, how it looks in words, and what its licence asks for."""

    style: str
    package: Package
    looks: str
    licence: str
    author: str
    attribution: str
    share_alike: bool = False


def _icons(name: str, version: str, sha256: str) -> Package:
    return Package(f"@iconify-json/{name}", version, sha256)


GOOGLE = ("Apache-2.0", "Google LLC", "Noto Emoji, Google LLC, Apache-2.0")
MICROSOFT = ("MIT", "Microsoft Corporation", "Fluent UI Emoji, (c) Microsoft Corporation, MIT")
SOURCES: tuple[Source, ...] = (
    Source(
        "noto",
        _icons("noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad"),
        "soft shaded emoji",
        *GOOGLE,
    ),
    Source(
        "noto-v1",
        _icons("noto-v1", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"),
        "early android emoji",
        *GOOGLE,
    ),
    Source(
        "twemoji",
        _icons("twemoji", "1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7"),
        "flat emoji",
        "CC-BY-4.0",
        "Twitter, Inc. and other contributors",
        "Twemoji, Twitter, Inc. and other contributors, CC BY 4.0",
    ),
    Source(
        "fluent",
        _icons("fluent-emoji", "1.2.7", "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b"),
        "glossy emoji",
        *MICROSOFT,
    ),
    Source(
        "fluent-flat",
        _icons("fluent-emoji-flat", "1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"),
        "flat icon",
        *MICROSOFT,
    ),
    Source(
        "openmoji",
        _icons("openmoji", "1.2.29", "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5"),
        "icon with black outline",
        "CC-BY-SA-4.0",
        "OpenMoji contributors, HfG Schwäbisch Gmünd",
        "OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0",
        share_alike=True,
    ),
    Source(
        "emojione",
        _icons("emojione", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"),
        "flat shaded emoji",
        "CC-BY-4.0",
        "EmojiOne 2, Ranks.com Inc., and EmojiTwo contributors",
        "EmojiOne 2.3 as kept by EmojiTwo, CC BY 4.0",
    ),
)
NAMES_PACKAGE = Package("emojibase-data", "17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a")
STYLES: tuple[str, ...] = tuple(source.style for source in SOURCES)


def prepare_emoji(
    folder: Path,
    cache: Path,
    packages_folder: Path | None = None,
    size: int = SIZE,
    styles: Sequence[str] = STYLES,
    flags: bool = True,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Fetch the pinned packages into `cache` (or take them from `packages_folder`), draw, caption and write `folder`.

    The folder gets the image set and, beside it, `licences.json`, `names.json` (language -> concept -> name, keywords)
    and `unmatched.json`. The same packages give the same bytes.
    """
    _check(size, styles)
    sources = [source for source in SOURCES if source.style in styles]
    names = packages.fetch(NAMES_PACKAGE, cache, packages_folder)
    tarballs = {source.style: packages.fetch(source.package, cache, packages_folder) for source in sources}
    emojis = [emoji for emoji in concepts.read_emojis(names) if flags or emoji.group != "flags"]
    pairs, unmatched = _pair(emojis, sources, tarballs)
    items: list[Item] = []
    unreadable: list[str] = []

    def fill(aside: Path) -> None:
        drawn = _draw_items(pairs, size, workers, unreadable, on_progress)
        items.extend(store_images(aside, drawn, len(pairs), size))
        write_index(aside, NAME, items, size)
        _write_json(aside / "licences.json", {source.style: _licence(source) for source in sources})
        _write_json(aside / "names.json", concepts.translations(names, emojis))
        _write_json(aside / "unmatched.json", unmatched)

    write_folder(folder, fill)
    return report(folder, items, unreadable=tuple(unreadable), unmatched=unmatched)


def _draw_items(
    pairs: Sequence[tuple[Source, Emoji, Icon]],
    size: int,
    workers: int | None,
    unreadable: list[str],
    on_progress: OnProgress | None,
) -> Iterator[tuple[Item, NDArray[np.uint8]] | None]:
    """Items with their pictures; None for one that shows nothing, which is added to `unreadable`."""
    images = _draw_all([icon for _, _, icon in pairs], size, workers)
    for index, ((source, emoji, icon), image) in enumerate(zip(pairs, images, strict=True)):
        if image is None or not image[3].any():
            unreadable.append(f"{source.style}/{icon.name}")
            yield None
        else:
            yield _item(source, emoji, icon, image), image
        if on_progress is not None:
            on_progress(index + 1, len(pairs))


def _check(size: int, styles: Sequence[str]) -> None:
    check_size(size)
    unknown = [style for style in styles if style not in STYLES]
    if unknown or not styles:
        raise InputError(f"unknown style {', '.join(unknown) or '(none)'}; styles are {', '.join(STYLES)}")


def _chars(tarball: Path) -> dict[str, str]:
    """code -> icon name, where the package says so."""
    if "chars.json" not in packages.members(tarball):
        return {}
    return {concepts.without_selectors(code): name for code, name in packages.read_json(tarball, "chars.json").items()}


def _pair(
    emojis: Sequence[Emoji], sources: Sequence[Source], tarballs: Mapping[str, Path]
) -> tuple[list[tuple[Source, Emoji, Icon]], dict[str, tuple[str, ...]]]:
    chars = {style: _chars(path) for style, path in tarballs.items()}
    pairs: list[tuple[Source, Emoji, Icon]] = []
    unmatched: dict[str, tuple[str, ...]] = {}
    for source in sources:
        others = [table for style, table in chars.items() if style != source.style]
        icon_set = packages.read_json(tarballs[source.style], "icons.json")
        found, unmatched[source.style] = match(emojis, icon_set, chars[source.style], others)
        pairs += [(source, emoji, icon) for emoji, icon in found]
    return pairs, unmatched


def _draw_all(icons: Sequence[Icon], size: int, workers: int | None) -> Iterator[NDArray[np.uint8] | None]:
    """Pictures in the order of `icons`, drawn by several processes; None for one that cannot be drawn."""
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    work = [(icon, size) for icon in icons]
    if workers < 2:
        yield from map(_draw, work)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_draw, work, chunksize=16)


def _draw(work: tuple[Icon, int]) -> NDArray[np.uint8] | None:
    icon, size = work
    try:
        return drawing.draw_svg(icon.body, icon.view, size, icon.flip)
    except ValueError:
        return None


def _item(source: Source, emoji: Emoji, icon: Icon, image: NDArray[np.uint8]) -> Item:
    colours = drawing.main_colours(image)
    phrase = load_table("groups.json")["phrases"].get(emoji.subgroup, "")
    words = captions_for(emoji.label, emoji.other_names, emoji.keywords, emoji.group, phrase, colours, source.looks)
    key = f"{source.style}/{icon.name}{'-mirrored' if icon.flip else ''}"
    return Item(key, emoji.concept, source.style, words, emoji.group, colours, source.licence, emoji.flips)


def _licence(source: Source) -> dict[str, Any]:
    return {
        "package": source.package.name,
        "version": source.package.version,
        "sha256": source.package.sha256,
        "licence": source.licence,
        "author": source.author,
        "attribution": source.attribution,
        "share_alike": source.share_alike,
    }


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
