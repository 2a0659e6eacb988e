"""What is said: a text as utterances of words with their phones; spans count characters of the text that was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from text2x.spoken.phone_set import MARKS, SILENCE


@dataclass(frozen=True)
class Prosody:
    """How it is said: rate 1 is the voice's own, pitch in semitones, volume in decibels."""

    rate: float = 1.0
    pitch: float = 0.0
    volume: float = 0.0


@dataclass(frozen=True)
class Word:
    """One spoken word; the words that a number or a sum of money becomes share its span."""

    text: str  # as it was written
    span: tuple[int, int]  # characters [begin, end) of the text that was given
    spoken: str  # as it is said: "five" of "5"
    phones: tuple[str, ...]  # members of PHONES, of the set of the utterance's language
    language: str  # whose word it is; an English word in a Hindi sentence is "en"
    mark: str = ""  # the mark that follows it, one of MARKS
    pause: float | None = None  # seconds of silence asked for after it; None: as the voice does
    prosody: Prosody = Prosody()


@dataclass(frozen=True)
class Utterance:
    """One sentence, or a part of a very long one; what is synthesised in one go."""

    text: str  # as it was written
    span: tuple[int, int]
    language: str  # the set that its phones are of
    words: tuple[Word, ...]  # empty when it is silence only
    lead: float = 0.0  # seconds of silence asked for before the first word
    ends_paragraph: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def spoken(self) -> str:
        """The words as they are said, with the marks between them; reading it again gives the same words."""
        return " ".join(word.spoken + word.mark for word in self.words)


@dataclass(frozen=True)
class Script:
    """A whole text, read."""

    text: str
    utterances: tuple[Utterance, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out or could not be done, each said once."""
        return tuple(dict.fromkeys(each for utterance in self.utterances for each in utterance.warnings))


@dataclass(frozen=True)
class Sounds:
    """An utterance as symbols, each with its word: what an acoustic model is given."""

    symbols: tuple[str, ...]
    words: tuple[int, ...]  # index into the utterance's words; a mark belongs to the word before it, -1: to none
    pauses: tuple[tuple[int, float], ...] = ()  # index of a symbol that is silence, and the seconds asked for


def sounds(utterance: Utterance) -> Sounds:
    """Phones and marks of one utterance, silence at both ends.

    A pause that was asked for lies on the mark of its word, or on a silence put there when the word has none.
    """
    symbols, words, pauses = [SILENCE], [-1], []
    if utterance.lead:
        pauses.append((0, utterance.lead))
    for i, word in enumerate(utterance.words):
        symbols += word.phones
        words += [i] * len(word.phones)
        if word.mark in MARKS or word.pause is not None:
            symbols.append(word.mark or SILENCE)
            words.append(i)
        if word.pause is not None:
            pauses.append((len(symbols) - 1, word.pause))
    if symbols[-1] not in (SILENCE, *MARKS):
        symbols.append(SILENCE)
        words.append(len(utterance.words) - 1)
    return Sounds(tuple(symbols), tuple(words), tuple(pauses))


def phones(script: Script) -> tuple[Sounds, ...]:
    """Phones and marks of every utterance."""
    return tuple(sounds(utterance) for utterance in script.utterances)


def graphemes(utterance: Utterance) -> Sounds:
    """The characters of what is said, spaces and marks too: the input of models that were trained on letters."""
    pairs = list(_characters(utterance))
    return Sounds(tuple(character for character, _ in pairs), tuple(i for _, i in pairs))


def _characters(utterance: Utterance) -> Iterator[tuple[str, int]]:
    for i, word in enumerate(utterance.words):
        if i:
            yield " ", -1
        yield from ((character, i) for character in word.spoken + word.mark)
