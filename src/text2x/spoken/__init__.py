"""Text to what is said: numbers, dates and abbreviations in words, words in phones, SSML, sentence by sentence.

No weights, no torch, no network. `read` gives a whole `Script`, `utterances` the same piece by piece.
"""

from text2x.spoken.languages import LANGUAGES, Language, language_of
from text2x.spoken.phone_set import (
    MARKS,
    PADDING,
    PHONE_IDS,
    PHONES,
    SILENCE,
    is_silence,
    is_vowel,
    phone_ids,
    without_stress,
)
from text2x.spoken.reading import read, utterances
from text2x.spoken.script import Prosody, Script, Sounds, Utterance, Word, graphemes, phones, sounds

__all__ = [
    "LANGUAGES", "MARKS", "PADDING", "PHONES", "PHONE_IDS", "SILENCE", "Language", "Prosody", "Script", "Sounds",
    "Utterance", "Word", "graphemes", "is_silence", "is_vowel", "language_of", "phone_ids", "phones", "read", "sounds",
    "utterances", "without_stress",
]  # fmt: skip
