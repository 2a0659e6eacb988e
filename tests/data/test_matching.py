from __future__ import annotations

import json
from pathlib import Path

import pytest

from text2x.data.concepts import read_emojis
from text2x.data.matching import match, resolve
from text2x.data.packages import Package

ICONS = json.loads((Path(__file__).parent / "fixtures" / "icons.json").read_text())


def test_aliases_lead_to_their_icon_and_may_mirror_it():
    left, right = resolve(ICONS, "pointing-left"), resolve(ICONS, "pointing-right")
    assert left is not None and right is not None
    assert left.body == right.body and (left.flip, right.flip) == (False, True)
    assert resolve(ICONS, "withdrawn") is None and resolve(ICONS, "nothing") is None
    tall = resolve(ICONS, "tall-thing")
    assert tall is not None and tall.view == (0, 0, 16, 32)


def test_a_circle_of_aliases_ends():
    assert resolve({"icons": {}, "aliases": {"a": {"parent": "b"}, "b": {"parent": "a"}}}, "a") is None


@pytest.mark.parametrize("by_code", [True, False])
def test_icons_are_matched_by_code_or_by_name(tmp_path: Path, names_package: Package, by_code: bool):
    emojis = read_emojis(tmp_path / names_package.file_name)
    codes = {"1F34E": "apple", "1F448": "pointing-left", "1F449": "pointing-right", "1F573": "empty"}
    pairs, left_over = match(emojis, ICONS, codes if by_code else {}, [])
    found = {emoji.label: icon.name for emoji, icon in pairs}
    assert found["red apple"] == "red-apple" and found["man farmer"] == "man-farmer"
    assert found["flag: Chad"] == "flag-for-chad"  # as older sets spell it
    assert ("backhand index pointing left" in found) == by_code
    assert "man-farmer-dark-skin-tone" not in left_over and "withdrawn" not in left_over
    assert ("empty" in left_over) == (not by_code) and "tall-thing" in left_over


def test_names_of_other_styles_help_and_no_icon_is_used_twice(tmp_path: Path, names_package: Package):
    emojis = read_emojis(tmp_path / names_package.file_name)
    pairs, _ = match(emojis, ICONS, {"1F34E": "red-apple", "1F573": "apple"}, [{"1F448": "pointing-left"}])
    names = [icon.name for _, icon in pairs]
    assert names.count("red-apple") == 1 and "pointing-left" in names
