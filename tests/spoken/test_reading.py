"""Reading a text: words with their spans, sentences, pauses, warnings, errors; piece by piece as all at once."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.errors import InputError
from text2x.spoken import (
    MARKS,
    PHONES,
    SILENCE,
    graphemes,
    is_silence,
    language_of,
    phone_ids,
    phones,
    read,
    sounds,
    utterances,
)

MIXED = (
    "Dr. Rao paid ₹1,250 on 17/05/2024. \U0001f600 नमस्ते दुनिया, कैसे हो? [pause 0.5s] \u201cFine,\u201d he said.\n\n"
    "The end"
)


def sentences(text, language="en"):
    return [utterance.spoken for utterance in read(text, language).utterances]


# Words and their places


def test_every_word_stands_where_its_span_says():
    for text in (MIXED, "caf\u0065\u0301 10\u202fkm", "ज़िंदगी १२३", "a \u200bb"):
        for utterance in read(text).utterances:
            assert text[slice(*utterance.span)] == utterance.text
            for word in utterance.words:
                assert text[slice(*word.span)] == word.text
                assert utterance.span[0] <= word.span[0] < word.span[1] <= utterance.span[1]


@given(st.text(alphabet="abAB .,!?\n'\"()-0159%$:/é\u0301नमस्ते।\U0001f600", min_size=1, max_size=60))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_words_come_in_order_and_are_never_lost_to_a_crash(text):
    try:
        script = read(text)
    except InputError:
        return
    spans = [word.span for utterance in script.utterances for word in utterance.words]
    assert spans == sorted(spans)
    assert all(0 <= begin < end <= len(text) for begin, end in spans)
    assert {phone for each in phones(script) for phone in each.symbols} <= set(PHONES)


def test_the_words_of_a_number_share_its_span():
    (utterance,) = read("It is 21 km.").utterances
    assert [(word.spoken, word.text) for word in utterance.words] == [
        ("it", "It"), ("is", "is"), ("twenty", "21 km"), ("one", "21 km"), ("kilometers", "21 km")
    ]  # fmt: skip


def test_marks_follow_their_words_and_the_stronger_of_two_stays():
    (utterance,) = read('He said (quietly): "No?!" and left').utterances
    assert utterance.spoken == "he said, quietly, no? and left."
    assert {word.mark for word in utterance.words} <= {"", *MARKS}


# Sentences


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("One. Two! Three? Four", ["one.", "two!", "three?", "four."]),
        ("Dr. Smith left. He ran.", ["doctor smith left.", "he ran."]),
        ("It is 3.5 km. Yes.", ["it is three point five kilometers.", "yes."]),
        ("At 5 p.m. John left.", ["at five P M.", "john left."]),
        ("at 5 p.m. on Monday", ["at five P M on monday."]),
        ("J. R. R. Tolkien wrote. I read.", ["J R R tolkien wrote.", "I read."]),
        ("Cats, etc. are here. Cats, etc. They ran.", ["cats, et cetera are here.", "cats, et cetera.", "they ran."]),
        ('"Go." She went.', ["go.", "she went."]),
        ('"Stop!" he said.', ["stop! he said."]),
        ("No. 5 is here. No. It is not.", ["number five is here.", "no.", "it is not."]),
        ("wait... what? ok", ["wait, what?", "okay."]),
        ("Title\n\nText here", ["title.", "text here."]),
        ("- one\n- two", ["one.", "two."]),
        ("line one\nline two.", ["line one line two."]),
    ],
)
def test_sentences_end_where_they_do(text, spoken):
    assert sentences(text) == spoken


def test_dandas_end_sentences():
    assert sentences("राम आया। श्याम गया॥ डॉ. शर्मा", "hi") == ["राम आया.", "श्याम गया.", "डॉक्टर शर्मा."]


def test_paragraphs_are_marked():
    assert [each.ends_paragraph for each in read("One. Two.\n\nThree.\n\n\nFour.").utterances] == [
        False,
        True,
        True,
        False,
    ]


def test_a_long_sentence_is_cut_at_clauses_and_never_loses_a_word():
    text = "and so it went on, " * 100 + "to the end"
    parts = read(text).utterances
    assert all(len(part.text) <= 320 for part in parts) and len(parts) > 5
    assert " ".join(part.spoken for part in parts) == ("and so it went on, " * 100 + "to the end.")
    numbers = read("12 345 " * 200).utterances
    assert sum(len(part.words) for part in numbers) == len(read("12 345").utterances[0].words) * 200


# Pauses, and what an acoustic model is given


def test_inline_pauses_are_silence_at_their_place():
    first, second = read("[pause 1s] Hello [pause 500ms] there. [PAUSE 0.25s] Bye").utterances
    assert first.lead == 1.0 and [word.pause for word in first.words] == [0.5, None]
    assert second.lead == 0.25 and second.spoken == "bye."
    given = sounds(first)
    assert given.symbols == (SILENCE, "HH", "AH0", "L", "OW1", SILENCE, "DH", "EH1", "R", ".")
    assert given.words == (-1, 0, 0, 0, 0, 0, 1, 1, 1, 1)
    assert given.pauses == ((0, 1.0), (5, 0.5))


@pytest.mark.parametrize("text", ["a [pause] b", "a [pause 5] b", "a [pause 20s] b", "a\n [pause -1s]"])
def test_a_pause_that_is_no_time_is_an_error_with_its_place(text):
    with pytest.raises(InputError, match=r"line \d, column \d: the pause"):
        read(text)


def test_sounds_and_graphemes_know_their_words():
    (utterance,) = read("नमस्ते, Google", "hi").utterances
    given = sounds(utterance)
    assert len(given.symbols) == len(given.words) and phone_ids(given.symbols)
    assert is_silence(given.symbols[0]) and is_silence(given.symbols[-1])
    for i, word in enumerate(utterance.words):
        own = [symbol for symbol, at in zip(given.symbols, given.words, strict=True) if at == i]
        assert tuple(own[: len(word.phones)]) == word.phones
    letters = graphemes(utterance)
    assert "".join(letters.symbols) == utterance.spoken == "नमस्ते, गूगल."


def test_voices_that_speak_one_language_get_its_phones_only():
    text = "He said नमस्ते twice. आज Monday है।"
    hindi = read(text, "en", speaks=["en", "hi"]).utterances
    assert [each.language for each in hindi] == ["en", "hi"]
    for only in ("en", "hi"):
        script = read(text, only, speaks=[only])
        assert {each.language for each in script.utterances} == {only}
        english = [phone.isupper() for each in phones(script) for phone in each.symbols if not is_silence(phone)]
        assert all(english) if only == "en" else not any(english)


# Piece by piece


def test_pieces_are_the_whole():
    assert tuple(utterances(MIXED)) == read(MIXED).utterances


def test_mistakes_are_raised_before_the_first_piece():
    with pytest.raises(InputError):
        utterances("")


def test_reading_is_the_same_each_time():
    assert read(MIXED) == read(MIXED)


@pytest.mark.medium
def test_a_megabyte_is_read_in_linear_time_and_begins_at_once():
    text = ("Dr. Smith paid $5.20 on May 17, 2024 at 7:30 p.m. for 3.5 km of rope, and was happy. " * 13_000)[: 1 << 20]
    begin = time.process_time()
    first = next(iter(utterances(text)))
    assert first.spoken.startswith("doctor smith paid") and time.process_time() - begin < 0.5
    costs = []
    for size in (1 << 15, 1 << 17):
        begin = time.process_time()
        assert sum(len(each.words) for each in utterances(text[:size])) > size / 10
        costs.append((time.process_time() - begin) / size)
    assert costs[1] < 2 * costs[0]


@pytest.mark.medium
@pytest.mark.parametrize("junk", ["a", "1", "1 ", "a.b", "@", "a-", "I", "1,", "http://", "[pause", "'", "A.", "½"])
def test_no_text_makes_it_slow(junk):
    text = junk * (8_000 // len(junk))
    begin = time.process_time()
    with contextlib.suppress(InputError):
        list(utterances(text))
    assert time.process_time() - begin < 2


# Warnings and errors


def test_what_is_left_out_is_said():
    script = read("I like 日本 and \U0001f600 \U0001f34e.")
    assert script.utterances[0].spoken == "I like and."
    assert script.warnings == (
        "left out the symbols grinning face, red apple",
        "left out '日本': Chinese characters cannot be read",
    )
    assert read("Plain, ©2024 & co.").warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        (" \n ", "the text is empty"),
        ("?!...", "holds only punctuation"),
        ("\U0001f600\U0001f389", "holds only emoji and symbols"),
        ("日本語です", "written in Chinese characters, Hiragana, which cannot be read"),
        ("Привет, мир", "written in Cyrillic"),
        ("a\0b", "binary"),
        ("a\ud800", "not valid Unicode"),
        ("x" * ((1 << 20) + 1), "1,048,577 bytes; the limit is 1,048,576"),
    ],
)
def test_texts_that_cannot_be_said_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_languages_are_found_by_their_codes():
    assert language_of("en-US").code == "en" and language_of("HI_in").name == "Hindi"
    with pytest.raises(InputError, match="'fr' cannot be read; the languages are en \\(English\\), hi"):
        read("bonjour", "fr")
