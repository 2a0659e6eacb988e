"""English pronunciations: CMUdict, words that it lacks, its words with endings, and words with two readings.

The table is the Carnegie Mellon Pronouncing Dictionary (two-clause BSD licence, tables/cmudict.LICENSE), one line a
word, sorted; it is searched as it lies, so that it costs neither time nor memory to load.
"""

from __future__ import annotations

import functools
import gzip
import re
from collections.abc import Sequence
from importlib.resources import files

from text2x.spoken.letter_sounds import rules
from text2x.spoken.phone_set import is_vowel
from text2x.spoken.tables import table, words

Phones = tuple[str, ...]
_VOICELESS = frozenset(words("P T K F TH"))
_HISSING = frozenset(words("S Z SH ZH CH JH"))


@functools.cache
def _dictionary() -> bytes:
    packed = files("text2x.spoken").joinpath("tables", "cmudict.txt.gz").read_bytes()
    return b"\n" + gzip.decompress(packed) + b"\n"


@functools.lru_cache(65_536)
def pronunciations(word: str) -> tuple[Phones, ...]:
    """Those of a word in small letters as the dictionary has them, the usual one first; () if it has none."""
    extra = table("pronunciations")["words"].get(word)
    if extra:
        return (tuple(extra.split()),)
    key, data = word.encode(), _dictionary()
    low, high = 0, len(data) - 1  # line ends; the line sought lies between
    while low < high:
        start = data.rfind(b"\n", low, (low + high) // 2 + 1)
        end = data.find(b"\n", start + 1)
        found, _, readings = data[start + 1 : end].partition(b"\t")
        if found == key:
            return tuple(tuple(each.split()) for each in readings.decode().split("|"))
        low, high = (end, high) if found < key else (low, start)
    return ()


def is_known(word: str) -> bool:
    """Whether the dictionary has the word."""
    return bool(pronunciations(word))


def letter(name: str) -> Phones:
    """The name of a letter, "A" to "Z"."""
    return tuple(table("pronunciations")["letters"][name].split())


@functools.lru_cache(65_536)
def phones_of(word: str) -> Phones:
    """Phones of one word as `english_words` writes it: letters in capitals, words in small letters."""
    head, apostrophe, ending = word.partition("'")
    if len(head) == 1 and head.isupper():
        return _with_s(letter(head)) if ending == "s" else letter(head)
    known = pronunciations(word)
    if known:
        return known[0]
    if apostrophe and ending in ("s", ""):
        return _with_s(phones_of(head)) if head else ()
    if apostrophe:
        return phones_of(head) + _ending(ending)
    plain = re.sub("[^a-z]", "", word)
    return _derived(plain) or _compound(plain) or _by_letters(plain)


def _by_letters(word: str) -> Phones:
    """By the rules; a word that would have no vowel is spelled."""
    said = rules().phones(word)
    return said if any(map(is_vowel, said)) else tuple(phone for each in word for phone in letter(each.upper()))


def _ending(text: str) -> Phones:
    """What follows an apostrophe: 'll, 'd, 've."""
    said: list[str] = []
    for part in text.split("'"):
        known = table("pronunciations")["endings"].get(part)
        said += known.split() if known else pronunciations(part)[0] if is_known(part) else rules().phones(part)
    return tuple(said)


def _with_s(stem: Phones) -> Phones:
    """A plural, a possessive or a third person."""
    if stem and stem[-1] in _HISSING:
        return (*stem, "IH0", "Z")
    return (*stem, "S" if stem and stem[-1] in _VOICELESS else "Z")


def _with_ed(stem: Phones) -> Phones:
    if stem[-1] in ("T", "D"):
        return (*stem, "IH0", "D")
    return (*stem, "T" if stem[-1] in _VOICELESS | {"S", "SH", "CH"} else "D")


def _derived(word: str) -> Phones:
    """A known stem with an ending or a prefix."""
    for suffix, stems in (("ies", ["y"]), ("es", ["", "e"]), ("s", [""])):
        stem = _stem(word, suffix, stems)
        if stem and not word.endswith("ss"):
            return _with_s(stem)
    stem = _stem(word, "ed", ["", "e"], doubled=True)
    if stem:
        return _with_ed(stem)
    for suffix, said in table("pronunciations")["suffixes"].items():
        stem = _stem(word, suffix, ["", "e"], doubled=True)
        if stem:
            return (*stem, *said.split())
    for prefix, said in table("pronunciations")["prefixes"].items():
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) > 3 and pronunciations(rest):
            return (*said.split(), *pronunciations(rest)[0])
    return ()


def _stem(word: str, suffix: str, replacements: Sequence[str], *, doubled: bool = False) -> Phones:
    if not word.endswith(suffix) or len(word) - len(suffix) < 3:
        return ()
    head = word[: -len(suffix)]
    candidates = [head + each for each in replacements]
    if doubled and head[-1] == head[-2]:
        candidates.append(head[:-1])
    return next((pronunciations(each)[0] for each in candidates if pronunciations(each)), ())


def _compound(word: str) -> Phones:
    """Two known words of at least four letters each, as "tablefork"; the second keeps a weaker stress."""
    for cut in range(4, len(word) - 3):
        first, second = pronunciations(word[:cut]), pronunciations(word[cut:])
        if first and second:
            return first[0] + tuple(phone.replace("1", "2") for phone in second[0])
    return ()


# Words with two readings


def pronounce(words: Sequence[str]) -> list[Phones]:
    """Phones of words in a row; "read", "the" and their like are said by what stands beside them."""
    said: list[Phones] = []
    for i, word in enumerate(words):
        before = words[i - 1].lower() if i else ""
        after = words[i + 1] if i + 1 < len(words) else ""
        said.append(_two_readings(word, before, after, words[max(i - 3, 0) : i]) or phones_of(word))
    return said


def _two_readings(word: str, before: str, after: str, near: Sequence[str]) -> Phones:
    if word == "the":
        following = phones_of(after) if after else ()
        return ("DH", "IY0") if following and is_vowel(following[0]) else ("DH", "AH0")
    readings = table("pronunciations")["two_readings"].get(word)
    if not readings:
        return ()
    cues = table("pronunciations")["cues"]
    if "past" in readings:
        is_past = bool(set(near) & set(cues["past"])) and before not in cues["verb_after"]
        return tuple(readings["past" if is_past else "present"].split())
    noun = before in cues["noun_after"] or (
        before and before not in cues["verb_after"] and after in cues["noun_before"]
    )
    verb = before in cues["verb_after"] or (not noun and after in cues["verb_before"])
    return tuple(readings["verb" if verb else "noun" if noun else readings["usual"]].split())
