from __future__ import annotations

import pytest

from text2x.data.captions import captions_for, join_words, plain_name, with_article


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("red apple", "red apple"),
        ("flag: Chad", "flag of Chad"),
        ("flag: Netherlands", "flag of the Netherlands"),
        ("flag: Cocos (Keeling) Islands", "flag of Cocos Islands"),
        ("keycap: 3", "keycap 3"),
        ("man: red hair", "man with red hair"),
        ("woman: bald", "bald woman"),
        ("person walking: facing right", "person walking facing right"),
        ("kiss: woman, man", "kiss of woman and man"),
        ("family: man, woman, girl, boy", "family of man, woman, girl and boy"),
        ("A button (blood type)", "A button, blood type"),
        ("woman’s hat", "woman's hat"),
    ],
)
def test_labels_are_put_as_a_person_would_type_them(label: str, name: str):
    assert plain_name(label) == name


@pytest.mark.parametrize(
    "named",
    [
        "a red apple",
        "an elephant",
        "a unicorn",
        "an hourglass done",
        "an SOS button",
        "a euro banknote",
        "a bus",
        "an octopus",
        "a face with tears of joy",
        "a bow and arrow",
        "a man with red hair",
        "a Japanese castle",
        "a potted plant",
    ],
)
def test_countable_names_get_the_article_of_their_sound(named: str):
    assert with_article(named.split(" ", 1)[1]) == named


@pytest.mark.parametrize(
    "name",
    ["grapes", "spaghetti", "people holding hands", "glasses", "thumbs up", "Santa Claus", "one o'clock", "two hearts"],
)
def test_plural_mass_and_proper_names_get_no_article(name: str):
    assert with_article(name) == name


def test_symbols_get_an_article_only_where_they_name_a_thing():
    assert with_article("infinity", "symbols") == "infinity"
    assert with_article("multiply", "symbols") == "multiply"
    assert with_article("up arrow", "symbols") == "an up arrow"
    assert with_article("flag of Chad", "flags") == "the flag of Chad"


def test_captions_start_with_the_plain_name_and_say_more_and_more():
    colours = ("red", "green")
    found = captions_for(
        "red apple", ("apple",), ("apple", "diet", "fruit"), "food-drink", "fruit", colours, "flat icon"
    )
    assert found[:3] == ("red apple", "a red apple", "apple")
    assert "a red apple, red and green" in found and "a red apple, flat icon" in found
    assert any("diet" in caption for caption in found)
    assert len(set(found)) == len(found) >= 8


def test_captions_of_a_bare_name_have_no_empty_parts():
    found = captions_for("hole", (), (), "smileys-emotion", "", (), "")
    assert found == ("hole", "a hole")


def test_words_are_joined_as_in_a_sentence():
    assert [join_words(words) for words in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
