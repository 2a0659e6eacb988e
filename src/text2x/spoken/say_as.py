"""The kinds of SSML's say-as: a text read as a number, as letters, a date, a time, a telephone number, money."""

from __future__ import annotations

import re
from collections.abc import Callable

from text2x.errors import InputError
from text2x.spoken import english_numbers, english_numerals, indic, indic_numbers
from text2x.spoken.english_words import spelled
from text2x.spoken.languages import LANGUAGES
from text2x.spoken.tables import table
from text2x.spoken.transliteration import in_script

_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")


def _number(text: str, language: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return None
    plain, minus = text.lstrip("-−"), text[0] in "-−"
    if language == "en":
        return ("minus " if minus else "") + english_numbers.number(plain)
    return (table(language)["words"]["minus"] + " " if minus else "") + indic_numbers.number(plain, language)


def _ordinal(text: str, language: str) -> str | None:
    match = re.fullmatch(r"(\d{1,12})(?:st|nd|rd|th|\.)?", text)
    value = int(match[1]) if match else english_numbers.roman(text)
    if value is None:
        return None
    if language == "en":
        return english_numbers.ordinal(value)
    endings = table(language)["ordinal_endings"]
    regular = next(ending for ending, kinds in endings.items() if not kinds)
    return table(language)["ordinals"].get(str(value)) or indic_numbers.ordinal(str(value), regular, language)


def _character(character: str, language: str) -> str:
    if character.isdecimal():
        return indic_numbers.digits(character, language)
    return in_script(character.upper(), language) if character.isascii() else character


def _characters(text: str, language: str) -> str | None:
    if language == "en":
        return spelled(text) or None
    said = [_character(each, language) for each in text if each.isalnum()]
    return " ".join(filter(None, said)) or None


def _digits(text: str, language: str) -> str | None:
    said = english_numbers.digits(text) if language == "en" else indic_numbers.digits(text, language)
    return said if said and not re.search(r"[^\W\d]", text) else None


def _telephone(text: str, language: str) -> str | None:
    if not re.fullmatch(r"\+?[\d\s().-]+", text) or not re.search(r"\d", text):
        return None
    if language == "en":
        return english_numerals.groups(text)
    return ", ".join(indic_numbers.digits(group, language) for group in re.findall(r"\d+", text))


def _date(text: str, form: str, language: str) -> str | None:
    """`form` is an order of y, m and d; the numbers may be separated by anything but digits."""
    numbers = re.findall(r"\d+", text)
    if len(numbers) == 1 and len(numbers[0]) == 8 and form == "ymd":
        numbers = [numbers[0][:4], numbers[0][4:6], numbers[0][6:]]
    values = dict(zip(form, numbers, strict=False))
    if len(numbers) != len(form) or not 1 <= int(values.get("m", 1)) <= 12 or not 1 <= int(values.get("d", 1)) <= 31:
        return None
    day, month, year = (values.get(key) for key in "dmy")
    if month is None:
        return (
            english_numerals.year_of(year or "") if language == "en" else indic_numbers.year(int(year or 0), language)
        )
    if day is None:
        months = table(language)["months"]
        tail = _date(year, "y", language) if year else ""
        return f"{months[int(month) - 1]} {tail}".strip()
    if language == "en":
        return english_numerals.on_date(int(day), int(month), year or "")
    return indic.on_date(int(day), int(month), year or "", language)


def _time(text: str, language: str) -> str | None:
    match = re.fullmatch(r"(\d\d?)(?::(\d\d))?(?::(\d\d))?\s*(?:([AaPp])\.?\s?[Mm]\.?)?", text)
    if not match or int(match[1]) > 24 or int(match[2] or 0) > 59 or int(match[3] or 0) > 59:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if language == "en":
        return english_numerals.clock(hour, minute, int(match[3]) if match[3] else None, match[4] or "")
    return indic.clock(hour, minute, language)


def _currency(text: str, language: str) -> str | None:
    match = re.fullmatch(r"(?P<a>\D*?)\s*(?P<n>\d[\d,]*(?:\.\d+)?)\s*(?P<b>\D*)", text)
    if not match:
        return None
    sign = match["a"] or match["b"]
    if language == "en":
        return english_numerals.money(match["n"], sign) if sign in table("en")["money"] else None
    known = {*table(language)["money"], *table(language)["money_forms"], "INR", "Rs.", "Rs"}
    return indic.money(match["n"], sign, language) if sign in known else None


def _fraction(text: str, language: str) -> str | None:
    match = re.fullmatch(r"(?:(\d+)\s+)?(\d+)/(\d+)", text)
    if not match:
        return None
    above, below = int(match[2]), int(match[3])
    if language == "en":
        said = english_numbers.fraction(above, below)
        return f"{english_numbers.number(match[1])} and {said}" if match[1] else said
    over = table(language)["words"]["over"]
    said = f"{indic_numbers.cardinal(above, language)} {over} {indic_numbers.cardinal(below, language)}"
    return f"{indic_numbers.cardinal(int(match[1]), language)} {said}" if match[1] else said


_KINDS: dict[str, Callable[[str, str], str | None]] = {
    "cardinal": _number, "number": _number, "ordinal": _ordinal, "characters": _characters, "spell-out": _characters,
    "letters": _characters, "verbatim": _characters, "digits": _digits, "telephone": _telephone, "time": _time,
    "currency": _currency, "fraction": _fraction,
}  # fmt: skip
_DATES = ("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "y", "m")


def say_as(text: str, kind: str, form: str, language: str, where: str) -> str:
    """The words of a text read as `kind`; a text that is none of that kind raises InputError."""
    text = " ".join(text.split())
    if kind == "date":
        form = form.lower() or ("mdy" if language == "en" else "dmy")
        if form not in _DATES:
            raise InputError(f"{where}: the date format {form!r} is unknown; the formats are {', '.join(_DATES)}")
        said = _date(text, form, language)
    elif kind in _KINDS:
        said = _KINDS[kind](text, language)
    else:
        kinds = ", ".join((*_KINDS, "date"))
        raise InputError(f"{where}: say-as cannot read as {kind!r}; the kinds are {kinds}")
    if said is None:
        name = f"{kind} ({form})" if form else kind
        raise InputError(f"{where}: {text[:60]!r} cannot be read as {name} in {LANGUAGES[language].name}; correct it")
    return said
