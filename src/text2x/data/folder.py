"""A user's own pictures as an image set: captions from tables, from text files beside the pictures, or file names."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from text2x.data import concepts, drawing
from text2x.data.imageset import Item, Report, check_size, report, store_images, write_folder, write_index
from text2x.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
TABLES = (".csv", ".jsonl")
FILE_COLUMNS = ("file", "file_name", "filename", "image", "path")
CAPTION_COLUMNS = ("caption", "captions", "text")
STYLE = "picture"  # of what names no style
LICENCE = "not stated"
LONGEST = 1000  # characters of one caption

Fit = Literal["pad", "crop"]


@dataclass(frozen=True)
class Entry:
    """A picture that is to be read, relative to the folder, with its captions."""

    file: str
    captions: tuple[str, ...]
    style: str


@dataclass
class Skipped:
    """What was left out: file (or table and line) -> reason."""

    reasons: dict[str, str]

    def add(self, name: str, reason: str) -> None:
        """Remember the first reason for a file."""
        self.reasons.setdefault(name, reason)


def prepare_folder(
    source: Path,
    target: Path,
    size: int = 128,
    fit: Fit = "pad",
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every picture below `source` and write an image set to `target`.

    Captions come from a CSV (file, caption, style) or JSON lines (file, caption or captions, style) in `source`, else
    from NAME.txt beside NAME.png (one a line), else, where no caption is given at all, from the file names. `fit` pads
    pictures to a square or cuts one out of the middle. What cannot be used is reported and listed in `skipped.json`.
    """
    check_size(size)
    if not source.is_dir():
        raise InputError(f"{source} is no folder; give the folder that holds the pictures")
    if fit not in ("pad", "crop"):
        raise InputError(f"unknown fit {fit!r}; it is pad or crop")
    skipped = Skipped({})
    notes: list[str] = []
    entries = find_entries(source, skipped, notes)
    items: list[Item] = []

    def fill(aside: Path) -> None:
        drawn = _read_all(source, entries, size, fit, skipped, on_progress)
        items.extend(store_images(aside, drawn, len(entries), size))
        if not items:
            first = next((f" ({name}: {reason})" for name, reason in skipped.reasons.items()), "")
            raise InputError(f"no usable picture in {source}{first}; use {', '.join(SUFFIXES)} with captions")
        write_index(aside, target.name, items, size)
        text = json.dumps(skipped.reasons, ensure_ascii=False, indent=1)
        (aside / "skipped.json").write_text(text + "\n", encoding="utf-8")

    write_folder(target, fill)
    left_out = tuple(f"{name}: {reason}" for name, reason in skipped.reasons.items())
    return report(target, items, unreadable=left_out, warnings=tuple(notes))


def find_entries(source: Path, skipped: Skipped, notes: list[str]) -> list[Entry]:
    """The pictures below `source` with their captions, in the order of their names."""
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if _is_picture(path, source))
    rows = {entry.file: entry for entry in _table_entries(source, skipped)}
    for name in rows.keys() - set(names):
        skipped.add(name, "named in a table of captions, but not there")
    with_text = {name for name in names if (source / name).with_suffix(".txt").is_file()}
    if not rows and not with_text and names:
        notes.append(f"no captions in {source}: the file names are used, with dashes turned to spaces")
        return [Entry(name, (_spaced(name),), STYLE) for name in names]
    entries: list[Entry] = []
    for name in names:
        entry = rows.get(name) or (_text_entry(source, name, skipped) if name in with_text else None)
        if entry is None:
            skipped.add(name, "no caption")
        else:
            entries.append(entry)
    return entries


def _is_picture(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _spaced(name: str) -> str:
    return clean(re.sub(r"[-_]+", " ", Path(name).stem)) or "picture"


def clean(text: str) -> str:
    """A caption without control characters, its white space single, at most LONGEST characters."""
    kept = "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in text)
    return " ".join(kept.split())[:LONGEST].strip()


def _text_entry(source: Path, name: str, skipped: Skipped) -> Entry | None:
    try:
        lines = (source / name).with_suffix(".txt").read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        skipped.add(name, "its text file is not readable as UTF-8")
        return None
    return _entry(name, lines, None)


def _entry(file: str, captions: Iterable[str], style: str | None) -> Entry | None:
    kept = tuple(dict.fromkeys(filter(None, map(clean, captions))))
    return Entry(file, kept, clean(style or "") or STYLE) if kept else None


def _table_entries(source: Path, skipped: Skipped) -> Iterator[Entry]:
    """Rows of the tables in the folder itself; later rows of the same file take the place of earlier ones."""
    for table in sorted(path for path in source.iterdir() if path.suffix.lower() in TABLES):
        read = _csv_rows if table.suffix.lower() == ".csv" else _json_rows
        try:
            text = table.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{table} is not readable as UTF-8; save it as UTF-8") from None
        for line, row in read(table, text):
            entry = _row_entry(row) if row is not None else None
            if entry is None:
                skipped.add(f"{table.name} line {line}", "no file and caption in it")
            else:
                yield entry


def _csv_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    reader = csv.DictReader(text.splitlines())
    columns = [str(name).strip().lower() for name in reader.fieldnames or ()]
    if not (set(columns) & set(FILE_COLUMNS) and set(columns) & set(CAPTION_COLUMNS)):
        found = ", ".join(columns) or "none"
        raise InputError(f"{table} has the columns {found}; its first line must be: file,caption (and style if wanted)")
    reader.fieldnames = columns
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{table} line {reader.line_num}: {error}; save it as plain CSV") from None


def _json_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                row = None
            yield number, row if isinstance(row, dict) else None


def _row_entry(row: dict[str, Any]) -> Entry | None:
    file = next((row[name] for name in FILE_COLUMNS if isinstance(row.get(name), str) and row[name].strip()), None)
    given = next((row[name] for name in CAPTION_COLUMNS if row.get(name)), None)
    style = row.get("style")
    captions = [given] if isinstance(given, str) else given
    if file is None or not isinstance(captions, list) or not all(isinstance(each, str) for each in captions):
        return None
    return _entry(Path(file.strip()).as_posix(), captions, style if isinstance(style, str) else None)


def _read_all(
    source: Path,
    entries: Sequence[Entry],
    size: int,
    fit: Fit,
    skipped: Skipped,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Item, NDArray[np.uint8]] | None]:
    for index, entry in enumerate(entries):
        try:
            image = read_picture(source / entry.file, size, fit)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            skipped.add(
                entry.file, f"not readable ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
            )
            yield None
        else:
            if image[3].any():
                yield _item(entry, image), image
            else:
                skipped.add(entry.file, "fully transparent")
                yield None
        if on_progress is not None:
            on_progress(index + 1, len(entries))


def read_picture(path: Path, size: int, fit: Fit = "pad") -> NDArray[np.uint8]:
    """One picture of any mode as stored: upright as its EXIF says, square, uint8 [4, size, size] premultiplied."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            picture = _eight_bits(upright).convert("RGBA")
    if fit == "crop":
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    pixels = np.divide(np.asarray(picture.convert("RGBa").reduce(_factor(picture, size))), 255, dtype=np.float32)
    return drawing.to_uint8(drawing.area_mean(_padded(pixels.transpose(2, 0, 1)), size))


def _factor(picture: Image.Image, size: int) -> int:
    """How much a large picture may be reduced in bytes first, with four times the wanted size left."""
    return max(1, min(picture.size) // (4 * size))


def _padded(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """[4, H, W] in the middle of a transparent square."""
    height, width = pixels.shape[1:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((4, side, side), np.float32)
    square[:, top : top + height, left : left + width] = pixels
    return square


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Pictures of 16 bits or floating point scaled to 8; others as they are."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture, dtype=np.float64)
    most = 65535 if picture.mode.startswith("I") else max(1.0, float(np.nanmax(values)))
    return Image.fromarray(np.rint(np.clip(np.nan_to_num(values) / most, 0, 1) * 255).astype(np.uint8))


def _item(entry: Entry, image: NDArray[np.uint8]) -> Item:
    concept = entry.captions[0].lower()
    group = Path(entry.file).parent.as_posix()
    colours = drawing.main_colours(image)
    return Item(
        key=entry.file,
        concept=concept,
        style=entry.style,
        captions=entry.captions,
        group=STYLE if group == "." else group,
        colours=colours,
        licence=LICENCE,
        flips=concepts.flips(concept, "", ""),
    )
