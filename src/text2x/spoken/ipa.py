"""Phones written by a user: the International Phonetic Alphabet and ARPAbet, to members of PHONES."""

from __future__ import annotations

import unicodedata

from text2x.errors import InputError
from text2x.spoken.letter_sounds import stressed
from text2x.spoken.phone_set import CONSONANTS, ENGLISH, INDIC, VOWELS

_IPA = {
    "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "a": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɔː": "AO", "ɔ": "AO",
    "aʊ": "AW", "aʊ̯": "AW", "au": "AW", "aɪ": "AY", "aɪ̯": "AY", "ai": "AY", "ɛ": "EH", "e": "EH", "ɜːr": "ER",
    "ɜː": "ER", "ɝ": "ER", "ɝː": "ER", "ɚ": "ER", "ɜ": "ER", "əɹ": "ER", "eɪ": "EY", "eɪ̯": "EY", "eː": "EY", "ei": "EY",
    "ɪ": "IH", "i": "IY", "iː": "IY", "oʊ": "OW", "oʊ̯": "OW", "əʊ": "OW", "o": "OW", "oː": "OW", "ou": "OW", "ɔɪ": "OY",
    "ɔɪ̯": "OY", "oi": "OY", "ʊ": "UH", "u": "UW", "uː": "UW", "b": "B", "tʃ": "CH", "t͡ʃ": "CH", "ʧ": "CH", "d": "D",
    "ð": "DH", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "ɦ": "HH", "dʒ": "JH", "d͡ʒ": "JH", "ʤ": "JH", "k": "K",
    "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "r": "R", "ɹ": "R", "ɾ": "T", "s": "S", "ʃ": "SH",
    "t": "T", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "ʍ": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_INDIC = {
    **{phone.removesuffix("~"): phone for phone in INDIC if not phone.endswith("~")},
    "ə": "a", "ɑː": "aː", "ɑ": "aː", "ɪ": "i", "ʊ": "u", "ɛ": "ai", "ɛː": "ai", "ɔː": "au", "t̪": "t", "t̪ʰ": "tʰ",
    "d̪": "d", "d̪ʱ": "dʱ", "ɖʰ": "ɖʱ", "bʰ": "bʱ", "ɡʰ": "ɡʱ", "g": "ɡ", "t͡ʃ": "tʃ", "t͡ʃʰ": "tʃʰ", "d͡ʒ": "dʒ",
    "d͡ʒʱ": "dʒʱ", "c": "tʃ", "cʰ": "tʃʰ", "ɟ": "dʒ", "v": "ʋ", "w": "ʋ", "ɾ": "r", "h": "ɦ",
}  # fmt: skip
_IGNORED = frozenset(". ‿|͜͡")


def phones_of_ipa(text: str, language: str, where: str) -> tuple[str, ...]:
    """IPA as phones of the language's set, ˈ and ˌ before the stressed syllable; unknown signs raise InputError."""
    table, english = (_IPA, True) if language == "en" else (_INDIC, False)
    longest = max(map(len, table))
    text = unicodedata.normalize("NFD", text.strip().strip("/[]")).replace("\u0303ː", "ː\u0303")
    said: list[str] = []
    stress, at = "0", 0
    while at < len(text):
        if text[at] in "ˈˌ'":
            stress, at = "2" if text[at] == "ˌ" else "1", at + 1
            continue
        if text[at] in _IGNORED:
            at += 1
            continue
        if text[at] in "\u0303~" and said and not english:
            said[-1] += "" if said[-1].endswith("~") else "~"
            at += 1
            continue
        size = next((n for n in range(longest, 0, -1) if text[at : at + n] in table), 0)
        if not size:
            sign = text[at]
            name = unicodedata.name(sign, f"U+{ord(sign):04X}").lower()
            raise InputError(
                f"{where}: {sign!r} ({name}) in {text!r} is no IPA sign of {language}; see docs/reading.md"
            )
        phone, at = table[text[at : at + size]], at + size
        if english and phone in VOWELS:
            phone, stress = phone + stress, "0"
        said.append(phone)
    _not_empty(said, text, where)
    return stressed(tuple(said)) if english else tuple(said)


def phones_of_arpabet(text: str, language: str, where: str) -> tuple[str, ...]:
    """ARPAbet of CMUdict, separated by spaces: "HH AH0 L OW1"; a vowel without a number has no stress."""
    said = [phone + "0" if phone in VOWELS else phone for phone in text.upper().split()]
    for phone in said:
        if phone not in ENGLISH:
            known = " ".join((*VOWELS, *CONSONANTS))
            raise InputError(f"{where}: {phone!r} is no ARPAbet phone; the phones are {known}")
    _not_empty(said, text, where)
    if language != "en":
        raise InputError(f"{where}: ARPAbet is for English; write the phones of {language} in IPA")
    return stressed(tuple(said))


def _not_empty(said: list[str], text: str, where: str) -> None:
    if not said:
        raise InputError(f"{where}: {text!r} holds no phones; write them, or leave the tag out")
