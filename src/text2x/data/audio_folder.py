"""A user's own sounds as a captioned set: captions from a table, from a .txt beside each sound, or from its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from text2x.data.audioset import Clip, save_audio_set
from text2x.data.recordings import LeftOut
from text2x.data.sound_captions import group_of, words
from text2x.data.sound_clips import RATE, Found, SoundReport, gathered, reader, sound_report
from text2x.data.speech_folder import LICENCE, SUFFIXES, Line, find_lines
from text2x.errors import InputError

RATES = (8000, 48_000)  # Hz


def prepare_audio_folder(
    source: Path,
    target: Path,
    sample_rate: int = RATE,
    on_progress: Callable[[int, int], None] | None = None,
) -> SoundReport:
    """Read every sound below `source` and write a set of mono sounds at `sample_rate` Hz to `target`.

    Captions come from CSV or JSON lines with columns file and caption, from NAME.txt beside NAME.wav (one caption a
    line), else from the name: dog-barks-2.wav is "dog barks". The folder that a sound lies in is its label. What cannot
    be read, is silent or too short is left out and named; nothing usable raises InputError.
    """
    if not source.is_dir():
        raise InputError(f"{source} is no folder; give the folder that holds the sounds")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise InputError(f"a rate of {sample_rate} Hz is out of range; take {RATES[0]} to {RATES[1]}")
    left_out = LeftOut()
    found = [_found(source, line) for line in find_lines(source, left_out, lambda name: words(Path(name).stem))]
    sounds, bad, warnings = gathered(found, sample_rate, on_progress)
    bad = [*left_out.lines(), *bad]
    if not sounds:
        first = f" ({bad[0]})" if bad else ""
        raise InputError(f"no usable sound in {source}{first}; it needs {', '.join(SUFFIXES)}")
    about = {"source": "a user's own sounds", "licence": LICENCE}
    written = save_audio_set(target, target.name, sample_rate, sounds, about)
    return sound_report(target, written, bad, warnings)


def _found(source: Path, line: Line) -> Found:
    below = PurePosixPath(line.file)
    title = below.with_suffix("").as_posix()
    captions = _captions(source / line.file, line.text)
    label = words(below.parent.name) if below.parent.name else ""
    clip = Clip(
        key=line.file,
        start=0,
        frames=1,
        group=group_of("own", title),
        text=captions[0],
        speaker=line.speaker,
        language=line.language,
        licence=LICENCE,
        about=line.file,
        label=label,
        captions=captions[1:],
    )
    return Found(clip, reader(source / line.file))


def _captions(path: Path, text: str) -> tuple[str, ...]:
    """The lines of the .txt that the text is of, otherwise the text itself."""
    beside = path.with_suffix(".txt")
    lines = beside.read_text(encoding="utf-8-sig").splitlines() if beside.is_file() else []
    cleaned = tuple(dict.fromkeys(each for line in lines if (each := " ".join(line.split()))))
    return cleaned if " ".join(" ".join(lines).split()) == text and cleaned else (text,)
