"""Where sentences end: after their marks, never inside a number or after an abbreviation; very long ones are cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from text2x.spoken.flow import Flow
from text2x.spoken.languages import LANGUAGES
from text2x.spoken.tables import table

MAX_CHARACTERS = 320  # of a sentence: about 20 seconds of speech
_END = re.compile(r"[.!?…][.!?…]*[\"'”’)\]]*(?=\s|$|\ufffc)|[।॥]+|\n[ \t\r]*\n\s*|\n(?=[ \t]*(?:[-*•]|\d{1,3}[.)])\s)")
_NEVER = frozenset(["No.", "no.", "Nos."])  # before a number only
# After these a sentence may end, if the next word begins with a capital
_MAY_END = frozenset(
    [
        "etc.",
        "Inc.",
        "Ltd.",
        "Co.",
        "Corp.",
        "Jr.",
        "Sr.",
        "Bros.",
        "Ave.",
        "Blvd.",
        "Rd.",
        "a.m.",
        "p.m.",
        "A.M.",
        "P.M.",
    ]
)
_SPACES = re.compile(r"\s+")
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(r"[^\s(\"'“‘\[]{1,24}$")
_CLAUSE = re.compile(r"[,;:—–)।]['\"”]?\s")


def _abbreviations() -> frozenset[str]:
    known = (word for code in LANGUAGES for word in table(code)["abbreviations"])
    money = (form for code in LANGUAGES for form in table(code).get("money_forms", ["Rs."]))
    return frozenset(word for word in [*known, *money, "St.", "Dr."] if word.endswith("."))


Ending = Literal["cut", "sentence", "paragraph"]  # what ends here; a cut lies inside a sentence


def sentences(flow: Flow, begin: int, end: int) -> Iterator[tuple[int, int, Ending]]:
    """Begin and end of each sentence in [begin, end) of the flow, and what ends there."""
    known, text, start = _abbreviations(), flow.text, begin
    atoms = iter(flow.atoms)
    atom = next(atoms, None)
    for match in _END.finditer(text, begin, end):
        at = match.end()
        while atom is not None and atom.end <= match.start():
            atom = next(atoms, None)
        if atom is not None and atom.begin <= match.start() < atom.end:
            continue
        if at <= start:  # the blank lines after a sentence
            continue
        if match[0].startswith("\n") or _ends(text, start, match, known):
            space = _SPACE.match(text, match.start() if match[0].startswith("\n") else at, end)
            at = space.end() if space else at
            blank = space is not None and space[0].count("\n") > 1
            yield from _cut(flow, start, at, "paragraph" if blank else "sentence")
            start = at
    if start < end:
        yield from _cut(flow, start, end, "sentence")


def _ends(text: str, start: int, match: re.Match[str], known: frozenset[str]) -> bool:
    """Whether a sentence ends with this mark."""
    if match[0][0] in "।॥":
        return True
    ahead = text[match.end() : match.end() + 40].lstrip()
    following = ahead.lstrip("\"'“‘([")[:1]
    if following.islower() and (match[0][0] not in "!?" or match[0][-1] in "\"'”’"):
        return False
    if following and following in "&+=%/":
        return False
    if match[0][0] != "." or match[0].startswith(".."):
        return True
    token = _TOKEN.search(text, max(start, match.start() - 24), match.start() + 1)
    word = token[0] if token else "."
    if word in _MAY_END:
        return following.isupper() or not following
    if word in _NEVER:
        return not following.isdigit()
    if word in known or re.fullmatch(r"[A-Z]\.|(?:[A-Za-z]\.){2,}", word):
        return not following
    leading = token is not None and not text[start : token.start()].strip()
    return not (leading and re.fullmatch(r"\d{1,3}\.", word) and following)


def _cut(flow: Flow, begin: int, end: int, ending: Ending) -> Iterator[tuple[int, int, Ending]]:
    """A sentence in parts of at most `MAX_CHARACTERS`: at a clause, else between words, away from digits."""
    text = flow.text
    while end - begin > MAX_CHARACTERS:
        at = _best_cut(text, begin)
        inside = next((atom for atom in flow.atoms if atom.begin < at < atom.end), None) if flow.atoms else None
        if inside:
            at = inside.begin if inside.begin > begin else inside.end
        if at >= end:
            break
        yield begin, at, "cut"
        begin = at
    yield begin, end, ending


def _best_cut(text: str, begin: int) -> int:
    low, high = begin + MAX_CHARACTERS // 3, begin + MAX_CHARACTERS
    clauses = [match.end() for match in _CLAUSE.finditer(text, low, high)]
    if clauses:
        return clauses[-1]
    spaces = [match.end() for match in _SPACES.finditer(text, low, high)]
    calm = [at for at in spaces if not (text[at - 2].isdigit() or text[at : at + 1].isdigit())]
    if calm or spaces:
        return (calm or spaces)[-1]
    at = high
    while at > low and (unicodedata.category(text[at])[0] == "M" or text[at] in "\u200c\u200d" or text[at].isdigit()):
        at -= 1
    return at if at > low else high
