"""`text2x evaluate`: how good a model is, beside real pictures, retrieval, the mean picture and noise."""

from __future__ import annotations

import json as json_module
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from text2x.cli.options import Device, Json, Threads, data_folder, model_names, models_folder, set_threads
from text2x.cli.terminal import BarLine, counted, seconds
from text2x.errors import InputError
from text2x.library import info, load, resolve_device

FOLDER = Path("out")
MOST_LEFT_OUT = 10  # reasons that are shown one by one
PLAIN_SECONDS = 10.0  # between lines where standard error is no terminal

Name = Annotated[str, typer.Argument(metavar="MODEL", autocompletion=model_names, help="A model's name or folder.")]
Data = Annotated[str, typer.Option(metavar="NAME|DIR", help="A prepared data set, or shapes, which are drawn.")]
Prompts = Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Prompts of each part of the data.")]
Seeds = Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Pictures of each prompt.")]
JudgeFolder = Annotated[
    Path | None, typer.Option("--judge", metavar="DIR", help="The judge of text agreement instead of the shipped one.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the report goes; otherwise out/MODEL-DATA.")
]
Size = Annotated[int | None, typer.Option(metavar="N", min=8, max=1024, help="Side in pixels; otherwise the model's.")]
Fast = Annotated[
    bool, typer.Option("--fast", help="Draw in bfloat16: faster where the processor is, a little coarser.")
]
NoBench = Annotated[bool, typer.Option("--no-bench", help="Leave out the bench of 200 fixed prompts.")]


def evaluate(
    model: Name,
    data: Data = "emoji",
    prompts: Prompts = 100,
    seeds: Seeds = 3,
    judge: JudgeFolder = None,
    output: Output = None,
    size: Size = None,
    fast: Fast = False,
    no_bench: NoBench = False,
    json: Json = False,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Measure a model: text2x evaluate emoji --data emoji

    Seen concepts, unseen concepts and unseen pairs of concept and style apart, each figure with its interval and beside
    real pictures, retrieval, the mean picture, noise and chance. Every model is asked the same.
    """
    begin = time.perf_counter()
    found = info(model, models_folder())
    folder = output or FOLDER / f"{found.name}-{Path(data).name}"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file and no folder; give another place with -o")
    set_threads(threads)
    from text2x import evaluating
    from text2x.evaluating.report import grouped

    place = resolve_device(device)
    images = evaluating.data_set(data, data_folder())
    subject = evaluating.subject_of(found.name, load(model, place, models_folder()), images)
    plan = evaluating.EvaluationPlan(prompts, seeds, size, fast, not no_bench)
    evaluating.size_of(subject, images, plan)  # before anything that takes long
    progress = Lines()
    try:
        instruments = evaluating.instruments_of(images, judge, place)
        report = evaluating.evaluate_model(subject, images, instruments, plan, progress)
    finally:
        progress.clear()
    options = {"--data": data, "--prompts": prompts, "--seeds": seeds, "--judge": judge, "--size": size}
    flags = [str(part) for flag, value in options.items() if value is not None for part in (flag, value)]
    flags += [*(["--fast"] if fast else []), *(["--no-bench"] if no_bench else [])]
    paths = evaluating.write_report(report, folder, shlex.join(["text2x", "evaluate", model, *flags]))
    if json:
        typer.echo(
            json_module.dumps({"folder": str(folder), "files": [str(path) for path in paths], **report.to_json()})
        )
        return
    left_out = list(grouped(report.left_out))
    for each in left_out[:MOST_LEFT_OUT]:
        typer.echo(f"left out: {each}", err=True)
    if len(left_out) > MOST_LEFT_OUT:
        typer.echo(f"left out: {len(left_out) - MOST_LEFT_OUT} more, see the report", err=True)
    for path in paths:
        typer.echo(path)
    made = counted(len(report.pictures), "picture")
    typer.echo(f"{made} by {found.name} on {images.name} in {seconds(time.perf_counter() - begin)}")


class Lines:
    """One progress line after another, each for one kind of work; where there is no terminal, a line now and then."""

    def __init__(self) -> None:
        self.line: BarLine | None = None
        self.told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of the work are ready."""
        if self.line is None or self.line.what != what:
            self.clear()
            self.line = BarLine(what)
        self.line(done, total)
        if not self.line.shown and time.monotonic() - self.told >= PLAIN_SECONDS:
            self.told = time.monotonic()
            typer.echo(f"{what} {done:,}/{total:,}", err=True)

    def clear(self) -> None:
        """Leave an empty line."""
        if self.line is not None:
            self.line.clear()
