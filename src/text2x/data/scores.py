"""Scores: notes in seconds with pitch, length and velocity, and what is true of them: key, tempo, metre, mood.

A score is plain JSON, so that what is heard in a rendering can be held against it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from text2x.errors import InputError

TONICS = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
DRUMS = 9  # the channel of drums in General MIDI, counted from 0
TICKS = 960  # a second: 480 a quarter note at 120 a minute
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True)
class Note:
    """Begins at `onset` and is held for `duration` seconds; `pitch` and `velocity` as MIDI has them."""

    onset: float
    pitch: int
    duration: float
    velocity: int
    channel: int = 0


@dataclass(frozen=True)
class Score:
    """A piece: the first channel of `programs` has the melody where there is one."""

    key: str  # of the clip
    tonic: int  # 0 is C
    mode: str  # major or minor
    tempo: float  # beats a minute
    beats: int  # of a bar
    mood: str
    texture: str
    programs: Mapping[int, int]  # channel -> program of General MIDI, counted from 0; drums have none
    notes: tuple[Note, ...]
    seconds: float

    @property
    def key_name(self) -> str:
        """As "A minor"."""
        return f"{TONICS[self.tonic]} {self.mode}"

    def part(self, channel: int) -> tuple[Note, ...]:
        """The notes of one channel, by onset."""
        return tuple(note for note in self.notes if note.channel == channel)

    def pitched(self) -> tuple[Note, ...]:
        """All notes but those of drums."""
        return tuple(note for note in self.notes if note.channel != DRUMS)


def to_line(score: Score) -> str:
    """One line of JSON; a note is [onset, pitch, duration, velocity, channel]."""
    values = {name: getattr(score, name) for name in Score.__dataclass_fields__}
    values["programs"] = {str(channel): program for channel, program in score.programs.items()}
    values["notes"] = [
        [round(note.onset, 4), note.pitch, round(note.duration, 4), note.velocity, note.channel] for note in score.notes
    ]
    return json.dumps(values, ensure_ascii=False)


def from_line(line: str) -> Score:
    """The score of a line; one that is none raises InputError."""
    try:
        values: dict[str, Any] = json.loads(line)
        values["programs"] = {int(channel): int(program) for channel, program in values["programs"].items()}
        values["notes"] = tuple(Note(float(a), int(b), float(c), int(d), int(e)) for a, b, c, d, e in values["notes"])
        return Score(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{line[:60]!r} is no score ({error}); prepare the music again") from None


# MIDI files


def midi_bytes(scores: Sequence[tuple[float, Score]], seconds: float) -> bytes:
    """A MIDI file (format 0) of scores that begin at their seconds, `seconds` long in all.

    Before each the channels fall silent and get their programs. The tempo is that of the first score, so that a file of
    one score has its beats where a sequencer looks for them.
    """
    tempo = scores[0][1].tempo if len(scores) == 1 else 120.0
    quarter = round(TICKS * 60 / tempo)  # ticks of a quarter note: a second has as many whatever the tempo
    events: list[tuple[int, int, bytes]] = []  # tick, order within it, message
    for begin, score in scores:
        events += _opening(round(begin * TICKS), score)
        for note in score.notes:
            first = round((begin + note.onset) * TICKS)
            last = max(first + 1, round((begin + min(note.onset + note.duration, score.seconds)) * TICKS))
            events.append((first, 3, bytes([0x90 | note.channel, note.pitch, note.velocity])))
            events.append((last, 2, bytes([0x80 | note.channel, note.pitch, 0])))
    end = round(seconds * TICKS)
    events += [(end, 4, bytes([0xB0 | channel, 120, 0])) for channel in range(16)]
    body = b"\x00\xff\x51\x03" + round(60_000_000 / tempo).to_bytes(3, "big") + _track(events) + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, quarter) + b"MTrk" + struct.pack(">I", len(body)) + body


def _opening(tick: int, score: Score) -> Iterable[tuple[int, int, bytes]]:
    """All sound off, controllers reset, programs."""
    for channel in range(16):
        yield tick, 0, bytes([0xB0 | channel, 120, 0])
        yield tick, 0, bytes([0xB0 | channel, 121, 0])
    for channel, program in score.programs.items():
        yield tick, 1, bytes([0xC0 | channel, program])


def _track(events: Iterable[tuple[int, int, bytes]]) -> bytes:
    made, at = bytearray(), 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        made += _variable(tick - at) + message
        at = tick
    return bytes(made)


def _variable(number: int) -> bytes:
    """A number of 7 bits a byte, the first ones marked."""
    parts = [number & 127]
    while number := number >> 7:
        parts.append(128 | number & 127)
    return bytes(reversed(parts))
