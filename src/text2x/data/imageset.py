"""A captioned set of pictures on disk: `index.json` and `images.npy` (uint8 [N, 4, size, size], premultiplied RGBA)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError

Split = Literal["train", "unseen-concepts", "unseen-pairs"]
SPLITS: tuple[Split, ...] = get_args(Split)

FORMAT = 1
INDEX = "index.json"
IMAGES = "images.npy"
SMALLEST, LARGEST = 8, 1024  # side of stored pictures
UNSEEN_CONCEPTS = 0.10
UNSEEN_PAIRS = 0.05


@dataclass(frozen=True)
class Item:
    """One picture: `captions[0]` is its plain name; `flips` says whether its mirror image means the same."""

    key: str
    concept: str
    style: str
    captions: tuple[str, ...]
    group: str
    colours: tuple[str, ...]
    licence: str
    flips: bool


def hash_unit(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def split_of(concept: str, style: str) -> Split:
    """The part that a (concept, style) pair belongs to: decided by hashes, so adding pictures never moves others."""
    if hash_unit(f"concept:{concept}") < UNSEEN_CONCEPTS:
        return "unseen-concepts"
    if hash_unit(f"pair:{concept}|{style}") < UNSEEN_PAIRS:
        return "unseen-pairs"
    return "train"


@dataclass(frozen=True)
class Report:
    """What was prepared; `unreadable` names what was left out and why, `unmatched` icons that no name was found for."""

    folder: Path
    images: int
    concepts: int
    styles: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unmatched: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def report(folder: Path, items: Sequence[Item], **more: Any) -> Report:
    """Count the items that were written to `folder`."""
    styles = tuple(dict.fromkeys(item.style for item in items))
    return Report(folder, len(items), len({item.concept for item in items}), styles, **more)


class ImageSet:
    """Items and their pictures; the pictures stay on disk until they are asked for."""

    def __init__(self, name: str, items: Sequence[Item], images: NDArray[np.uint8], folder: Path | None = None) -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 4 or images.shape[2] != images.shape[3]:
            raise ValueError(f"images must be uint8 [N, 4, size, size], got {images.dtype} {list(images.shape)}")
        if len(items) != len(images):
            raise ValueError(f"{len(items)} items but {len(images)} images")
        self.name = name
        self.items = tuple(items)
        self.images = images
        self.folder = folder
        self.styles = tuple(dict.fromkeys(item.style for item in self.items))
        self._splits = self._part()

    @property
    def size(self) -> int:
        """Side of the stored pictures in pixels."""
        return int(self.images.shape[-1])

    def __len__(self) -> int:
        return len(self.items)

    def split(self, name: Split) -> NDArray[np.int64]:
        """Item indexes of one part, ascending; the three parts are disjoint and together hold every item."""
        if name not in self._splits:
            raise InputError(f"unknown split {name!r}; splits are {', '.join(SPLITS)}")
        return self._splits[name]

    def _part(self) -> dict[Split, NDArray[np.int64]]:
        """Split by hash; a set of few concepts still trains on one and, if it has two, holds one out."""
        order = sorted({item.concept for item in self.items}, key=lambda name: hash_unit(f"concept:{name}"))
        kept = set(order[-1:])
        held = set(order[:1]) - kept

        def part(item: Item) -> Split:
            if item.concept in held or item.concept in kept:
                return "unseen-concepts" if item.concept in held else "train"
            found = split_of(item.concept, item.style)
            single = len(self.styles) == 1  # a pair is then a concept: nothing to recombine
            return "train" if single and found == "unseen-pairs" else found

        labels = np.array([part(item) for item in self.items], dtype=object)
        return {name: np.flatnonzero(labels == name).astype(np.int64) for name in SPLITS}

    def save(self, folder: Path) -> None:
        """Write the set aside and rename it into place, so that a reader never sees half of it."""

        def images(part: Path) -> None:
            np.save(part / IMAGES, np.ascontiguousarray(self.images), allow_pickle=False)
            write_index(part, self.name, self.items, self.size)

        write_folder(folder, images)

    @classmethod
    def load(cls, folder: Path) -> ImageSet:
        """Open a saved set without reading its pictures; a folder that is no such set raises InputError."""
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{folder} is no image set ({_first_line(error)}); prepare it again") from None
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise InputError(f"{folder / INDEX} is not of format {FORMAT}; prepare the data again")
        try:
            items = [_item(values) for values in index["items"]]
            return cls(str(index["name"]), items, images, folder)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} is damaged ({_first_line(error)}); prepare it again") from None


def _item(values: dict[str, Any]) -> Item:
    lists = {name: tuple(values[name]) for name in ("captions", "colours")}
    return Item(**{**values, **lists})


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def store_images(
    folder: Path, drawn: Iterable[tuple[Item, NDArray[np.uint8]] | None], most: int, size: int
) -> list[Item]:
    """Write pictures to `images.npy` as they come, `most` of them or (where one is None) fewer; returns the items."""
    shape = (most, 4, size, size)
    images = np.lib.format.open_memmap(folder / IMAGES, mode="w+", dtype=np.uint8, shape=shape)
    items: list[Item] = []
    for each in drawn:
        if each is not None:
            images[len(items)] = each[1]
            items.append(each[0])
    images.flush()
    if len(items) < most:
        np.save(folder / f"fewer-{IMAGES}", images[: len(items)], allow_pickle=False)
        os.replace(folder / f"fewer-{IMAGES}", folder / IMAGES)
    return items


def check_size(size: int) -> None:
    """Refuse a side of stored pictures that makes no sense."""
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"size {size} is out of range; stored pictures may have {SMALLEST} to {LARGEST} px")


def write_index(folder: Path, name: str, items: Iterable[Item], size: int) -> None:
    """Write `index.json`, one item a line."""
    lines = ",\n".join(json.dumps(dataclasses.asdict(item), ensure_ascii=False) for item in items)
    head = json.dumps({"format": FORMAT, "name": name, "size": size})[:-1]
    (folder / INDEX).write_text(f'{head}, "items": [\n{lines}\n]}}\n', encoding="utf-8")


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a folder beside the target and rename it: whole or not at all, an older one replaced."""
    folder = folder.absolute()
    if folder.exists() and not (folder / INDEX).is_file() and not _is_empty(folder):
        raise InputError(f"{folder} exists and is no data set; choose another folder or name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}; choose another folder") from None
    try:
        fill(aside)
        aside.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            os.rename(folder, old / "set")
            os.rename(aside, folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(aside, folder)
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {error.strerror or error}; free some space or choose another"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None
