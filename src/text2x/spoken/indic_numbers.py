"""Number names of nine languages of India, counted in thousand, lakh and crore, from their tables."""

from __future__ import annotations

import functools
from typing import Any

from text2x.spoken.tables import table

CRORE = 10_000_000
MAX_DIGITS = 14  # a crore crore; longer numbers are read digit by digit


def digits(text: str, language: str) -> str:
    """Digit by digit; what is no digit is left out."""
    return " ".join(table(language)["numbers"][int(each)] for each in text if each.isdecimal())


@functools.lru_cache(4096)
def cardinal(n: int, language: str) -> str:
    """The number's name; numbers of more than `MAX_DIGITS` digits digit by digit."""
    words = table(language)
    if n < 0:
        return f"{words['words']['minus']} {cardinal(-n, language)}"
    if n >= 10**MAX_DIGITS:
        return digits(str(n), language)
    return " ".join(_parts(n, language, words))


def _parts(n: int, language: str, words: dict[str, Any]) -> list[str]:
    said: list[str] = []
    for size, *forms in words["scales"]:
        if n >= size:
            count, n = divmod(n, size)
            said.append(_scaled(count, forms, bool(n), language))
    if n >= 1000:  # Tamil and Malayalam have a word for every number of thousands
        count, n = divmod(n, 1000)
        said.append(words["thousands_joined" if n else "thousands"][count - 1])
    if n >= 100:
        count, n = divmod(n, 100)
        form = words["hundreds_joined" if n else "hundreds"][count - 1]
        said.append(form.replace("{n}", words["numbers"][count]))
    if n or not said:
        said.append(words["numbers"][n])
    return said


def _scaled(count: int, forms: list[str], joined: bool, language: str) -> str:
    """So many lakhs, alone or with something after; forms: of many, of many joined, of one, of one joined."""
    if len(forms) == 4 and count == 1:
        return forms[3 if joined else 2]
    form = forms[1] if joined and len(forms) > 1 else forms[0]
    name = cardinal(count, language)
    head, _, last = name.rpartition(" ")
    counting = table(language).get("counting", {})
    return form.replace("{n}", f"{head} {counting.get(last, last)}".strip())


def number(text: str, language: str) -> str:
    """A number as it is written, with commas and a decimal point; 007 is read digit by digit."""
    whole, _, decimals = text.partition(".")
    plain = whole.replace(",", "")
    if len(plain) > 1 and plain.startswith("0") and not decimals:
        return digits(plain, language)
    said = cardinal(int(plain or "0"), language)
    return f"{said} {table(language)['words']['point']} {digits(decimals, language)}" if decimals else said


def year(n: int, language: str) -> str:
    """1999 as nineteen hundred ninety nine where the language counts years so, other years as numbers."""
    century, rest = divmod(n, 100)
    form = table(language)["centuries"]
    if not form or not 11 <= century <= 19:
        return cardinal(n, language)
    if not rest:
        form = table(language)["hundreds"][-1] if language == "te" else form
    said = form.replace("{n}", table(language)["numbers"][century])
    return f"{said} {table(language)['numbers'][rest]}" if rest else said


def ordinal(text: str, ending: str, language: str) -> str:
    """ "पाँचवीं" of 5 and its written ending; irregular ones come from the table, in the ending's gender."""
    words, n = table(language), int(text)
    irregular = words["ordinals"].get(str(n))
    kinds = words["ordinal_endings"][ending].split()
    if irregular:
        if str(n) in "".join(kinds) or not kinds:
            return _gendered(irregular, ending)
        return irregular
    name = cardinal(n, language)
    for cut in words.get("ordinal_cut", ()):
        if name.endswith(cut):
            name = name[: -len(cut)]
            break
    suffix = words["ordinal_suffix"] if ending not in words["ordinal_endings"] or kinds else ending
    if words.get("ordinal_cut"):
        suffix = words["ordinal_suffix"]
    return name + suffix


def _gendered(word: str, ending: str) -> str:
    """The irregular ordinal with the last vowel of the ending that was written."""
    vowels = "ાીેોુંાી" + "ािीेोु" + "ਾੀੇ"
    if ending and ending[-1] in vowels and word[-1] in vowels:
        return word[:-1] + ending[-1]
    return word
