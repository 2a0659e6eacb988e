"""English rules for what begins with a digit or a sign: dates, times, money, units, phone numbers, ranges, numbers."""

from __future__ import annotations

import re

from text2x.spoken.english_numbers import cardinal, decade, digits, fraction, number, ordinal, year
from text2x.spoken.rules import Place, Rule
from text2x.spoken.tables import any_of, table

EN = table("en")
NUMBER = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)(?:\.\d+)?"  # 12, 1,234, 1,00,000, 3.14
MONTHS: list[str] = EN["months"]
MONTH = rf"(?:{any_of([*(m.title() for m in MONTHS), *(m.upper() for m in MONTHS)])}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"  # noqa: E501
_MONEY, _UNITS, _MAGNITUDES = EN["money"], EN["units"], EN["magnitudes"]
_CODES = [name for name in _MONEY if name.isalpha() and name.isupper()]
_SIGN = any_of([name for name in _MONEY if name not in _CODES] + _CODES)
_AM_PM = r"(?:\s?(?P<half>[AaPp]\.\s?[Mm]\.|[AaPp][Mm]\b))"
_DASH = "-\u2010-\u2015\u2212"


def month_of(text: str) -> int:
    """1 to 12 of a month's name or short form."""
    short = text.lower().rstrip(".")
    return MONTHS.index(short) + 1 if short in MONTHS else EN["month_forms"][short]


def on_date(day: int, month: int, of_year: str = "") -> str:
    """ "may seventeenth, twenty twenty four"."""
    said = f"{MONTHS[month - 1]} {ordinal(day)}"
    return f"{said}, {year_of(of_year)}" if of_year else said


def year_of(text: str) -> str:
    """A year of two or four digits as it is said."""
    if len(text) == 2:
        return f"oh {cardinal(int(text))}" if text.startswith("0") else cardinal(int(text))
    return year(int(text))


def _date(place: Place) -> str | None:
    first, second = int(place["a"]), int(place["b"])
    day, month = (first, second) if first > 12 or place["s"] == "." else (second, first)  # as in America: month first
    return on_date(day, month, place["y"]) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _iso_date(place: Place) -> str | None:
    day, month = int(place["d"]), int(place["m"])
    return on_date(day, month, place["y"]) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _day_month(place: Place) -> str | None:
    if not 1 <= int(place["d"]) <= 31:
        return None
    article = "" if place.before.lower() == "the" else "the "
    said = f"{article}{ordinal(int(place['d']))} of {MONTHS[month_of(place['m']) - 1]}"
    return f"{said}, {year(int(place['y']))}" if place["y"] else said


def clock(hour: int, minute: int, second: int | None = None, half: str = "") -> str:
    """ "ten thirty", "five oh five P M", "ten o'clock"."""
    said = cardinal(hour)
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif hour > 12 or hour == 0:
        said += " hundred"
    elif not half and second is None:
        said += " o'clock"
    if second is not None:
        said += f" and {cardinal(second)} second{'' if second == 1 else 's'}"
    return f"{said} {half.upper()} M" if half else said


def _time(place: Place) -> str | None:
    hour, minute = int(place["h"]), int(place["m"])
    if hour > 24 or minute > 59 or int(place["s"] or 0) > 59:
        return None
    return clock(hour, minute, int(place["s"]) if place["s"] else None, place["half"][:1])


def _hour(place: Place) -> str | None:
    return clock(int(place["h"]), 0, half=place["half"][0]) if 1 <= int(place["h"]) <= 12 else None


def money(amount: str, sign: str, magnitude: str = "") -> str:
    """ "five dollars and twenty cents", "two point five million dollars"."""
    one, many, cent, cents = _MONEY[sign]
    if magnitude:
        return f"{number(amount)} {_MAGNITUDES[magnitude]} {many}"
    whole, _, decimals = amount.partition(".")
    if len(decimals) != 2:
        return f"{number(amount)} {one if amount == '1' else many}"
    main = f"{number(whole)} {one if whole == '1' else many}" if whole.strip("0,") else ""
    small = f"{cardinal(int(decimals))} {cent if decimals == '01' else cents}" if int(decimals) else ""
    return " and ".join(filter(None, [main, small])) or f"zero {many}"


def _money(place: Place) -> str:
    sign = place["sign"] or place["code"]
    return money(place["n"], sign, place["k"]) + (" per" if place["per"] else "")


def quantity(amount: str, unit: str, *, one: bool = False) -> str:
    """ "five kilometers"; `one`: as before a noun, "five kilometer"."""
    forms = _UNITS[unit]
    return f"{number(amount)} {forms[0] if one or amount == '1' else forms[1]}"


def _quantity(place: Place) -> str:
    said = quantity(place["n"], place["u"], one=place["j"] == "-")
    return f"{said} per {_UNITS[place['v']][0]}" if place["v"] else said


def _feet(place: Place) -> str:
    said = f"{cardinal(int(place['f']))} feet"
    return f"{said} {number(place['i'])} inches" if place["i"] else said


def groups(text: str) -> str:
    """Digits with a short silence between groups, as telephone numbers are said."""
    said = [digits(group) for group in re.findall(r"\d+", text)]
    return ("plus " if text.lstrip("( ").startswith("+") else "") + ", ".join(said)


def _phone(place: Place) -> str:
    return groups(place["p"])


def _fraction(place: Place) -> str | None:
    above, below = int(place["a"]), int(place["b"])
    if place["w"]:
        return f"{number(place['w'])} and {fraction(above, below).replace('one half', 'a half')}"
    if (above, below) in ((24, 7), (9, 11)) or (above == below and above > 1):
        return f"{cardinal(above)} {cardinal(below)}"
    return fraction(above, below) if below else None


def _version(place: Place) -> str:
    parts = [cardinal(int(part)) if part == "0" or part[0] != "0" else digits(part) for part in place["n"].split(".")]
    return ("version " if place["v"] else "") + " point ".join(parts)


def _decimal(place: Place) -> str | None:
    """3.11 is a version after the name of a program."""
    return _version(place) if place.before.lower() in EN["versioned"] else None


def _year_or_number(place: Place) -> str:
    text = place["n"]
    if len(text) == 4 and text.isdecimal() and text[0] != "0":
        value, before = int(text), place.before.lower().strip("(,'")
        near = before in EN["year_before"] or before.rstrip(".") in EN["month_forms"] or before in MONTHS
        beside = place.match.start() > 1 and place.match.string[place.match.start() - 1] in _DASH[1:] + "-\u2013("
        if 1900 <= value <= 2099 or (1000 <= value <= 2099 and (near or beside)):
            return year(value)
        if re.match(rf"[{_DASH}]\d{{2,4}}(?!\d)", place.after) and 1000 <= value <= 2099:
            return year(value)
    return number(text)


def _range(place: Place) -> str | None:
    """A dash between two numbers; elsewhere the next rules decide."""
    at = place.match.start()
    numeric = re.match(r"[$£€₹]?\d", place.before)
    return "to" if numeric and not place.match.string[at - 1].isspace() else None


def _minus(place: Place) -> str | None:
    at = place.match.start()
    before = place.match.string[at - 1] if at else " "
    return None if before.isalnum() or before in ")'" else "minus"


def _spaced_dash(place: Place) -> str:
    """Between words with spaces it is a short silence, inside a word nothing; in sums it is minus."""
    at, text = place.match.start(), place.match.string
    if re.search(r"\d\s*$", text[:at]) and re.match(r"\s+\d", place.after):
        return "minus"
    alone = at == 0 or text[at - 1].isspace() or place.after[:1].isspace()
    return "," if alone or place.match[0] in ("--", "—", "―") else ""


def _ordinal(place: Place) -> str:
    return ordinal(int(place["n"].replace(",", "")))


def _decade(place: Place) -> str:
    return decade(int(place["n"]))


def _long(place: Place) -> str:
    return cardinal(int(place["n"])) if place["n"].endswith("000000") else digits(place["n"])


def _times(place: Place) -> str:
    sides = re.findall(r"\d+", place.match[0])
    return " by ".join(year(int(side)) if len(side) == 4 and int(side) < 2100 else number(side) for side in sides)


def _symbol(place: Place) -> str:
    return EN["symbols"][place.match[0]]


_END = r"(?![\w])"
MONEY_RULE: Rule = (
    re.compile(
        rf"(?:(?P<sign>{_SIGN})\s?)(?P<n>{NUMBER}|\.\d+)(?:\s?(?P<k>{any_of(_MAGNITUDES)})\b)?(?P<per>\s?/\s?(?=[a-z]))?"
    ),
    _money,
)
FORM_RULES: tuple[Rule, ...] = (  # more than a number; the first that matches reads it
    (re.compile(rf"(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d){_END}"), _iso_date),
    (re.compile(rf"(?P<a>\d\d?)(?P<s>[./-])(?P<b>\d\d?)(?P=s)(?P<y>\d{{4}}){_END}(?!\.\d)"), _date),
    (re.compile(rf"(?P<a>\d\d?)(?P<s>/)(?P<b>\d\d?)/(?P<y>\d\d){_END}"), _date),
    (
        re.compile(rf"(?P<d>\d\d?)(?:st|nd|rd|th)?\s(?:of\s)?(?P<m>{MONTH})(?:,?\s(?P<y>\d{{4}}){_END})?{_END}"),
        _day_month,
    ),
    (re.compile(rf"(?P<h>\d\d?):(?P<m>\d\d)(?::(?P<s>\d\d))?{_AM_PM}?{_END}"), _time),
    (re.compile(rf"(?P<h>\d\d?){_AM_PM}"), _hour),
    (re.compile(r"(?P<p>\+\d{1,3}[\s.-]?(?:\(\d{1,4}\)[\s.-]?)?\d{2,5}(?:[\s.-]?\d{2,5}){1,4})(?![\w])"), _phone),
    (re.compile(rf"(?P<p>(?:1[-.\s])?(?:\(\d{{3}}\)\s?|\d{{3}}[-.\s])\d{{3}}[-.\s]\d{{4}}){_END}"), _phone),
    (re.compile(rf"(?P<p>\d{{3}}-\d{{4}}|\d{{5}}[\s-]\d{{5}}|\d+(?:-\d+){{2,}}){_END}"), _phone),
    MONEY_RULE,
    (
        re.compile(
            rf"(?P<n>{NUMBER})\s?(?:(?P<k>{any_of(_MAGNITUDES)})\s?)?(?P<code>[€£₹]|(?:{any_of(_CODES)})\b)(?P<per>\s?/\s?(?=[a-z]))?"
        ),
        _money,
    ),
    (re.compile(r"(?P<n>\d+)\s?¢"), lambda place: f"{number(place['n'])} cent{'' if place['n'] == '1' else 's'}"),
    (re.compile(rf"(?P<v>[vV]\.?\s?)?(?P<n>\d+(?:\.\d+){{2,}}){_END}"), _version),
    (re.compile(rf"(?P<v>)(?P<n>\d+\.\d+){_END}"), _decimal),
    (re.compile(rf"(?P<w>\d+)\s(?P<a>\d\d?)[/⁄](?P<b>\d\d?){_END}(?!/)"), _fraction),
    (re.compile(rf"(?P<w>)(?P<a>\d{{1,4}})[/⁄](?P<b>\d{{1,4}}){_END}(?!/)"), _fraction),
    (re.compile(r"(?P<w>\d+)\s?(?P<f>[½⅓⅔¼¾⅛⅜⅝⅞])"), lambda place: f"{number(place['w'])} and {_half(place['f'])}"),
    (re.compile(r"(?P<f>\d+)\s?ft\.?\s(?P<i>\d\d?)\s?in(?:\.|\b)"), _feet),
    (re.compile(r"(?P<f>\d)'\s?(?:(?P<i>\d\d?(?:\.\d+)?)(?:\"|'')?)(?!\w)"), _feet),
    (re.compile(rf"(?P<n>[12]\d\d0|[2-9]0)'?s{_END}"), _decade),
    (re.compile(rf"'(?P<n>[1-9]0)'?s{_END}"), _decade),
    (re.compile(rf"(?P<n>\d+)\s?(?:%|percent{_END}|per\scent{_END})"), lambda place: f"{number(place['n'])} percent"),
    (
        re.compile(
            rf"(?P<n>{NUMBER})(?P<j>\s|-)?(?P<u>{any_of(_UNITS)})(?:\s?/\s?(?P<v>{any_of(_UNITS)}))?(?![\w²³°])(?!-\d)"
        ),
        _quantity,
    ),
    (re.compile(r"\d+(?:\s?[x×]\s?\d+)+(?!\w)"), _times),
    (re.compile(rf"(?P<n>\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH){_END}"), _ordinal),
    (re.compile(r"'(?P<n>\d\d)(?![\w'])"), lambda place: year_of(place["n"])),
    (re.compile(r"(?P<n>\d{10,})(?![\w.])"), _long),
    (re.compile(r"(?P<a>\d+):(?P<b>\d+)(?![\w:])"), lambda place: f"{number(place['a'])} to {number(place['b'])}"),
)  # fmt: skip
NUMBER_RULES: tuple[Rule, ...] = (  # bare numbers and signs
    (re.compile(rf"(?P<n>{NUMBER})(?![A-Za-z\d])"), _year_or_number),
    (re.compile(r"\.\d+(?!\w)"), lambda place: number(place.match[0])),
    (re.compile(rf"[{_DASH}](?=[$£€₹]?\d)"), _range),
    (re.compile(rf"[{_DASH}](?=[$£€₹]?\.?\d)"), _minus),
    (re.compile(rf"--|[{_DASH}]"), _spaced_dash),
    (re.compile(r"\.{2,}|…"), lambda place: ","),
    (re.compile(r"[#№]\s?(?=\d)"), lambda place: "number"),
    (re.compile(r"~\s?(?=[$£€₹]?\d)"), lambda place: "about"),
    (re.compile(r"\^\s?(?P<n>\d+)"), lambda place: _power(place["n"])),
    (re.compile(r"\*\s?(?=\d)"), lambda place: "times" if place.before[:1].isdigit() else ""),
    (re.compile("|".join(map(re.escape, EN["symbols"]))), _symbol),
)  # fmt: skip


def _half(character: str) -> str:
    return EN["symbols"][character].replace("one half", "a half")


def _power(text: str) -> str:
    named = {"2": "squared", "3": "cubed"}
    return named.get(text) or f"to the power of {number(text)}"
