"""English words in India's scripts, and India's words in English phones: each by the sounds, from one table.

The English is Indian English: t and d are retroflex, th and dh dental, v and w one sound.
"""

from __future__ import annotations

import functools

from text2x.spoken.languages import LANGUAGES
from text2x.spoken.letter_sounds import stressed
from text2x.spoken.lexicon import Phones, phones_of
from text2x.spoken.phone_set import VOWELS, without_stress

_VIRAMA, _NUKTA, _ANUSVARA = 0x4D, 0x3C, 0x02
# Offsets in a script's block
_CONSONANTS = {
    "B": 0x2C, "CH": 0x1A, "D": 0x21, "DH": 0x26, "F": 0x2B, "G": 0x17, "HH": 0x39, "JH": 0x1C, "K": 0x15, "L": 0x32,
    "M": 0x2E, "N": 0x28, "P": 0x2A, "R": 0x30, "S": 0x38, "SH": 0x36, "T": 0x1F, "TH": 0x25, "V": 0x35, "W": 0x35,
    "Y": 0x2F, "Z": 0x1C, "ZH": 0x1C,
}  # fmt: skip
_WITH_NUKTA = {"F", "Z", "ZH"}  # in Devanagari and Gurmukhi
_VOWEL_LETTERS = {  # as the offsets of independent letters; a pair is said one after the other
    "AA": (0x06,), "AE": (0x10,), "AH": (0x05,), "AO": (0x11,), "AW": (0x06, 0x09), "AY": (0x06, 0x07), "EH": (0x0F,),
    "EY": (0x0F,), "IH": (0x07,), "IY": (0x08,), "OW": (0x13,), "OY": (0x11, 0x07), "UH": (0x09,), "UW": (0x0A,),
}  # fmt: skip
_SOUTH = {"EH": (0x0E,), "AO": (0x06,), "OY": (0x06, 0x07)}
_VOWELS: dict[str, dict[str, tuple[int, ...]]] = {
    "mr": {"AE": (0x0D,)}, "gu": {"AE": (0x0D,), "AO": (0x11,)}, "te": _SOUTH, "kn": _SOUTH,
    "ta": {**_SOUTH, "AE": (0x0F,)}, "ml": {**_SOUTH, "AE": (0x06,)},
    "bn": {"AO": (0x05,), "UW": (0x09,), "AE": (0x0F,), "OY": (0x05, 0x07)}, "pa": {"AO": (0x14,), "OY": (0x14, 0x07)},
}  # fmt: skip
_YA_AA = frozenset(["te", "kn", "bn"])  # write the vowel of "bank" as ya and aa
_OTHERS: dict[str, dict[str, str]] = {
    "ta": {"B": "ப", "D": "ட", "DH": "த", "G": "க", "TH": "த", "F": "ஃப", "JH": "ஜ", "Z": "ஸ", "ZH": "ஜ", "SH": "ஷ"},
    "bn": {"V": "ভ", "W": "ও\u09af\u09bc", "Y": "\u09af\u09bc"},
    "pa": {"SH": "ਸ਼"},
}
_LETTERS = {"Z": ("Z", "EH1", "D"), "W": ("D", "AH1", "B", "L", "Y", "UW0")}

_TO_ENGLISH = {
    "a": "AH0", "aː": "AA1", "i": "IH0", "iː": "IY1", "u": "UH0", "uː": "UW1", "e": "EH1", "eː": "EY1", "o": "OW0",
    "oː": "OW1", "ai": "AE1", "au": "AO1", "æ": "AE1", "ɔ": "AO1", "k": "K", "kʰ": "K", "ɡ": "G", "ɡʱ": "G", "ŋ": "NG",
    "tʃ": "CH", "tʃʰ": "CH", "dʒ": "JH", "dʒʱ": "JH", "ɲ": "N", "ʈ": "T", "ʈʰ": "T", "ɖ": "D", "ɖʱ": "D", "ɳ": "N",
    "t": "T", "tʰ": "T", "d": "D", "dʱ": "D", "n": "N", "p": "P", "pʰ": "P", "b": "B", "bʱ": "B", "m": "M", "j": "Y",
    "r": "R", "l": "L", "ʋ": "V", "ʃ": "SH", "ʂ": "SH", "s": "S", "ɦ": "HH", "ɭ": "L", "ɻ": "R", "ɽ": "R", "ɽʱ": "R",
    "q": "K", "x": "K", "ɣ": "G", "z": "Z", "f": "F", "ʒ": "ZH",
}  # fmt: skip


@functools.lru_cache(65_536)
def in_script(word: str, language: str) -> str:
    """An English word, or a letter in capitals, written in the script of the language."""
    phones = _LETTERS.get(word) or phones_of(word)
    if "o" in word and "a" not in word:  # the vowel of "dot", which American English has made that of "father"
        phones = tuple(phone.replace("AA", "AO") for phone in phones)
    return written(phones, language) if phones else ""


def written(phones: Phones, language: str) -> str:
    """ARPAbet phones in the script of one of India's languages."""
    block, south = LANGUAGES[language].block, not LANGUAGES[language].drops_schwa
    virama = chr(block + _VIRAMA)
    text, waiting = "", False  # whether the last consonant waits for its vowel
    plain = [without_stress(phone) for phone in phones]
    for i, phone in enumerate(plain):
        last = i == len(plain) - 1
        if phone == "ER":
            text += _vowel("AH", language, waiting, False) + _consonant("R", language)
            waiting = True
        elif phone in VOWELS:
            text += _vowel(phone, language, waiting, last)
            waiting = False
        elif phone == "NG" and not waiting:
            velar = not last and plain[i + 1] in ("K", "G")
            text += chr(block + 0x19) + virama if language in ("ta", "ml") else chr(block + _ANUSVARA)
            text += "" if velar else _consonant("G", language)
            waiting = not velar
        elif phone == "Y" and language == "bn" and waiting:  # কম্পিউটার
            text += chr(block + 0x3F)
            waiting = False
        else:
            text += (virama if waiting else "") + _consonant("N" if phone == "NG" else phone, language)
            waiting = True
    return text + (virama if waiting and south else "")


def _consonant(plain: str, language: str) -> str:
    other = _OTHERS.get(language, {}).get(plain)
    if other:
        return other
    block = LANGUAGES[language].block
    nukta = chr(block + _NUKTA) if plain in _WITH_NUKTA and block in (0x0900, 0x0A00) and language != "mr" else ""
    return chr(block + _CONSONANTS[plain]) + nukta


def _vowel(plain: str, language: str, after_consonant: bool, last: bool) -> str:
    """A vowel as a sign on its consonant or as letters; a final short a is long, or it would fall silent."""
    block = LANGUAGES[language].block
    if plain == "AH" and last:
        plain = "AA"
    if plain == "AE" and language in _YA_AA and after_consonant:
        return chr(block + _VIRAMA) + chr(block + 0x2F) + chr(block + 0x3E)
    first, *rest = _VOWELS.get(language, {}).get(plain) or _VOWEL_LETTERS[plain]
    sign = "" if first == 0x05 else chr(block + first + 0x38)  # signs lie 0x38 above their letters
    return (sign if after_consonant else chr(block + first)) + "".join(chr(block + each) for each in rest)


def to_english(phones: Phones) -> Phones:
    """Phones of India's languages as an English voice can say them, with one primary stress."""
    said: list[str] = []
    for phone in phones:
        said.append(_TO_ENGLISH[phone.rstrip("~")])
        if phone.endswith("~"):
            said.append("N")
    return stressed(tuple(said))
