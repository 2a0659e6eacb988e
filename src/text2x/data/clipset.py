"""A captioned set of moving pictures: `index.json` and `frames.npy` (uint8 [F, 4, size, size], premultiplied RGBA).

The frames of all clips lie one after the other. What is held out is decided by the same hashes as for pictures, so a
concept that is held out of a set of pictures is held out here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data.imageset import INDEX, SPLITS, Split, hash_unit, split_of, write_folder
from text2x.errors import InputError

FORMAT = 1
KIND = "clips"
FRAMES = "frames.npy"
MOST_SEAM = 1.5  # a clip loops if its seam is at most so many times as large as its other steps
LEVELS = 10  # motion is told to a network as 0 (the stillest clip of the set) to 10 (the liveliest)


@dataclass(frozen=True)
class Clip:
    """One moving picture: `captions[0]` is its plain name; `flips` says whether its mirror image means the same."""

    key: str
    concept: str
    style: str
    captions: tuple[str, ...]
    group: str
    start: int  # its first frame in frames.npy
    frames: int
    rate: float  # frames/s
    motion: float  # mean optical flow over what is drawn, in hundredths of the side a second
    seam: float  # the step from the last frame to the first over the mean step between neighbours; 1: no seam
    licence: str
    flips: bool

    @property
    def loops(self) -> bool:
        """Whether it can be shown over and over without a jump."""
        return self.seam <= MOST_SEAM


@dataclass(frozen=True)
class ClipReport:
    """What was prepared; `still` counts files that do not move, `unreadable` names what was left out and why."""

    folder: Path
    clips: int
    concepts: int
    frames: int
    moving: float  # share of the files that were read
    still: int = 0
    unreadable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ClipSet:
    """Clips and their frames, which stay on disk until they are asked for."""

    def __init__(self, name: str, items: Sequence[Clip], stored: NDArray[np.uint8], folder: Path | None = None) -> None:
        if stored.dtype != np.uint8 or stored.ndim != 4 or stored.shape[1] != 4 or stored.shape[2] != stored.shape[3]:
            raise ValueError(f"frames must be uint8 [F, 4, size, size], got {stored.dtype} {list(stored.shape)}")
        last = max((item.start + item.frames for item in items), default=0)
        if last > len(stored) or any(item.frames < 1 or item.start < 0 for item in items):
            raise ValueError(f"clips end at frame {last} and {len(stored)} are stored")
        self.name, self.items, self.stored, self.folder = name, tuple(items), stored, folder
        self.styles = tuple(dict.fromkeys(item.style for item in self.items))
        self._splits = _part(self.items, len(self.styles))
        trained = [self.items[index].motion for index in self._splits["train"]] or [0.0]
        self._deciles = np.quantile(trained, np.linspace(0, 1, LEVELS + 1))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def size(self) -> int:
        """Side of the stored frames in pixels."""
        return int(self.stored.shape[-1])

    @property
    def seconds(self) -> float:
        """Of all clips together."""
        return sum(item.frames / item.rate for item in self.items)

    def split(self, name: Split) -> NDArray[np.int64]:
        """Clip indexes of one part, ascending; the three parts are disjoint and together hold every clip."""
        if name not in self._splits:
            raise InputError(f"unknown split {name!r}; splits are {', '.join(SPLITS)}")
        return self._splits[name]

    def frames(self, index: int, places: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """[T, 4, size, size] all frames of a clip, or those at `places` counted from its first."""
        item = self.items[index]
        if places is None:
            return np.array(self.stored[item.start : item.start + item.frames])
        return np.stack([self.stored[item.start + int(place)] for place in places])

    def level(self, motion: float) -> float:
        """How lively a motion is among the training clips: 0 the stillest, 5 the median, 10 the liveliest."""
        return float(np.interp(motion, self._deciles, np.arange(LEVELS + 1)))

    def save(self, folder: Path) -> None:
        """Write the set aside and rename it into place, so that a reader never sees half of it."""

        def fill(part: Path) -> None:
            np.save(part / FRAMES, np.ascontiguousarray(self.stored), allow_pickle=False)
            write_clip_index(part, self.name, self.items, self.size)

        write_folder(folder, fill)

    @classmethod
    def load(cls, folder: Path) -> ClipSet:
        """Open a saved set without reading its frames; a folder that is no such set raises InputError."""
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            if not isinstance(index, dict) or (index.get("kind"), index.get("format")) != (KIND, FORMAT):
                raise ValueError("its index is of another kind or format")
            stored = np.load(folder / FRAMES, mmap_mode="r", allow_pickle=False)
            items = [Clip(**{**values, "captions": tuple(values["captions"])}) for values in index["items"]]
            return cls(str(index["name"]), items, stored, folder)
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder} is no set of moving pictures ({reason}); prepare it again") from None


def _part(items: Sequence[Clip], styles: int) -> dict[Split, NDArray[np.int64]]:
    """Split by hash, as ImageSet does; a set of few concepts still trains on one and, if it has two, holds one out."""
    order = sorted({item.concept for item in items}, key=lambda name: hash_unit(f"concept:{name}"))
    kept, held = order[-1:], order[:1] if len(order) > 1 else []

    def part(item: Clip) -> Split:
        if item.concept in [*kept, *held]:
            return "train" if item.concept in kept else "unseen-concepts"
        found = split_of(item.concept, item.style)
        return "train" if styles == 1 and found == "unseen-pairs" else found  # a pair is then a concept

    labels = np.array([part(item) for item in items], dtype=object)
    return {name: np.flatnonzero(labels == name).astype(np.int64) for name in SPLITS}


def store_clips(folder: Path, drawn: Iterable[tuple[Clip, NDArray[np.uint8]] | None], size: int) -> list[Clip]:
    """Write frames [T, 4, size, size] to `frames.npy` as they come; returns the clips with their places.

    The number of frames is known at the end only: they go to a bare file first, which then gets its header.
    """
    items: list[Clip] = []
    total = 0
    with (folder / f"bare-{FRAMES}").open("wb") as bare:
        for each in drawn:
            if each is None:
                continue
            item, frames = each
            if frames.dtype != np.uint8 or frames.shape[1:] != (4, size, size):
                raise ValueError(f"frames must be uint8 [T, 4, {size}, {size}], got {list(frames.shape)}")
            bare.write(np.ascontiguousarray(frames).tobytes())
            items.append(dataclasses.replace(item, start=total, frames=len(frames)))
            total += len(frames)
    _with_header(folder, (total, 4, size, size))
    return items


def _with_header(folder: Path, shape: tuple[int, int, int, int]) -> None:
    """Turn the bare file into `frames.npy`, a piece at a time."""
    bare = folder / f"bare-{FRAMES}"
    with (folder / FRAMES).open("wb") as file, bare.open("rb") as source:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        while piece := source.read(1 << 24):
            file.write(piece)
    bare.unlink()


def write_clip_index(folder: Path, name: str, items: Iterable[Clip], size: int) -> None:
    """Write `index.json`, one clip a line."""
    lines = ",\n".join(json.dumps(dataclasses.asdict(item), ensure_ascii=False) for item in items)
    head: Mapping[str, Any] = {"format": FORMAT, "kind": KIND, "name": name, "size": size}
    text = f'{json.dumps(head)[:-1]}, "items": [\n{lines}\n]}}\n'
    (folder / INDEX).write_text(text, encoding="utf-8")
