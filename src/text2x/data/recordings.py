"""From recordings with their texts to clips of a speech set: sentences cut out, phones timed, silence kept short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from text2x.alignment import rounded
from text2x.audio import Audio
from text2x.data.phone_alignment import FRAME, NotAligned, PhoneAligner, Timed
from text2x.data.phone_alignment import RATE as ALIGNED_RATE
from text2x.data.speechset import Clip, Spoken
from text2x.errors import InputError
from text2x.spoken import LANGUAGES, read, sounds
from text2x.spoken.phone_set import MARKS, SILENCE, is_silence
from text2x.spoken.script import Utterance

ALIGNED = ("en",)  # languages that phones are timed in
LEAD, TAIL, PAUSE = 0.10, 0.25, 0.5  # seconds of silence that may stay before, after and within a clip
CUT = 8  # frames of silence between two sentences that are enough to part them
SHORTEST, LONGEST = 0.25, 15.0  # seconds of a clip
LONGEST_RECORDING = 180.0  # seconds
LONGEST_PHONE = 0.6  # seconds; longer ones are faults of the alignment
LEAST_SCORE = -30.0  # of pocketsphinx a frame; of 591 prompts of Asterisk those below it had other words or a beep
TRIMMED = 40.0  # dB below the loudest frame: what counts as silence where phones are not timed


@dataclass(frozen=True)
class Recording:
    """A sound and what is said in it; `load` may raise InputError."""

    key: str
    text: str
    language: str
    speaker: str
    licence: str
    load: Callable[[], Audio]


@dataclass
class LeftOut:
    """What was not used and why, in order."""

    reasons: list[tuple[str, str]] = field(default_factory=list)

    def add(self, key: str, reason: str) -> None:
        """Remember one."""
        self.reasons.append((key, reason))

    def lines(self) -> tuple[str, ...]:
        """One line each."""
        return tuple(f"{key}: {reason}" for key, reason in self.reasons)

    def counted(self) -> tuple[str, ...]:
        """One line a kind of reason: how many, and the first of them."""
        order = sorted(self.reasons, key=lambda pair: _kind(pair[1]))
        groups = [(kind, [key for key, _ in group]) for kind, group in groupby(order, key=lambda pair: _kind(pair[1]))]
        return tuple(
            f"{len(keys)} left out: {kind} ({', '.join(keys[:3])}{', …' * (len(keys) > 3)})" for kind, keys in groups
        )


def _kind(reason: str) -> str:
    return reason.partition(":")[0]


def spoken_clips(
    recordings: Sequence[Recording],
    rate: int,
    hop: int,
    left_out: LeftOut,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Spoken]:
    """Clips with their sound at `rate`; phones are timed where there is a model of the language."""
    texts = [_utterances(recording, left_out) for recording in recordings]
    timed = [
        utterance
        for recording, utterances in zip(recordings, texts, strict=True)
        if recording.language in ALIGNED
        for utterance in utterances
    ]
    aligner = PhoneAligner(timed) if timed else None
    for number, (recording, utterances) in enumerate(zip(recordings, texts, strict=True)):
        if utterances or (recording.text and recording.language not in LANGUAGES):
            try:
                sound = _sound(recording)
                if aligner is not None and recording.language in ALIGNED:
                    yield from _timed_clips(recording, utterances, sound, (rate, hop), aligner, left_out)
                else:
                    yield _whole_clip(recording, utterances, sound, rate)
            except (InputError, NotAligned) as error:
                left_out.add(recording.key, str(error))
        if on_progress is not None:
            on_progress(number + 1, len(recordings))


def _utterances(recording: Recording, left_out: LeftOut) -> list[Utterance]:
    """The sentences of a recording; of a language that cannot be read none."""
    if recording.language not in LANGUAGES:
        return []
    try:
        found = [each for each in read(recording.text, language=recording.language).utterances if each.words]
    except InputError as error:
        left_out.add(recording.key, f"its text cannot be read: {error}")
        return []
    fault = _fault(recording, found)
    if fault:
        left_out.add(recording.key, fault)
        return []
    return found


def _fault(recording: Recording, found: Sequence[Utterance]) -> str:
    """Why sentences cannot be used, "" if they can."""
    if not found:
        return "no words in its text"
    other = next((each.language for each in found if each.language != recording.language), None)
    if other is not None:
        return f"its text is of another language: {other}"
    mute = next((word.text for each in found for word in each.words if not word.phones), None)
    return f"a word without sounds: {mute}" if mute is not None else ""


def _sound(recording: Recording) -> Audio:
    sound = recording.load().to_mono()
    if sound.seconds > LONGEST_RECORDING:
        raise InputError(f"too long: {sound.seconds:.0f} s; at most {LONGEST_RECORDING:.0f}")
    if sound.seconds < SHORTEST:
        raise InputError(f"too short: {sound.seconds:.2f} s; at least {SHORTEST}")
    if not np.any(sound.samples):
        raise InputError("silent all through")
    return sound


# Without timing


def _whole_clip(recording: Recording, utterances: Sequence[Utterance], sound: Audio, rate: int) -> Spoken:
    """The whole recording without the silence around it."""
    trimmed = sound.resample(rate).trim(TRIMMED, LEAD)
    if trimmed.seconds > LONGEST:
        raise InputError(f"too long: {trimmed.seconds:.1f} s; at most {LONGEST:.0f}")
    phones = [phone for utterance in utterances for phone in sounds(utterance).symbols[1:]]
    symbols = (SILENCE, *phones) if utterances else letters(recording.text)
    if len(symbols) < 3:
        raise InputError("no words in its text")
    clip = _clip(recording, recording.key, recording.text, symbols, None)
    return Spoken(clip, trimmed.samples[0])


def _clip(
    recording: Recording, key: str, text: str, phones: tuple[str, ...], durations: tuple[int, ...] | None
) -> Clip:
    return Clip(key, text, recording.language, recording.speaker, phones, durations, 0, recording.licence)


def letters(text: str) -> tuple[str, ...]:
    """Small letters as symbols where no phones are known; words are parted by silence, marks stay."""
    if any(sign.isdigit() for sign in text):
        raise InputError("figures in a language whose numbers cannot be read")
    made = [SILENCE]
    for sign in text.casefold():
        symbol = sign if sign.isalpha() or sign == "'" or sign in MARKS else SILENCE
        if symbol != SILENCE or made[-1] not in (SILENCE, *MARKS):
            made.append(symbol)
    if not is_silence(made[-1]):
        made.append(SILENCE)
    return tuple(made)


# With timing


def _timed_clips(
    recording: Recording,
    utterances: Sequence[Utterance],
    sound: Audio,
    shape: tuple[int, int],
    aligner: PhoneAligner,
    left_out: LeftOut,
) -> Iterator[Spoken]:
    """The sentences of a recording that are parted by silence, each a clip."""
    rate, hop = shape
    made = aligner.align(sound.resample(ALIGNED_RATE).to_int16()[0], utterances)
    samples = sound.resample(rate).samples[0]
    begin = 0
    for number, group in enumerate(_grouped(made)):
        timed = _together([made[place] for place in group])
        end = begin + sum(timed.durations)
        text = " ".join(utterances[place].text for place in group)
        key = recording.key if len(made) == len(group) else f"{recording.key}#{number + 1}"
        try:
            phones, kept = tightened(timed, begin)
            found = kept_sound(samples, kept, rate)
            whole = found[: len(found) // hop * hop]
            ends = np.cumsum(phones.durations) * FRAME
            durations = tuple(rounded(ends.tolist(), hop / rate, len(whole) // hop))
            _check_timing(timed, len(whole) / rate)
            yield Spoken(_clip(recording, key, text, phones.symbols, durations), whole)
        except InputError as error:
            left_out.add(key, str(error))
        begin = end


def _check_timing(timed: Timed, seconds: float) -> None:
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(f"too {'short' if seconds < SHORTEST else 'long'}: {seconds:.2f} s")
    if timed.score < LEAST_SCORE:
        raise InputError(f"the words may be others: the alignment scores {timed.score:.0f}")
    pairs = zip(timed.symbols, timed.durations, strict=True)
    longest = max((frames, phone) for phone, frames in pairs if not is_silence(phone))
    if longest[0] * FRAME > LONGEST_PHONE:
        raise InputError(f"the words may be others: {longest[1]} lasts {longest[0] * FRAME:.2f} s")


def _grouped(made: Sequence[Timed]) -> list[list[int]]:
    """Sentences that no silence parts stay together."""
    groups: list[list[int]] = []
    for place, timed in enumerate(made):
        before = made[place - 1].durations[-1] if place else 0
        if place and before + timed.durations[0] < CUT:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _together(made: Sequence[Timed]) -> Timed:
    """Sentences in a row as one: the silence at the beginning of each joins the mark before it."""
    symbols, durations = list(made[0].symbols), list(made[0].durations)
    for timed in made[1:]:
        durations[-1] += timed.durations[0]
        symbols += timed.symbols[1:]
        durations += timed.durations[1:]
    return Timed(tuple(symbols), tuple(durations), (), min(timed.score for timed in made))


def tightened(timed: Timed, begin: int) -> tuple[Timed, list[tuple[int, int]]]:
    """A sentence with long silences shortened, and the frames of the sound, counted from `begin`, that are kept."""
    durations, kept, at = [], [], begin
    last = len(timed.symbols) - 1
    for place, (symbol, frames) in enumerate(zip(timed.symbols, timed.durations, strict=True)):
        most = round({0: LEAD, last: TAIL}.get(place, PAUSE) / FRAME) if is_silence(symbol) else frames
        stays = min(frames, most)
        first = 0 if place == 0 else stays if place == last else stays // 2  # of what stays, what lies at its beginning
        kept += [(at, at + first), (at + frames - (stays - first), at + frames)]
        durations.append(stays)
        at += frames
    ranges: list[tuple[int, int]] = []
    for a, b in kept:
        if ranges and ranges[-1][1] == a:
            ranges[-1] = (ranges[-1][0], b)
        elif a < b:
            ranges.append((a, b))
    return Timed(timed.symbols, tuple(durations), timed.words, timed.score), ranges


def kept_sound(samples: NDArray[np.floating], kept: Sequence[tuple[int, int]], rate: int) -> NDArray[np.floating]:
    """The parts of a sound [T] from frame to frame, one after the other."""
    return np.concatenate([samples[round(a * FRAME * rate) : round(b * FRAME * rate)] for a, b in kept])
