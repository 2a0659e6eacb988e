"""Music held against the scores of the pieces whose captions were asked for: tempo, key, notes, melodies.

A piece that is silent, or too short for a tempo, counts as wrong. Chance: what is heard in one piece held against the
scores of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio import Audio
from text2x.chroma import ChromaConfig, chroma
from text2x.data.audioset import AudioSet
from text2x.data.scores import Score
from text2x.errors import InputError
from text2x.evaluating.asking import Tell
from text2x.metrics.intervals import mean, rate
from text2x.metrics.metric import Metric, exact
from text2x.metrics.music import CLOSE, TOLERANCE, key_of, key_score, onset_agreement, onsets, tempo, tempo_error
from text2x.metrics.sound_judge import wave
from text2x.metrics.transcribing import Tokens, piece_overlap, tokens_of

A = TypeVar("A")
B = TypeVar("B")
Figures = dict[str, Metric]
WRONG_TEMPO = 1.0  # the error of a piece that has no tempo
OTHERS = 10  # other scores that each piece is held against for the chance
RATE = 16_000  # Hz at which notes are listened to
TEMPO_SPACE, KEY_SPACE = "at any multiple", "Krumhansl-Kessler keys"
ONSET_SPACE = f"spectral-flux onsets within {TOLERANCE * 1000:.0f} ms"
CHROMA_SPACE = "strongest pitch class of windows of half a second"
CHROMA = ChromaConfig()


@dataclass(frozen=True, eq=False)
class Heard:
    """Sounds of each source, one a prompt and seed, and the scores that they should be of."""

    sources: Mapping[str, Sequence[Audio]]
    scores: Sequence[Score]
    prompts: Sequence[str]


def training_notes(
    clips: AudioSet, indexes: NDArray[np.int64], longest: float, tell: Tell | None = None
) -> list[Tokens]:
    """The strongest notes of every training piece, as far as pieces that are made go."""
    notes: list[Tokens] = []
    for number, index in enumerate(indexes):
        samples = clips.samples(int(index), 0, round(longest * clips.rate))
        notes.append(tokens_of(wave(Audio(samples, clips.rate), RATE), RATE))
        if tell is not None:
            tell("notes of training pieces", number + 1, len(indexes))
    return notes


def music_figures(given: Heard, notes: Sequence[Tokens], part: str, left_out: list[str]) -> dict[str, Figures]:
    """Tempo, key and overlap of notes of each source, and the chance of the first two."""
    figures: dict[str, Figures] = {}
    for source, sounds in given.sources.items():
        waves = [wave(each, RATE) for each in sounds]
        tempi = [_or_none(lambda each=each: tempo(each, RATE)) for each in waves]
        keys = [_or_none(lambda each=each: key_of(each, RATE)) for each in waves]
        errors = [_tempo_error(found, score) for found, score in zip(tempi, given.scores, strict=True)]
        right = [_key_score(found, score) for found, score in zip(keys, given.scores, strict=True)]
        own = {
            "tempo accuracy": rate([float(each <= CLOSE) for each in errors], f"within 4 % {TEMPO_SPACE}"),
            "tempo error": mean(errors, TEMPO_SPACE),
            "key accuracy": rate([float(each == 1) for each in right], KEY_SPACE),
            "key score": mean(right, f"{KEY_SPACE}, MIREX weights"),
        }
        if not (source == "real" and part == "train"):  # those are training pieces
            own["overlap of notes"] = piece_overlap([tokens_of(each, RATE) for each in waves], notes)
        figures[source] = own
        if source == "real":
            figures["chance"] = _music_chance(tempi, keys, given.scores)
    if given.scores and max(score.seconds for score in given.scores) < 2:
        left_out.append(f"{part}: tempo, pieces of less than 2 s have none")
    return figures


def _music_chance(
    tempi: Sequence[float | None], keys: Sequence[tuple[int, str] | None], scores: Sequence[Score]
) -> Figures:
    """The figures of real pieces held against the scores of other pieces."""
    errors = dealt(tempi, scores, _tempo_error)
    right = dealt(keys, scores, _key_score)
    if not errors:
        return {}
    return {
        "tempo accuracy": exact(float(np.mean(np.array(errors) <= CLOSE)), len(errors), f"within 4 % {TEMPO_SPACE}"),
        "tempo error": exact(float(np.mean(errors)), len(errors), TEMPO_SPACE),
        "key accuracy": exact(float(np.mean(np.array(right) == 1)), len(right), KEY_SPACE),
        "key score": exact(float(np.mean(right)), len(right), f"{KEY_SPACE}, MIREX weights"),
    }


def dealt(found: Sequence[A], true: Sequence[B], measure: Callable[[A, B], float]) -> list[float]:
    """What is found in each piece, measured against what is true of a few other pieces."""
    count = len(true)
    pairs = [(row, (row + step) % count) for step in range(1, min(OTHERS, count - 1) + 1) for row in range(count)]
    return [measure(found[row], true[other]) for row, other in pairs if true[other] is not true[row]]


def melody_figures(given: Heard) -> dict[str, Figures]:
    """Onsets and pitch classes of pieces that follow melodies, and the chance of it; source "real" is what they follow.

    Onsets are held against all notes of the score, pitch classes against those of the sound that is followed.
    """
    waves = {source: [wave(each, RATE) for each in sounds] for source, sounds in given.sources.items()}
    classes = {source: [chroma(one, CHROMA).argmax(-1) for one in each] for source, each in waves.items()}
    begins = {source: [onsets(one, RATE).tolist() for one in each] for source, each in waves.items()}
    figures: dict[str, Figures] = {}
    for source in waves:
        pairs = zip(begins[source], given.scores, strict=True)
        both = zip(classes[source], classes["real"], strict=True)
        figures[source] = {
            "onset agreement": mean([_onset_f(*pair) for pair in pairs], ONSET_SPACE),
            "pitch-class agreement": mean([_class_share(*pair) for pair in both], CHROMA_SPACE),
        }
    chances = (
        ("onset agreement", ONSET_SPACE, dealt(begins["generated"], given.scores, _onset_f)),
        ("pitch-class agreement", CHROMA_SPACE, dealt(classes["generated"], classes["real"], _class_share)),
    )
    figures["chance"] = {name: exact(float(np.mean(each)), len(each), space) for name, space, each in chances if each}
    return figures


def _onset_f(found: Sequence[float], score: Score) -> float:
    return onset_agreement(found, [note.onset for note in score.notes]).f


def _class_share(found: Tensor, true: Tensor) -> float:
    """Share of windows with the same strongest pitch class."""
    count = min(len(found), len(true))
    return float((found[:count] == true[:count]).double().mean())


def _tempo_error(found: float | None, score: Score) -> float:
    return WRONG_TEMPO if found is None else tempo_error(found, score.tempo)


def _key_score(found: tuple[int, str] | None, score: Score) -> float:
    return 0.0 if found is None else key_score(found, (score.tonic, score.mode))


def _or_none(measure: Callable[[], A]) -> A | None:
    try:
        return measure()
    except InputError:
        return None
