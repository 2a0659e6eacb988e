"""English number names, American style: cardinals, ordinals, years, decimals, fractions, digits, Roman numerals."""

from __future__ import annotations

import re

from text2x.spoken.tables import words

_SMALL = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = words("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = words(
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
)
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ROMAN = re.compile(r"(?=[MDCLXVI])M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
MAX_DIGITS = 36  # below a thousand decillion; longer numbers are read digit by digit


def cardinal(n: int) -> str:
    """ "one hundred twenty three" of 123; numbers of more than `MAX_DIGITS` digits digit by digit."""
    if n < 0:
        return "minus " + cardinal(-n)
    if n >= 10**MAX_DIGITS:
        return digits(str(n))
    if n < 1000:
        return _below_thousand(n)
    groups: list[str] = []
    for scale in ("", *_SCALES):
        n, group = divmod(n, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
        if not n:
            break
    return " ".join(reversed(groups))


def _below_thousand(n: int) -> str:
    if n < 20:
        return _SMALL[n]
    if n < 100:
        return f"{_TENS[n // 10]} {_SMALL[n % 10]}" if n % 10 else _TENS[n // 10]
    rest = f" {_below_thousand(n % 100)}" if n % 100 else ""
    return f"{_SMALL[n // 100]} hundred{rest}"


def indian(n: int) -> str:
    """The number in lakh and crore, as 1,00,000 is meant."""
    if n < 100_000:
        return cardinal(n)
    scale, name = (10_000_000, "crore") if n >= 10_000_000 else (100_000, "lakh")
    rest = f" {indian(n % scale)}" if n % scale else ""
    return f"{indian(n // scale)} {name}{rest}"


def ordinal(n: int) -> str:
    """ "twenty first" of 21."""
    head, _, last = cardinal(n).rpartition(" ")
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return f"{head} {_ORDINALS.get(last, regular)}".strip()


def digits(text: str) -> str:
    """Digit by digit; what is no digit is left out."""
    return " ".join(_SMALL[int(each)] for each in text if each.isdecimal())


def number(text: str) -> str:
    """A number as it is written: commas, a decimal point, Indian grouping; 007 is read digit by digit."""
    whole, point, decimals = text.partition(".")
    plain = whole.replace(",", "")
    if len(plain) > 1 and plain.startswith("0") and not point:
        return digits(plain)
    grouped = re.fullmatch(r"\d{1,2}(,\d\d)+,\d{3}", whole)
    said = (indian if grouped else cardinal)(int(plain)) if plain else "zero" if not decimals else ""
    return f"{said} point {digits(decimals)}".strip() if decimals else said


def year(n: int) -> str:
    """ "nineteen oh five" of 1905, "two thousand nine" of 2009, "twenty twenty four" of 2024."""
    century, rest = divmod(n, 100)
    if not 1000 <= n <= 9999 or n % 1000 < 10:
        return cardinal(n)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def decade(n: int) -> str:
    """ "nineteen nineties" of 1990, "nineties" of 90."""
    head, _, last = (year(n) if n >= 1000 else cardinal(n)).rpartition(" ")
    plural = last[:-1] + "ies" if last.endswith("y") else last + "s"
    return f"{head} {plural}".strip()


def fraction(above: int, below: int) -> str:
    """ "three quarters" of 3/4; from 1/100 on "one over one hundred"."""
    if not 2 <= below < 100 or above >= 1000:
        return f"{cardinal(above)} over {cardinal(below)}"
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
    if above != 1:
        name = "halves" if below == 2 else name + "s"
    return f"{cardinal(above)} {name}"


def roman(text: str) -> int | None:
    """The value of a Roman numeral in capitals below 4000, None of anything else."""
    if not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
