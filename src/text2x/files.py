"""Files that appear whole or not at all, and safetensors whose faults are told in one line.

A file is written beside its place under a hidden name and then renamed, so a reader never sees half of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from text2x.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors format


@contextlib.contextmanager
def written_aside(path: Path, durable: bool = True) -> Iterator[Path]:
    """A path to write to; when the block ends well the file there becomes `path`, otherwise it is deleted.

    The hidden name keeps the suffix of `path`, for writers that choose a format by it. `durable` waits until the disk
    has it, so that this holds through a power cut too.
    """
    try:
        path = Path(os.path.realpath(path))  # through a link, which stays
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.parent / f".{path.stem[:32]}-{secrets.token_hex(4)}{path.suffix}"
        aside.touch(exist_ok=False)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _cannot_write(path, error) from error
    try:
        yield aside
        if durable:
            with aside.open("rb") as stream:
                os.fsync(stream.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a whole file; a full or unwritable place raises InputError."""
    with written_aside(path, durable) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole file in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a whole file of indented JSON; NaN and infinities raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; a missing or unreadable one raises InputError."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON: {error}") from error


def file_hash(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, durable: bool = True
) -> str:
    """Write a whole safetensors file, tensors that share memory as copies, and return its SHA-256."""
    from safetensors.torch import save

    plain: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        plain[name] = value.clone() if place in places or value.untyped_storage().nbytes() != value.nbytes else value
        places.add(place)
    data = save(plain, dict(metadata) if metadata else None)
    write_bytes(path, data, durable)
    return hashlib.sha256(data).hexdigest()


def load_tensors(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file; one that is missing, cut off, foreign or of another hash raises InputError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    check_tensors(path)
    if sha256 is not None and (actual := file_hash(path)) != sha256:
        raise InputError(
            f"{path} is not the file it should be: its SHA-256 is {actual[:12]}..., not {sha256[:12]}...; copy it again"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no readable safetensors file: {error}") from error


def check_tensors(path: Path) -> None:
    """Raise InputError unless the header can be read and the file has exactly the bytes that it announces."""
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or not 2 <= length <= MAX_HEADER:
                raise InputError(f"{path} is no safetensors file; copy it again")
            header = stream.read(length)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(header) < length:
        raise InputError(f"{path} is cut off: {size:,} bytes, its header alone has {length:,}; copy it again")
    try:
        ends = [each["data_offsets"][1] for name, each in json.loads(header).items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(f"{path} is no safetensors file: its header is not readable; copy it again") from error
    if size != whole:
        fault = "cut off" if size < whole else "too long"
        raise InputError(f"{path} is {fault}: {size:,} bytes instead of {whole:,}; copy it again")


def _cannot_write(path: Path, error: OSError | ValueError) -> InputError:
    why = getattr(error, "strerror", None) or str(error)
    return InputError(f"cannot write {path}: {why}; choose another place, or make room there")
