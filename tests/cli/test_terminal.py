"""What a person sees in a terminal."""

import io

import numpy as np
from painter import paint

from text2x.cli.terminal import ProgressLine, TerminalPreview, half_blocks, seconds
from text2x.media import Image
from text2x.requests import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_half_blocks_have_two_pixels_a_character_and_leave_transparent_ones_empty() -> None:
    straight = np.zeros((4, 2, 4), dtype=np.uint8)
    straight[0, 0] = straight[3, 1] = (255, 0, 0, 255)
    straight[2:, 0] = (0, 0, 255, 255)
    first, second = half_blocks(Image.from_uint8(straight))
    assert first == "\x1b[0m\x1b[38;2;255;0;0m▀\x1b[0m \x1b[0m"
    assert second == "\x1b[38;2;0;0;255m\x1b[48;2;0;0;255m▀\x1b[0m\x1b[38;2;255;0;0m▄\x1b[0m"


def test_a_large_picture_is_drawn_small_enough_and_over_the_last_one() -> None:
    terminal = Terminal()
    preview = TerminalPreview(terminal, columns=10)
    preview(paint("x", 0, 100))
    rows = terminal.getvalue().count("\n")
    assert rows == 5
    preview(paint("x", 1, 100))
    assert f"\x1b[{rows}A" in terminal.getvalue()


def test_progress_is_one_line_in_a_terminal_and_silent_elsewhere() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        line = ProgressLine(4, stream)
        line(Progress(5, 10, "base", (1,), list))
        line(Progress(10, 10, "base", (1,), list))
        line.clear()
    assert file.getvalue() == ""
    assert "picture 2 of 4, base 5/10" in terminal.getvalue() and "base 10/10" in terminal.getvalue()
    terminal_line = ProgressLine(4, terminal)
    terminal_line.before = 3
    terminal_line(Progress(1, 1, "base", (0,), list))
    assert "picture 4 of 4" in terminal.getvalue()
    terminal_line.clear()
    assert "\n" not in terminal.getvalue() and terminal.getvalue().endswith("\x1b[K")


def test_durations_are_written_as_a_person_reads_them() -> None:
    assert [seconds(value) for value in (0.123, 12.34, 125)] == ["0.12 s", "12.3 s", "2 min 05 s"]
