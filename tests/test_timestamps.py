"""Timestamps as files: each format read back by a few lines of its own grammar, and the laws of subtitles."""

import json
import re
from pathlib import Path

import pytest

from text2x.errors import InputError
from text2x.timestamps import LONGEST_CUE, TimedPhone, TimedWord, Timestamps, save, to_json, to_srt, to_textgrid
from text2x.timestamps import cues as cues_of
from text2x.timestamps import to_webvtt as to_vtt

TEXT = 'Pay <$5> now, "Bob". All  right!'


def word(text: str, begin: float, end: float, start: int, stop: int, last: bool = False) -> TimedWord:
    middle = (begin + end) / 2
    phones = (TimedPhone("A", begin, middle), TimedPhone('"', middle, end))
    return TimedWord(text, begin, end, start, stop, phones, last)


def spoken() -> Timestamps:
    words = (
        word("Pay", 0.1, 0.3, 0, 3),
        word("$5", 0.3, 0.6, 5, 7),
        word("$5", 0.6, 1.0, 5, 7),  # five dollars: two words with the same characters
        word("now", 1.0, 1.2345, 9, 12),
        word("Bob", 1.3, 1.5, 15, 18, last=True),
        word("All", 1.6, 1.7, 21, 24),
        word("right", 1.7, 2.0, 26, 31, last=True),
    )
    return Timestamps(TEXT, words, 2.25)


def test_the_words_of_json_are_where_they_say_in_the_text() -> None:
    values = json.loads(to_json(spoken()))
    assert values["duration"] == 2.25 and values["text"] == TEXT
    assert all(TEXT[each["start"] : each["stop"]] == each["word"] for each in values["words"])
    assert values["words"][0]["phones"][1] == {"phone": '"', "begin": 0.2, "end": 0.3}


def test_subtitles_end_with_their_sentence_and_show_the_text_as_it_stands() -> None:
    assert to_srt(spoken()) == (
        '1\n00:00:00,100 --> 00:00:01,500\nPay <$5> now, "Bob".\n\n2\n00:00:01,600 --> 00:00:02,000\nAll right!\n'
    )


def test_webvtt_times_each_word_and_escapes_what_would_be_a_tag() -> None:
    blocks = to_vtt(spoken()).split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert blocks[1].splitlines() == [
        "00:00:00.100 --> 00:00:01.500",
        'Pay &lt;<00:00:00.600>$5&gt; <00:00:01.000>now, "<00:00:01.300>Bob".',
    ]


def test_a_subtitle_breaks_at_two_lines_at_a_pause_and_after_seven_seconds() -> None:
    names = [f"word{place:02d}" for place in range(40)]
    text = " ".join(names)
    quick = [word(name, place * 0.1, place * 0.1 + 0.1, place * 7, place * 7 + 6) for place, name in enumerate(names)]
    long = list(cues_of(Timestamps(text, tuple(quick), 4.0)))
    assert all(len("".join(shown for _, shown in cue).strip()) <= LONGEST_CUE for cue in long)
    assert [len(cue) for cue in long] == [12, 12, 12, 4]
    assert "".join(shown for cue in long for _, shown in cue) == text
    slow = [word(name, place * 2.0, place * 2.0 + 1.9, place * 7, place * 7 + 6) for place, name in enumerate(names)]
    assert {len(cue) for cue in cues_of(Timestamps(text, tuple(slow), 80.0))} == {3, 1}
    apart = [word(name, place * 1.0, place * 1.0 + 0.3, place * 7, place * 7 + 6) for place, name in enumerate(names)]
    assert {len(cue) for cue in cues_of(Timestamps(text, tuple(apart), 40.0))} == {1}


def test_a_long_subtitle_is_written_on_two_lines_of_about_the_same_length() -> None:
    text = "The committee will meet again on Thursday to hear the rest"
    words = [word(match[0], i * 0.1, i * 0.1 + 0.1, *match.span()) for i, match in enumerate(re.finditer(r"\w+", text))]
    lines = to_srt(Timestamps(text, tuple(words), 2.0)).splitlines()[2:]
    assert " ".join(lines) == text and len(lines) == 2 and max(map(len, lines)) <= 42


def test_a_textgrid_fills_each_tier_from_its_begin_to_its_end() -> None:
    grid = to_textgrid(spoken())
    assert grid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    for name, count in (("words", 7), ("phones", 14)):
        tier = re.split(r"item \[\d\]:", grid)[1 if name == "words" else 2]
        found = re.findall(r'xmin = ([\d.]+)\n\s+xmax = ([\d.]+)\n\s+text = "(.*)"\n', tier)
        assert f'name = "{name}"' in tier and f"intervals: size = {len(found)}" in tier
        assert float(found[0][0]) == 0 and float(found[-1][1]) == 2.25
        assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))
        assert sum(bool(label) for _, _, label in found) == count
    assert 'text = """"' in grid  # a quotation mark is doubled


def test_an_hour_has_its_own_place_in_the_time() -> None:
    late = Timestamps("a", (word("a", 3661.2504, 3661.9, 0, 1),), 3662.0)
    assert "01:01:01,250 --> 01:01:01,900" in to_srt(late)


def test_the_suffix_says_the_format_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    for name in ("a.json", "a.srt", "a.vtt", "a.TextGrid"):
        save(spoken(), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 50
    with pytest.raises(InputError, match=r"\.json, \.srt, \.vtt or \.TextGrid"):
        save(spoken(), tmp_path / "a.txt")
