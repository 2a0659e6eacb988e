"""When each phone of a known English sentence is said, by pocketsphinx: two passes, frames of 10 ms.

The acoustic model comes with the package; nothing is fetched. Its frames are shifted to those of `signal`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.spoken.lexicon import pronunciations
from text2x.spoken.phone_set import ENGLISH, SILENCE, without_stress
from text2x.spoken.script import Utterance

RATE = 16_000  # Hz, of the acoustic model
FRAME = 0.01  # seconds
WINDOW = 410  # samples: -wlen 0.025625 of pocketsphinx at 16 kHz
PADS = (20, 12, 30, 0)  # frames of near silence put around a clip; a way through is not found with each
SHORTEST_PAUSE = 3  # frames; shorter silence without a mark belongs to the phone before
INSTALL = "pip install 'text2x[data]'"

Phones = tuple[str, ...]


@dataclass(frozen=True)
class Timed:
    """Symbols of a sentence with the frames of each; `score` is the decoder's mean score of a frame of speech."""

    symbols: tuple[str, ...]
    durations: tuple[int, ...]
    words: tuple[int, ...]  # index of the word each symbol belongs to, -1: silence at the beginning
    score: float


class NotAligned(Exception):
    """No way through the sound that says these words."""


def readings(word: str, first: Phones) -> tuple[Phones, ...]:
    """How a word may be said: as the front end has it, then as the dictionary does, each once but for stress."""
    found: dict[Phones, Phones] = {}
    for phones in (first, *pronunciations(word.lower())):
        found.setdefault(tuple(map(without_stress, phones)), phones)
    return tuple(found.values())


class PhoneAligner:
    """A decoder that knows the words of all utterances that it will be given."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        decoder = _pocketsphinx()
        self._names: dict[tuple[Phones, ...], str] = {}
        lines: list[str] = []
        for utterance in utterances:
            for word in utterance.words:
                said = readings(word.spoken, word.phones)
                if said in self._names:
                    continue
                strange = [phone for phones in said for phone in phones if phone not in ENGLISH]
                if strange:
                    raise InputError(f"{word.spoken!r} has the phone {strange[0]!r}; English alone can be aligned")
                name = self._names[said] = f"w{len(self._names)}"
                for number, phones in enumerate(said, 1):
                    entry = name if number == 1 else f"{name}({number})"
                    lines.append(f"{entry} {' '.join(map(without_stress, phones))}")
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "words.dict"
            dictionary.write_text("\n".join(lines) + "\n", encoding="ascii")
            self._readings = {name: said for said, name in self._names.items()}
            self._decoder = decoder(dict=str(dictionary), lm=None, cmn="batch", bestpath=False, loglevel="FATAL")

    def align(self, samples: NDArray[np.int16], utterances: Sequence[Utterance]) -> list[Timed]:
        """The utterances of one clip [T] at 16 kHz, each with its own symbols; together they take all frames.

        Silence between two utterances is shared by halves. Raises NotAligned where the words are not found.
        """
        words = [word for utterance in utterances for word in utterance.words]
        names = [self._names[readings(word.spoken, word.phones)] for word in words]
        frames = len(samples) // round(RATE * FRAME)
        spans = self._search(samples, names, frames)
        made, place, begin = [], 0, 0
        for number, utterance in enumerate(utterances):
            count = len(utterance.words)
            own = spans[place : place + count]
            place += count
            end = frames if number == len(utterances) - 1 else (own[-1].end + spans[place].begin) // 2
            made.append(_timed(utterance, own, begin, end))
            begin = end
        return made

    def _search(self, samples: NDArray[np.int16], names: Sequence[str], frames: int) -> list[_Span]:
        for pad in PADS:
            try:
                spans = self._pass(samples, names, pad)
            except RuntimeError:
                continue
            shift = 1 - pad  # frame s is centred on 160 s + 205 there, frame f on 160 f + 80 here: 0.8 frames later
            moved = [span.moved(shift, frames) for span in spans]
            if len(moved) == len(names) and all(span.end - span.begin >= len(span.phones) for span in moved):
                return moved
        raise NotAligned("the words were not found in the sound")

    def _pass(self, samples: NDArray[np.int16], names: Sequence[str], pad: int) -> list[_Span]:
        """Words first, which chooses among their readings, then their phones."""
        decoder = self._decoder
        noise = np.random.default_rng(0).integers(-3, 4, (2, pad * 160)).astype(np.int16)
        data = np.concatenate([noise[0], samples, noise[1]]).tobytes()
        decoder.set_align_text(" ".join(names))
        for second in (False, True):
            if second:
                if decoder.hyp() is None:
                    raise RuntimeError("no words")
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(data, full_utt=True)
            decoder.end_utt()
        alignment = decoder.get_alignment()
        if alignment is None:
            raise RuntimeError("no phones")
        return [_span(entry, self._said(entry.name)) for entry in alignment if entry.name.startswith("w")]

    def _said(self, name: str) -> Phones:
        """Phones with stress of "w12" or "w12(2)"."""
        plain, _, number = name.rstrip(")").partition("(")
        return self._readings[plain][int(number or 1) - 1]


@dataclass(frozen=True)
class _Span:
    """A word in the sound: its phones and where each begins, in frames."""

    phones: Phones
    begins: tuple[int, ...]
    end: int
    score: float  # summed over its frames

    @property
    def begin(self) -> int:
        return self.begins[0]

    def moved(self, shift: int, frames: int) -> _Span:
        """Later by `shift` frames, inside [0, frames]."""
        begins = tuple(min(max(each + shift, 0), frames) for each in self.begins)
        return _Span(self.phones, begins, min(max(self.end + shift, 0), frames), self.score)


def _span(entry: Any, phones: Phones) -> _Span:
    parts = list(entry)
    if [part.name for part in parts] != [without_stress(phone) for phone in phones]:
        raise RuntimeError("another reading")
    begins = tuple(int(part.start) for part in parts)
    return _Span(phones, begins, int(entry.start + entry.duration), float(sum(part.score for part in parts)))


def _timed(utterance: Utterance, spans: Sequence[_Span], begin: int, end: int) -> Timed:
    """The symbols of an utterance as the front end gives them, with the silences that were really made."""
    symbols, places, words = [SILENCE], [begin], [-1]
    for number, (word, span) in enumerate(zip(utterance.words, spans, strict=True)):
        symbols += span.phones
        places += span.begins
        words += [number] * len(span.phones)
        last = number == len(spans) - 1
        after = end if last else spans[number + 1].begin
        if word.mark or last or after - span.end >= SHORTEST_PAUSE:
            symbols.append(word.mark or SILENCE)
            places.append(min(span.end, after))
            words.append(number)
    durations = tuple(int(each) for each in np.diff([*places, end]))
    frames = sum(max(1, span.end - span.begin) for span in spans)
    return Timed(tuple(symbols), durations, tuple(words), sum(span.score for span in spans) / frames)


def _pocketsphinx() -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise InputError(f"pocketsphinx is needed to align speech and is not installed; {INSTALL}") from None
    return Decoder
