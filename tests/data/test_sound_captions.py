"""Captions and groups of sounds by the table of names."""

from __future__ import annotations

import re

import pytest

from text2x.data.sound_captions import family_of, group_of, told_of, words
from text2x.data.sounds import SOURCES
from text2x.data.tables import load_table


@pytest.mark.parametrize(
    ("source", "name", "label", "caption"),
    [
        ("scratch", "Animal/Dog2", "dog", "a dog barks"),
        ("scratch", "Human/Laugh-male3", "voice", "a man: laugh"),
        ("sonic-pi", "bd_808", "kick drum", "808 bass drum"),
        ("sonic-pi", "drum_tom_hi_soft", "tom", "high tom drum, soft"),
        ("sonic-pi", "tabla_ghe4", "tabla", "tabla"),
        ("tuxpaint", "animals/birds/owl", "bird", "an owl hoots"),
        ("wesnoth", "orc-small-hit-3", "monster", "a small orc growls"),
        ("wesnoth", "magic-holy-miss-2", "magic", "holy magic"),
        ("lmms", "drums/bassdrum_acoustic01", "kick drum", "bass drum acoustic"),
        ("minetest", "default_grass_footstep.3", "footsteps", "a footstep on grass"),
        ("lincity", "RailTrain1", "vehicle", "a train passes"),
    ],
)
def test_a_name_becomes_a_label_and_captions(source: str, name: str, label: str, caption: str):
    told = told_of(source, name)
    assert told is not None and (told.label, told.captions[0]) == (label, caption)
    assert len(set(told.captions)) == len(told.captions) >= 1


def test_a_name_that_the_table_lacks_is_not_guessed():
    assert told_of("sonic-pi", "unheard_of") is None


def test_numbered_and_hard_or_soft_variants_are_of_one_group():
    assert group_of("scratch", "Animal/Dog1") == group_of("scratch", "Animal/Dog2")
    assert group_of("sonic-pi", "drum_snare_hard") == group_of("sonic-pi", "drum_snare_soft")
    assert group_of("wesnoth", "bow-miss") == group_of("wesnoth", "bow")
    assert group_of("scratch", "Animal/Dog1") != group_of("scratch", "Animal/Cat")


def test_names_are_split_into_words():
    assert words("SeaLion") == "sea lion"
    assert words("human-female_2") == "human female"
    assert words("hihat_open03") == "hi-hat open"


def test_every_rule_of_the_table_is_a_pattern_with_a_known_label_and_only_groups_that_it_has():
    table = load_table("sounds.json")
    assert set(SOURCES) == set(table) - {"words", "families"}
    for source in SOURCES:
        for pattern, label, captions in table[source]:
            groups = re.compile(pattern).groups
            used = {int(each) for each in re.findall(r"\{(\d)\}", captions)} | ({1} if "{a}" in captions else set())
            assert max(used, default=0) <= groups, (source, pattern, captions)
            assert family_of(label) != label, f"{label} has no family"


def test_a_label_without_a_family_is_its_own():
    assert family_of("violin") == "violin" and family_of("snare drum") == "drums"
