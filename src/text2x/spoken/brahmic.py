"""Words in India's scripts as phones: one table for all of them by their common layout in Unicode, then each language's
own sounds: silent schwas, Tamil's voicing, Bengali's vowels.

Schwa deletion follows Ohala (Aspects of Hindi Phonology, 1983): from the right, a schwa between two syllables falls.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

from text2x.spoken.languages import LANGUAGES
from text2x.spoken.phone_set import is_vowel
from text2x.spoken.tables import words
from text2x.spoken.writing import script_of

Phones = tuple[str, ...]

# Offsets from the beginning of a script's block (Unicode, chapter 12: the order of ISCII-1988)
_CONSONANTS = dict(
    enumerate(
        words("k kʰ ɡ ɡʱ ŋ tʃ tʃʰ dʒ dʒʱ ɲ ʈ ʈʰ ɖ ɖʱ ɳ t tʰ d dʱ n n p pʰ b bʱ m j r r l ɭ ɻ ʋ ʃ ʂ s ɦ"), start=0x15
    )
)
_VOWELS = dict(enumerate(words("a aː i iː u uː ri li æ e eː ai ɔ o oː au"), start=0x05))
_SIGNS = dict(enumerate(words("aː i iː u uː ri ri æ e eː ai ɔ o oː au"), start=0x3E))
_NUKTA = {"k": "q", "kʰ": "x", "ɡ": "ɣ", "dʒ": "z", "dʒʱ": "ʒ", "ɖ": "ɽ", "ɖʱ": "ɽʱ", "pʰ": "f", "s": "ʃ", "l": "ɭ"}
_NUKTA_LETTERS = dict(enumerate(words("q x ɣ z ɽ ɽʱ f j"), start=0x58))
_CHILLU = dict(enumerate(words("ɳ n r l ɭ k"), start=0x7A))
_CANDRABINDU, _ANUSVARA, _VISARGA, _NUKTA_SIGN, _VIRAMA = 0x01, 0x02, 0x03, 0x3C, 0x4D
_OM = 0x50
_TIPPI, _ADDAK = 0x70, 0x71
_PLACES = {  # of articulation: the nasal that an anusvara becomes
    **dict.fromkeys(("k", "kʰ", "ɡ", "ɡʱ", "q", "x", "ɣ"), "ŋ"),
    **dict.fromkeys(("tʃ", "tʃʰ", "dʒ", "dʒʱ"), "ɲ"),
    **dict.fromkeys(("ʈ", "ʈʰ", "ɖ", "ɖʱ"), "ɳ"),
    **dict.fromkeys(("t", "tʰ", "d", "dʱ", "n"), "n"),
    **dict.fromkeys(("p", "pʰ", "b", "bʱ", "m"), "m"),
}
_GLIDES = frozenset(words("j r ʋ"))
_NASAL_FINALS = {"bn": "ŋ", "te": "m", "kn": "m", "ml": "m", "ta": "m"}
_JNYA = {
    "mr": ("d", "n", "j"),
    "gu": ("ɡ", "n"),
    "te": ("ɡ", "n"),
    "kn": ("ɡ", "n"),
    "bn": ("ɡ", "ɡ"),
    "ml": ("ɲ", "ɲ"),
}
_SHORT = {"e": "eː", "o": "oː"}  # written long and short in the south only


@dataclass
class _Syllable:
    """Consonants, a vowel ("" if silent) and what closes it."""

    onset: list[str] = field(default_factory=list)
    vowel: str = ""
    inherent: bool = False
    nasal: bool = False  # anusvara
    nasalised: bool = False  # candrabindu
    visarga: bool = False


@functools.lru_cache(65_536)
def brahmic_phones(word: str, language: str) -> Phones:
    """Phones of a word in a Brahmic script, as the language says them; other characters are passed over."""
    syllables = _syllables(word, language)
    if LANGUAGES[language].drops_schwa:
        _drop_schwas(syllables, language)
    phones = _joined(syllables, language)
    if language == "ta":
        phones = _tamil(phones)
    elif language == "bn":
        phones = _bengali(phones)
    elif language == "ml":
        phones = _malayalam(phones, word)
    return tuple(phones)


def _syllables(word: str, language: str) -> list[_Syllable]:
    syllables: list[_Syllable] = []
    dead = True  # the last consonant has no vowel of its own, so that the next one joins it
    double = False
    for character in word:
        if not script_of(character):
            continue
        code = ord(character) & 0x7F
        last = syllables[-1] if syllables else None
        consonant = _consonant(code, language)
        if consonant:
            if dead and last is not None and not last.vowel and last.onset:
                last.onset.append(consonant)
            else:
                last = _Syllable([consonant])
                syllables.append(last)
            if double:
                last.onset.insert(-1, consonant.rstrip("ʰʱ"))
            double = False
            dead = code >= 0x7A or code == 0x4E
            if not dead:
                last.vowel, last.inherent = "a", True
        elif code in _VOWELS and code < 0x15:
            syllables.append(_vowel_letter(code))
            dead = False
        elif code == _OM and character != "ੴ":
            syllables += [_Syllable([], "o"), _Syllable(["m"])]
            dead = False
        elif code == _ADDAK and language == "pa":
            double = True
        elif last is not None:
            dead = _sign(code, last, dead, language)
    return syllables


def _consonant(code: int, language: str) -> str | None:
    if code in _CONSONANTS:
        return (
            "dʒ"
            if language == "bn" and code == 0x2F
            else "b"
            if language == "bn" and code == 0x35
            else _CONSONANTS[code]
        )
    if language == "bn":
        return {0x4E: "t", 0x5C: "ɽ", 0x5D: "ɽʱ", 0x5F: "j", 0x70: "r", 0x71: "ʋ"}.get(code)
    if language == "ml" and code in _CHILLU:
        return _CHILLU[code]
    if language in ("te", "ta", "ml") and code >= 0x58:
        return {0x58: "ts", 0x59: "dʒ"}.get(code) if language == "te" else None
    return _NUKTA_LETTERS.get(code)


def _vowel_letter(code: int) -> _Syllable:
    vowel = _VOWELS[code]
    return _Syllable(["r" if vowel == "ri" else "l"], "i") if vowel in ("ri", "li") else _Syllable([], vowel)


def _sign(code: int, last: _Syllable, dead: bool, language: str) -> bool:
    """Apply a dependent sign to the syllable; whether its consonant is without a vowel now."""
    if code == _VIRAMA:
        last.vowel, last.inherent = "", False
        return True
    if code == _NUKTA_SIGN and last.onset:
        y_of_bengali = language == "bn" and last.onset[-1] == "dʒ"
        last.onset[-1] = "j" if y_of_bengali else _NUKTA.get(last.onset[-1], last.onset[-1])
    elif code in _SIGNS:
        vowel = _SIGNS[code]
        if vowel == "ri":
            last.onset.append("r")
            vowel = "i"
        last.vowel, last.inherent = vowel, False
        return False
    elif code == 0x57 and last.vowel:  # the length mark of au
        last.vowel = "au"
    elif code in (_ANUSVARA, _TIPPI):
        last.nasal = True
    elif code == _CANDRABINDU:
        last.nasalised = True
    elif code == _VISARGA:
        last.visarga = True
    return dead


def _drop_schwas(syllables: list[_Syllable], language: str) -> None:
    """The last schwa falls unless a cluster holds it; inside, V C schwa C V loses it, from the right."""
    if len(syllables) < 2:
        return
    last = syllables[-1]
    if _falls(last) and not _holds(last.onset, language):
        last.vowel = ""
    for i in range(len(syllables) - 2, 0, -1):
        here, after, before = syllables[i], syllables[i + 1], syllables[i - 1]
        single = len(here.onset) == 1 and len(after.onset) == 1
        full = after.vowel and (language != "bn" or not (after.inherent or before.inherent))
        if _falls(here) and single and before.vowel and full and not before.nasal:
            here.vowel = ""


def _holds(onset: list[str], language: str) -> bool:
    """Whether a final cluster keeps its vowel: a glide, a sonorant after a stop; in Bengali all but those of loans."""
    if len(onset) < 2:
        return False
    if language == "bn":
        return not (onset[-2] in ("s", "n", "r") and onset[-1] in ("ʈ", "ɖ"))
    return onset[-1] in _GLIDES or (
        onset[-1] in ("l", "m", "n") and onset[-2] in _PLACES and onset[-2] not in ("n", "m")
    )


def _falls(syllable: _Syllable) -> bool:
    closed = syllable.nasal or syllable.nasalised or syllable.visarga
    return syllable.inherent and bool(syllable.onset) and not closed


def _joined(syllables: Sequence[_Syllable], language: str) -> list[str]:
    """One row of phones, nasals fitted to what follows."""
    phones: list[str] = []
    southern = not LANGUAGES[language].drops_schwa
    for i, syllable in enumerate(syllables):
        phones += _JNYA.get(language, ("ɡ", "j")) if syllable.onset[:2] == ["dʒ", "ɲ"] else syllable.onset
        following = syllables[i + 1].onset[0] if i + 1 < len(syllables) and syllables[i + 1].onset else ""
        if not syllable.vowel:
            continue
        vowel = syllable.vowel if southern else _SHORT.get(syllable.vowel, syllable.vowel)
        nasal = _nasal(following, language) if syllable.nasal else ""
        nasalised = syllable.nasalised or (syllable.nasal and not nasal)
        phones.append(vowel + "~" if nasalised else vowel)
        if nasal:
            phones.append(nasal)
        if syllable.visarga:
            phones.append("ɦ")
    return phones


def _nasal(following: str, language: str) -> str:
    """What an anusvara is before this phone: a nasal of its place; "" where it makes the vowel nasal."""
    if language == "bn":
        return "ŋ"
    if following in ("n", "m") and LANGUAGES[language].drops_schwa:
        return ""
    return _PLACES.get(following, _NASAL_FINALS.get(language, ""))


def _tamil(phones: list[str]) -> list[str]:
    """Stops are voiceless at the beginning and doubled, voiced elsewhere; ச is s unless doubled or after a nasal."""
    voiced = {"k": "ɡ", "ʈ": "ɖ", "t": "d", "p": "b", "tʃ": "s"}
    nasals = ("ŋ", "ɲ", "ɳ", "n", "m")
    said: list[str] = []
    for i, phone in enumerate(phones):
        before, after = phones[i - 1] if i else "", phones[i + 1] if i + 1 < len(phones) else ""
        if phone in voiced and before != phone and after != phone:
            if before in nasals:
                phone = "dʒ" if phone == "tʃ" else voiced[phone]
            elif (before and is_vowel(before) and (is_vowel(after) or not after)) or (phone == "tʃ" and not before):
                phone = voiced[phone]
        if phone == "r" and before == "r" and said[-1] == "r":
            said[-1] = "t"
        said.append(phone)
    return said


def _bengali(phones: list[str]) -> list[str]:
    """The inherent vowel is open o, closed o before i and u and at the end; all sibilants are one; ya and ba after a
    consonant double it."""
    said: list[str] = []
    for i, phone in enumerate(phones):
        rest = phones[i + 1 :]
        if phone in ("a", "a~"):
            vowel = next((each for each in rest if is_vowel(each)), "")
            phone = ("oː" if not rest or vowel.rstrip("~") in ("i", "iː", "u", "uː") else "ɔ") + phone[1:]
        elif phone in ("ʂ", "s") and not (phone == "s" and rest and rest[0] in ("t", "tʰ", "r", "k", "p", "n")):
            phone = "ʃ"
        elif phone in ("dʒ", "b") and said and rest and is_vowel(rest[0]) and _is_stop(said[-1]) and said[-1] != phone:
            if len(said) == 1:
                continue
            phone = said[-1].rstrip("ʰʱ")
        elif phone == "ɳ":
            phone = "n"
        said.append(phone)
    return said


def _is_stop(phone: str) -> bool:
    return not is_vowel(phone) and phone not in ("r", "m", "ŋ", "n", "l")


def _malayalam(phones: list[str], word: str) -> list[str]:
    """A final virama is a short u; റ is a stop when double and after n."""
    if word.endswith("്"):
        phones = [*phones, "u"]
    if "റ്റ" not in word and "ന്റ" not in word:
        return phones
    said: list[str] = []
    for phone in phones:
        if phone == "r" and said and said[-1] in ("r", "n"):
            phone = "t"
            said[-1] = "t" if said[-1] == "r" else "n"
        said.append(phone)
    return said
