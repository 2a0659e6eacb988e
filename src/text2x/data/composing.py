"""Small pieces made by rule and chance: a progression of chords, a melody of motifs, bass and drums, in one mood.

Not music that anybody would mistake for a person's, but everything about it is known: the score is the ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from text2x.data.scores import DRUMS, SCALES, Note, Score

# Programs of General MIDI, counted from 0: name, lowest and highest pitch of a melody, whether chords suit it
INSTRUMENTS: dict[int, tuple[str, int, int, bool]] = {
    0: ("piano", 60, 86, True), 4: ("electric piano", 55, 82, True), 6: ("harpsichord", 55, 82, True),
    8: ("celesta", 67, 96, False), 10: ("music box", 67, 94, False), 11: ("vibraphone", 60, 86, True),
    12: ("marimba", 55, 84, True), 13: ("xylophone", 65, 96, False), 16: ("organ", 55, 82, True),
    19: ("church organ", 55, 80, True), 21: ("accordion", 57, 84, True), 22: ("harmonica", 60, 84, False),
    24: ("nylon guitar", 52, 79, True), 25: ("acoustic guitar", 52, 79, True), 27: ("electric guitar", 52, 79, True),
    30: ("distorted guitar", 50, 76, False), 40: ("violin", 60, 91, False), 42: ("cello", 43, 69, False),
    45: ("pizzicato strings", 55, 84, True), 46: ("harp", 55, 88, True), 48: ("strings", 52, 81, True),
    52: ("choir", 55, 77, True), 56: ("trumpet", 58, 82, False), 57: ("trombone", 46, 67, False),
    60: ("french horn", 48, 72, False), 65: ("saxophone", 54, 78, False), 68: ("oboe", 60, 84, False),
    70: ("bassoon", 41, 65, False), 71: ("clarinet", 55, 84, False), 73: ("flute", 62, 91, False),
    75: ("pan flute", 62, 86, False), 80: ("synthesizer", 57, 84, False), 88: ("synth pad", 52, 79, True),
    104: ("sitar", 52, 76, False), 105: ("banjo", 55, 79, True), 108: ("kalimba", 60, 84, False),
    114: ("steel drums", 58, 82, False),
}  # fmt: skip
BASSES = {32: "double bass", 33: "electric bass", 38: "synth bass"}


@dataclass(frozen=True)
class Mood:
    """What a mood asks for: modes, tempo, how dense the rhythm is (0 to 1), velocity, whether drums may play."""

    modes: tuple[str, ...]
    tempo: tuple[int, int]
    density: float
    velocity: int
    drums: bool
    legato: float = 0.95
    instruments: tuple[int, ...] = ()


MOODS = {
    "calm": Mood(("major", "minor"), (60, 85), 0.25, 66, False, 1.0, (0, 4, 11, 24, 46, 48, 52, 73, 88, 108)),
    "happy": Mood(("major",), (105, 140), 0.6, 96, True, 0.8, (0, 12, 13, 21, 25, 27, 56, 71, 73, 105, 114, 80)),
    "sad": Mood(("minor",), (60, 80), 0.3, 68, False, 1.0, (0, 24, 40, 42, 48, 60, 68, 71, 73, 22)),
    "dark": Mood(("minor",), (70, 100), 0.35, 84, True, 0.95, (19, 30, 42, 48, 52, 57, 70, 80, 88)),
    "energetic": Mood(("major", "minor"), (125, 160), 0.75, 110, True, 0.7, (16, 27, 30, 56, 65, 80, 0, 105)),
    "dreamy": Mood(("major",), (60, 90), 0.35, 70, False, 1.0, (4, 8, 10, 11, 46, 52, 75, 88)),
    "solemn": Mood(("major", "minor"), (60, 80), 0.2, 84, False, 1.0, (19, 48, 52, 56, 57, 60)),
    "playful": Mood(("major",), (110, 145), 0.65, 90, True, 0.55, (6, 10, 12, 13, 45, 70, 71, 73, 108)),
    "tense": Mood(("minor",), (110, 145), 0.7, 100, True, 0.6, (0, 6, 40, 42, 45, 48, 80)),
    "romantic": Mood(("major", "minor"), (70, 100), 0.4, 78, False, 1.0, (0, 24, 40, 42, 48, 65, 71, 104)),
}
TEXTURES = ("melody", "accompanied", "band", "chords")
SHARES = (0.2, 0.35, 0.3, 0.15)  # of the textures
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 3, 0, 4), (0, 2, 3, 4), (0, 4, 0, 3)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0, 3, 0, 4), (0, 5, 3, 4), (0, 4, 0, 3)),
}  # degrees of the scale, a chord a bar; the fifth in minor has the leading note
CHORD_STEPS = (0, 2, 4, 2, 0, 4, 7)  # above the root of the chord, for strong beats
KICK, SNARE, CLOSED, OPEN, SHAKER = 36, 38, 42, 46, 70
RHYTHMS = {  # in eighths of a bar: drum -> places
    "rock": {KICK: (0, 4, 5), SNARE: (2, 6), CLOSED: tuple(range(8))},
    "dance": {KICK: (0, 2, 4, 6), SNARE: (2, 6), OPEN: (1, 3, 5, 7)},
    "soft": {KICK: (0,), SNARE: (4,), SHAKER: tuple(range(8))},
    "waltz": {KICK: (0,), SNARE: (2, 4), CLOSED: (0, 2, 4)},
}
WAYS = ("steady", "arpeggio", "bass and chord")  # ways to play chords


def compose(seed: int, index: int, seconds: float) -> Score:
    """Piece `index` of a seed, `seconds` long; the same on every machine."""
    rng = np.random.default_rng([seed, index])
    mood_name = str(rng.choice(list(MOODS)))
    mood = MOODS[mood_name]
    mode, tonic = str(rng.choice(mood.modes)), int(rng.integers(12))
    tempo = float(rng.integers(mood.tempo[0] // 5, mood.tempo[1] // 5 + 1) * 5)
    beats = int(rng.choice((4, 4, 4, 3)))
    texture = str(rng.choice(TEXTURES, p=SHARES))
    choices = mood.instruments
    if texture == "chords":
        choices = tuple(each for each in choices if INSTRUMENTS[each][3])
    lead = int(rng.choice(choices))
    sketch = _Sketch(rng, mood, mode, tonic, tempo, beats, seconds)
    notes, programs = sketch.parts(texture, lead)
    kept = sorted((note for note in notes if note.onset < seconds - 0.05), key=lambda note: (note.onset, note.pitch))
    return Score(
        f"score-{seed}-{index:05d}", tonic, mode, tempo, beats, mood_name, texture, programs, tuple(kept), seconds
    )


@dataclass
class _Sketch:
    """What the parts of a piece have in common."""

    rng: np.random.Generator
    mood: Mood
    mode: str
    tonic: int
    tempo: float
    beats: int
    seconds: float

    def __post_init__(self) -> None:
        self.beat = 60 / self.tempo
        self.bars = int(np.ceil(self.seconds / (self.beat * self.beats)))
        options = PROGRESSIONS[self.mode]
        self.chords = options[int(self.rng.integers(len(options)))]

    def parts(self, texture: str, lead: int) -> tuple[list[Note], dict[int, int]]:
        """Notes and programs of the whole piece."""
        chordal = [each for each in self.mood.instruments if INSTRUMENTS[each][3]]
        second = int(self.rng.choice(chordal))
        if texture == "chords":
            return self._accompaniment(0, 0), {0: lead}
        notes, programs = self._melody(0, lead), {0: lead}
        if texture != "melody":
            programs[1] = lead if INSTRUMENTS[lead][3] and texture == "accompanied" else second
            notes += self._accompaniment(1, -22)
        if texture == "band":
            programs[2] = int(self.rng.choice(list(BASSES)))
            notes += self._bass(2)
            if self.mood.drums:
                notes += self._drums()
        return notes, programs

    def pitch(self, degree: int, base: int, leading: bool = False) -> int:
        """The pitch of a degree of the scale, 0 the tonic at or above `base`."""
        octave, step = divmod(degree, 7)
        raised = int(leading and self.mode == "minor" and step == 6)
        return base + (self.tonic - base) % 12 + 12 * octave + SCALES[self.mode][step] + raised

    def _rhythm(self) -> list[tuple[float, float]]:
        """(begin, length) in beats of the notes of one bar."""
        made, at = [], 0.0
        while at < self.beats:
            dense = self.rng.random() < self.mood.density
            length = float(self.rng.choice((0.5, 0.5, 1.0))) if dense else float(self.rng.choice((1.0, 1.0, 2.0)))
            length = min(length, self.beats - at)
            made.append((at, length))
            at += length
        return made

    def _motif(self) -> list[tuple[float, float, int]]:
        """(begin, length, step above a note of the chord): small steps, now and then a leap."""
        steps = self.rng.choice((-2, -1, -1, 0, 1, 1, 2, 4), size=16).cumsum() % 8 - 3
        steps[0] = 0
        return [(at, length, int(step)) for (at, length), step in zip(self._rhythm(), steps, strict=False)]

    def _melody(self, channel: int, program: int) -> list[Note]:
        """Bars of the form A A B A; strong beats have a note of the chord, the last bar comes home."""
        _, low, high, _ = INSTRUMENTS[program]
        motifs = {"A": self._motif(), "B": self._motif()}
        notes = []
        base = low + max(0, (high - low - 12) // 3)
        for bar in range(self.bars):
            degree, leading = self._chord(bar)
            for at, length, step in motifs["AABA"[bar % 4]]:
                place = degree + (step if at % 1 or at % 2 == 1 else CHORD_STEPS[step % len(CHORD_STEPS)])
                if bar == self.bars - 1 and at + length >= self.beats:
                    place = 0
                pitch = self.pitch(place, base, leading)
                while pitch > high:
                    pitch -= 12
                while pitch < low:
                    pitch += 12
                notes.append(self._note(bar, at, length * self.mood.legato, pitch, channel, accent=at == 0))
        return notes

    def _chord(self, bar: int) -> tuple[int, bool]:
        """Degree of a bar's chord, and whether it has the leading note; the last bar comes home."""
        degree = self.chords[bar % len(self.chords)] if bar < self.bars - 1 else 0
        return degree, degree == 4

    def _accompaniment(self, channel: int, softer: int) -> list[Note]:
        way = WAYS[int(self.rng.integers(len(WAYS)))]
        notes = []
        for bar in range(self.bars):
            degree, leading = self._chord(bar)
            chord = [self._near(degree + third, leading) for third in (0, 2, 4)]
            for at in range(self.beats):
                if way == "steady":
                    if at % 2 == 0:
                        length = min(2, self.beats - at)
                        notes += [self._note(bar, at, length * 0.95, pitch, channel, softer) for pitch in chord]
                elif way == "arpeggio":
                    order = (chord[0], chord[1], chord[2], chord[1])
                    for half in range(2):
                        pitch = order[(2 * at + half) % 4]
                        notes.append(self._note(bar, at + half / 2, 0.6, pitch, channel, softer))
                elif at == 0:
                    notes.append(self._note(bar, at, 0.95, chord[0] - 12, channel, softer))
                else:
                    notes += [self._note(bar, at, 0.6, pitch, channel, softer) for pitch in chord[1:]]
        return notes

    def _near(self, degree: int, leading: bool) -> int:
        """A pitch of the chord between G3 and F sharp 4, so that chords move little."""
        return 55 + (self.pitch(degree, 48, leading) - 55) % 12

    def _bass(self, channel: int) -> list[Note]:
        notes = []
        for bar in range(self.bars):
            degree, _ = self._chord(bar)
            root = 33 + (self.pitch(degree, 36) - 33) % 12
            places = range(self.beats) if self.mood.density > 0.5 else (0, 2) if self.beats == 4 else (0,)
            for at in places:
                notes.append(self._note(bar, at, 0.9, root, channel, -8))
        return notes

    def _drums(self) -> list[Note]:
        names = ("waltz",) if self.beats == 3 else ("rock", "dance", "soft")
        rhythm = RHYTHMS[names[int(self.rng.integers(len(names)))]]
        return [
            self._note(bar, place / 2, 0.25, drum, DRUMS, -10 if drum in (CLOSED, OPEN, SHAKER) else 0)
            for bar in range(self.bars)
            for drum, places in rhythm.items()
            for place in places
        ]

    def _note(
        self, bar: int, at: float, length: float, pitch: int, channel: int, softer: int = 0, accent: bool = False
    ) -> Note:
        velocity = int(np.clip(self.mood.velocity + softer + 8 * accent, 20, 127))
        onset = (bar * self.beats + at) * self.beat
        return Note(onset, pitch, min(length * self.beat, max(0.05, self.seconds - onset)), velocity, channel)


# Captions


def tempo_word(tempo: float) -> str:
    """Slow below 85 beats a minute, fast above 115, moderate between."""
    return "slow" if tempo < 85 else "fast" if tempo > 115 else "moderate"


def instruments_of(score: Score) -> tuple[str, ...]:
    """Names of what plays, the melody's first."""
    names = [INSTRUMENTS[each][0] if each in INSTRUMENTS else BASSES[each] for each in score.programs.values()]
    return tuple(dict.fromkeys([*names, *(["drums"] if score.part(DRUMS) else [])]))


def captions_of(score: Score) -> tuple[str, ...]:
    """Phrasings of what a piece is, the fullest first."""
    names = instruments_of(score)
    lead, rest = names[0], names[1:]
    tempo, word = f"{score.tempo:.0f} bpm", tempo_word(score.tempo)
    others = _listed(rest)
    playing = {
        "melody": f"solo {lead}",
        "accompanied": f"{lead} with {others}" if rest else f"{lead} melody with chords",
        "band": f"{lead} with {others}",
        "chords": f"{lead} chords",
    }[score.texture]
    metre = "waltz" if score.beats == 3 else "piece"
    return (
        f"{score.mood} {playing} in {score.key_name}, {tempo}",
        f"{score.mood} {lead} in {score.key_name}, {tempo}",
        f"{word} {score.mood} {metre} for {_listed(names)}",
        f"{playing}, {score.key_name}, {word}",
        f"{score.mood} {lead} music, {tempo}",
        f"{score.mood} {lead}",
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
