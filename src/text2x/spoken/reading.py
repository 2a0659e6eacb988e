"""Text to what is said: sentences, words, phones and pauses, in constant memory and as soon as each is ready."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from text2x.errors import InputError
from text2x.spoken import english, indic
from text2x.spoken.brahmic import brahmic_phones
from text2x.spoken.flow import PLACEHOLDER, Atom, Flow, plain_flow
from text2x.spoken.languages import LANGUAGES, language_of, language_of_script
from text2x.spoken.lexicon import Phones, pronounce
from text2x.spoken.phone_set import MARKS
from text2x.spoken.rules import Reader, Said, apply
from text2x.spoken.script import Script, Utterance, Word
from text2x.spoken.sentences import Ending, sentences
from text2x.spoken.ssml import is_ssml, ssml_flow
from text2x.spoken.tables import table
from text2x.spoken.transliteration import in_script, to_english
from text2x.spoken.writing import clean, script_of, scripts_of

MAX_BYTES = 1 << 20  # of UTF-8: about 20 hours of speech
_RANK = {"": 0, ",": 1, ".": 2, "!": 3, "?": 4}
_WORD = re.compile(r"[^\W\d_]+")
_SYMBOLS = frozenset("".join(table("en")["symbols"]))


def read(text: str, language: str = "en", *, ssml: bool | None = None, speaks: Collection[str] | None = None) -> Script:
    """Read a text; `ssml` None: SSML if it begins with <speak.

    A sentence in the script of another language is read in that one, if it is among those that the voice `speaks` (all
    by default); else its words are put into the phones of `language`. Raises InputError for an empty text, one that
    holds nothing to say, one in scripts that cannot be read, one above 1 MiB, and SSML that is not well formed.
    """
    return Script(text, tuple(utterances(text, language, ssml=ssml, speaks=speaks)))


def utterances(
    text: str, language: str = "en", *, ssml: bool | None = None, speaks: Collection[str] | None = None
) -> Iterator[Utterance]:
    """The utterances of `read` one by one, each as soon as it is asked for; mistakes of the text are raised at once."""
    main = language_of(language).code
    allowed = frozenset(LANGUAGES if speaks is None else [*(language_of(each).code for each in speaks), main])
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        raise InputError("the text is binary or not valid Unicode; give it as UTF-8")
    size = len(text.encode("utf-8"))
    if size > MAX_BYTES:
        raise InputError(f"the text has {size:,} bytes; the limit is {MAX_BYTES:,}: split it into several files")
    if not text.strip():
        raise InputError('the text is empty; say what is to be said, for example "Good morning."')
    tagged = is_ssml(text) if ssml is None else ssml
    flow = ssml_flow(text, main) if tagged else plain_flow(text, main)
    _refuse_unreadable(flow)
    return _utterances(flow, text, allowed)


def _refuse_unreadable(flow: Flow) -> None:
    """An error if there is nothing to say; a text mostly in scripts that cannot be read names them."""
    counts = Counter(flow.text)
    scripts: Counter[str] = Counter()
    digits = 0
    for character, count in counts.items():
        digits += count if character.isdecimal() or character in _SYMBOLS else 0
        script = script_of(character)
        if script:
            scripts[script] += count
    known = {language.script for language in LANGUAGES.values()}
    other = {script: count for script, count in scripts.items() if script not in known and script != "GREEK"}
    readable = sum(scripts.values()) - sum(other.values())
    if sum(other.values()) > readable:
        names = ", ".join(map(_named, other))
        languages = ", ".join(language.name for language in LANGUAGES.values())
        raise InputError(f"the text is written in {names}, which cannot be read; the languages are {languages}")
    if not flow.text.strip() and not flow.atoms:
        raise InputError('the text is empty; say what is to be said, for example "Good morning."')
    if not readable and not digits and not scripts and not flow.atoms:
        shown = "".join(counts)[:20].strip()
        what = "emoji and symbols" if any(unicodedata.category(each) == "So" for each in counts) else "punctuation"
        raise InputError(f"the text {shown!r} holds only {what}, nothing that can be said; write it in words")


def _named(script: str) -> str:
    return "Chinese characters" if script == "CJK" else script.title()


def _utterances(flow: Flow, text: str, allowed: frozenset[str]) -> Iterator[Utterance]:
    begin = 0
    for end, paragraph in [*flow.cuts, (len(flow.text), False)]:
        for first, last, ending in sentences(flow, begin, end) if begin < end else ():
            utterance = _utterance(flow, text, (first, last), ending, allowed)
            if utterance is not None:
                yield replace(utterance, ends_paragraph=ending == "paragraph" or (paragraph and last == end))
        begin = max(begin, end)


@dataclass
class _Draft:
    """A word before its phones are known."""

    begin: int  # in the flow
    end: int
    spoken: str
    language: str
    phones: Phones = ()
    mark: str = ""
    pause: float | None = None


def _utterance(
    flow: Flow, text: str, place: tuple[int, int], ending: Ending, allowed: frozenset[str]
) -> Utterance | None:
    """One sentence; None if there is neither a word nor a pause in it."""
    begin, end = place
    language = _language(flow, begin, end, allowed)
    drafts, lead = _drafts(flow, begin, end, language)
    warnings = _left_out(flow.text[begin:end])
    if not drafts:
        if not lead and not warnings:
            return None
        place = (flow.offsets[begin], flow.offsets[end])
        return Utterance(text[slice(*place)], place, language, (), lead, warnings=warnings)
    _finish(drafts, ending)
    first, last = _trimmed(flow.text, begin, end)
    place = (flow.offsets[first], flow.offsets[last - 1] + 1)
    words = tuple(_words(flow, text, drafts, language))
    return Utterance(text[slice(*place)], place, language, words, lead, warnings=warnings)


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int]:
    while begin < end - 1 and text[begin].isspace():
        begin += 1
    while end > begin + 1 and text[end - 1].isspace():
        end -= 1
    return begin, end


def _language(flow: Flow, begin: int, end: int, allowed: frozenset[str]) -> str:
    """The language told, unless most words are of another script whose language the voice speaks."""
    told = LANGUAGES[flow.manner(begin).language]
    sentence = flow.text[begin:end]
    if told.script == "LATIN" and sentence.isascii():
        return told.code
    counts = scripts_of(word[0] for word in _WORD.findall(sentence))
    most = max(counts, key=lambda script: counts[script], default=told.script)
    if counts.get(most, 0) <= counts.get(told.script, 0) or (told.script != "LATIN" and told.script in counts):
        return told.code
    other = language_of_script(most, told)
    return other.code if other is not None and other.code in allowed else told.code


def _drafts(flow: Flow, begin: int, end: int, language: str) -> tuple[list[_Draft], float]:
    """Words with their marks and pauses, and the silence before the first."""
    reader = english.READER if language == "en" else indic.reader(language)
    drafts: list[_Draft] = []
    lead, at = 0.0, begin
    atoms = [atom for atom in flow.atoms if begin <= atom.begin < end] if flow.atoms else []
    for atom in [*atoms, Atom(end, end)]:
        if at < atom.begin:
            _read_into(drafts, flow, at, atom.begin, reader)
        if atom.seconds is not None:
            if drafts:
                drafts[-1].pause = (drafts[-1].pause or 0.0) + atom.seconds
            else:
                lead += atom.seconds
        elif atom.phones:
            spoken = " ".join(flow.text[atom.begin : atom.end].replace(PLACEHOLDER, " ").split()) or "…"
            drafts.append(_Draft(atom.begin, atom.end, spoken, language, atom.phones))
        elif atom.words:
            _say(drafts, apply(reader, atom.words, before=_written(drafts, flow)), (atom.begin, atom.end))
        at = max(at, atom.end)
    return drafts, lead


def _written(drafts: list[_Draft], flow: Flow) -> str:
    return flow.text[drafts[-1].begin : drafts[-1].end] if drafts else ""


def _read_into(drafts: list[_Draft], flow: Flow, begin: int, end: int, reader: Reader) -> None:
    cleaned = clean(flow.text[begin:end], range(begin, end + 1))
    shouting = _is_shouting(cleaned.text)
    for said in apply(reader, cleaned.text, shouting, _written(drafts, flow)):
        first = cleaned.offsets[said.begin]
        _say(drafts, [said], (first, max(cleaned.offsets[said.end - 1] + 1, first + 1)))


def _is_shouting(text: str) -> bool:
    """Whether a sentence of two words or more is in capitals."""
    return text.isupper() and len(re.findall(r"[A-Z]{2,}", text)) >= 2


def _say(drafts: list[_Draft], answers: Iterator[Said] | list[Said], place: tuple[int, int]) -> None:
    """Append what was said; a mark alone goes to the word before, the stronger of two stays."""
    for said in answers:
        for word in said.words.split():
            bare = word.rstrip(",.?!")
            mark = word[len(bare) :][-1:]
            if bare:
                drafts.append(_Draft(*place, bare, said.language, mark=mark))
            elif drafts and _RANK[mark] > _RANK[drafts[-1].mark]:
                drafts[-1].mark = mark


def _finish(drafts: list[_Draft], ending: Ending) -> None:
    """Give the last word of a sentence a final mark; a letter A that looks like an article is "ay"."""
    if drafts[-1].mark in ("", ",") and ending != "cut":
        drafts[-1].mark = "."
    for i, draft in enumerate(drafts):
        if draft.mark == "." and i + 1 < len(drafts) and len(draft.spoken) == 1:  # "A." would be an initial
            draft.mark = ","
        alone = i == 0 or drafts[i - 1].mark in (".", "!", "?")
        if draft.spoken == "A" and alone and i + 1 < len(drafts) and drafts[i + 1].spoken[1:].islower():
            draft.spoken = "ay"


def _words(flow: Flow, text: str, drafts: list[_Draft], language: str) -> Iterator[Word]:
    """Words with their phones, all of the set of the utterance's language."""
    english_at = [i for i, draft in enumerate(drafts) if draft.language == "en" and not draft.phones]
    said = dict(zip(english_at, pronounce([drafts[i].spoken for i in english_at]), strict=True))
    for i, draft in enumerate(drafts):
        phones = draft.phones or said.get(i) or brahmic_phones(draft.spoken, draft.language)
        if not draft.phones and (draft.language == "en") != (language == "en"):
            phones = (
                to_english(phones) if language == "en" else brahmic_phones(in_script(draft.spoken, language), language)
            )
        if not phones:
            continue
        span = (flow.offsets[draft.begin], flow.offsets[max(draft.end - 1, draft.begin)] + 1)
        prosody = flow.manner(draft.begin).prosody
        mark = draft.mark if draft.mark in MARKS else ""
        yield Word(text[slice(*span)], span, draft.spoken, phones, draft.language, mark, draft.pause, prosody)


def _left_out(sentence: str) -> tuple[str, ...]:
    """Warnings of emoji and of letters that were not said, by name."""
    if sentence.isascii():
        return ()
    emoji: dict[str, None] = {}
    scripts: dict[str, str] = {}
    known = {language.script for language in LANGUAGES.values()} | {"GREEK"}
    for character in sentence:
        if unicodedata.category(character) == "So" and character not in _SYMBOLS and character != PLACEHOLDER:
            emoji[unicodedata.name(character, f"U+{ord(character):04X}").lower()] = None
        script = script_of(character)
        if script and script not in known:
            scripts[script] = scripts.get(script, "") + character
    warnings = [f"left out the symbols {', '.join(emoji)}"] if emoji else []
    return (
        *warnings,
        *(f"left out {letters!r}: {_named(script)} cannot be read" for script, letters in scripts.items()),
    )
