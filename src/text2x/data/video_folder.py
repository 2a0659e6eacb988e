"""A user's own moving pictures as a set of clips: captions from tables, from text files beside them, or file names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.data import concepts, folder
from text2x.data.clip_frames import MOST_FRAMES, RATE, Storing, stored_frames
from text2x.data.clipset import Clip, ClipReport, store_clips, write_clip_index
from text2x.data.folder import LICENCE, Entry, Fit, Skipped
from text2x.data.imageset import check_size, write_folder
from text2x.data.optical_flow import motion, seam
from text2x.errors import InputError
from text2x.video_files import checked_length, shots

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".gif", ".webp", ".png")
STYLE = "video"  # of what names no style
STILL = "nothing moves"


def prepare_video_folder(
    source: Path,
    target: Path,
    size: int = 64,
    rate: float = RATE,
    frames: int = MOST_FRAMES,
    fit: Fit = "pad",
    on_progress: Callable[[int, int], None] | None = None,
) -> ClipReport:
    """Read every video below `source` and write a set of clips to `target`.

    Captions are found as `prepare_folder` finds them. At most `rate` frames a second are kept, and the first `frames`
    of them; `fit` pads to a square or cuts one out of the middle. What cannot be used is reported and listed in
    `skipped.json`.
    """
    check_size(size)
    storing = Storing(size, rate, frames, fit)
    if not source.is_dir():
        raise InputError(f"{source} is no folder; give the folder that holds the videos")
    skipped, notes, longer = Skipped({}), [], []
    entries = find_clips(source, skipped, notes)
    items: list[Clip] = []

    def fill(aside: Path) -> None:
        drawn = _read_all(source, entries, storing, skipped, longer, on_progress)
        items.extend(store_clips(aside, drawn, size))
        if not items:
            first = next((f" ({name}: {reason})" for name, reason in skipped.reasons.items()), "")
            raise InputError(f"no usable video in {source}{first}; use {', '.join(SUFFIXES)} with captions")
        write_clip_index(aside, target.name, items, size)
        text = json.dumps(skipped.reasons, ensure_ascii=False, indent=1)
        (aside / "skipped.json").write_text(text + "\n", encoding="utf-8")

    write_folder(target, fill)
    if longer:
        start = f"the first {frames} frames are taken of {len(longer)} longer videos ({longer[0]}, ...)"
        notes.append(f"{start}; cut them, or store more with --frames")
    still = sum(reason == STILL for reason in skipped.reasons.values())
    left_out = tuple(f"{name}: {reason}" for name, reason in skipped.reasons.items() if reason != STILL)
    distinct, total = len({item.concept for item in items}), sum(item.frames for item in items)
    moving = len(items) / (len(items) + still)
    return ClipReport(target, len(items), distinct, total, moving, still, left_out, tuple(notes))


def find_clips(source: Path, skipped: Skipped, notes: list[str]) -> list[Entry]:
    """The videos below `source` with their captions, in the order of their names."""
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if _is_video(path, source))
    rows = {entry.file: entry for entry in folder._table_entries(source, skipped)}
    for name in rows.keys() - set(names):
        skipped.add(name, "named in a table of captions, but not there")
    with_text = {name for name in names if (source / name).with_suffix(".txt").is_file()}
    if not rows and not with_text and names:
        notes.append(f"no captions in {source}: the file names are used, with dashes turned to spaces")
        return [Entry(name, (folder._spaced(name),), STYLE) for name in names]
    entries: list[Entry] = []
    for name in names:
        entry = rows.get(name) or (folder._text_entry(source, name, skipped) if name in with_text else None)
        if entry is None:
            skipped.add(name, "no caption")
        else:
            entries.append(entry)
    return entries


def _is_video(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _read_all(
    source: Path,
    entries: Sequence[Entry],
    storing: Storing,
    skipped: Skipped,
    longer: list[str],
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Clip, NDArray[np.uint8]] | None]:
    for number, entry in enumerate(entries, 1):
        path = source / entry.file
        try:
            frames, rate, is_longer = stored_frames(checked_length(path, shots(path)), storing)
        except InputError as error:
            skipped.add(entry.file, str(error))
            yield None
        else:
            moved = motion(frames, rate)
            if moved > 0 and (frames != frames[:1]).any():
                longer.extend([entry.file] if is_longer else [])
                yield _clip(entry, frames, rate, moved), frames
            else:
                skipped.add(entry.file, STILL)
                yield None
        if on_progress is not None:
            on_progress(number, len(entries))


def _clip(entry: Entry, frames: NDArray[np.uint8], rate: float, moved: float) -> Clip:
    concept, group = entry.captions[0].lower(), Path(entry.file).parent.as_posix()
    style = STYLE if entry.style == folder.STYLE else entry.style
    return Clip(
        key=entry.file,
        concept=concept,
        style=style,
        captions=entry.captions,
        group=STYLE if group == "." else group,
        start=0,
        frames=len(frames),
        rate=round(rate, 4),
        motion=round(moved, 3),
        seam=round(seam(frames), 3),
        licence=LICENCE,
        flips=concepts.flips(concept, "", ""),
    )
