"""How near speech is to a text and to a reference: error rates of a recogniser, mel cepstra, pitch, durations.

Figures against a reference are taken along the cheapest warping of time (dynamic time warping), so that a sentence
said more slowly is not worse. None of them is an opinion of listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.data.pitch import track
from text2x.errors import InputError
from text2x.metrics.intervals import mean, ratio_of_means
from text2x.metrics.metric import Metric, same_length
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram
from text2x.spoken import read

Recogniser = Callable[[Audio], str]  # what it hears, "" if nothing

RATE = 16_000  # Hz: all comparisons are made there
MEL = MelConfig(RATE, STFTConfig(1024, 640, 160))
COEFFICIENTS = 13  # of the cepstrum, the mean left out (Kubichek 1993)
DECIBELS = 20 / np.log(10)
SEMITONES = 12  # an octave
LEVEL, RANGE = 0.1, 60.0  # root mean square that sounds are brought to; dB below the loudest band that are heard


# Words


def words_of(text: str, language: str = "en") -> tuple[str, ...]:
    """The words of a text as they are said, in small letters without marks: "5 o'clock" is five, o'clock."""
    if not text.strip():
        return ()
    spoken = (word.spoken for utterance in read(text, language).utterances for word in utterance.words)
    return tuple(word.lower() for word in spoken)


def edits(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for number, each in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            cost = min(row[place] + 1, row[place - 1] + 1, before + (each != other))
            before, row[place] = row[place], cost
    return row[-1]


def error_rates(
    wanted: Sequence[str], heard: Sequence[str], language: str = "en", space: str = "recogniser"
) -> dict[str, Metric]:
    """Word and character error rates, "wer" and "cer": all edits over all words, with intervals over the items.

    Both sides are read as `words_of` does. A rate can be above 1.
    """
    same_length({"texts": wanted, "heard": heard})
    pairs = [(words_of(a, language), words_of(b, language)) for a, b in zip(wanted, heard, strict=True)]
    if any(not a for a, _ in pairs):
        raise InputError("a text without words cannot be compared with what was heard; leave it out")
    letters = [("".join(a), "".join(b)) for a, b in pairs]
    return {
        name: ratio_of_means(
            np.array([edits(a, b) for a, b in each], dtype=np.float64),
            np.array([len(a) for a, _ in each], dtype=np.float64),
            space,
        )
        for name, each in (("wer", pairs), ("cer", letters))
    }


def recognition(
    sounds: Sequence[Audio], texts: Sequence[str], recogniser: Recogniser, space: str = "recogniser"
) -> dict[str, Metric]:
    """Error rates of what a recogniser hears in sounds that should say the texts."""
    same_length({"sounds": sounds, "texts": texts})
    return error_rates(texts, [recogniser(sound) for sound in sounds], space=space)


# Along the warping of time


@dataclass(frozen=True)
class Compared:
    """One sentence beside its reference: dB, semitones, and the share of frames whose voicing differs."""

    cepstral: float
    pitch: float | None  # None where no frame of both has voice
    voicing: float
    longer: float  # length over the reference's


def cepstra(sound: Audio) -> NDArray[np.float64]:
    """[F, COEFFICIENTS] cosine series of the log-mel spectrum, however loud; frames of 10 ms.

    A coefficient c stands for c cos(k w), so a distance of 1 in one of them is 20 / ln 10 / sqrt 2 dB.
    """
    samples = torch.from_numpy(sound.to_mono().resample(RATE).samples.copy())
    samples *= LEVEL / samples.square().mean().sqrt().clamp_min(1e-9)
    mel = mel_spectrogram(samples, MEL)[0].double().numpy()  # [M, F]
    mel = np.maximum(mel, mel.max() - RANGE / DECIBELS)
    places = (np.arange(MEL.bands) + 0.5) / MEL.bands
    basis = np.cos(np.pi * np.arange(1, COEFFICIENTS + 1)[:, None] * places) * (2 / MEL.bands)  # [K, M]
    return (basis @ mel).T


def warping(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cheapest way [P, 2] through costs [N, M] from the first pair to the last, by steps of one in either or both.

    Sakoe and Chiba 1978, without weights for the slope.
    """
    n, m = costs.shape
    best = np.full((n + 1, m + 1), np.inf)
    best[0, 0] = 0
    for diagonal in range(n + m - 1):  # all pairs (i, diagonal - i) at once
        i = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(best[i, j], best[i, j + 1]), best[i + 1, j])
        best[i + 1, j + 1] = costs[i, j] + before
    i, j = n, m
    steps = []
    while i and j:
        steps.append((i - 1, j - 1))
        choice = int(np.argmin([best[i - 1, j - 1], best[i - 1, j], best[i, j - 1]]))
        i, j = i - (choice != 2), j - (choice != 1)
    return np.array(steps[::-1], dtype=np.int64)


def compare(made: Audio, reference: Audio) -> Compared:
    """A sentence beside the same one of a reference: cepstral distance, pitch and voicing along the warping."""
    ours, theirs = cepstra(made), cepstra(reference)
    costs = np.sqrt(np.maximum(_squares(ours, theirs), 0))
    way = warping(costs)
    distance = float(costs[way[:, 0], way[:, 1]].mean() * DECIBELS / np.sqrt(2))
    first, second = (_pitch(each, count)[way[:, side]] for side, (each, count) in enumerate(
        ((made, len(ours)), (reference, len(theirs)))))  # fmt: skip
    voiced, both = (first > 0) != (second > 0), (first > 0) & (second > 0)
    pitch = None
    if both.any():
        pitch = float(np.sqrt(np.mean(np.square(SEMITONES * np.log2(first[both] / second[both])))))
    return Compared(distance, pitch, float(voiced.mean()), made.seconds / reference.seconds)


def _squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, M] squared distances of rows."""
    return np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T


def _pitch(sound: Audio, frames: int) -> NDArray[np.float32]:
    """[F] the pitch of the frames that `cepstra` has."""
    samples = sound.to_mono().resample(RATE).samples[0]
    found = track(np.pad(samples, (0, frames * MEL.hop - len(samples))), RATE, MEL.hop)
    return found[:frames]


def against_reference(
    made: Sequence[Audio], references: Sequence[Audio], space: str = "mel cepstra"
) -> dict[str, Metric]:
    """Means over sentences: "mcd" in dB, "pitch" in semitones (RMSE), "voicing" a share, "longer" a ratio of lengths.

    Mel-cepstral distance is 10 / ln 10 sqrt(2 sum of squares) (Kubichek 1993), of the cosine series of log-mel spectra.
    """
    same_length({"sounds": made, "references": references})
    each = [compare(a, b) for a, b in zip(made, references, strict=True)]
    figures = {
        "mcd": mean([one.cepstral for one in each], space, note="dB, warped"),
        "voicing": mean([one.voicing for one in each], space, note="share of frames, warped"),
        "longer": mean([one.longer for one in each], space, note="length over the reference's"),
    }
    pitches = [one.pitch for one in each if one.pitch is not None]
    if pitches:
        figures["pitch"] = mean(pitches, space, note="semitones, RMSE of frames with voice, warped")
    return figures


def duration_errors(
    made: Sequence[Sequence[int]], references: Sequence[Sequence[int]], frame: float = 0.01
) -> dict[str, Metric]:
    """Of frames a phone: "absolute" in ms a phone, "sentence" the share by which the lengths of sentences differ."""
    same_length({"durations": made, "references": references})
    absolute, sentence = [], []
    for ours, theirs in zip(made, references, strict=True):
        if len(ours) != len(theirs) or not sum(theirs):
            raise InputError(f"{len(ours)} durations against {len(theirs)}; both must be of the same phones")
        absolute.append(1000 * frame * float(np.abs(np.subtract(ours, theirs)).mean()))
        sentence.append(abs(sum(ours) / sum(theirs) - 1))
    space = "frames a phone"
    return {"absolute": mean(absolute, space, note="ms a phone"), "sentence": mean(sentence, space)}
