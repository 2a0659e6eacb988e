"""From a text that was read to what a voice says in one go, piece by piece, and back from frames to words' times.

A piece is a sentence, or what lies between two long pauses of one. Long pauses are not said by the network: they are
zeros between pieces. Durations are in seconds here, and in frames where a voice has chosen them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from text2x.spoken.phone_set import MARKS, SILENCE
from text2x.spoken.script import Sounds, Utterance, Word, sounds
from text2x.timestamps import TimedPhone, TimedWord

LONGEST_HELD = 0.5  # seconds of a pause that a network says itself; training data has no longer ones
ENDING, BEGINNING = 0.15, 0.05  # seconds of what it says of a longer one, before and after the zeros
SENTENCE_GAP, PARAGRAPH_GAP = 0.12, 0.45  # seconds between pieces that nobody asked for, at speed 1
SILENT = (SILENCE, *MARKS, " ")  # symbols that no word is timed by


@dataclass(frozen=True)
class Piece:
    """What is said in one go."""

    symbols: tuple[str, ...]
    words: tuple[int, ...]  # index into `said` for each symbol, -1: of no word
    said: tuple[Word, ...]  # the utterance's words
    language: str
    gap: float = 0.0  # seconds of silence before it
    held: dict[int, float] = field(default_factory=dict)  # index of a symbol -> the seconds that it lasts
    ends: bool = True  # its last word is the last of the sentence
    stop: int = 0  # characters of the text that are said with it and what was before
    warnings: tuple[str, ...] = ()

    def each(self, value: Callable[[Word], float], otherwise: float) -> list[float]:
        """A number for each symbol, from its word."""
        return [otherwise if place < 0 else value(self.said[place]) for place in self.words]

    def rates(self) -> list[float]:
        """How fast each symbol is asked to be, 1 as the voice would."""
        return self.each(lambda word: word.prosody.rate, 1.0)

    def semitones(self) -> list[float]:
        """How much higher each symbol is asked to be."""
        return self.each(lambda word: word.prosody.pitch, 0.0)

    def decibels(self) -> list[float]:
        """How much louder each symbol is asked to be."""
        return self.each(lambda word: word.prosody.volume, 0.0)


def pieces(
    utterances: Iterable[Utterance], speed: float = 1.0, spell: Callable[[Utterance], Sounds] = sounds
) -> Iterator[Piece]:
    """The pieces of a text in order; `spell` gives the symbols of an utterance, phones or letters.

    Silence that was asked for behind the last word is a piece without symbols.
    """
    gap = asked = 0.0  # seconds: by the voice's own manner, and as the text asks
    warnings: tuple[str, ...] = ()  # of what is not said
    for utterance in utterances:
        warnings += utterance.warnings
        if not utterance.words:
            asked += utterance.lead
            continue
        found, left = _cut(utterance, spell(utterance))
        for piece in found:
            yield replace(piece, gap=piece.gap + max(gap, asked), stop=utterance.span[1], warnings=warnings)
            gap, asked, warnings = 0.0, 0.0, ()
        asked = left
        gap = (PARAGRAPH_GAP if utterance.ends_paragraph else SENTENCE_GAP) / speed
    if asked or warnings:
        yield Piece((), (), (), "", asked, warnings=warnings)


def _cut(utterance: Utterance, given: Sounds) -> tuple[list[Piece], float]:
    """An utterance's pieces, cut at pauses that are longer than a network can say, and the seconds left at its end."""
    pauses = dict(given.pauses)
    made: list[Piece] = []
    symbols: list[str] = []
    words: list[int] = []
    held: dict[int, float] = {}
    gap = 0.0
    for place, (symbol, word) in enumerate(zip(given.symbols, given.words, strict=True)):
        symbols.append(symbol)
        words.append(word)
        seconds = pauses.get(place)
        if seconds is None:
            continue
        if seconds <= LONGEST_HELD:
            held[len(symbols) - 1] = seconds
        elif not any(each >= 0 for each in words):  # before the first word
            held[len(symbols) - 1] = BEGINNING
            gap += seconds - BEGINNING
        else:
            held[len(symbols) - 1] = ENDING
            last = not any(each > word for each in given.words[place + 1 :])
            made.append(Piece(tuple(symbols), tuple(words), utterance.words, utterance.language, gap, held, last))
            symbols, words, held, gap = [SILENCE], [-1], {0: BEGINNING}, seconds - ENDING - BEGINNING
    if any(each >= 0 for each in words):
        made.append(Piece(tuple(symbols), tuple(words), utterance.words, utterance.language, gap, held))
        return made, 0.0
    return made, gap + BEGINNING if gap else 0.0


def times(piece: Piece, frames: Sequence[int], begin: float, frame: float) -> Iterator[TimedWord]:
    """The words of a piece, from its first frame on at `begin` seconds; a frame lasts `frame` seconds."""
    ends = [0]
    for each in frames:
        ends.append(ends[-1] + each)
    spoken = [place for place, symbol in enumerate(piece.symbols) if piece.words[place] >= 0 and symbol not in SILENT]
    final = piece.words[spoken[-1]] if spoken else -1
    for number in dict.fromkeys(piece.words[place] for place in spoken):
        own = [place for place in spoken if piece.words[place] == number]
        phones = tuple(
            TimedPhone(piece.symbols[place], begin + ends[place] * frame, begin + ends[place + 1] * frame)
            for place in own
        )
        word = piece.said[number]
        last = piece.ends and number == final
        yield TimedWord(word.text, phones[0].begin, phones[-1].end, *word.span, phones, last)
