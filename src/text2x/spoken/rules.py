"""The machine behind every language's reading rules: patterns tried in order at each place of a sentence.

A rule answers with words separated by spaces, marks attached ("five five five, one two"), a mark alone, "" for nothing,
or None to let the next rule try.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """What characters [begin, end) of a sentence are read as."""

    begin: int
    end: int
    words: str  # marks attached; a mark alone belongs to the word before
    language: str


@dataclass(frozen=True)
class Place:
    """Where a rule is tried: the match, what was written and said before it, and whether all is in capitals."""

    match: re.Match[str]
    before: str  # the word before as written, "" at the beginning of the sentence
    shouting: bool = False

    @property
    def after(self) -> str:
        """What follows."""
        return self.match.string[self.match.end() :]

    def __getitem__(self, group: str) -> str:
        """A group of the match, "" if it took no part."""
        return self.match.groupdict().get(group) or ""


@dataclass(frozen=True)
class Foreign:
    """Words of another language than the sentence's."""

    words: str
    language: str


Answer = str | Foreign | None
Rule = tuple[re.Pattern[str], Callable[[Place], Answer]]


@dataclass(frozen=True)
class Reader:
    """The rules of one language, by the kind of character that they begin with."""

    language: str
    letters: Sequence[Rule]
    digits: Sequence[Rule]  # digits, signs and currency symbols too
    plain: re.Pattern[str]  # words that need no rule
    marks: Mapping[str, str]  # punctuation to a mark or ""
    not_plain: frozenset[str] = frozenset()  # what `plain` takes, but a rule reads otherwise


_ONLY_MARKS = frozenset(',;:!?)[]{}"')  # no rule begins with them


def apply(reader: Reader, text: str, shouting: bool = False, before: str = "") -> Iterator[Said]:
    """Read a sentence from left to right, after the word `before`; what no rule takes is said as nothing."""
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
            continue
        plain = reader.plain.match(text, at)
        if plain and plain[0] not in reader.not_plain:
            yield Said(at, plain.end(), plain[0], reader.language)
            at, before = plain.end(), plain[0]
            continue
        said = None
        if character not in _ONLY_MARKS:
            rules = reader.letters if character.isalpha() else reader.digits
            said = _first(rules, text, at, before, shouting, reader.language)
        if said is None:
            mark = reader.marks.get(character)
            said = Said(at, at + 1, mark or "", reader.language)
        yield said
        before = text[said.begin : said.end] if said.words.strip(",.?!") else before
        at = said.end


def _first(rules: Sequence[Rule], text: str, at: int, before: str, shouting: bool, language: str) -> Said | None:
    for pattern, answer in rules:
        match = pattern.match(text, at)
        if not match or match.end() == at:
            continue
        words = answer(Place(match, before, shouting))
        if isinstance(words, Foreign):
            return Said(at, match.end(), words.words, words.language)
        if words is not None:
            return Said(at, match.end(), words, language)
    return None
