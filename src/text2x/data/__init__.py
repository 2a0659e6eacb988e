"""Data sets by name, where they lie and how they are made; light to import: torch is loaded by `batches` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text2x.data.imageset import INDEX, ImageSet, Item, Split
from text2x.errors import InputError

__all__ = ["DATASETS", "Dataset", "ImageSet", "Item", "Split", "data_root", "dataset_folder", "load", "package_cache"]


@dataclass(frozen=True)
class Dataset:
    """A set that text2x can make: what it is, and the function that makes it (folder, cache, ...)."""

    description: str
    prepare: Callable[..., Any]


def _prepare_emoji(*args: Any, **options: Any) -> Any:
    from text2x.data.emoji import prepare_emoji

    return prepare_emoji(*args, **options)


DATASETS: Mapping[str, Dataset] = {
    "emoji": Dataset("11,256 captioned RGBA emoji of 1,694 concepts in 7 styles", _prepare_emoji),
}


def data_root() -> Path:
    """The user's cache folder for data sets."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("text2x")) / "data"


def package_cache(root: Path | None = None) -> Path:
    """Where fetched packages are kept."""
    return (root or data_root()) / "packages"


def dataset_folder(name: str, root: Path | None = None) -> Path:
    """Where the set called `name` lies, made or not; `root` replaces the user's cache folder."""
    if not name or name in (".", "..") or any(sign in name for sign in "/\\:\0") or name == "packages":
        raise InputError(f"{name!r} cannot name a data set; use letters, digits and dashes")
    return (root or data_root()) / name


def load(name_or_folder: str | Path, root: Path | None = None) -> ImageSet:
    """Open a prepared set by its name or its folder."""
    text = str(name_or_folder)
    if isinstance(name_or_folder, Path) or "/" in text or "\\" in text:
        folder, way_out = Path(name_or_folder), "give the folder of a prepared set"
    else:
        folder = dataset_folder(text, root)
        source = "" if text in DATASETS else "folder DIR --name "
        way_out = f"make it with: text2x data prepare {source}{text}"
    if not (folder / INDEX).is_file():
        raise InputError(f"no data set at {folder}; {way_out}")
    return ImageSet.load(folder)
