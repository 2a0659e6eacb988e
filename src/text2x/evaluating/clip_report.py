"""The report of an evaluation of clips: Markdown tables, JSON of every figure, a sheet of rows of frames, copies."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.evaluating.clip_measuring import CONTROLS, ClipReport
from text2x.evaluating.report import COPIES, REPORT, SHEET, VALUES, grouped, table
from text2x.files import write_bytes, write_json, write_text
from text2x.media import Image, contact_sheet

SHEET_PROMPTS = 6  # of each part
SHEET_FRAMES = 8  # of each clip
TILE = 80  # pixels of a frame on a sheet at least
LABEL = 24  # letters of a clip's name below a frame; the next frame has the rest
WORST = 8  # pairs on the sheet of copies
PARTS = {
    "train": "Trained concepts",
    "unseen-concepts": "Held-out concepts",
    "unseen-pairs": "Held-out pairs of concept and style",
}
INTRODUCTION = """\
Every figure has its 95 % interval in brackets. N is that of the first column with a figure, and is given again where it
differs. *real*: real clips that are in no reference; *retrieval*: the training clip whose caption is nearest; *noise*;
*chance*: what guessing gets. R-precision: a judge that guided nothing finds the own prompt among 100, frame by frame,
or by the mean of a clip's frames. Copies: the nearest training clip is less than a third as far as the nearest of
another concept; read it beside that of real clips.
"""
MOTION = """\
Clips are measured by optical flow against the *reference*: {reference}.
*real*: other real clips; *frozen*, *shuffled*, *reversed*: the same ones made worse on purpose. The motion distance
compares how followed points move; it is about 0 for clips that move alike. The other figures are to be like those of
the real clips: a frozen clip has no warp error and no flicker.
"""
FIRST = """\
Each clip was to begin with a real first frame. *real*: the clip that does go on from it; *frozen*: one that never
leaves it. Drift is to be like that of the real clip, and the first step as large as the later ones.
"""
LOOPS = "The step from the last frame to the first over that from a frame to the next: about 1 or less is a loop.\n"


def write_clip_report(report: ClipReport, folder: Path, command: str) -> list[Path]:
    """Write report.md, report.json, sheet.png and copies.png, each whole, and give their paths."""
    paths = [folder / name for name in (REPORT, VALUES, SHEET, COPIES)]
    write_bytes(paths[2], sheet_of_clips(report).encode("png"))
    write_bytes(paths[3], copied_clips(report).encode("png"))
    write_json(paths[1], {"command": command, **report.to_json()})
    write_text(paths[0], "\n".join(clip_lines(report, command)) + "\n")
    return paths


def rows_of_frames(
    clips: Sequence[tuple[str, NDArray[np.uint8]]], columns: int = SHEET_FRAMES, scale: int | None = None
) -> Image:
    """A sheet with a clip [T, 4, S, S] a row, its name below its first frames; frames are spread over the clip."""
    tiles, labels = [], []
    for name, frames in clips:
        places = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        tiles += [Image(frames[place] / np.float32(127.5) - 1) for place in places]
        words = textwrap.wrap(name, LABEL)[:columns] or [""]
        labels += [*words, *(f"frame {place + 1}" for place in places[len(words) :])]
    return contact_sheet(tiles, columns=columns, labels=labels, scale=scale or math.ceil(TILE / tiles[0].width))


def sheet_of_clips(report: ClipReport) -> Image:
    """The first prompts of each part: a row of the made clip, then one of the real clip of that name."""
    rows: list[tuple[str, NDArray[np.uint8]]] = []
    seeds = len(report.clips) // len(report.real)
    for part in dict.fromkeys(report.real.parts):
        own = [row for row, each in enumerate(report.real.parts) if each == part][:SHEET_PROMPTS]
        for row in own:
            name = report.real.prompts[row]
            rows += [(f"{name} ({part})", report.clips.frames[row * seeds]), ("real", report.real.frames[row])]
    return rows_of_frames(rows)


def copied_clips(report: ClipReport) -> Image:
    """The made clips that are most like a copy, each above the training clip that it may be of."""
    rows: list[tuple[str, NDArray[np.uint8]]] = []
    side = report.whole.frames.shape[-1]
    for row, known in report.copies.worst(WORST):
        made = report.clips.frames[row]
        ratio = report.copies.ratios[row]
        rows.append((f"{ratio:.2f} {report.clips.prompts[row]}", _shrunk(made, side)))
        rows.append((f"training: {report.whole.prompts[known]}", report.whole.frames[known]))
    return rows_of_frames(rows)


def _shrunk(frames: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Frames at the size that copies were looked for at."""
    from text2x.data.drawing import shrink

    return frames if frames.shape[-1] <= side else shrink(frames, side)


def clip_lines(report: ClipReport, command: str) -> Iterator[str]:
    """The lines of report.md."""
    about = report.about
    yield f"# Evaluation of {about['model']} on {about['data']}\n"
    yield f"```console\n$ {command}\n```\n"
    asked = ", ".join(f"{count} of {part}" for part, count in about["prompts"].items())
    settings = ", ".join(f"{name} {value}" for name, value in about["settings"].items())
    shape = f"{about['frames']} frames of {about['size']} pixels, {about['rate']:g} frames/s"
    yield f"Prompts: {asked}; {about['seeds']} seeds each; {shape}."
    yield f"Made with {settings} in {about['precision']}, {about['seconds_a_clip']:.2f} s a clip.\n"
    yield INTRODUCTION
    for part, found in report.parts.items():
        yield f"## {PARTS.get(part, part)}\n"
        yield from table(found)
    yield "## Motion\n"
    yield MOTION.format(reference=about["reference"])
    yield from table(report.motion, tuple(report.motion))
    yield from _told(report)
    if report.first_frame:
        yield "## Going on from a first frame\n"
        yield FIRST
        yield from table(report.first_frame, tuple(report.first_frame))
    if report.loops:
        yield "## Loops\n"
        yield LOOPS
        yield from table(report.loops, tuple(report.loops))
    if report.left_out:
        yield "## Left out\n"
        yield from (f"- {each}" for each in grouped(report.left_out))
        yield ""
    yield f"Frames of clips, above those of real ones of the same name: [{SHEET}]({SHEET})."
    yield f"Figures: [{VALUES}]({VALUES})."
    yield f"What is most like a copy, above its nearest training clip: [{COPIES}]({COPIES})."


def _told(report: ClipReport) -> Iterator[str]:
    """Which controls the motion distance tells from real clips."""
    if not report.controls:
        yield "There are too few clips for the motion distance, so no control can be told by it.\n"
        return
    told = [name for name in CONTROLS if report.controls.get(name)]
    not_told = [name for name in CONTROLS if report.controls.get(name) is False]
    yield f"The motion distance tells from real clips: {', '.join(told) or 'no control'}."
    if not_told:
        yield f"It does not tell: {', '.join(not_told)}."
    if not report.controls.get("reversed", True):
        share = f"{report.about['loops']:.0%} of the clips of the data set are loops"
        yield f"{share}: what swings to and fro or goes round moves as well backwards, and a distance cannot tell it."
    yield ""
