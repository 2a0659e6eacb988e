"""When each word and phone is said, and the files that say so: JSON, SRT, WebVTT and TextGrid. Times are in seconds.

Words come in the order of speech and do not overlap; `start` and `stop` of a word are its characters in the text that
was given, so that a program can mark what is being said.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from text2x.errors import InputError
from text2x.files import write_text

LONGEST_CUE = 84  # characters of a subtitle: two lines of 42, as broadcasters have it
LONGEST_SHOWN = 7.0  # seconds of a subtitle, likewise
PAUSES = re.compile(r"\s*\[pause[^\]]*\]")  # what a text can ask for and nobody should read
PAUSE = 0.6  # seconds between words, at which a subtitle ends


@dataclass(frozen=True)
class TimedPhone:
    """A phone's name and when it is said."""

    phone: str
    begin: float
    end: float


@dataclass(frozen=True)
class TimedWord:
    """A word as it stands in the text, when it is said, and its phones."""

    text: str
    begin: float
    end: float
    start: int  # characters of the text: text[start:stop]
    stop: int
    phones: tuple[TimedPhone, ...] = ()
    last: bool = False  # of its sentence


@dataclass(frozen=True)
class Timestamps:
    """The words of a text that was spoken, and how long it took."""

    text: str
    words: tuple[TimedWord, ...]
    duration: float

    def as_dict(self) -> dict[str, object]:
        """Plain values; times to the microsecond."""
        return {
            "text": self.text,
            "duration": round(self.duration, 6),
            "words": [
                {
                    "word": word.text,
                    "begin": round(word.begin, 6),
                    "end": round(word.end, 6),
                    "start": word.start,
                    "stop": word.stop,
                    "phones": [
                        {"phone": each.phone, "begin": round(each.begin, 6), "end": round(each.end, 6)}
                        for each in word.phones
                    ],
                }
                for word in self.words
            ],
        }


def to_json(timestamps: Timestamps) -> str:
    """One object with the text, its duration and its words with their phones."""
    return json.dumps(timestamps.as_dict(), ensure_ascii=False, indent=1) + "\n"


def to_srt(timestamps: Timestamps) -> str:
    """SubRip subtitles, numbered from 1."""
    blocks = []
    for number, cue in enumerate(cues(timestamps), start=1):
        shown = " ".join("".join(each for _, each in cue).split())
        times = f"{_clock(cue[0][0].begin, ',')} --> {_clock(cue[-1][0].end, ',')}"
        blocks.append(f"{number}\n{times}\n{_wrapped(shown)}\n")
    return "\n".join(blocks)


def to_webvtt(timestamps: Timestamps) -> str:
    """WebVTT subtitles, in which every word but a cue's first carries its own time."""
    blocks = ["WEBVTT\n"]
    for cue in cues(timestamps):
        timed: list[str] = []
        for word, within in cue:
            shown = html.escape(re.sub(r"\s+", " ", within), quote=False)
            if shown:
                timed.append(f"<{_clock(word.begin, '.')}>{shown}" if timed else shown)
        times = f"{_clock(cue[0][0].begin, '.')} --> {_clock(cue[-1][0].end, '.')}"
        blocks.append(f"{times}\n{''.join(timed).strip()}\n")
    return "\n".join(blocks)


def to_textgrid(timestamps: Timestamps) -> str:
    """Praat's long text form, with a tier of words and one of phones; what is silent is an empty interval."""
    words = [(word.begin, word.end, word.text) for word in timestamps.words]
    phones = [(each.begin, each.end, each.phone) for word in timestamps.words for each in word.phones]
    end = f"{timestamps.duration:.6f}"
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}", "tiers? <exists>",
        "size = 2", "item []:",
    ]  # fmt: skip
    for number, (name, given) in enumerate((("words", words), ("phones", phones)), start=1):
        intervals = list(_without_gaps(given, timestamps.duration))
        lines += [
            f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0",
            f"        xmax = {end}", f"        intervals: size = {len(intervals)}",
        ]  # fmt: skip
        for place, (begin, stop, label) in enumerate(intervals, start=1):
            quoted = " ".join(label.split()).replace('"', '""')
            lines += [
                f"        intervals [{place}]:", f"            xmin = {begin:.6f}", f"            xmax = {stop:.6f}",
                f'            text = "{quoted}"',
            ]  # fmt: skip
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Timestamps], str]] = {
    ".json": to_json,
    ".srt": to_srt,
    ".vtt": to_webvtt,
    ".textgrid": to_textgrid,
}


def check_format(path: Path) -> None:
    """Raise InputError unless the name ends as one of FORMATS."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"cannot tell the format of {path}; end the name in .json, .srt, .vtt or .TextGrid")


def save(timestamps: Timestamps, path: Path) -> None:
    """Write the file that its suffix asks for, whole or not at all."""
    check_format(path)
    write_text(path, FORMATS[path.suffix.lower()](timestamps))


def cues(timestamps: Timestamps) -> Iterator[list[tuple[TimedWord, str]]]:
    """Words that are shown together: up to a sentence, a pause, two lines or 7 seconds.

    Beside each word is the text it stands in: itself and what is behind it up to the next one.
    """
    cue: list[tuple[TimedWord, str]] = []
    for word, shown in zip(timestamps.words, _in_text(timestamps), strict=True):
        if cue:
            before = cue[-1][0]
            long = len("".join(each for _, each in cue)) + len(shown.strip()) > LONGEST_CUE
            late = word.end - cue[0][0].begin > LONGEST_SHOWN
            if before.last or word.begin - before.end >= PAUSE or long or late:
                yield cue
                cue = []
        cue.append((word, shown))
    if cue:
        yield cue


def _in_text(timestamps: Timestamps) -> Iterator[str]:
    """Each word with the punctuation and spaces behind it; words that share their characters are all shown by the last.

    (Of "$5" the words five and dollars have the same two characters.)
    """
    text, words = timestamps.text, timestamps.words
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else None
        if after is not None and after.start < word.stop:
            yield ""
        else:
            behind = text[word.stop : len(text) if after is None else after.start]
            yield text[word.start : word.stop] + PAUSES.sub("", behind)


def _without_gaps(intervals: Sequence[tuple[float, float, str]], duration: float) -> Iterator[tuple[float, float, str]]:
    """The intervals and, between them, empty ones, from 0 to the end."""
    at = 0.0
    for begin, end, label in intervals:
        if begin - at > 5e-7:
            yield at, begin, ""
        yield max(at, begin), end, label
        at = end
    if duration - at > 5e-7 or not intervals:
        yield at, duration, ""


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds: 00:00:01,250."""
    thousandths = round(seconds * 1000)
    hours, rest = divmod(thousandths, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _wrapped(text: str) -> str:
    """Text of more than 42 characters on two lines of about the same length."""
    if len(text) <= LONGEST_CUE // 2:
        return text
    spaces = [place for place, each in enumerate(text) if each == " "]
    if not spaces:
        return text
    middle = min(spaces, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"
