"""Phones that a voice never heard: the nearest that it did."""

from text2x.spoken import PHONES
from text2x.stand_ins import NEAR, nearest, stand_ins


def test_stress_changes_before_the_sound_does() -> None:
    assert stand_ins(("OY0",), {"OY1": 3, "AO1": 9}) == {"OY0": "OY1"}
    assert stand_ins(("OY0",), {"AO2": 3, "OW1": 9}) == {"OY0": "AO2"}


def test_a_phone_that_was_heard_stays_and_one_heard_too_seldom_does_not() -> None:
    assert stand_ins(("SH", "ZH"), {"SH": 5, "ZH": 1}) == {}
    assert stand_ins(("SH", "ZH"), {"SH": 5, "ZH": 1}, least=2) == {"ZH": "SH"}


def test_an_indic_phone_loses_nose_breath_and_length() -> None:
    heard = {"a": 1, "k": 1, "ɖ": 1, "i": 1}
    assert stand_ins(("a~", "kʰ", "ɽʱ", "iː", "aː~"), heard) == {"a~": "a", "kʰ": "k", "ɽʱ": "ɖ", "iː": "i", "aː~": "a"}


def test_marks_stand_for_each_other() -> None:
    assert stand_ins(("?", "!", ","), {".": 1, "sil": 1}) == {"?": ".", "!": ".", ",": "."}


def test_what_has_nothing_near_is_left_out_and_padding_has_no_sound() -> None:
    assert stand_ins(("_", "B"), {"AA1": 1}) == {}


def test_phones_that_have_no_other_to_stand_in_are_plain_consonants_and_vowels() -> None:
    alone = {phone for phone in PHONES if phone != "_" and not set(nearest(phone)) & set(PHONES)}
    assert len(alone) < 40 and not alone & set(NEAR)
    assert not any(phone.endswith(("~", "ʰ", "ʱ", "ː", "0", "1", "2")) for phone in alone)
