"""What a training run tells: log.jsonl (one JSON object a line), a bar or plain lines on standard error, and curves."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from text2x.errors import InputError
from text2x.files import written_aside

PLAIN_SECONDS = 30.0  # between lines where standard error is no terminal
SMOOTHING = 0.98  # of the loss that is shown


@dataclass(frozen=True)
class Outcome:
    """How a run, or a part of it, ended."""

    step: int
    reason: Literal["finished", "interrupted", "early stop"]
    losses: dict[str, float]
    folder: Path

    def __str__(self) -> str:
        if self.reason == "interrupted":
            return f"stopped at step {self.step}; the same command goes on from here"
        losses = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        why = "finished" if self.reason == "finished" else "stopped early, the held-out loss no longer improves,"
        return f"{why} at step {self.step}: {losses}; {self.folder}"


class TrainingLog:
    """JSON lines with the step first; written through at once, so that a killed run loses no whole line."""

    def __init__(self, path: Path, num_bytes: int = 0) -> None:
        """Open it to append after the first `num_bytes`; what a killed run wrote after them is dropped."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            with path.open("r+b") as stream:
                stream.truncate(min(num_bytes, path.stat().st_size))
            self.stream = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write the log {path}: {error.strerror}") from error
        self.path = path

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line; numbers that JSON has not (NaN, infinity) become null."""
        line = {"step": step, **{key: _plain(value) for key, value in values.items()}}
        self.stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.stream.flush()

    def num_bytes(self) -> int:
        """Length of the log so far."""
        return self.path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line that was cut off is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


class TrainingProgress:
    """A bar with loss, samples/s and time left in a terminal; elsewhere one plain line now and then."""

    def __init__(self, steps: int, done: int, batch_size: int) -> None:
        self.steps, self.first, self.batch_size = steps, done, batch_size
        self.loss: float | None = None
        self.began = self.told = time.monotonic()
        self.bar: Any = None
        if sys.stderr.isatty():
            self.bar = _bar()
            self.task = self.bar.add_task("", total=steps, completed=done, about="")
            self.bar.start()

    def advance(self, step: int, loss: float) -> None:
        """Show that `step` steps are done."""
        self.loss = loss if self.loss is None else SMOOTHING * self.loss + (1 - SMOOTHING) * loss
        if self.bar is not None:
            self.bar.update(self.task, completed=step, about=self._about(step))
        elif time.monotonic() - self.told >= PLAIN_SECONDS:
            self.told = time.monotonic()
            left = (self.steps - step) * (self.told - self.began) / max(1, step - self.first)
            self.tell(f"step {step:,} of {self.steps:,}, {self._about(step)}, {_duration(left)} left")

    def tell(self, text: str) -> None:
        """Show a line that stays."""
        if self.bar is not None:
            self.bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.stop()

    def _about(self, step: int) -> str:
        rate = (step - self.first) * self.batch_size / max(1e-9, time.monotonic() - self.began)
        return f"loss {self.loss:.4g}, {rate:.3g} samples/s"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[about]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def draw_curves(log: Path, picture: Path) -> str | None:
    """Draw loss, held-out loss and learning rate over the steps; returns why not, where it cannot be done."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return "no picture of the curves: matplotlib is missing; pip install 'text2x[eval]' brings it"
    lines = read_log(log)
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, title in enumerate(("training", "held out", "held out by noise level", "learning rate")):
        axes = figure.add_subplot(2, 2, place + 1, title=title, xlabel="step")
        curves = _curves(lines, title)
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
        positive = all(value > 0 for points in curves.values() for _, value in points)
        if title != "learning rate" and curves and positive:
            axes.set_yscale("log")
        if curves:
            axes.legend(fontsize=7)
    with written_aside(picture) as aside:
        figure.savefig(aside, dpi=100)
    return None


def _curves(lines: list[dict[str, Any]], title: str) -> dict[str, list[tuple[int, float]]]:
    """Name -> points (step, value) of one part of the picture."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for key, value in line.items():
            if isinstance(value, (int, float)) and _belongs(key, title):
                name = f"{key}, average {line['average']}" if "average" in line else key
                curves.setdefault(name, []).append((line["step"], value))
    return curves


_NO_LOSS = ("step", "grad_norm", "learning_rate", "samples_per_second", "seconds")


def _belongs(key: str, title: str) -> bool:
    return {
        "training": key not in _NO_LOSS and not key.startswith("held_out"),
        "held out": key == "held_out",
        "held out by noise level": key.startswith("held_out/"),
        "learning rate": key == "learning_rate",
    }[title]
