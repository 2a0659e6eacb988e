"""English pronunciations: the dictionary, endings, letters to sounds, words with two readings, IPA and ARPAbet."""

import gzip
import random
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.errors import InputError
from text2x.spoken import PHONE_IDS, PHONES, is_vowel, phone_ids, without_stress
from text2x.spoken.ipa import phones_of_arpabet, phones_of_ipa
from text2x.spoken.letter_sounds import rules, stressed
from text2x.spoken.lexicon import phones_of, pronounce, pronunciations
from text2x.spoken.tables import table


def test_the_list_of_phones_is_closed_and_padding_comes_first():
    assert len(set(PHONES)) == len(PHONES) and PHONES[0] == "_"
    assert phone_ids(PHONES) == list(range(len(PHONES))) and len(PHONE_IDS) == len(PHONES)
    with pytest.raises(InputError, match="'XX' is no phone"):
        phone_ids(["AA1", "XX"])


def test_every_word_of_the_dictionary_is_found_with_its_readings():
    packed = files("text2x.spoken").joinpath("tables", "cmudict.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    for line in [*lines[:3], *lines[-3:], *random.Random(0).sample(lines, 800)]:
        word, _, readings = line.partition("\t")
        if word not in table("pronunciations")["words"]:
            assert pronunciations(word) == tuple(tuple(each.split()) for each in readings.split("|")), word
            assert set(pronunciations(word)[0]) <= set(PHONES)


@pytest.mark.parametrize("word", ["zzzzz", "", "qwx", "hell\u00f6", "hello\t"])
def test_what_is_no_word_is_not_found(word):
    assert pronunciations(word) == ()


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("hello", "HH AH0 L OW1"),
        ("I", "AY1"),
        ("W", "D AH1 B AH0 L Y UW0"),
        ("U's", "Y UW1 Z"),
        ("S's", "EH1 S IH0 Z"),
        ("lakh", "L AE1 K"),
        ("pbx", "P IY1 B IY1 EH1 K S"),
        ("ei", "IY1 AY1"),
        ("googling", "G UW1 G L IH0 NG"),
        ("blogged", "B L AO1 G D"),
        ("emojis", "IH0 M OW1 JH IY0 Z"),
        ("rewatched", "R IY0 W AA1 CH T"),
    ],
)
def test_words_letters_and_endings_have_their_phones(word, phones):
    assert " ".join(phones_of(word)) == phones


def test_every_table_of_pronunciations_holds_phones_only():
    tables = table("pronunciations")
    plain = [*tables["letters"].values(), *tables["words"].values(), *tables["endings"].values()]
    plain += [*tables["suffixes"].values(), *tables["prefixes"].values()]
    plain += [said for each in tables["two_readings"].values() for name, said in each.items() if name != "usual"]
    assert {phone for said in plain for phone in said.split()} <= set(PHONES)
    assert all(each.get("usual", "noun") in ("noun", "verb") for each in tables["two_readings"].values())


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_letters_can_be_said_with_one_primary_stress(word):
    said = rules().phones(word)
    assert set(said) <= set(PHONES)
    vowels = [phone for phone in said if is_vowel(phone)]
    assert sum(phone.endswith("1") for phone in vowels) == (1 if vowels else 0)


def test_letters_to_sounds_are_mostly_right():
    packed = files("text2x.spoken").joinpath("tables", "cmudict.txt.gz").read_bytes()
    words = [line.split("\t")[0] for line in gzip.decompress(packed).decode().splitlines()]
    words = random.Random(0).sample([word for word in words if word.isalpha() and 4 <= len(word) <= 9], 300)
    said = [[without_stress(phone) for phone in rules().phones(word)] for word in words]
    known = [[[without_stress(phone) for phone in each] for each in pronunciations(word)] for word in words]
    assert sum(one in several for one, several in zip(said, known, strict=True)) / len(words) > 0.55


def test_stress_moves_to_a_full_vowel():
    assert stressed(("B", "AH0", "T", "OW0")) == ("B", "AH0", "T", "OW1")
    assert stressed(("AA1", "OW1")) == ("AA1", "OW2")
    assert stressed(("S", "T")) == ("S", "T")


@pytest.mark.parametrize(
    ("sentence", "at", "phones"),
    [
        ("I read books", 1, "R IY1 D"),
        ("I have read it", 2, "R EH1 D"),
        ("the record broke", 1, "R EH1 K ER0 D"),
        ("they record songs", 1, "R IH0 K AO1 R D"),
        ("to use it", 1, "Y UW1 Z"),
        ("the use of it", 1, "Y UW1 S"),
        ("the apple", 0, "DH IY0"),
        ("the table", 0, "DH AH0"),
        ("to live there", 1, "L IH1 V"),
        ("a live show", 1, "L AY1 V"),
        ("I object to that", 1, "AH0 B JH EH1 K T"),
        ("the wind blows", 1, "W IH1 N D"),
        ("to wind it", 1, "W AY1 N D"),
    ],
)
def test_words_with_two_readings_are_told_apart(sentence, at, phones):
    assert " ".join(pronounce(sentence.split())[at]) == phones


def test_ipa_and_arpabet_are_understood():
    assert phones_of_ipa("/təˈmeɪtoʊ/", "en", "here") == ("T", "AH0", "M", "EY1", "T", "OW0")
    assert phones_of_ipa("t͡ʃɜːtʃ", "en", "here") == ("CH", "ER1", "CH")
    assert phones_of_ipa("nəməsteː", "hi", "here") == ("n", "a", "m", "a", "s", "t", "eː")
    assert phones_of_ipa("hɑ̃ː", "hi", "here") == ("ɦ", "aː~")
    assert phones_of_arpabet("p iy1 t ah", "en", "here") == ("P", "IY1", "T", "AH0")


@pytest.mark.parametrize(
    ("read", "text", "language", "message"),
    [
        (phones_of_ipa, "ʘa", "en", "latin letter bilabial click"),
        (phones_of_ipa, "ˈ", "en", "holds no phones"),
        (phones_of_arpabet, "HH QQ", "en", "'QQ' is no ARPAbet phone"),
        (phones_of_arpabet, "HH AH0", "hi", "ARPAbet is for English"),
    ],
)
def test_unknown_phones_are_refused_by_name(read, text, language, message):
    with pytest.raises(InputError, match=message) as caught:
        read(text, language, "line 1, column 2")
    assert str(caught.value).startswith("line 1, column 2: ") and "\n" not in str(caught.value)
