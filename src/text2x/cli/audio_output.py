"""Where sound and clips go: names and formats as for pictures, and streams that are written while they are made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from text2x.cli import output as out
from text2x.errors import InputError

KNOWN = ("wav", "flac", "mp3", "ogg", "opus", "pcm", "aac")


def destination(
    output: str | None, format: str | None, known: tuple[str, ...] = KNOWN, usual: str = "wav"
) -> out.Destination:
    """What -o and --format mean together; raises InputError where nothing could be written, before any work is done."""
    wanted = None if format is None else checked_format(format, known)
    usual = wanted or usual
    if output is None:
        return out.Destination(out._writable(out.FOLDER, make=True), None, f".{usual}", usual)
    path = Path(output).expanduser()
    if output == out.STANDARD_OUTPUT or (path.exists() and not path.is_file() and not path.is_dir()):
        return out.Destination(path.parent, path.name, "", usual)
    if output.endswith(("/", os.sep)) or path.is_dir():
        return out.Destination(out._writable(path, make=True), None, f".{usual}", usual)
    if not path.suffix:
        path = path.with_name(f"{path.name}.{usual}")
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in known:
        names = ", ".join(f".{name}" for name in known)
        raise InputError(f"cannot tell the format of {output}; end the name in {names}")
    if wanted is not None and wanted != suffix:
        raise InputError(f"the name {output} and --format {format} disagree; leave one of them out")
    return out.Destination(out._writable(path.parent), path.stem, path.suffix, suffix)


def checked_format(format: str, known: tuple[str, ...] = KNOWN) -> str:
    """One of those that are known."""
    plain = format.lower().removeprefix(".")
    if plain not in known:
        raise InputError(f"unknown format {format!r}; give {', '.join(known)}")
    return plain


def write_pieces(where: out.Destination, pieces: Iterable[bytes]) -> str:
    """Write into standard output or a device as the bytes come, and say its name."""
    assert where.name is not None
    if where.name == out.STANDARD_OUTPUT:
        for data in pieces:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return out.STANDARD_OUTPUT
    path = where.folder / where.name
    try:
        with path.open("wb", buffering=0) as stream:
            for data in pieces:
                stream.write(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; give another place with -o") from error
    return str(path)


def free_path(where: out.Destination, slug: str) -> Path:
    """The file's path for sound that is written as it comes: a given name, or the first that is free."""
    return next(path for path in out.candidates(where, slug, False) if where.name is not None or not path.exists())
