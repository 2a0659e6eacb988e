"""What a person sees in a terminal: one-line messages, a progress line, pictures drawn with half blocks."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from text2x.media import Image
    from text2x.requests import Progress

CLEAR_LINE = "\r\x1b[K"
WIDTH = 24  # characters of the bar


def one_line(text: str) -> str:
    """The text without line breaks and without anything that would steer a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def warn(text: str) -> None:
    """A warning on standard error."""
    print(f"text2x: warning: {one_line(text)}", file=sys.stderr)


def seconds(value: float) -> str:
    """A duration as a person reads it: 0.84 s, 12.3 s, 4 min 05 s."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


def counted(number: int, noun: str) -> str:
    """1 picture, 2 pictures."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def megabytes(num_bytes: int) -> str:
    """A size as a person reads it, in MiB."""
    return f"{num_bytes / 2**20:.1f} MiB"


class ProgressLine:
    """One line that is rewritten after each step; silent where standard error is no terminal."""

    def __init__(self, count: int, stream: TextIO | None = None, noun: str = "picture") -> None:
        self.count, self.noun = count, noun
        self.before = 0  # pictures that were made before this request
        self.stream = stream or sys.stderr
        self.shown = self.stream.isatty()
        self.last = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show where the work is; at most 20 times a second, for a terminal can be slow."""
        now = time.monotonic()
        if not self.shown or (now - self.last < 0.05 and progress.step < progress.steps):
            return
        self.last = now
        first, last = (self.before + item + 1 for item in (progress.items[0], progress.items[-1]))
        which = f"{first}" if first == last else f"{first} to {last}"
        picture = f"{self.noun} {which} of {self.count}, " if self.count > 1 else ""
        done = f"{progress.stage} {progress.step}/{progress.steps}"
        self.stream.write(f"{CLEAR_LINE}{bar(progress.step, progress.steps)} {picture}{done}")
        self.stream.flush()

    def message(self, text: str) -> None:
        """Show a text in place of the bar."""
        if self.shown:
            self.stream.write(CLEAR_LINE + text)
            self.stream.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        self.message("")


class BarLine:
    """A plain bar for work of which the number of parts is known."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.what = what
        self.stream = stream or sys.stderr
        self.shown = self.stream.isatty()
        self.last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` parts are ready."""
        now = time.monotonic()
        if self.shown and (now - self.last >= 0.05 or done == total):
            self.last = now
            self.stream.write(f"{CLEAR_LINE}{bar(done, total)} {self.what} {done:,}/{total:,}")
            self.stream.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        if self.shown:
            self.stream.write(CLEAR_LINE)
            self.stream.flush()


def bar(done: int, total: int) -> str:
    """A bar of fixed width."""
    filled = WIDTH * done // max(1, total)
    return "━" * filled + "╌" * (WIDTH - filled)


class TerminalPreview:
    """Draws the estimate over the last one, so that the picture seems to sharpen."""

    def __init__(self, stream: TextIO | None = None, columns: int = 48) -> None:
        self.stream = stream or sys.stderr
        self.columns = columns
        self.rows = 0

    def __call__(self, image: Image) -> None:
        """Show the next estimate."""
        lines = half_blocks(image, self.columns)
        up = f"\r\x1b[{self.rows}A" if self.rows else CLEAR_LINE
        self.stream.write(up + "\n".join(line + "\x1b[K" for line in lines) + "\n\x1b[K")
        self.stream.flush()
        self.rows = len(lines)


def half_blocks(image: Image, columns: int = 48) -> list[str]:
    """The picture as lines of 24-bit coloured half blocks, two pixels a character; transparent pixels stay empty."""
    width = min(columns, image.width)
    height = max(2, round(width * image.height / image.width / 2) * 2)
    pixels = image.resize(width, height).to_uint8()  # [height, width, 4]
    lines = []
    for top, bottom in zip(pixels[0::2], pixels[1::2], strict=True):
        lines.append("".join(_cell(*pair) for pair in zip(top.tolist(), bottom.tolist(), strict=True)) + "\x1b[0m")
    return lines


def _cell(top: list[int], bottom: list[int]) -> str:
    seen, seen_below = top[3] >= 128, bottom[3] >= 128
    colour, colour_below = (";".join(str(value) for value in pixel[:3]) for pixel in (top, bottom))
    if seen and seen_below:
        return f"\x1b[38;2;{colour}m\x1b[48;2;{colour_below}m▀"
    if seen:
        return f"\x1b[0m\x1b[38;2;{colour}m▀"
    if seen_below:
        return f"\x1b[0m\x1b[38;2;{colour_below}m▄"
    return "\x1b[0m "
