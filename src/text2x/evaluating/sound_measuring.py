"""All figures of a model of sound or music beside real sounds, retrieval, noise and chance: `evaluate_sounds`.

Prompts are those of held-out clips, and of training clips that the classifier has not heard; these clips are also what
kernel distances are taken to, so that the classifier knows neither side of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.data.audioset import AudioSet, AudioSplit
from text2x.data.music import read_scores
from text2x.data.scores import Score
from text2x.errors import InputError
from text2x.evaluating.asking import Tell
from text2x.evaluating.music_measuring import Heard, melody_figures, music_figures, training_notes
from text2x.evaluating.sound_asking import (
    AskedSounds,
    SoundSubject,
    asked_of_sounds,
    drawn_sounds,
    real_sounds,
)
from text2x.metrics.companions import Sentences, nearest_captions, sentence_embeddings
from text2x.metrics.copies import copies
from text2x.metrics.distances import kernel_distance
from text2x.metrics.metric import Metric, Rows, to_json
from text2x.metrics.sound_judge import (
    SoundJudge,
    SoundJudgeConfig,
    class_accuracy,
    commonest,
    heard,
    reserved,
    sound_judge,
    wave,
)
from text2x.metrics.sounds import SPACE, Scaling, mel_statistics, nearest_ratio, silent, silent_part

Figures = dict[str, Metric]
MELODIES = 20  # pieces of each part whose melodies are followed
NOISE_LEVEL = 0.1  # root mean square
SHEET_ITEMS = 6  # prompts of each part


@dataclass(frozen=True)
class SoundPlan:
    """How much is asked: prompts of each part, sounds of each prompt, and the longest sound in seconds."""

    prompts: int = 60
    seeds: int = 1
    seconds: float | None = None  # None: what the model makes by default
    fast: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # further fields of the requests


@dataclass(frozen=True, eq=False)
class SoundInstruments:
    """What sounds are measured by, and what is not there, with the reason."""

    judge: SoundJudge | None
    sentences: Sentences | None
    left_out: tuple[str, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)  # of music, by the keys of clips


@dataclass(frozen=True, eq=False)
class RealSounds:
    """Real sounds in the roles that they have, and their features by space."""

    training: NDArray[np.int64]  # indexes into the set
    reference: NDArray[np.int64]  # training clips that the classifier has not heard
    held_out: NDArray[np.int64]
    features: Mapping[str, NDArray[np.float64]]  # [clips of the set, D], by the name of the space


@dataclass(frozen=True)
class Row:
    """A prompt on the contact sheet, and the sound of each source."""

    prompt: str
    part: str
    sounds: Mapping[str, Audio]


@dataclass(frozen=True, eq=False)
class SoundReport:
    """Figures by part, source and name; those along melodies by part "melodies"."""

    about: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Figures]]
    left_out: tuple[str, ...]
    rows: tuple[Row, ...]
    sounds: tuple[Audio, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; sounds are not among them."""
        return {**self.about, "figures": to_json(self.figures), "left_out": list(self.left_out)}


def sound_instruments(
    clips: AudioSet, folder: Path | None = None, config: SoundJudgeConfig | None = None, tell: Tell | None = None
) -> SoundInstruments:
    """Whatever there is to measure sounds of the set by; the classifier is trained, or read from the set's folder."""
    left_out: list[str] = []
    judge, sentences, scores = None, None, {}
    told = None if tell is None else (lambda done, total: tell("classifier: steps of training", done, total))
    try:
        judge = sound_judge(clips, config, folder, told)
    except InputError as reason:
        left_out.append(f"accuracy of a classifier, and figures in its space: {reason}")
    try:
        sentences = sentence_embeddings()
    except InputError as reason:
        left_out.append(f"retrieval: {reason}")
    if folder is not None:
        try:
            scores = read_scores(folder)
        except InputError:
            scores = {}  # a set of sounds
    return SoundInstruments(judge, sentences, tuple(left_out), scores)


def evaluate_sounds(
    subject: SoundSubject,
    clips: AudioSet,
    instruments: SoundInstruments,
    plan: SoundPlan | None = None,
    tell: Tell | None = None,
) -> SoundReport:
    """Make what is asked of every model, and measure it part by part; raises InputError if nothing can be asked."""
    plan = plan or SoundPlan()
    longest = min(plan.seconds or subject.seconds, subject.seconds)
    asked = asked_of_sounds(clips, plan.prompts, longest)
    real = real_roles(clips, instruments, longest, tell)
    made = drawn_sounds(subject, asked, plan.seeds, plan.fast, plan.options, tell=tell)
    left_out = [*instruments.left_out, *(f"less than was asked for: {each}" for each in asked.missing), *made.warnings]
    if subject.kind == "music" and not instruments.scores:
        left_out.append(f"tempo, key and notes: the set {clips.name!r} has no scores")
    whole = asked.repeated(plan.seeds)
    figures: dict[str, dict[str, Figures]] = {}
    rows: list[Row] = []
    notes = training_notes(clips, real.training, longest, tell) if instruments.scores else []
    for part in dict.fromkeys(asked.parts):
        places = [row for row, each in enumerate(whole.parts) if each == part]
        some = whole.of(places)
        sources = sources_of(some, tuple(made.sounds[place] for place in places), clips, real, instruments, longest)
        figures[part] = sound_figures(some, sources, real, instruments, left_out)
        if instruments.scores:
            pieces = [instruments.scores[clips.keys[item]] for item in some.items]
            for source, found in music_figures(Heard(sources, pieces, some.prompts), notes, part, left_out).items():
                figures[part].setdefault(source, {}).update(found)
        firsts = [place for place in range(0, len(some), plan.seeds)][:SHEET_ITEMS]
        rows += [Row(some.prompts[at], part, {name: each[at] for name, each in sources.items()}) for at in firsts]
    if subject.melodies and instruments.scores:
        figures["melodies"] = _along_melodies(subject, asked, clips, instruments, plan, longest, tell)
    about = {
        "model": subject.name, "data": clips.name, "kind": subject.kind,
        "prompts": {part: sum(each == part for each in asked.parts) for part in dict.fromkeys(asked.parts)},
        "seeds": plan.seeds, "longest": longest, "rate": subject.rate,
        "precision": "bfloat16" if plan.fast else "float32",
        "settings": {name: value for name, value in made.settings.items() if value not in ("", None)},
        "seconds_a_sound": round(made.seconds, 4), "real_time_factor": round(made.factor, 4),
        "reference": f"{len(real.reference)} training clips that the classifier has not heard",
    }  # fmt: skip
    return SoundReport(about, figures, tuple(gathered(left_out)), tuple(rows), made.sounds)


def gathered(left_out: Sequence[str]) -> list[str]:
    """What is left out, one line a reason: "held-out, real: too few" with all places of that reason behind it."""
    places: dict[str, list[str]] = {}
    for each in left_out:
        place, _, reason = each.partition(": ")
        if place.startswith(("train, ", "held-out, ")):
            places.setdefault(reason, []).append(place)
        else:
            places.setdefault(each, [])
    return [f"{reason} ({'; '.join(dict.fromkeys(found))})" if found else reason for reason, found in places.items()]


def real_roles(clips: AudioSet, instruments: SoundInstruments, longest: float, tell: Tell | None = None) -> RealSounds:
    """Which real sounds are the reference and which are held out, with the features of every clip."""
    if tell is not None:
        tell("real sounds: features", 0, 1)
    every = real_sounds(clips, range(len(clips)), longest)
    features = {name: rows for name, (rows, _) in listened(every, instruments.judge).items()}
    return RealSounds(clips.split("train"), reserved(clips)[1], clips.split("held-out"), features)


def listened(
    sounds: Sequence[Audio], judge: SoundJudge | None, rate: int = 16_000
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Features of sounds by the name of the space, with the labels' probabilities where it is the classifier's."""
    rate = rate if judge is None else judge.rate
    found = {} if judge is None else {judge.space: judge.listen(sounds)}
    plain = mel_statistics([heard(each, rate) for each in sounds], rate)
    return {**found, SPACE: (plain, np.zeros((len(plain), 0)))}


def sources_of(
    asked: AskedSounds,
    made: tuple[Audio, ...],
    clips: AudioSet,
    real: RealSounds,
    instruments: SoundInstruments,
    longest: float,
) -> dict[str, tuple[Audio, ...]]:
    """What the model made, the real clips of the captions, the retrieved training clips, and noise of each length."""
    sources = {"generated": made, "real": real_sounds(clips, asked.items, longest)}
    if instruments.sentences is not None:
        captions = [clips.clips[index].text for index in real.training]
        found = nearest_captions(asked.prompts, captions, instruments.sentences)
        sources["retrieval"] = real_sounds(clips, real.training[found], longest)
    rng = np.random.default_rng(0)
    sizes = [round(each * clips.rate) for each in asked.seconds]
    noise = tuple(Audio(np.clip(NOISE_LEVEL * rng.standard_normal(size), -1, 1), clips.rate) for size in sizes)
    return {**sources, "noise": noise}


def sound_figures(
    asked: AskedSounds,
    sources: Mapping[str, tuple[Audio, ...]],
    real: RealSounds,
    instruments: SoundInstruments,
    left_out: list[str],
) -> dict[str, Figures]:
    """Accuracy, distances, neighbours, copies and silence of each source, of one part of the data."""
    judge, part = instruments.judge, asked.parts[0]
    figures: dict[str, Figures] = {source: {} for source in sources}
    for source, sounds in sources.items():
        found = listened(sounds, judge)
        measures: list[tuple[str, Callable[[], Metric]]] = []
        if judge is not None:
            likely = found[judge.space][1]
            for top in (1, 5):
                if top < len(judge.labels):
                    name = f"class accuracy, top {top}"
                    measures.append(
                        (
                            name,
                            lambda top=top, likely=likely: class_accuracy(
                                judge, likely, asked.labels, asked.prompts, top
                            ),
                        )
                    )
        for space, (rows, _) in found.items():
            measures += _in_space(source, part, space, rows, real)
        waves = [wave(each, each.rate) for each in sounds]
        measures += [
            ("silent sounds", lambda waves=waves: silent(waves, asked.prompts)),
            ("silent part", lambda waves=waves, rate=sounds[0].rate: silent_part(waves, rate)),
        ]
        figures[source] |= _taken(measures, f"{part}, {source}", left_out)
    if judge is not None:
        tops = [top for top in (1, 5) if top < len(judge.labels)]
        guesses = [
            (f"class accuracy, top {top}", lambda top=top, judge=judge: commonest(judge, asked.labels, top))
            for top in tops
        ]
        figures["chance"] = _taken(guesses, f"{part}, chance", left_out)
    return figures


def _in_space(
    source: str, part: AudioSplit, space: str, rows: NDArray[np.float64], real: RealSounds
) -> list[tuple[str, Callable[[], Metric]]]:
    """Kernel distance of rows [N, D]; of log-mel statistics neighbours and copies. Real training clips have none."""
    if source == "real" and part == "train":
        return []
    known = real.features[space]
    distance = (f"kernel distance, {space}", lambda: scaled_distance(rows, known[real.reference], space))
    if space != SPACE:
        return [distance]
    training, held_out = known[real.training], known[real.held_out]
    made, near = (held_out, None) if source == "real" else (rows, held_out)
    return [
        distance,
        ("nearest ratio", lambda: nearest_ratio(made, training, near)),
        ("copies", lambda: scaled_copies(rows, training)),
    ]


def scaling_of(reference: Rows, space: str) -> Scaling:
    """Each log-mel statistic by its own spread, features of a classifier by one spread for all."""
    return Scaling.of(reference) if space == SPACE else Scaling.shared(reference, space)


def scaled_distance(made: Rows, reference: Rows, space: str, seed: int = 0) -> Metric:
    """Kernel distance of features scaled by the reference."""
    scaling = scaling_of(reference, space)
    return kernel_distance(scaling(made), scaling(reference), space, seed)


def scaled_copies(made: Rows, training: Rows) -> Metric:
    """Share of sounds much nearer to one training clip than to the next, by log-mel statistics of equal weight."""
    scaling = Scaling.of(training)
    return copies(scaling(made), scaling(training), SPACE).rate


def _taken(measures: Sequence[tuple[str, Callable[[], Metric]]], place: str, left_out: list[str]) -> Figures:
    """What can be measured; the rest is told."""
    figures: Figures = {}
    for name, measure in measures:
        try:
            figures[name] = measure()
        except InputError as reason:
            left_out.append(f"{place}: {reason}")
    return figures


def _along_melodies(
    subject: SoundSubject,
    asked: AskedSounds,
    clips: AudioSet,
    instruments: SoundInstruments,
    plan: SoundPlan,
    longest: float,
    tell: Tell | None,
) -> dict[str, Figures]:
    """Pieces made along the melodies of held-out pieces, against the scores of these."""
    rows = [row for row, part in enumerate(asked.parts) if part == "held-out"][:MELODIES]
    some = asked.of(rows)
    given = real_sounds(clips, some.items, longest)
    made = drawn_sounds(subject, some, 1, plan.fast, plan.options, given, tell)
    pieces = [instruments.scores[clips.keys[item]] for item in some.items]
    return melody_figures(Heard({"generated": made.sounds, "real": given}, pieces, some.prompts))
