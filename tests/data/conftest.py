"""Miniature npm packages made of the fixtures, in the form of the real ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from text2x.data.emoji import Source
from text2x.data.packages import Package

FIXTURES = Path(__file__).parent / "fixtures"
CHARS = {
    "1f34e": "red-apple",
    "1f448": "pointing-left",
    "1f449": "pointing-right",
    "1f573": "empty",
    "1f9d1-200d-1f33e": "farmer",
    "1f468-200d-1f33e": "man-farmer",
}


def write_package(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    package = Package(name, "1.0.0", "")
    path = folder / package.file_name
    with tarfile.open(path, "w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(f"package/{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Package(name, "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def names_package(tmp_path: Path) -> Package:
    french = [{"label": "pomme rouge", "hexcode": "1F34E", "tags": ["fruit", "pomme"]}]
    files = {
        "en/data.json": (FIXTURES / "names.json").read_bytes(),
        "fr/data.json": json.dumps(french).encode(),
        "meta/groups.json": (FIXTURES / "groups.json").read_bytes(),
        "en/shortcodes/emojibase.json": (FIXTURES / "shortcodes.json").read_bytes(),
        "en/shortcodes/github.json": b"{}",
    }
    return write_package(tmp_path, "tiny-names", files)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Source, ...]:
    icons = (FIXTURES / "icons.json").read_bytes()
    first = write_package(tmp_path, "@tiny/first", {"icons.json": icons, "chars.json": json.dumps(CHARS).encode()})
    second = write_package(tmp_path, "@tiny/second", {"icons.json": icons})
    return (
        Source("noto", first, "drawn by hand", "CC0-1.0", "nobody", "drawn for tests"),
        Source("openmoji", second, "", "CC-BY-SA-4.0", "nobody", "drawn for tests", share_alike=True),
    )
