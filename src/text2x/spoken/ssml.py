"""A subset of SSML 1.1 as a flow of text: unknown tags and attributes are errors that name their line and column.

Read by expat. Document types are refused, and with them entities other than the five of XML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from text2x.errors import InputError
from text2x.spoken.flow import PLACEHOLDER, Atom, Flow, Manner, seconds_of
from text2x.spoken.ipa import phones_of_arpabet, phones_of_ipa
from text2x.spoken.languages import language_of
from text2x.spoken.say_as import say_as
from text2x.spoken.script import Prosody

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "speak": ("version", "xmlns", "xml:lang", "xmlns:xsi", "xsi:schemaLocation"),
    "p": ("xml:lang",),
    "s": ("xml:lang",),
    "break": ("time", "strength"),
    "prosody": ("rate", "pitch", "volume"),
    "say-as": ("interpret-as", "format", "detail"),
    "phoneme": ("alphabet", "ph"),
    "sub": ("alias",),
}
_REQUIRED = {"say-as": "interpret-as", "phoneme": "ph", "sub": "alias"}
_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}  # seconds
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.3, "x-fast": 1.7}
_PITCHES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "default": 0.0, "high": 3.0, "x-high": 6.0}  # semitones
_VOLUMES = {"x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 6.0, "x-loud": 12.0}  # decibels
RATE_LIMITS, PITCH_LIMIT, VOLUME_LIMIT = (0.25, 4.0), 12.0, 20.0
_TOLD = ("say-as", "phoneme", "sub")


def is_ssml(text: str) -> bool:
    """Whether the text begins as an SSML document does."""
    return (
        re.match(r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:speak\b|!DOCTYPE\s+speak\b)", text, re.DOTALL)
        is not None
    )


@dataclass
class _Reading:
    """The state while a document is read."""

    document: str
    parser: expat.XMLParserType
    language: str
    data: bytes
    read_bytes: int = 0
    read_characters: int = 0
    text: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    atoms: list[Atom] = field(default_factory=list)
    manners: list[Manner] = field(default_factory=list)
    cuts: list[tuple[int, bool]] = field(default_factory=list)
    open: list[tuple[str, Mapping[str, str], Manner, int]] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"SSML, line {self.parser.CurrentLineNumber}, column {self.parser.CurrentColumnNumber + 1}"

    def offset(self) -> int:
        """The character of the document that the parser is at; it only moves on."""
        at = self.parser.CurrentByteIndex
        self.read_characters += len(self.data[self.read_bytes : at].decode("utf-8"))
        self.read_bytes = at
        return self.read_characters

    def manner(self, manner: Manner) -> None:
        """From here on it is said so."""
        self.manners.append(replace(manner, begin=len(self.text)))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag begins."""
        self._check(tag, attributes)
        manner = self.manners[-1]
        self.open.append((tag, attributes, manner, len(self.text)))
        if tag == "break":
            self._placeholder(seconds=self._break(attributes))
        if tag in ("p", "s"):
            self._cut(tag == "p")
        if tag == "prosody":
            self.manner(replace(manner, prosody=self._prosody(attributes, manner.prosody)))
        if "xml:lang" in attributes:
            self.manner(replace(self.manners[-1], language=self._language(attributes["xml:lang"])))

    def _check(self, tag: str, attributes: Mapping[str, str]) -> None:
        parent = self.open[-1][0] if self.open else None
        if tag not in _ATTRIBUTES:
            known = ", ".join(f"<{each}>" for each in _ATTRIBUTES)
            raise InputError(f"{self.where}: the tag <{tag}> is unknown; the tags are {known}")
        if (parent is None) != (tag == "speak"):
            raise InputError(f"{self.where}: <{tag}> is out of place; all text stands in one <speak> ... </speak>")
        if parent in (*_TOLD, "break"):
            raise InputError(f"{self.where}: <{parent}> holds text only; take <{tag}> out of it")
        for name in attributes:
            if name not in _ATTRIBUTES[tag]:
                known = ", ".join(_ATTRIBUTES[tag]) or "none"
                raise InputError(f"{self.where}: <{tag}> has no attribute {name!r}; it has {known}")
        if tag in _REQUIRED and _REQUIRED[tag] not in attributes:
            raise InputError(f"{self.where}: <{tag}> lacks its attribute {_REQUIRED[tag]!r}; add it")

    def _cut(self, paragraph: bool) -> None:
        """A sentence ends here; a paragraph that ends with its last sentence makes that cut its own."""
        if self.cuts and not "".join(self.text[self.cuts[-1][0] :]).strip():
            self.cuts[-1] = (self.cuts[-1][0], self.cuts[-1][1] or paragraph)
        else:
            self.cuts.append((len(self.text), paragraph))

    def _language(self, code: str) -> str:
        try:
            return language_of(code).code
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None

    def _placeholder(self, *, words: str = "", phones: tuple[str, ...] = (), seconds: float | None = None) -> None:
        begin = len(self.text)
        self.text.append(PLACEHOLDER)
        self.offsets.append(self.offset())
        self.atoms.append(Atom(begin, begin + 1, words, phones, seconds))

    def _break(self, attributes: Mapping[str, str]) -> float:
        if "time" in attributes:
            return seconds_of(attributes["time"], self.where)
        strength = attributes.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise InputError(f"{self.where}: the strength {strength!r} is none of {', '.join(_STRENGTHS)}")
        return _STRENGTHS[strength]

    def _prosody(self, attributes: Mapping[str, str], now: Prosody) -> Prosody:
        if not attributes:
            raise InputError(f"{self.where}: <prosody> says nothing; give it rate, pitch or volume")
        rate = now.rate * _rate(attributes["rate"], self.where) if "rate" in attributes else now.rate
        pitch = now.pitch + _pitch(attributes["pitch"], self.where) if "pitch" in attributes else now.pitch
        volume = now.volume + _volume(attributes["volume"], self.where) if "volume" in attributes else now.volume
        _within("rate", rate, *RATE_LIMITS, where=self.where)
        _within("pitch in semitones", pitch, -PITCH_LIMIT, PITCH_LIMIT, where=self.where)
        _within("volume in decibels", volume, -VOLUME_LIMIT, VOLUME_LIMIT, where=self.where)
        return Prosody(rate, pitch, volume)

    def end(self, tag: str) -> None:
        """A tag ends."""
        _, attributes, manner, begin = self.open.pop()
        if tag in ("p", "s"):
            self._cut(tag == "p")
        if tag in _TOLD:
            self._told(tag, attributes, begin)
        if self.manners[-1] != manner:
            self.manner(manner)

    def _told(self, tag: str, attributes: Mapping[str, str], begin: int) -> None:
        text, language = "".join(self.text[begin:]), self.manners[-1].language
        if not text.strip() and tag == "say-as":
            raise InputError(f"{self.where}: <say-as> is empty; put the text to read in it")
        words, phones = text.strip(), ()
        if tag == "say-as":
            form = attributes.get("format", "")
            words = say_as(text, attributes["interpret-as"], form, language, self.where)
        elif tag == "sub":
            words = attributes["alias"]
        else:
            alphabet = attributes.get("alphabet", "ipa").lower()
            if alphabet not in ("ipa", "cmu", "arpabet", "x-arpabet", "x-cmu"):
                raise InputError(f"{self.where}: the alphabet {alphabet!r} is unknown; the alphabets are ipa and cmu")
            read = phones_of_ipa if alphabet == "ipa" else phones_of_arpabet
            phones = read(attributes["ph"], language, self.where)
        if begin == len(self.text):
            self._placeholder(words=words, phones=phones)
        else:
            self.atoms.append(Atom(begin, len(self.text), words, phones))

    def characters(self, data: str) -> None:
        """Text; expat reports what an entity stands for apart, so that a run lies in the document as it is here."""
        if self.open and self.open[-1][0] == "break" and data.strip():
            raise InputError(f"{self.where}: <break> holds no text; write it as <break/>")
        at = self.offset()
        entity = self.document[at : at + 1] == "&"
        self.text += data.replace("\n", " ").replace(PLACEHOLDER, " ")
        self.offsets += [at] * len(data) if entity else range(at, at + len(data))


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d{1,6}(?:\.\d{1,6})?", text) else None


def _rate(text: str, where: str) -> float:
    if text in _RATES:
        return _RATES[text]
    value = _number(text.removesuffix("%"))
    if value is None:
        raise InputError(
            f'{where}: the rate {text!r} is none of {", ".join(_RATES)}, a factor or a percentage as "120%"'
        )
    if not text.endswith("%"):
        return value
    return 1 + value / 100 if text[0] in "+-" else value / 100


def _pitch(text: str, where: str) -> float:
    if text in _PITCHES:
        return _PITCHES[text]
    value = _number(text.removesuffix("st"))
    if text.endswith("st") and value is not None:
        return value
    value = _number(text.removesuffix("%"))
    factor = 0.0 if value is None else 1 + value / 100 if text[0] in "+-" else value / 100
    if not text.endswith("%") or factor <= 0:
        raise InputError(f'{where}: the pitch {text!r} is none of {", ".join(_PITCHES)}, as "+2st" or as "+10%"')
    return 12 * math.log2(factor)


def _volume(text: str, where: str) -> float:
    value = _VOLUMES.get(text, _number(text.removesuffix("dB")) if text.endswith("dB") else None)
    if value is None:
        raise InputError(f'{where}: the volume {text!r} is none of {", ".join(_VOLUMES)} or as "+6dB"')
    return value


def _within(name: str, value: float, low: float, high: float, where: str) -> None:
    if not low <= value <= high:
        raise InputError(f"{where}: the {name} is {value:g} here; keep it between {low:g} and {high:g}")


def ssml_flow(document: str, language: str) -> Flow:
    """The flow of an SSML document; what is not well formed or not known raises InputError with line and column."""
    body = re.sub(r"^(\s*)<\?xml[^>]*\?>", lambda match: " " * len(match[0]), document, count=1)
    parser = expat.ParserCreate("utf-8")
    reading = _Reading(document, parser, language, body.encode("utf-8"))
    reading.manners.append(Manner(0, Prosody(), language))

    def refuse(*_: object) -> None:
        raise InputError(f"{reading.where}: document types and entities of one's own are not read; take <!DOCTYPE> out")

    parser.buffer_text = False
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.characters
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(reading.data, True)
    except expat.ExpatError as error:
        where = f"SSML, line {error.lineno}, column {error.offset + 1}"
        what = f"{expat.ErrorString(error.code)}; close every tag and write & as &amp;, < as &lt;"
        raise InputError(f"{where}: {what}") from None
    reading.offsets.append(len(document))
    return Flow(
        "".join(reading.text), reading.offsets, tuple(reading.atoms), _settled(reading.manners), tuple(reading.cuts)
    )


def _settled(manners: list[Manner]) -> tuple[Manner, ...]:
    """Of several manners at one place the last holds."""
    return tuple({manner.begin: manner for manner in manners}.values())
