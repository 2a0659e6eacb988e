"""English words as they are said: capitals spelled or not, inner capitals split, accents folded; web addresses."""

from __future__ import annotations

import re
import unicodedata

from text2x.spoken.english_numbers import cardinal, digits, number
from text2x.spoken.lexicon import is_known
from text2x.spoken.tables import table

EN = table("en")
_NAMES: dict[str, str] = EN["spoken_names"]
_WORDS, _SPELLED, _SHOUTED = (frozenset(EN[name]) for name in ("said_as_words", "spelled", "shouted"))
_FOLDED = {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d",
           "Đ": "D", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th", "ı": "i"}  # fmt: skip
_VOWEL = re.compile("[AEIOUY]")
ADDRESS_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "%": "percent", "+": "plus", "~": "tilde",
}  # fmt: skip


def folded(text: str) -> str:
    """Latin letters without their accents."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", "".join(_FOLDED.get(letter, letter) for letter in text))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def spelled(text: str) -> str:
    """Letter by letter, digit by digit: "A B C" of "abc"."""
    parts = [digits(each) if each.isdecimal() else each.upper() for each in folded(text) if each.isalnum()]
    return " ".join(parts)


def say_word(text: str, shouting: bool = False) -> str:
    """One word of Latin letters, apostrophes inside allowed, as words in small letters and letters in capitals."""
    word, apostrophe, ending = folded(text).partition("'")
    tail = apostrophe + ending.lower()
    small = word.lower()
    if small in _NAMES:
        return _followed(_NAMES[small], tail, shouting)
    if len(word) == 1:
        return small + tail if word == "a" or tail not in ("", "'s") else word.upper() + tail
    if word.isupper():
        if not _is_spelled(word, shouting):
            return small + tail
        return _followed(spelled(word), tail, shouting)
    if re.fullmatch("[A-Z]{2,}s", word) and not shouting:
        return spelled(word[:-1]) + "'s"
    if word[1:].islower() or is_known(small):
        return small + tail
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", word)
    said = " ".join(say_word(part) for part in parts) if len(parts) > 1 else small
    return _followed(said, tail, shouting)


def _followed(said: str, tail: str, shouting: bool) -> str:
    """Words with what followed an apostrophe: a letter takes an s, anything else is said after it."""
    if tail in ("", "'", "'s") or not said[-1].isupper():
        return said + tail
    return f"{said} {say_word(tail[1:], shouting)}"


def _is_spelled(word: str, shouting: bool) -> bool:
    if word in _WORDS:
        return False
    if word in _SPELLED:
        return True
    if shouting and is_known(word.lower()):
        return False
    if len(word) <= 3:
        return word not in _SHOUTED
    if is_known(word.lower()):
        return False
    return len(word) <= 4 or not _VOWEL.search(word)


def say_mixed(text: str) -> str:
    """Letters and digits run together: "M P three", "covid nineteen"."""
    parts = re.findall(r"\d+|[^\W\d_]+", text)
    return " ".join(_digits_in_name(part) if part.isdecimal() else _letters_in_name(part) for part in parts)


def _digits_in_name(text: str) -> str:
    if text.startswith("0") or len(text) > 4:
        return digits(text)
    return cardinal(int(text))


def _letters_in_name(text: str) -> str:
    return (
        say_word(text)
        if len(text) > 3 and is_known(text.lower())
        else spelled(text)
        if len(text) <= 3
        else say_word(text)
    )


def say_address(text: str) -> str:
    """An e-mail or web address: names as words where they are known, else spelled; signs by name."""
    said: list[str] = []
    for part in re.findall(r"[^\W\d_]+|\d+|.", text):
        if part.isalpha():
            said.append(_address_word(part))
        elif part.isdecimal():
            said.append(number(part) if len(part) <= 2 else digits(part))
        else:
            said.append(ADDRESS_SIGNS.get(part, ""))
    return " ".join(filter(None, said))


def _address_word(part: str) -> str:
    small = folded(part).lower()
    if small in _NAMES:
        return _NAMES[small]
    if len(small) <= 2 and small != "in" or len(small) == 3 and not is_known(small):
        return spelled(part)
    if not small.isalpha() or not re.search("[aeiouy]", small):
        return spelled(part)
    return say_word(part if not part.isupper() else small)


def say_tag(text: str) -> str:
    """A hash tag's words: "machine learning two thousand" of "MachineLearning2000"."""
    parts = re.findall(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+", text)
    return " ".join(_digits_in_name(part) if part.isdecimal() else say_word(part) for part in parts)
