"""Reading English: the rules for what begins with a letter, and the reader that `rules.apply` takes."""

from __future__ import annotations

import re

from text2x.spoken.english_numbers import cardinal, number, ordinal, roman, year
from text2x.spoken.english_numerals import FORM_RULES, MONEY_RULE, MONTH, MONTHS, NUMBER_RULES, month_of, on_date
from text2x.spoken.english_words import EN, say_address, say_mixed, say_tag, say_word, spelled
from text2x.spoken.rules import Foreign, Place, Reader, Rule
from text2x.spoken.tables import any_of, words
from text2x.spoken.writing import brahmic_pattern, language_at

_ABBREVIATIONS: dict[str, str] = EN["abbreviations"]
_TLDS = any_of(EN["tlds"])
_REGAL, _CARDINAL = frozenset(EN["regal"]), frozenset(EN["cardinal_before"])
_PREPOSITIONS = frozenset(words("in on at the from to near visit by of and with for over via outside inside around"))
_GREEK = words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon "
    "phi chi psi omega"
)  # in the order of U+03B1 to U+03C9


def _saint_or_street(place: Place) -> str:
    name_before = place.before[:1].isupper() and place.before.lower() not in _PREPOSITIONS
    if not name_before and re.match(r"\s*[A-Z]", place.after):
        return "saint"
    return "street"


def _doctor_or_drive(place: Place) -> str:
    name_before = place.before[:1].isupper() and place.before.lower() not in _PREPOSITIONS
    return "drive" if name_before and not re.match(r"\s*[A-Z][a-z]", place.after) else "doctor"


def _abbreviation(place: Place) -> str | None:
    if place.match[0] in EN["before_number"] and not re.match(r"\s*(?:\d|[IVXLC]+\b)", place.after):
        return None
    return _ABBREVIATIONS[re.sub(r"\s+", " ", place.match[0])]


def _month_day(place: Place) -> str | None:
    return on_date(int(place["d"]), month_of(place["m"]), place["y"]) if 1 <= int(place["d"]) <= 31 else None


def _month_year(place: Place) -> str:
    return f"{MONTHS[month_of(place['m']) - 1]} {year(int(place['y']))}"


def _dotted(place: Place) -> str:
    """U.S.A., J. R. R.: the letters."""
    return spelled(place.match[0])


def _roman(place: Place) -> str | None:
    """After a name "the eighth", after "chapter" and its like a plain number."""
    value, before = roman(place["r"]), place.before.lower()
    if value is None or place["r"] in ("XL", "L", "C", "D", "M"):
        return None
    if before in _CARDINAL:
        return cardinal(value)
    if not place.before[:1].isupper() or not place.before[1:].islower() or before in _PREPOSITIONS:
        return None
    if len(place["r"]) > 1 or (
        before in _REGAL and place["r"] in "IVX" and re.match(r"[,.;:!?)]|$| of\b", place.after)
    ):
        return f"the {ordinal(value)}"
    return None


def _letter_a(place: Place) -> str:
    """The article, unless it stands as a letter: "vitamin A", "A B C"."""
    ahead = re.match(r"\s+[\"'(]?([A-Za-z][A-Za-z'-]+|\d)", place.after)
    if place.shouting:
        return "a" if ahead else "A"
    if not ahead:
        return "A"
    return "a" if not place.before or (ahead[1][0].isupper() and not ahead[1].isupper()) else "A"


def _word(place: Place) -> str | Foreign:
    text = place.match[0]
    if len(text) == 1 and "α" <= text.lower() <= "ω":
        return _GREEK[ord(text.lower()) - ord("α")]
    if not "a" <= say_word(text[0]).lower()[:1] <= "z":
        return ""  # of a script that English is not written in; the reading warns of it
    return say_word(text, place.shouting)


def _brahmic(place: Place) -> Foreign:
    return Foreign(place.match[0], language_at(place.match[0], "hi"))


_LETTER = r"[^\W\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218f]"  # no raised digits, no fractions
LETTER_RULES: tuple[Rule, ...] = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), lambda place: say_address(place.match[0])),
    (
        re.compile(rf"(?:https?://|www\.)[^\s<>\"]*[\w/]|(?:[a-z\d-]+\.)+(?:{_TLDS})\b(?:/[\w./?=&%#~+-]*[\w/])?(?!\.?\w)"),
        lambda place: say_address(place.match[0]),
    ),
    (
        re.compile(rf"(?P<m>{MONTH})\s(?P<d>\d\d?)(?:st|nd|rd|th)?(?:,?\s(?P<y>\d{{4}}))?(?![\w:%])(?![.,]\d)"),
        _month_day,
    ),
    (re.compile(rf"(?P<m>{MONTH}),?\s(?P<y>[12]\d{{3}})(?![\w:%])"), _month_year),
    MONEY_RULE,
    (re.compile(r"[Nn]os?\.\s?(?=\d)"), lambda place: "number"),
    (re.compile(r"St\.?(?!\w)"), _saint_or_street),
    (re.compile(r"Dr\.?(?!\w)"), _doctor_or_drive),
    (re.compile(r"[AaPp]\.\s?[Mm]\.(?!\w)"), lambda place: f"{place.match[0][0].upper()} M"),
    (re.compile(rf"(?:{any_of(_ABBREVIATIONS).replace(' ', 's+')})(?!\w)"), _abbreviation),
    (re.compile(r"(?:[A-Za-z]\.\s?){2,}(?![A-Za-z])|[A-Z]\.(?=\s?[A-Z])"), _dotted),
    (re.compile(r"(?P<r>[IVXLCDM]+)(?![\w'])"), _roman),
    (re.compile(r"[vV](?:er)?\.?\s?(?P<n>\d+(?:\.\d+)*)(?!\w)"), lambda place: _versioned(place["n"])),
    (re.compile(r"(?=[A-Za-z]*\d)[A-Za-z\d]+"), lambda place: say_mixed(place.match[0])),
    (re.compile(r"A(?![\w'])"), _letter_a),
    (re.compile(rf"(?={brahmic_pattern()})(?:{brahmic_pattern()})+"), _brahmic),
    (re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*"), _word),
)  # fmt: skip


def _versioned(text: str) -> str:
    return "version " + " point ".join(number(part) for part in text.split("."))


_PERIODS = "yr|hr|min|sec|second|minute|hour|day|night|week|month|year|person|capita"
_SIGN_RULES: tuple[Rule, ...] = (
    (re.compile(r"#(?=[^\W\d_])\w+"), lambda place: "hashtag " + say_tag(place.match[0][1:])),
    (re.compile(r"@(?=[^\W\d_])\w+"), lambda place: "at " + say_tag(place.match[0][1:])),
    (re.compile(r"\d[\w.+-]*@[\w-]+(?:\.[\w-]+)+"), lambda place: say_address(place.match[0])),
    (re.compile(r"'(?:em|til|tis|twas|cause|bout)(?!\w)"), lambda place: place.match[0]),
    (re.compile(r"(?<=[^\W_])\.(?=[^\W\d_])(?<![a-z]\.(?=[A-Z]))"), lambda place: "dot"),
    (re.compile(rf"/\s?(?P<u>{_PERIODS})\b"), lambda place: f"per {EN['units'].get(place['u'], [place['u']])[0]}"),
    (re.compile(r"(?<=\d)\s?/\s?(?=[a-z])"), lambda place: "per"),
)
_MIXED: tuple[Rule, ...] = (
    (re.compile(r"(?=\d+[A-Za-z])[A-Za-z\d]+"), lambda place: say_mixed(place.match[0])),
    (
        re.compile(r"(?P<n>\d+\.\d+)(?P<w>[A-Za-z][A-Za-z\d]*)"),
        lambda place: f"{number(place['n'])} {say_mixed(place['w'])}",
    ),
)

MARKS = {
    ",": ",", ";": ",", ":": ",", ".": ".", "!": "!", "?": "?", "(": ",", ")": ",", "[": ",", "]": ",", "{": ",",
    "}": ",", "।": ".", "॥": ".", "|": ",", "¡": "", "¿": "",
}  # fmt: skip

READER = Reader(
    "en",
    LETTER_RULES,
    (*_SIGN_RULES, *FORM_RULES, *_MIXED, *NUMBER_RULES),
    re.compile(r"(?:a|[a-z]{2,}(?:'[a-z]+)*)(?=[\s,;:!?)]|$)(?!\s?:?//)"),
    MARKS,
    frozenset(EN["spoken_names"]) | frozenset(_ABBREVIATIONS),
)
