"""The report of an evaluation of sounds: Markdown tables, JSON of every figure, a sheet of spectrograms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.evaluating.report import REPORT, SHEET, VALUES, grouped, table
from text2x.evaluating.sound_measuring import SoundReport
from text2x.files import write_bytes, write_json, write_text
from text2x.media import Image, contact_sheet
from text2x.metrics.sound_judge import log_mel

BANDS, COLUMNS = 80, 112  # of a spectrogram
RATE = 16_000  # Hz: what is above 8 kHz is not shown
COLOURS = (
    (0, 0, 4),
    (81, 18, 124),
    (183, 55, 121),
    (252, 137, 97),
    (252, 253, 191),
)  # dark to bright, even in luminance
PARTS = {
    "train": "Seen: captions of training clips that the classifier has not heard",
    "held-out": "Held out: captions of clips that nothing was trained on",
    "melodies": "Along the melodies of held-out pieces",
}
INTRODUCTION = """\
Every figure has its 95 % interval in brackets. N is that of the first column with a figure, and is given again where it
differs. *real*: the clips whose captions were asked for, the ceiling of what a classifier can say; *retrieval*: the
training clip whose caption is nearest; *noise* as long as each sound; *chance*: what guessing gets. Class accuracy: a
classifier that learned other clips of the training part names the label of the caption's clip; retrieved clips are
mostly those that it learned. A kernel distance belongs to the space named, is no score of other papers, and is about 0
for sounds that are alike. Nearest ratio: how far the nearest training clip is, over the nearest held-out clip; far
below that of real sounds a model repeats what it was trained on. Copies: the nearest training clip is less than a third
as far as the next. Silent part: the share of time below -60 dBFS.
"""
MUSIC = """\
Tempo, key and notes are heard by signal processing and held against the scores: read them beside those of the real
pieces. The label of a piece is its first instrument. Overlap of notes: the share of runs of four notes that the
training piece with most of them has; that of real held-out pieces is what new music has, that of retrieved ones what
copies have. Chance: a real piece held against the scores of others.
"""


def write_sound_report(report: SoundReport, folder: Path, command: str) -> list[Path]:
    """Write report.md, report.json and sheet.png, each whole, and give their paths."""
    paths = [folder / name for name in (REPORT, VALUES, SHEET)]
    write_bytes(paths[2], sheet_of_sounds(report).encode("png"))
    write_json(paths[1], {"command": command, **report.to_json()})
    write_text(paths[0], "\n".join(sound_lines(report, command)) + "\n")
    return paths


def spectrogram(sound: Audio, seconds: float) -> Image:
    """The log-mel of a sound, low below, so wide that `seconds` fill it; what is not sound is dark."""
    mel = np.clip((log_mel(sound, RATE, BANDS).numpy() + 1) / 2, 0, 1)  # [bands, F]
    whole = max(1, round(COLUMNS * min(1.0, sound.seconds / seconds)))
    places = np.linspace(0, mel.shape[1] - 1, whole).round().astype(int)
    level = np.zeros((BANDS, COLUMNS))
    level[:, :whole] = mel[::-1, places]
    return Image(coloured(level))


def coloured(level: NDArray[np.float64]) -> NDArray[np.float32]:
    """[H, W] in [0, 1] to [3, H, W] in [-1, 1]."""
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(level, stops, [colour[channel] for colour in COLOURS]) for channel in range(3)]
    return (np.stack(channels) / 127.5 - 1).astype(np.float32)


def sheet_of_sounds(report: SoundReport) -> Image:
    """A row a prompt, a column a source."""
    names = list(dict.fromkeys(name for row in report.rows for name in row.sounds))
    longest = float(report.about["longest"])
    tiles = [spectrogram(row.sounds[name], longest) for row in report.rows for name in names]
    labels = [row.prompt if name == "generated" else name for row in report.rows for name in names]
    return contact_sheet(tiles, columns=len(names), labels=labels, scale=2)


def sound_lines(report: SoundReport, command: str) -> Iterator[str]:
    """The lines of report.md."""
    about = report.about
    yield f"# Evaluation of {about['model']} on {about['data']}\n"
    yield f"```console\n$ {command}\n```\n"
    asked = ", ".join(f"{count} of {part}" for part, count in about["prompts"].items())
    settings = ", ".join(f"{name} {value}" for name, value in about["settings"].items())
    yield f"Prompts: {asked}; {about['seeds']} seeds each; at most {about['longest']:g} s at {about['rate']} Hz."
    yield (
        f"Made with {settings or 'its defaults'} in {about['precision']}, {about['seconds_a_sound']:.2f} s a sound, "
        f"{about['real_time_factor']:.2f} s of work a second of sound.\n"
    )
    yield INTRODUCTION
    yield f"Kernel distances are taken to {about['reference']}.\n"
    if about["kind"] == "music":
        yield MUSIC
    for part, found in report.figures.items():
        yield f"## {PARTS.get(part, part)}\n"
        yield from table(found)
    if report.left_out:
        yield "## Left out\n"
        yield from (f"- {each}" for each in grouped(report.left_out))
        yield ""
    yield f"Spectrograms, the first prompts of each part: [{SHEET}]({SHEET}). Figures: [{VALUES}]({VALUES})."
