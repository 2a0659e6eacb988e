"""From a text that was read to pieces: where it is cut, what is held, and the times of words in closed form."""

import pytest

from text2x.speech_plan import BEGINNING, ENDING, PARAGRAPH_GAP, SENTENCE_GAP, Piece, pieces, times
from text2x.spoken import utterances
from text2x.timestamps import TimedPhone


def planned(text: str, speed: float = 1.0, ssml: bool | None = None) -> list[Piece]:
    return list(pieces(utterances(text, "en", ssml=ssml), speed))


def test_a_sentence_is_a_piece_and_the_gap_before_it_is_shorter_than_between_paragraphs() -> None:
    found = planned("Go left. Stop.\n\nGo on.", speed=2)
    assert [piece.gap for piece in found] == [0, SENTENCE_GAP / 2, PARAGRAPH_GAP / 2]
    assert [piece.symbols[0] for piece in found] == ["sil", "sil", "sil"]
    assert [piece.stop for piece in found] == [8, 14, 22]


def test_a_short_pause_is_held_and_a_long_one_cuts_the_sentence() -> None:
    (short,) = planned("Go [pause 0.4s] left.")
    assert short.held == {short.symbols.index("sil", 1): 0.4} or 0.4 in short.held.values()
    first, second = planned("Go [pause 1.5s] left.")
    assert list(first.held.values()) == [ENDING] and second.held == {0: BEGINNING}
    assert second.gap == pytest.approx(1.5 - ENDING - BEGINNING)
    assert not first.ends and second.ends
    assert [second.said[place].text for place in dict.fromkeys(second.words) if place >= 0] == ["left"]


def test_silence_behind_the_last_word_is_a_piece_without_symbols() -> None:
    found = planned('<speak>Go.<break time="3s"/></speak>')
    assert found[-1].symbols == () and found[-1].gap == pytest.approx(3)


def test_warnings_come_with_the_piece_they_are_about() -> None:
    found = planned("Go on. Stop 😀 now.")
    assert found[0].warnings == () and len(found[1].warnings) == 1


def test_prosody_is_a_number_for_each_symbol() -> None:
    (piece,) = planned('<speak>Go <prosody rate="200%" pitch="+2st" volume="+6dB">left</prosody>.</speak>')
    place = {symbol: number for number, symbol in enumerate(piece.symbols)}
    assert piece.rates()[place["G"]] == 1 and piece.rates()[place["L"]] == 2
    assert piece.semitones()[place["L"]] == pytest.approx(2) and piece.decibels()[place["L"]] == pytest.approx(6)
    assert piece.rates()[0] == 1 and piece.semitones()[0] == piece.decibels()[0] == 0


def test_words_begin_and_end_with_their_phones_and_marks_belong_to_nobody() -> None:
    (piece,) = planned("Go, left.")
    assert piece.symbols == ("sil", "G", "OW1", ",", "L", "EH1", "F", "T", ".")
    go, left = times(piece, [10, 5, 5, 20, 1, 2, 3, 4, 9], begin=1.0, frame=0.01)
    assert (go.begin, go.end) == pytest.approx((1.1, 1.2)) and (go.start, go.stop, go.last) == (0, 2, False)
    assert (left.begin, left.end) == pytest.approx((1.4, 1.5)) and (left.start, left.stop, left.last) == (4, 8, True)
    assert left.phones[1] == TimedPhone("EH1", pytest.approx(1.41), pytest.approx(1.43))  # type: ignore[arg-type]
