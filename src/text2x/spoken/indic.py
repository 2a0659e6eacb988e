"""Reading nine languages of India: dates, times, money, units, ordinals and English words, by the tables of each."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from text2x.spoken import english
from text2x.spoken.english_words import say_address
from text2x.spoken.indic_numbers import cardinal, digits, number, ordinal, year
from text2x.spoken.languages import LANGUAGES
from text2x.spoken.rules import Answer, Foreign, Place, Reader, Rule, apply
from text2x.spoken.tables import any_of, table
from text2x.spoken.transliteration import in_script
from text2x.spoken.writing import brahmic_pattern, language_at

_NUMBER = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)(?:\.\d+)?"
_END = r"(?![\d])"
_LATIN = "A-Za-z\u00c0-\u024f"
_AM_PM = r"(?:\s?(?:[AaPp]\.[Mm]\.|[AaPp][Mm]\b))"


def english_in(text: str, language: str) -> str:
    """Latin letters as the language writes them: words by sound, capitals by the names of letters."""
    if 2 <= len(text) <= 3 and text.isupper() and text.isalpha() and text not in english.EN["said_as_words"]:
        text = " ".join(text)  # not a word that is shouted
    said = (each.words for each in apply(english.READER, text))
    return " ".join(filter(None, (in_script(word, language) for word in " ".join(said).replace(",", "").split())))


def _address(text: str, language: str) -> str:
    words = table(language)["words"]
    named = {"dot": words["dot"], "at": words["at"]}
    return " ".join(filter(None, (named.get(each) or in_script(each, language) for each in say_address(text).split())))


def on_date(day: int, month: int, of_year: str, language: str) -> str:
    """ "सत्रह मई दो हज़ार चौबीस"."""
    said = f"{cardinal(day, language)} {table(language)['months'][month - 1]}"
    return f"{said} {year(int(of_year), language)}" if of_year else said


def _date(place: Place, language: str) -> str | None:
    day, month = int(place["d"]), int(place["m"])  # the day first, as in India
    return on_date(day, month, place["y"], language) if 1 <= month <= 12 and 1 <= day <= 31 else None


def clock(hour: int, minute: int, language: str) -> str:
    """The time as the language says it."""
    full, parts = table(language)["clock"]
    form = parts if minute else full
    return form.replace("{h}", cardinal(hour, language)).replace("{m}", cardinal(minute, language))


def _time(place: Place, language: str) -> str | None:
    hour, minute = int(place["h"]), int(place["m"])
    return clock(hour, minute, language) if hour <= 24 and minute <= 59 else None


def _so_many(text: str, language: str) -> str:
    """A number before what is counted."""
    head, space, last = number(text, language).rpartition(" ")
    return head + space + _counting(last, language)


def _counting(word: str, language: str) -> str:
    return table(language).get("before_noun", {}).get(word, word)


def money(amount: str, sign: str, language: str, magnitude: str = "") -> str:
    """ "पाँच रुपये पचास पैसे"."""
    one, many, small_one, small_many = table(language)["money"].get(sign) or table(language)["money"]["₹"]
    if magnitude:
        return f"{number(amount, language)} {_counting(magnitude, language)} {many}"
    whole, _, decimals = amount.partition(".")
    if len(decimals) != 2:
        return f"{_so_many(amount, language)} {one if amount == '1' else many}"
    main = f"{_so_many(whole, language)} {one if whole == '1' else many}" if whole.strip("0,") else ""
    small = (
        f"{cardinal(int(decimals), language)} {small_one if decimals == '01' else small_many}" if int(decimals) else ""
    )
    return " ".join(filter(None, [main, small])) or f"{number('0', language)} {many}"


def _phone(place: Place, language: str) -> str:
    plus = table(language)["words"]["plus"] + " " if place.match[0].startswith("+") else ""
    return plus + ", ".join(digits(group, language) for group in re.findall(r"\d+", place.match[0]))


def _version(place: Place, language: str) -> str:
    point = f" {table(language)['words']['point']} "
    return point.join(cardinal(int(part), language) for part in place.match[0].split("."))


def _plain_number(place: Place, language: str) -> str:
    text = place["n"]
    return year(int(text), language) if re.fullmatch(r"1[1-9]\d\d", text) else number(text, language)


def _ordinal(place: Place, language: str) -> str:
    return ordinal(place["n"], place["o"], language)


def _dash(place: Place, language: str) -> str | None:
    at, text = place.match.start(), place.match.string
    before = text[at - 1] if at else " "
    if not re.match(r"[₹$€£]?\d", place.after):
        return "," if before.isspace() or place.match[0] != "-" else ""
    if before.isdigit():
        return table(language)["words"]["to"]
    return None if before.isalnum() else table(language)["words"]["minus"]


def _word(place: Place, language: str) -> Answer:
    text = place.match[0]
    own = language_at(text, language)
    return text if own == language else Foreign(text, own)


def _per_cent(place: Place, language: str) -> str:
    return f"{number(place['n'], language)} {table(language)['words']['percent']}"


def _quantity(place: Place, language: str) -> str:
    units = {**table(language)["units"], **table(language)["native_units"]}
    return f"{_so_many(place['n'], language)} {units[place['u']]}"


def _money(place: Place, language: str) -> str:
    return money(place["n"], place["s"], language, place["k"])


def _fraction(place: Place, language: str) -> str:
    return f"{number(place['a'], language)} {table(language)['words']['over']} {number(place['b'], language)}"


def _symbol(place: Place, language: str) -> str:
    return table(language)["symbols"][place.match[0]]


def _number_rules(words: dict[str, Any]) -> list[tuple[str, Callable[[Place, str], Answer]]]:
    """Patterns of what begins with a digit or a sign, in order."""
    signs = any_of([*words["money_forms"], *words["money"], "Rs.", "Rs", "INR"])
    after = rf"(?:\s?(?P<k>{any_of(words['magnitudes'])})(?!{brahmic_pattern()}))?"
    units = any_of([*words["units"], *words["native_units"]])
    endings = any_of(words["ordinal_endings"])
    return [
        (rf"(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d){_END}", _date),
        (rf"(?P<d>\d\d?)(?P<s>[./-])(?P<m>\d\d?)(?P=s)(?P<y>\d{{4}}){_END}", _date),
        (rf"(?P<h>\d\d?):(?P<m>\d\d)(?!\d|:)(?:{_AM_PM}|\s(?:{any_of(words['clock_words'])})(?!\w))?", _time),
        (r"\+\d{1,3}[\s-]?\d{2,5}(?:[\s-]?\d{2,5}){1,4}(?!\d)|\d{5}[\s-]\d{5}(?!\d)|\d+(?:-\d+){2,}", _phone),
        (rf"(?P<s>{signs})\s?(?P<n>{_NUMBER}){after}", _money),
        (rf"(?P<n>{_NUMBER}){after}\s?(?P<s>[₹৳$€£])", _money),
        (rf"(?P<n>{_NUMBER})\s?%", _per_cent),
        (rf"(?P<n>\d{{1,3}})(?P<o>{endings})(?!{brahmic_pattern()})", _ordinal),
        (rf"(?P<n>{_NUMBER})\s?(?P<u>{units})(?![\w{_LATIN}]|{brahmic_pattern()})", _quantity),
        (r"\d+(?:\.\d+){2,}", _version),
        (r"(?P<a>\d{1,3})/(?P<b>\d{1,3})(?![/\d])", _fraction),
        (r"\d{11,}", lambda place, language: digits(place.match[0], language)),
        (rf"(?P<n>{_NUMBER})", _plain_number),
        ("[-\u2010-\u2015\u2212]+", _dash),
        (r"\.{2,}|…", lambda place, language: ","),
        (r"[#№]\s?(?=\d)", lambda place, language: table(language)["words"]["number"]),
        (r"%", lambda place, language: table(language)["words"]["percent"]),
        ("|".join(map(re.escape, words["symbols"])), _symbol),
    ]


def _letter_rules(words: dict[str, Any]) -> list[tuple[str, Callable[[Place, str], Answer]]]:
    known = any_of(words["abbreviations"])
    latin = rf"[{_LATIN}][{_LATIN}\d]*(?:['&+][{_LATIN}\d]+|-\d+)*(?:\+\+|#)?"
    return [
        (r"[A-Za-z\d][\w.+-]*@[\w-]+(?:\.[\w-]+)+", lambda place, language: _address(place.match[0], language)),
        (
            r"(?:https?://|www\.)[^\s<>\"]*[\w/]|(?:[a-z\d-]+\.)+(?:com|org|net|in|gov|edu|io|ai|dev)\b(?:/[\w./-]*)?",
            lambda place, language: _address(place.match[0].removeprefix("https://").removeprefix("http://"), language),
        ),
        (rf"(?:{known})(?!{brahmic_pattern()})", lambda place, language: words["abbreviations"][place.match[0]]),
        (r"(?:[A-Za-z]\.\s?){2,}", lambda place, language: english_in(place.match[0].replace(".", " "), language)),
        (latin, lambda place, language: english_in(place.match[0], language)),
        (rf"{brahmic_pattern()}+", _word),
        (r"[^\W\d_]", lambda place, language: ""),
    ]


def _compiled(rules: list[tuple[str, Callable[[Place, str], Answer]]], language: str) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern), functools.partial(_with, answer, language)) for pattern, answer in rules)


def _with(answer: Callable[[Place, str], Answer], language: str, place: Place) -> Answer:
    return answer(place, language)


@functools.cache
def reader(language: str) -> Reader:
    """The reader of one of India's languages."""
    words, block = table(language), LANGUAGES[language].block
    own = f"[{chr(block)}-{chr(block + 0x63)}{chr(block + 0x70)}-{chr(block + 0x7F)}]+"
    money = _compiled(
        [rule for rule in _number_rules(words) if rule[0].startswith("(?P<s>") and rule[1] is _money], language
    )
    return Reader(
        language,
        (*money, *_compiled(_letter_rules(words), language)),
        _compiled(_number_rules(words), language),
        re.compile(rf"{own}(?=[\s,;:!?।॥)]|$)"),
        english.MARKS,
        frozenset(words["money_forms"]),
    )
