"""SpeechGenerator: a text to sound, whole or as it is made; both give the same samples, bit for bit.

The text is read, cut into pieces (`speech_plan`), each piece becomes frames (`voices`) and is heard chunk by chunk
(`vocoding`). Piece k has a seed of its own, made of the request's and k. Times are in seconds.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from text2x.acoustics import SpeechSampling
from text2x.audio import Audio
from text2x.errors import InputError
from text2x.requests import OnStep, Progress, Result, unknown
from text2x.speech_plan import Piece, pieces, times
from text2x.speech_requests import SpeechRequest
from text2x.spoken import LANGUAGES, language_of, utterances
from text2x.spoken.ssml import is_ssml
from text2x.timestamps import TimedWord, Timestamps
from text2x.vocoding import Vocoder
from text2x.voices import Manner, Voice

IGNORED = {"steps": "this voice takes no steps", "temperature": "this voice has no noise to begin from"}
EDGE_SECONDS = 0.005  # at both ends of a piece its samples rise from zero and fall to it
GAIN_SECONDS = 0.01  # in which loudness changes from one word to the next


@dataclass(frozen=True)
class Chunk:
    """A part of what is said, with the words that begin in the piece it opens."""

    audio: Audio
    begin: float
    words: tuple[TimedWord, ...] = ()


@dataclass(frozen=True)
class SpeechSettings:
    """A request with the model's defaults filled in."""

    voice: str
    language: str
    speed: float
    pitch: float
    steps: int | None
    temperature: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class Plan:
    """A request as this voice takes it; what is found on the way is added to `warnings` and `timings`."""

    request: SpeechRequest
    settings: SpeechSettings
    manner: Manner
    seed: int
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)  # seconds by part of the work

    def warn(self, warnings: Iterable[str]) -> None:
        """Each once."""
        self.warnings.extend(each for each in dict.fromkeys(warnings) if each not in self.warnings)

    def count(self, name: str, begin: float) -> None:
        """Add the seconds since `begin` to a part of the work."""
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin


class SpeechGenerator:
    """Text to speech."""

    def __init__(self, name: str, voice: Voice, vocoder: Vocoder, sampling: SpeechSampling) -> None:
        self.name, self.voice, self.vocoder, self.sampling = name, voice, vocoder, sampling

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.vocoder.rate

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that a request may name."""
        return self.voice.speakers

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that a request may name."""
        return self.voice.languages

    def generate(self, request: SpeechRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result: the sound with its timestamps; raises InputError for what this voice cannot say."""
        if not isinstance(request, SpeechRequest):
            raise InputError(f"{self.name} is a voice and takes a text to say: text2x speech TEXT --model {self.name}")
        plan = self.plan(request.seeded())
        chunks = list(self.spoken(plan, on_step))
        samples = np.concatenate([chunk.audio.samples for chunk in chunks], axis=1)
        audio = Audio(samples, self.rate)
        words = tuple(word for chunk in chunks for word in chunk.words)
        settings = {**plan.settings.as_dict(), "model": self.name}
        timestamps = self.timestamps(request, words, audio.seconds)
        return [Result(audio, plan.seed, tuple(plan.warnings), dict(plan.timings), settings, timestamps)]

    def generate_stream(self, request: SpeechRequest, on_step: OnStep | None = None) -> Iterator[Chunk]:
        """The same, part by part as it is made."""
        yield from self.spoken(self.plan(request.seeded()), on_step)

    def timestamps(self, request: SpeechRequest, words: Sequence[TimedWord], seconds: float) -> Timestamps:
        """Words with their places in the text; where that is SSML, in the plain text of its words."""
        if not request.ssml and not is_ssml(request.text):
            return Timestamps(request.text, tuple(words), seconds)
        text, moved, place = "", [], None
        for word in words:
            if (word.start, word.stop) != place:
                text += f" {word.text}" if text else word.text
            place = (word.start, word.stop)
            moved.append(replace(word, start=len(text) - len(word.text), stop=len(text)))
        return Timestamps(text, tuple(moved), seconds)

    def plan(self, request: SpeechRequest) -> Plan:
        """The request with the model's defaults; raises InputError for what this voice cannot do."""
        assert request.seed is not None
        settings, ignored = self.settings(request)
        defaults = self.sampling
        manner = Manner(
            settings.voice,
            settings.speed,
            settings.pitch,
            settings.steps or defaults.steps,
            defaults.temperature if settings.temperature is None else settings.temperature,
            defaults.sampler,
            defaults.contrast,
        )
        return Plan(request, settings, manner, request.seed, list(ignored))

    def pieces(self, plan: Plan) -> Iterator[Piece]:
        """The text, read and cut as it goes along, so that the first words need not wait for the last ones."""
        begin = time.perf_counter()
        ssml = True if plan.request.ssml else None  # None: if the text begins as SSML does
        read = utterances(plan.request.text, plan.settings.language, ssml=ssml, speaks=self.languages)
        for piece in pieces(read, plan.settings.speed, self.voice.spell):
            plan.count("text", begin)
            plan.warn(piece.warnings)
            yield piece
            begin = time.perf_counter()

    def settings(self, request: SpeechRequest) -> tuple[SpeechSettings, tuple[str, ...]]:
        """The request with the model's defaults, and what of it is ignored."""
        voice = request.voice or self.sampling.voice or self.voices[0]
        if voice not in self.voices:
            raise unknown("voice", voice, self.voices)
        language = self.sampling.language or self.languages[0]
        if request.language is not None:
            language = language_of(request.language).code
            if language not in self.languages:
                raise self._foreign(language)
        ignored = tuple(
            f"{name} is {getattr(request, name):g} and is ignored: {why}"
            for name, why in IGNORED.items()
            if name not in self.voice.uses and getattr(request, name) is not None
        )
        of_noise = {
            name: (getattr(self.sampling, name) if getattr(request, name) is None else getattr(request, name))
            if name in self.voice.uses
            else None
            for name in ("steps", "temperature")
        }
        speed = 1.0 if request.speed is None else request.speed
        return SpeechSettings(voice, language, speed, request.pitch or 0.0, **of_noise), ignored

    def _foreign(self, language: str) -> InputError:
        name = LANGUAGES[language].name if language in LANGUAGES else language
        known = ", ".join(f"{each} ({LANGUAGES[each].name})" for each in self.languages if each in LANGUAGES)
        return InputError(f"the model {self.name} does not speak {name}; it speaks {known}: take another --model")

    def spoken(self, plan: Plan, on_step: OnStep | None = None) -> Iterator[Chunk]:
        """Chunks of a plan, in order; together they are the whole."""
        at = 0  # samples
        for number, piece in enumerate(self.pieces(plan)):
            gap = round(piece.gap * self.rate)
            if gap:
                yield Chunk(Audio(np.zeros((1, gap), np.float32), self.rate), at / self.rate)
                at += gap
            words: tuple[TimedWord, ...] | None = None
            for samples, timed in self._heard(piece, plan, number, at):
                words = timed if words is None else ()
                yield Chunk(Audio(samples, self.rate), at / self.rate, words)
                at += len(samples)
            if on_step is not None:
                characters = len(plan.request.text)
                on_step(Progress(piece.stop or characters, characters, "speech", (0,), list))

    def _heard(
        self, piece: Piece, plan: Plan, number: int, at: int
    ) -> Iterator[tuple[NDArray[np.float32], tuple[TimedWord, ...]]]:
        """One piece, chunk by chunk, each with the piece's words."""
        if not piece.symbols:
            return
        hop, rate = self.vocoder.hop, self.rate
        begin = time.perf_counter()
        with torch.inference_mode():
            made = self.voice.frames(piece, plan.manner, piece_seed(plan.seed, number), hop / rate)
        plan.count("acoustic", begin)
        frames = made.features.shape[-1]
        words = tuple(times(piece, made.durations, at / rate, hop / rate))
        gains = gain_curve(piece.decibels(), made.durations, hop, rate)
        total, edge, first = frames * hop, round(EDGE_SECONDS * rate), 0
        begin = time.perf_counter()
        for part in self.vocoder.stream([made.features[0]]):
            samples = part.float().cpu().numpy()
            last = first + len(samples)
            samples = samples * edge_factors(total, edge, first, last)
            yield samples if gains is None else samples * gains[first:last], words
            first = last
        plan.count("vocoder", begin)


def piece_seed(seed: int, number: int) -> int:
    """The seed of a piece; that of the first is the request's own."""
    if number == 0:
        return seed
    digest = hashlib.sha256(f"{seed}/speech/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def edge_factors(total: int, edge: int, first: int, last: int) -> NDArray[np.float32]:
    """Factors of samples first to last of a piece of `total`: from 0 at its ends to 1 within `edge` samples."""
    place = np.arange(first, last)
    near = np.minimum(place, total - 1 - place) + 0.5
    return np.minimum(near / max(1, edge), 1).astype(np.float32)


def gain_curve(decibels: Sequence[float], durations: Sequence[int], hop: int, rate: int) -> NDArray[np.float32] | None:
    """Factors [T] of a piece's samples from each symbol's gain in decibels; None where all are 0."""
    if not any(decibels):
        return None
    ends = np.cumsum(durations) * hop
    between = np.repeat(ends[:-1], 2) + np.tile([-0.5, 0.5], len(ends) - 1) * GAIN_SECONDS * rate
    factors = np.repeat(10 ** (np.asarray(decibels) / 20), 2)
    places = np.concatenate([[0.0], between, [ends[-1]]])
    return np.interp(np.arange(int(ends[-1])), np.maximum.accumulate(places), factors).astype(np.float32)
