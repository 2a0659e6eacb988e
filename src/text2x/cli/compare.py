"""`text2x compare`: methods trained with the same data and budget, judged alike, with a verdict a claim."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from text2x.cli.evaluate import Lines
from text2x.cli.options import Device, Threads, data_folder, set_threads
from text2x.errors import InputError

FOLDER, RUNS = Path("out"), Path("runs")
BUDGET = "20m"

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[METHOD|RECIPE]...", help="Only these methods of the set, or recipes; otherwise all."),
]
Time = Annotated[
    str | None, typer.Option("--budget", metavar="TIME", help="Training time each, as 20m, 90s or 1h; 20m otherwise.")
]
Operations = Annotated[
    float | None, typer.Option(metavar="X", help="Instead of a time: multiply-adds of training each, as 3e13.")
]
Data = Annotated[str | None, typer.Option(metavar="NAME|DIR", help="A prepared data set instead of the set's own.")]
Set = Annotated[
    str,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Methods and claims: image, image-systems, video or sounds; debug, debug-systems, debug-video or "
        "debug-sounds, which are small.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the report goes; otherwise out/compare-SET.")
]
Runs = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where trainings and drawings are kept; otherwise runs/compare-SET.")
]
JudgeFolder = Annotated[
    Path | None, typer.Option("--judge", metavar="DIR", help="The judge of text agreement instead of the shipped one.")
]
Fast = Annotated[bool, typer.Option("--fast", help="Draw in bfloat16: quicker, and slightly other pictures.")]
Render = Annotated[bool, typer.Option("--render", help="Write the report of what is there, without training.")]


def compare(
    names: Names = None,
    budget: Time = None,
    operations: Operations = None,
    data: Data = None,
    kind: Set = "image",
    output: Output = None,
    runs: Runs = None,
    judge: JudgeFolder = None,
    render: Render = False,
    fast: Fast = False,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Train methods alike and compare them: text2x compare unet dit --budget 20m

    The same data, the same training time or operations, the same prompts and seeds; a table, curves, a sheet, and a
    verdict a claim with its uncertainty. The same command goes on after an interruption.
    """
    folder, place = output or FOLDER / f"compare-{kind}", runs or RUNS / f"compare-{kind}"
    for each, option in ((folder, "-o"), (place, "--runs")):
        if each.exists() and not each.is_dir():
            raise InputError(f"{each} is a file and no folder; give another place with {option}")
    if render and (budget is not None or operations is not None):
        raise InputError("--render trains nothing, so it takes no budget; leave out --budget and --operations")
    set_threads(threads)
    from text2x import comparing
    from text2x.library import resolve_device

    chosen = dataclasses.replace(comparing.chosen(kind, names or (), data), fast=fast)
    time = BUDGET if budget is None and operations is None else budget
    wanted = comparing.budget_of(time, operations)
    where = resolve_device(device)
    progress = Lines()
    try:
        if render:
            made = comparing.rendered(chosen, place, judge, where, data_folder())
        else:
            made = comparing.compare(chosen, wanted, place, judge, where, data_folder(), progress)
    finally:
        progress.clear()
    given = {"--budget": None if operations else time, "--operations": operations, "--data": data, "--set": kind}
    if render:
        given = {"--data": data, "--set": kind}
    flags = [str(part) for flag, value in given.items() if value is not None for part in (flag, value)]
    flags += [flag for flag, given in (("--fast", fast), ("--render", render)) if given]
    command = shlex.join(["text2x", "compare", *(names or []), *flags])
    for path in comparing.write_comparison(made, folder, command):
        typer.echo(path)
