from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from text2x.data import emoji
from text2x.data.emoji import STYLES, Source, prepare_emoji
from text2x.data.imageset import ImageSet
from text2x.data.packages import Package
from text2x.errors import InputError


@pytest.fixture
def prepared(
    tmp_path: Path, names_package: Package, sources: tuple[Source, ...], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, emoji.Report]:
    monkeypatch.setattr(emoji, "SOURCES", sources)
    monkeypatch.setattr(emoji, "NAMES_PACKAGE", names_package)
    report = prepare_emoji(tmp_path / "set", tmp_path / "cache", packages_folder=tmp_path, size=16, workers=1)
    return tmp_path, report


def test_the_whole_way_from_packages_to_an_image_set(prepared: tuple[Path, emoji.Report]):
    folder, report = prepared
    made = ImageSet.load(folder / "set")
    keys = [item.key for item in made.items]
    assert keys[:3] == ["noto/red-apple", "noto/pointing-left", "noto/pointing-left-mirrored"]
    assert (report.images, report.styles) == (len(made), ("noto", "openmoji"))
    assert report.unreadable == ("noto/empty", "openmoji/empty") and "tall-thing" in report.unmatched["noto"]
    apple = made.items[0]
    assert apple.captions[:3] == ("red apple", "a red apple", "apple") and apple.colours == ("red",)
    assert apple.licence == "CC0-1.0" and apple.group == "food-drink" and apple.flips
    np.testing.assert_allclose(made.images[1].astype(int), made.images[2, :, :, ::-1].astype(int), atol=1)
    assert made.images.any((1, 2, 3)).all()


def test_licences_names_and_left_overs_lie_beside_the_pictures(prepared: tuple[Path, emoji.Report]):
    folder = prepared[0] / "set"
    licences = json.loads((folder / "licences.json").read_text())
    assert licences["noto"]["share_alike"] is False and licences["openmoji"]["share_alike"] is True
    assert licences["openmoji"]["licence"] == "CC-BY-SA-4.0" and len(licences["noto"]["sha256"]) == 64
    assert json.loads((folder / "names.json").read_text())["fr"]["red-apple"][0] == "pomme rouge"
    assert "tall-thing" in json.loads((folder / "unmatched.json").read_text())["openmoji"]


def test_the_same_packages_give_the_same_bytes(prepared: tuple[Path, emoji.Report]):
    folder = prepared[0]
    again = prepare_emoji(folder / "again", folder / "cache", packages_folder=folder, size=16, workers=1)
    assert again.images == prepared[1].images
    for name in ("index.json", "images.npy", "licences.json"):
        assert (folder / "again" / name).read_bytes() == (folder / "set" / name).read_bytes()


@pytest.mark.medium
def test_several_processes_draw_the_same(prepared: tuple[Path, emoji.Report]):
    folder = prepared[0]
    prepare_emoji(folder / "again", folder / "cache", packages_folder=folder, size=16, workers=2)
    assert (folder / "again" / "images.npy").read_bytes() == (folder / "set" / "images.npy").read_bytes()


def test_flags_and_styles_can_be_left_out(prepared: tuple[Path, emoji.Report]):
    folder = prepared[0]
    options = {"packages_folder": folder, "size": 8, "workers": 1}
    prepare_emoji(folder / "few", folder / "cache", styles=("openmoji",), flags=False, **options)
    made = ImageSet.load(folder / "few")
    assert made.styles == ("openmoji",) and "flags" not in {item.group for item in made.items}


@pytest.mark.parametrize(
    ("options", "message"), [({"size": 4}, "8 to 1024"), ({"styles": ("cubist",)}, "noto, noto-v1")]
)
def test_impossible_wishes_are_refused_before_anything_is_fetched(tmp_path: Path, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        prepare_emoji(tmp_path / "set", tmp_path / "cache", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_seven_styles_are_pinned_and_one_is_share_alike():
    assert STYLES == ("noto", "noto-v1", "twemoji", "fluent", "fluent-flat", "openmoji", "emojione")
    assert all(len(source.package.sha256) == 64 and source.attribution for source in emoji.SOURCES)
    assert [source.style for source in emoji.SOURCES if source.share_alike] == ["openmoji"]
