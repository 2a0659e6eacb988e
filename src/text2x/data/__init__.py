"""Data sets by name, where they lie and how they are made; light to import: torch is loaded by `batches` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from text2x.data.imageset import INDEX, ImageSet, Item, Split
from text2x.errors import InputError

if TYPE_CHECKING:
    from text2x.data.clipset import ClipSet

__all__ = [
    "DATASETS",
    "Dataset",
    "ImageSet",
    "Item",
    "Split",
    "data_root",
    "dataset_folder",
    "load",
    "load_clips",
    "package_cache",
]


@dataclass(frozen=True)
class Dataset:
    """A set that text2x can make: what it is, and the function that makes it (folder, cache, ...)."""

    description: str
    prepare: Callable[..., Any]
    takes: tuple[str, ...] = ("size", "styles", "packages_folder")  # what can be chosen


def _prepare_emoji(*args: Any, **options: Any) -> Any:
    from text2x.data.emoji import prepare_emoji

    return prepare_emoji(*args, **options)


def _prepare_animated_emoji(*args: Any, **options: Any) -> Any:
    from text2x.data.animated_emoji import prepare_animated_emoji

    return prepare_animated_emoji(*args, **options)


def _prepare_asterisk(*args: Any, **options: Any) -> Any:
    from text2x.data.asterisk import prepare_asterisk

    return prepare_asterisk(*args, **options)


def _prepare_indic(*args: Any, **options: Any) -> Any:
    from text2x.data.indic import prepare_indic

    return prepare_indic(*args, **options)


def _prepare_sounds(*args: Any, **options: Any) -> Any:
    from text2x.data.sounds import prepare_sounds

    return prepare_sounds(*args, **options)


def _prepare_music(*args: Any, **options: Any) -> Any:
    from text2x.data.music import prepare_music

    return prepare_music(*args, **options)


CLIPS_TAKE = ("size", "rate", "frames")
DATASETS: Mapping[str, Dataset] = {
    "emoji": Dataset("11,256 captioned RGBA emoji of 1,694 concepts in 7 styles", _prepare_emoji),
    "animated-emoji": Dataset(
        "734 captioned RGBA emoji of 558 concepts that move, 12 frames/s",
        _prepare_animated_emoji,
        (*CLIPS_TAKE, "packages_folder", "skin_tones"),
    ),
    "asterisk": Dataset(
        "21 minutes of English telephone prompts by one speaker, phones timed; es, fr, it, ru with --language",
        _prepare_asterisk,
        ("languages", "packages_folder"),
    ),
    "indic": Dataset(
        "59 minutes of Hindi, Telugu and Marathi, said by a synthesiser (Festival), phones timed",
        _prepare_indic,
        ("languages", "count", "packages_folder"),
    ),
    "sounds": Dataset(
        "1,123 captioned sounds of animals, instruments, machines, games, 36 minutes at 16 kHz",
        _prepare_sounds,
        ("styles", "packages_folder"),
    ),
    "music": Dataset(
        "pieces composed by rule and rendered, with key, tempo, mood, instruments and scores; 600 of 8 s",
        _prepare_music,
        ("items", "seconds", "seed", "styles", "packages_folder"),
    ),
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
    """Open a prepared set of pictures by its name or its folder."""
    return ImageSet.load(_prepared(name_or_folder, root, "folder"))


def load_clips(name_or_folder: str | Path, root: Path | None = None) -> ClipSet:
    """Open a prepared set of moving pictures by its name or its folder."""
    from text2x.data.clipset import ClipSet

    return ClipSet.load(_prepared(name_or_folder, root, "video-folder"))


def _prepared(name_or_folder: str | Path, root: Path | None, source: str) -> Path:
    """The folder of a prepared set; `source` is what makes a user's own one."""
    text = str(name_or_folder)
    if isinstance(name_or_folder, Path) or "/" in text or "\\" in text:
        folder, way_out = Path(name_or_folder), "give the folder of a prepared set"
    else:
        folder = dataset_folder(text, root)
        made_from = "" if text in DATASETS else f"{source} DIR --name "
        way_out = f"make it with: text2x data prepare {made_from}{text}"
    if not (folder / INDEX).is_file():
        raise InputError(f"no data set at {folder}; {way_out}")
    return folder
