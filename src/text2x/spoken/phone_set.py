"""The closed list of symbols that a voice is told: padding, silence, marks, phones of English and India's languages.

English phones are the 39 of CMUdict (ARPAbet), vowels with their stress: 0 none, 1 primary, 2 secondary. Those of
India's languages are IPA, one set for all Brahmic scripts; t and d are dental; a vowel with ~ is nasal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from text2x.errors import InputError
from text2x.spoken.tables import words

PADDING = "_"
SILENCE = "sil"
MARKS = (",", ".", "?", "!")

VOWELS = tuple(words("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"))
CONSONANTS = tuple(words("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"))
ENGLISH = (*(vowel + stress for vowel in VOWELS for stress in "012"), *CONSONANTS)

INDIC_VOWELS = tuple(words("a aː i iː u uː e eː o oː ai au æ ɔ"))
INDIC_CONSONANTS = tuple(
    words("k kʰ ɡ ɡʱ ŋ tʃ tʃʰ dʒ dʒʱ ɲ ʈ ʈʰ ɖ ɖʱ ɳ t tʰ d dʱ n p pʰ b bʱ m j r l ʋ ʃ ʂ s ɦ ɭ ɻ ɽ ɽʱ q x ɣ z f ʒ")
)
INDIC = (*INDIC_VOWELS, *(vowel + "~" for vowel in INDIC_VOWELS), *INDIC_CONSONANTS)

PHONES: tuple[str, ...] = (PADDING, SILENCE, *MARKS, *ENGLISH, *INDIC)
PHONE_IDS: Mapping[str, int] = MappingProxyType({phone: i for i, phone in enumerate(PHONES)})


def phone_ids(symbols: Iterable[str]) -> list[int]:
    """Ids of symbols; a symbol that is not in PHONES raises InputError."""
    try:
        return [PHONE_IDS[symbol] for symbol in symbols]
    except KeyError as error:
        raise InputError(f"{error.args[0]!r} is no phone; the phones are {' '.join(PHONES)}") from None


def without_stress(phone: str) -> str:
    """ "AH" of "AH0"; other phones as they are."""
    return phone.rstrip("012")


def is_vowel(phone: str) -> bool:
    """Whether it is the centre of a syllable."""
    return without_stress(phone) in VOWELS or phone.rstrip("~") in INDIC_VOWELS


def is_silence(phone: str) -> bool:
    """Whether nothing is heard: silence and marks."""
    return phone == SILENCE or phone in MARKS
