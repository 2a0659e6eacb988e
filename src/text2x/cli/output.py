"""Where pictures go: names, formats, and writing so that a file appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from text2x.errors import InputError
from text2x.files import write_bytes

FOLDER = Path("out")  # where pictures go that have been given no place
SUFFIXES = ("png", "webp", "jpg", "jpeg")
STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Destination:
    """A folder, where pictures are called after their prompts and replace nothing, or a name, which is replaced."""

    folder: Path
    name: str | None  # without suffix; None: after the prompt
    suffix: str  # ".png"; "" for standard output and devices
    format: str  # png, webp or jpg

    @property
    def is_stream(self) -> bool:
        """Standard output, a pipe or a device: takes one picture and has no format in its name."""
        return self.name is not None and not self.suffix


def destination(output: str | None, format: str | None) -> Destination:
    """What -o and --format mean together; raises InputError where nothing could be written, before any work is done."""
    wanted = None if format is None else checked_format(format)
    if output is None:
        return Destination(_writable(FOLDER, make=True), None, f".{wanted or 'png'}", wanted or "png")
    path = Path(output).expanduser()
    if output == STANDARD_OUTPUT or (path.exists() and not path.is_file() and not path.is_dir()):
        return Destination(path.parent, path.name, "", wanted or "png")
    if output.endswith(("/", os.sep)) or path.is_dir():
        return Destination(_writable(path, make=True), None, f".{wanted or 'png'}", wanted or "png")
    if not path.suffix:
        path = path.with_name(f"{path.name}.{wanted or 'png'}")
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise InputError(f"cannot tell the format of {output}; end the name in .png, .webp or .jpg")
    if wanted is not None and wanted != checked_format(suffix):
        raise InputError(f"the name {output} and --format {format} disagree; leave one of them out")
    return Destination(_writable(path.parent), path.stem, path.suffix, checked_format(suffix))


def sheet_destination(grid: Path | None) -> Destination | None:
    """Where the contact sheet goes: a file's name."""
    if grid is None:
        return None
    where = destination(str(grid), None)
    if where.name is None or where.is_stream:
        raise InputError(f"--grid names a file, and {grid} is none; give a name that ends in .png, .webp or .jpg")
    return where


def named(where: Destination) -> Path:
    """The one file of a destination with a name."""
    return where.folder / f"{where.name}{where.suffix}"


def preview(where: Destination, slug: str) -> Path:
    """Where the estimate of a picture is shown."""
    return (FOLDER if where.is_stream else where.folder) / f"{where.name or slug}.preview.png"


def checked_format(format: str) -> str:
    """png, webp or jpg."""
    plain = format.lower().removeprefix(".")
    if plain not in SUFFIXES:
        raise InputError(f"unknown format {format!r}; give png, webp or jpg")
    return "jpg" if plain == "jpeg" else plain


def _writable(folder: Path, make: bool = False) -> Path:
    """The folder, if a file can be made in it, or in the nearest one there is if it will be made itself."""
    nearest = folder
    while make and not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.exists():
        raise InputError(f"there is no folder {folder}; make it, or give another place with -o")
    if not nearest.is_dir():
        raise InputError(f"{nearest} is a file and no folder; give another place with -o")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"the folder {nearest} cannot be written to; give another place with -o")
    return folder


def candidates(where: Destination, slug: str, many: bool) -> Iterator[Path]:
    """Names in the order of preference: apple, apple-2, ...; where there are many, apple-1, apple-2, ..."""
    stem = slug if where.name is None else where.name
    if not many:
        yield where.folder / f"{stem}{where.suffix}"
    number = 1 if many else 2
    while True:
        yield where.folder / f"{stem}-{number}{where.suffix}"
        number += 1


def place(where: Destination, slug: str, many: bool, data: bytes, used: set[str]) -> Path:
    """The file's path: a given name is taken in any case, another only if it is free or holds the same bytes."""
    for path in candidates(where, slug, many):
        if str(path) in used:
            continue
        if where.name is not None or not path.exists() or _holds(path, data):
            return path
    raise AssertionError("candidates never end")


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def write(path: Path, data: bytes) -> None:
    """Write the whole file or none; InputError says why it could not be."""
    write_bytes(path, data)


def write_stream(where: Destination, data: bytes) -> str:
    """Write into standard output or a device, and say its name."""
    assert where.name is not None
    if where.name == STANDARD_OUTPUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return STANDARD_OUTPUT
    path = where.folder / where.name
    try:
        with path.open("wb", buffering=0) as stream:  # a device cannot be renamed into place
            stream.write(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; give another place with -o") from error
    return str(path)
