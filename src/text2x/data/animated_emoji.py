"""Animated emoji: Fluent Emoji as WebP from public packages, named by emojibase; those that move, as a set of clips."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import multiprocessing
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from text2x.data import concepts, drawing, packages
from text2x.data.captions import captions_for, plain_name, with_article
from text2x.data.clip_frames import MOST_FRAMES, RATE, Storing, stored_frames
from text2x.data.clipset import Clip, ClipReport, store_clips, write_clip_index
from text2x.data.concepts import Emoji
from text2x.data.emoji import NAMES_PACKAGE
from text2x.data.imageset import check_size, write_folder
from text2x.data.optical_flow import motion, seam
from text2x.data.packages import Package
from text2x.data.tables import load_table
from text2x.errors import InputError
from text2x.media import UNREADABLE
from text2x.video_files import animated_shots

NAME = "animated-emoji"
SIZE = 64
STYLE, LOOKS, LICENCE = "fluent-3d", "glossy 3d emoji", "MIT"
ATTRIBUTION = "Fluent Emoji, (c) Microsoft Corporation, MIT; as animated WebP by LobeHub, MIT"
PACKAGES = tuple(
    Package(f"@lobehub/fluent-emoji-anim-{number}", "1.0.0", sha256)
    for number, sha256 in enumerate(
        (
            "4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea",
            "e431da8172e394036c330faa77648d6fbbae1fd3b0be95637c4497c9075019c0",
            "3624d0c34c819c1794b74ccf6ae9034adff7c4cb6318dd2a645145f0196feb43",
            "3d4c08f1e321f70808ef4996aba0ab575a9d97b6c56ffffc92cf6161a7836aa3",
        ),
        start=1,
    )
)
LEAST_MOTION = 1.0  # hundredths of the side a second; what moves less is a picture
TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}
LIVELINESS = ("moving a little", "moving", "moving a lot")  # by thirds of the set

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Member:
    """A file of a package: the emoji it shows, and in which skin tones."""

    tarball: Path
    path: str
    emoji: Emoji
    tones: tuple[str, ...]

    @property
    def key(self) -> str:
        """The style and the code points, as the file is called."""
        return f"{STYLE}/{Path(self.path).stem}"


def prepare_animated_emoji(
    folder: Path,
    cache: Path,
    packages_folder: Path | None = None,
    size: int = SIZE,
    rate: float = RATE,
    frames: int = MOST_FRAMES,
    skin_tones: bool = False,
    on_progress: OnProgress | None = None,
    workers: int | None = None,
) -> ClipReport:
    """Fetch the pinned packages into `cache` (or take them from `packages_folder`) and write clips to `folder`.

    At most `rate` frames a second and `frames` a clip are kept. With `skin_tones` emoji in other tones than the default
    come too, under the same concept. The same packages give the same bytes.
    """
    check_size(size)
    storing = Storing(size, rate, frames)
    names = packages.fetch(NAMES_PACKAGE, cache, packages_folder)
    tarballs = [packages.fetch(package, cache, packages_folder) for package in PACKAGES]
    found, unnamed = _members(tarballs, concepts.read_emojis(names), skin_tones)
    items: list[Clip] = []
    still: dict[str, float] = {}
    unreadable: list[str] = []

    def fill(aside: Path) -> None:
        drawn = _draw_items(found, storing, workers or min(8, os.cpu_count() or 1), (still, unreadable), on_progress)
        items.extend(_with_liveliness(store_clips(aside, drawn, size)))
        if not items:
            raise InputError(f"none of {len(found)} files moves; check the packages")
        write_clip_index(aside, NAME, items, size)
        _write_json(aside / "licences.json", {STYLE: _licence()})
        _write_json(aside / "left-out.json", {"still": still, "unreadable": unreadable, "unnamed": unnamed})

    write_folder(folder, fill)
    distinct, total = len({item.concept for item in items}), sum(item.frames for item in items)
    moving = len(items) / max(1, len(items) + len(still))
    return ClipReport(folder, len(items), distinct, total, moving, len(still), tuple(unreadable))


def _members(tarballs: Sequence[Path], emojis: Sequence[Emoji], skin_tones: bool) -> tuple[list[Member], list[str]]:
    """The files to read, in the packages' order, and the names of those that emojibase does not know."""
    by_code = {emoji.code: emoji for emoji in emojis}
    found: list[Member] = []
    unnamed: list[str] = []
    for tarball in tarballs:
        for path in packages.members(tarball):
            if not path.endswith(".webp"):
                continue
            parts = concepts.without_selectors(Path(path).stem).split("-")
            tones = tuple(TONES[part] for part in parts if part in TONES)
            emoji = by_code.get("-".join(part for part in parts if part not in TONES))
            if emoji is None:
                unnamed.append(path)
            elif skin_tones or not tones:
                found.append(Member(tarball, path, emoji, tones))
    return found, unnamed


def _draw_items(
    members: Sequence[Member],
    storing: Storing,
    workers: int,
    left_out: tuple[dict[str, float], list[str]],
    on_progress: OnProgress | None,
) -> Iterator[tuple[Clip, NDArray[np.uint8]] | None]:
    """Clips with their frames; None for one that stands still or cannot be read, which is noted in `left_out`."""
    still, unreadable = left_out
    for number, (member, drawn) in enumerate(_draw_all(members, storing, workers), 1):
        if isinstance(drawn, str):
            unreadable.append(f"{member.key}: {drawn}")
            yield None
        elif isinstance(drawn, float | int):
            still[member.key] = round(drawn, 3)
            yield None
        else:
            yield _clip(member, *drawn), drawn[0]
        if on_progress is not None:
            on_progress(number, len(members))


Clipped = tuple[NDArray[np.uint8], float, float]  # frames, rate, motion
Drawn = Clipped | float | str  # or the motion alone where nearly nothing moves, or why the file is not readable


def _draw_all(members: Sequence[Member], storing: Storing, workers: int) -> Iterator[tuple[Member, Drawn]]:
    """What is drawn of each file, in their order, by several processes."""
    files = _contents(members)
    if workers < 2:
        for member, data in files:
            yield member, _draw((data, storing))
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        while some := list(itertools.islice(files, 8 * workers)):
            drawn = pool.map(_draw, [(data, storing) for _, data in some], chunksize=1)
            yield from zip((member for member, _ in some), drawn, strict=True)


def _contents(members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
    """Each file's bytes; a package is read once from its beginning to its end."""
    for tarball, group in itertools.groupby(members, key=lambda member: member.tarball):
        wanted = {f"package/{member.path}": member for member in group}
        with tarfile.open(tarball, "r|gz") as archive:
            for each in archive:
                member = wanted.get(each.name)
                file = archive.extractfile(each) if member else None
                if member is not None and file is not None:
                    yield member, file.read()


def _draw(work: tuple[bytes, Storing]) -> Drawn:
    """What becomes of the bytes of one WebP."""
    data, storing = work
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
            if getattr(picture, "n_frames", 1) < 2:
                return 0.0
            frames, rate, _ = stored_frames(animated_shots(picture, "the file"), storing)
    except PIL.UnidentifiedImageError:
        return "no WebP"
    except (InputError, *UNREADABLE) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    moved = motion(frames, rate)
    return (frames, rate, moved) if moved >= LEAST_MOTION else moved


def _clip(member: Member, frames: NDArray[np.uint8], rate: float, moved: float) -> Clip:
    emoji = member.emoji
    phrase = load_table("groups.json")["phrases"].get(emoji.subgroup, "")
    colours = drawing.main_colours(frames[len(frames) // 2])
    words = captions_for(emoji.label, emoji.other_names, emoji.keywords, emoji.group, phrase, colours, LOOKS)
    if member.tones:
        words = tuple(f"{each}, {_toned(member.tones)}" for each in words)
    return Clip(
        key=member.key,
        concept=emoji.concept,
        style=STYLE,
        captions=words,
        group=emoji.group,
        start=0,
        frames=len(frames),
        rate=round(rate, 4),
        motion=round(moved, 3),
        seam=round(seam(frames), 3),
        licence=LICENCE,
        flips=emoji.flips,
    )


def _toned(tones: Sequence[str]) -> str:
    distinct = tuple(dict.fromkeys(tones))
    return f"{distinct[0]} skin tone" if len(distinct) == 1 else f"{distinct[0]} and {distinct[1]} skin tones"


def _with_liveliness(items: Sequence[Clip]) -> list[Clip]:
    """The same clips with one more caption each, which says how much they move among them all."""
    edges = np.quantile([item.motion for item in items], (1 / 3, 2 / 3)) if items else ()
    told = []
    for item in items:
        named = with_article(plain_name(item.captions[0]), item.group)
        words = f"{named}, {LIVELINESS[int(np.searchsorted(edges, item.motion))]}"
        told.append(dataclasses.replace(item, captions=tuple(dict.fromkeys([*item.captions, words]))))
    return told


def _licence() -> Mapping[str, Any]:
    pinned = [{"package": each.name, "version": each.version, "sha256": each.sha256} for each in PACKAGES]
    return {"packages": pinned, "licence": LICENCE, "author": "Microsoft Corporation", "attribution": ATTRIBUTION}


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
