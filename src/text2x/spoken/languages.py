"""The languages that can be read: a table of names, scripts and the digits of each."""

from __future__ import annotations

from dataclasses import dataclass

from text2x.errors import InputError


@dataclass(frozen=True)
class Language:
    """A language and its writing; `block` is where its Brahmic script begins in Unicode (0 for Latin)."""

    code: str  # ISO 639-1
    name: str
    script: str  # as Unicode's character names begin
    block: int = 0  # blocks of 128 characters, laid out alike since ISCII (Unicode, chapter 12)
    drops_schwa: bool = False  # the inherent vowel is silent at the end of a word


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "LATIN"),
        Language("hi", "Hindi", "DEVANAGARI", 0x0900, True),
        Language("mr", "Marathi", "DEVANAGARI", 0x0900, True),
        Language("bn", "Bengali", "BENGALI", 0x0980, True),
        Language("pa", "Punjabi", "GURMUKHI", 0x0A00, True),
        Language("gu", "Gujarati", "GUJARATI", 0x0A80, True),
        Language("ta", "Tamil", "TAMIL", 0x0B80),
        Language("te", "Telugu", "TELUGU", 0x0C00),
        Language("kn", "Kannada", "KANNADA", 0x0C80),
        Language("ml", "Malayalam", "MALAYALAM", 0x0D00),
    )
}


def language_of(code: str) -> Language:
    """The language of a code such as "hi" or "en-IN"; an unknown one raises InputError."""
    language = LANGUAGES.get(code.replace("_", "-").split("-")[0].lower())
    if language is None:
        known = ", ".join(f"{each.code} ({each.name})" for each in LANGUAGES.values())
        raise InputError(f"the language {code!r} cannot be read; the languages are {known}")
    return language


def language_of_script(script: str, preferred: Language) -> Language | None:
    """The language that a run in this script is read in: the preferred one if it fits, else the first of the table."""
    if preferred.script == script:
        return preferred
    return next((language for language in LANGUAGES.values() if language.script == script), None)
