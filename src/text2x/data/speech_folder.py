"""A user's own recordings as a speech set: sounds with a table of texts, LJSpeech's metadata.csv, or a .txt for each.

What cannot be used is left out and named: damaged or silent sounds, empty texts, clips that are too long or too short.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text2x.audio import Audio
from text2x.data.recordings import ALIGNED, LeftOut, Recording, spoken_clips
from text2x.data.speechset import RATE, SpeechReport, speech_report, write_speech
from text2x.errors import InputError
from text2x.spoken import LANGUAGES

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".g722")
LJSPEECH = ("metadata.csv", "metadata_train.csv", "metadata_test.csv")  # id|text|..., without a first line of names
FILE_COLUMNS = ("file", "file_name", "filename", "path", "audio", "wav", "id")
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription", "caption")
LICENCE = "not stated"
SPEAKER = "voice"
LONGEST_TEXT = 2000  # characters
HOPS = {22_050: 256}  # samples a frame of 10 ms, but for rates whose hundredth is no whole number


@dataclass(frozen=True)
class Line:
    """A sound, relative to the folder, and what is said in it."""

    file: str
    text: str
    speaker: str = ""
    language: str = ""


def prepare_speech_folder(
    source: Path,
    target: Path,
    languages: Sequence[str] = ("en",),
    sample_rate: int = RATE,
    speaker: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SpeechReport:
    """Read every recording below `source` that has a text and write a speech set to `target`.

    Texts come from CSV or JSON lines with columns file and text (speaker and language if wanted), from LJSpeech's
    `metadata.csv` (id|text, then the text in words or a speaker), else from NAME.txt beside NAME.wav. `languages` holds
    the one that is spoken where the table does not say. Nothing usable raises InputError.
    """
    if not source.is_dir():
        raise InputError(f"{source} is no folder; give the folder that holds the recordings")
    if len(languages) != 1:
        raise InputError(f"{len(languages)} languages for one folder; give one, and others in a column of the table")
    hop = hop_of(sample_rate)
    left_out = LeftOut()
    lines = find_lines(source, left_out)
    rates: Counter[int] = Counter()
    recordings = [
        Recording(
            line.file,
            line.text,
            _code(line.language or languages[0]),
            line.speaker or speaker or SPEAKER,
            LICENCE,
            _reader(source / line.file, rates),
        )
        for line in lines
    ]
    if not recordings:
        raise InputError(
            f"no usable recording in {source}{_first(left_out)}; it needs {', '.join(SUFFIXES)} with texts"
        )
    about = {"source": "a user's own recordings", "licence": LICENCE, "timing": "phones aligned by pocketsphinx in en"}
    try:
        clips = spoken_clips(recordings, sample_rate, hop, left_out, on_progress)
        written = write_speech(target, clips, sample_rate, hop, about)
    except InputError as error:
        if left_out.reasons and "no usable speech" in str(error):
            raise InputError(f"no usable recording in {source}{_first(left_out)}") from None
        raise
    warnings = (*_of_rates(rates, sample_rate), *_of_languages(recordings), *left_out.counted())
    return speech_report(target, written, sample_rate, left_out.lines(), warnings)


def _code(language: str) -> str:
    """ "en" of "en-IN"."""
    return language.replace("_", "-").split("-")[0].lower()


def hop_of(rate: int) -> int:
    """Samples of a frame of about 10 ms; a rate that has no such frames raises InputError."""
    if rate in HOPS:
        return HOPS[rate]
    if not 8000 <= rate <= 48_000 or rate % 100:
        raise InputError(f"a rate of {rate} Hz is not offered; take 16000, 22050, 24000, 44100 or 48000")
    return rate // 100


def _first(left_out: LeftOut) -> str:
    return f" ({left_out.lines()[0]})" if left_out.reasons else ""


def _reader(path: Path, rates: Counter[int]) -> Callable[[], Audio]:
    def read() -> Audio:
        try:
            sound = Audio.read(path)
        except InputError as error:
            raise InputError(f"not readable: {error}") from None
        rates[sound.rate] += 1
        return sound

    return read


def _of_rates(rates: Counter[int], wanted: int) -> Iterator[str]:
    """What the sounds lose or lack at the set's rate."""
    low = {rate: count for rate, count in rates.items() if rate < wanted}
    for rate, count in sorted(low.items()):
        yield f"{count} recordings of {rate} Hz were brought up to {wanted} Hz; they hold nothing above {rate // 2} Hz"
    if len(rates) > 1:
        found = ", ".join(f"{count} of {rate} Hz" for rate, count in sorted(rates.items()))
        yield f"the recordings differ in rate ({found}); all were brought to {wanted} Hz"


def _of_languages(recordings: Sequence[Recording]) -> Iterator[str]:
    """What is not known of the languages."""
    for language in dict.fromkeys(recording.language for recording in recordings):
        if language not in LANGUAGES:
            yield f"no phones are known for {language!r}: its letters are used, and their timing must be learned"
        elif language not in ALIGNED:
            yield f"phones of {language!r} are not timed; their timing must be learned"


# Texts


def find_lines(source: Path, left_out: LeftOut, named: Callable[[str], str] | None = None) -> list[Line]:
    """The recordings below `source` that have a text, in the order of their names.

    `named` makes a text of the file's name where there is no other.
    """
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if _is_sound(path, source))
    stems: dict[str, str] = {}
    for name in names:
        stems.setdefault(Path(name).stem, name)
    known, found = set(names), {}
    for table in sorted(path for path in source.iterdir() if path.suffix.lower() in (".csv", ".jsonl", ".tsv")):
        for place, line in _table(table):
            name = _found(line.file, known, stems) if line is not None else None
            if line is None:
                left_out.add(place, "no file and text in it")
            elif name is None:
                left_out.add(line.file, "named in a table, but not there")
            else:
                found[name] = Line(name, line.text, line.speaker, line.language)
    made: list[Line] = []
    for name in names:
        line = found.get(name) or _beside(source, name)
        if line is None and named is not None:
            line = Line(name, named(name))
        if line is None:
            left_out.add(name, "no text for it")
        elif not any(sign.isalnum() for sign in line.text):
            left_out.add(name, "its text is empty")
        elif len(line.text) > LONGEST_TEXT:
            left_out.add(name, f"its text is too long: {len(line.text):,} characters; at most {LONGEST_TEXT:,}")
        else:
            made.append(line)
    return made


def _is_sound(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def _found(given: str, known: set[str], stems: dict[str, str]) -> str | None:
    """The recording that a table means: by its path, or by its name alone as LJSpeech does."""
    path = Path(given.strip())
    if path.as_posix() in known:
        return path.as_posix()
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    return stems.get(stem)


def _beside(source: Path, name: str) -> Line | None:
    """The text in NAME.txt beside NAME.wav."""
    path = (source / name).with_suffix(".txt")
    try:
        return Line(name, _clean(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} is not readable as UTF-8; save it as UTF-8") from None


def _clean(text: str) -> str:
    """White space single, control characters gone."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _table(path: Path) -> Iterator[tuple[str, Line | None]]:
    """Place and content of each row; LJSpeech's tables have no first line of names."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} is not readable as UTF-8; save it as UTF-8") from None
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if path.suffix.lower() == ".jsonl":
        yield from ((f"{path.name} line {number}", _row(_object(line))) for number, line in rows)
    elif rows and "|" in rows[0][1] and (path.name in LJSPEECH or not _has_names(rows[0][1], "|")):
        yield from _ljspeech(path, rows)
    else:
        yield from _with_names(path, text)


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _has_names(line: str, delimiter: str) -> bool:
    names = {each.strip().lower() for each in line.split(delimiter)}
    return bool(names & set(FILE_COLUMNS)) and bool(names & set(TEXT_COLUMNS))


def _ljspeech(path: Path, rows: Sequence[tuple[int, str]]) -> Iterator[tuple[str, Line | None]]:
    """id|text|third: the third is the text in words, or where it is one word on every line and repeats, a speaker."""
    if _has_names(rows[0][1], "|"):
        rows = rows[1:]
    cells = [(number, [each.strip() for each in line.split("|")]) for number, line in rows]
    thirds = [row[2] for _, row in cells if len(row) > 2]
    speakers = len(thirds) == len(cells) > 1 and all(len(each.split()) == 1 for each in thirds)
    speakers = speakers and len(set(thirds)) <= max(1, len(thirds) // 2)
    for number, row in cells:
        place = f"{path.name} line {number}"
        if len(row) < 2 or not row[0]:
            yield place, None
        elif speakers:
            yield place, Line(row[0], _clean(row[1]), row[2])
        else:
            yield place, Line(row[0], _clean(row[2] if len(row) > 2 and row[2] else row[1]))


def _with_names(path: Path, text: str) -> Iterator[tuple[str, Line | None]]:
    first = text.partition("\n")[0]
    delimiter = next((sign for sign in ("\t", "|", ";", ",") if _has_names(first, sign)), None)
    if delimiter is None:
        raise InputError(f"{path} begins with {first[:60]!r}; its first line must be: file,text (speaker if wanted)")
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    reader.fieldnames = [str(name).strip().lower() for name in reader.fieldnames or ()]
    try:
        for row in reader:
            yield f"{path.name} line {reader.line_num}", _row(row)
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: {error}; save it as plain CSV") from None


def _row(row: dict[str, Any]) -> Line | None:
    file = next((row[name] for name in FILE_COLUMNS if isinstance(row.get(name), str) and row[name].strip()), None)
    text = next((row[name] for name in TEXT_COLUMNS if isinstance(row.get(name), str)), None)
    if file is None or text is None:
        return None
    more = {name: str(row.get(name) or "").strip() for name in ("speaker", "language")}
    return Line(file.strip(), _clean(text), more["speaker"], more["language"])
