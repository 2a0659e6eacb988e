from __future__ import annotations

from pathlib import Path

import pytest

from text2x.data.concepts import base_code, flips, read_emojis, slug, translations
from text2x.data.packages import Package


@pytest.mark.parametrize(
    ("variant", "base"),
    [
        ("1F34E", "1F34E"),
        ("1F468-200D-1F33E", "1F9D1-200D-1F33E"),  # man farmer
        ("1F6B6-200D-2640-200D-27A1", "1F6B6"),  # woman walking, facing right
        ("1F469-200D-1F9BD-200D-27A1", "1F9D1-200D-1F9BD"),  # woman in a wheelchair, facing right
        ("1F468", "1F9D1"),
        ("1F467", "1F9D2"),
        ("1F469-200D-2764-200D-1F48B-200D-1F468", "1F48F"),  # kiss
        ("1F469-200D-2764-200D-1F469", "1F491"),  # couple with heart
        ("1F468-200D-1F469-200D-1F466", "1F46A"),  # family
        ("1F46D", "1F9D1-200D-1F91D-200D-1F9D1"),  # women holding hands
        ("1F43B-200D-2744", "1F43B-200D-2744"),  # polar bear is not a bear
        ("1F1F9-1F1E9", "1F1F9-1F1E9"),  # a flag
    ],
)
def test_gender_family_and_direction_variants_share_a_base(variant: str, base: str):
    assert base_code(variant) == base


def test_emoji_are_read_without_skin_tones_and_regional_letters(tmp_path: Path, names_package: Package):
    emojis = {emoji.label: emoji for emoji in read_emojis(tmp_path / names_package.file_name)}
    assert len(emojis) == 7 and "dark skin tone" not in emojis
    assert emojis["man farmer"].concept == emojis["farmer"].concept == "farmer"
    apple = emojis["red apple"]
    assert (apple.code, apple.group, apple.subgroup) == ("1F34E", "food-drink", "food-fruit")
    assert apple.other_names == ("apple",) and apple.flips
    assert emojis["hole"].code == "1F573" and emojis["hole"].other_names == ()
    assert not emojis["backhand index pointing left"].flips and not emojis["flag: Chad"].flips


def test_names_in_other_languages_are_kept_by_concept(tmp_path: Path, names_package: Package):
    tarball = tmp_path / names_package.file_name
    found = translations(tarball, read_emojis(tarball))
    assert found["fr"] == {"red-apple": ["pomme rouge", ["fruit", "pomme"]]}
    assert found["en"]["farmer"] == ["farmer", ["gardener"]]


def test_slugs_are_plain_letters_and_dashes():
    names = ("Red Apple", "flag: Åland Islands", "man’s shoe", "keycap: #", "keycap: *", "Côte d’Ivoire")
    slugs = ["red-apple", "flag-aland-islands", "mans-shoe", "keycap-hash", "keycap-asterisk", "cote-divoire"]
    assert [slug(name) for name in names] == slugs


def test_only_what_means_the_same_in_a_mirror_may_be_flipped():
    assert flips("dog face", "animals-nature", "animal-mammal") and flips("guitar", "objects", "musical-instrument")
    for label, group, subgroup in (
        ("flag: Chad", "flags", "country-flag"),
        ("right arrow", "symbols", "arrow"),
        ("three o’clock", "travel-places", "time"),
        ("left-facing fist", "people-body", "hand-fingers-closed"),
        ("ZZZ", "smileys-emotion", "emotion"),
        ("waxing crescent moon", "travel-places", "sky-weather"),
        ("dollar banknote", "objects", "money"),
        ("1st place medal", "activities", "award-medal"),
    ):
        assert not flips(label, group, subgroup), label
