"""`text2x data`: data sets to train on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from text2x.cli.options import data_folder
from text2x.cli.terminal import BarLine, counted, seconds, warn
from text2x.errors import InputError
from text2x.requests import unknown

if TYPE_CHECKING:
    from text2x.data.imageset import Report

app = typer.Typer(help="List the data sets, or prepare one to train on.", invoke_without_command=True)
MOST_LEFT_OUT = 20  # pictures that are named one by one
FOLDER = "folder"  # what a user's own folder of pictures is called in place of a data set's name


@app.callback()
def data(context: typer.Context) -> None:
    """List the data sets: what they are, and where those that are prepared lie."""
    if context.invoked_subcommand is not None:
        return
    from text2x.data import DATASETS, dataset_folder

    root = data_folder()
    own = sorted(path.parent.name for path in root.glob("*/index.json")) if root.is_dir() else []
    names = [*DATASETS, *(name for name in own if name not in DATASETS)]
    width = max(len(name) for name in names)
    for name in names:
        folder = dataset_folder(name, root)
        state = str(folder) if name in own else f"not prepared; make it with: text2x data prepare {name}"
        what = DATASETS[name].description if name in DATASETS else "your own pictures"
        typer.echo(f"{name.ljust(width)}  {what}\n{' ' * width}  {state}")


@app.command()
def prepare(
    source: Annotated[str, typer.Argument(metavar="NAME|folder", help="A data set's name, or the word folder.")],
    pictures: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="For folder: where the pictures and captions are.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the result is called; otherwise as the source.")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side of the stored pictures in pixels.")] = None,
    fit: Annotated[
        str | None, typer.Option(metavar="pad|crop", help="For folder: how pictures become square; pad otherwise.")
    ] = None,
    style: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this style; may be repeated.")] = None,
    packages: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take the packages from here instead of fetching them.")
    ] = None,
) -> None:
    """Prepare a data set: text2x data prepare emoji, or text2x data prepare folder DIR --name NAME

    Captions of a folder are NAME.txt beside NAME.png, or a table (CSV or JSON lines) of file names and captions.
    """
    from text2x.data import DATASETS, dataset_folder, package_cache
    from text2x.data.folder import prepare_folder

    if source != FOLDER and source not in DATASETS:
        raise unknown("data set", source, [*DATASETS, FOLDER])
    is_folder, root = source == FOLDER, data_folder()
    options = {"fit": fit} if is_folder else {"styles": style, "packages_folder": packages}
    other = {"--style": style, "--packages": packages} if is_folder else {"--fit": fit, "DIR": pictures}
    for flag, value in other.items():
        if value is not None:
            raise InputError(f"{flag} means nothing for {source}; leave it out")
    if is_folder and pictures is None:
        raise InputError("say where the pictures are: text2x data prepare folder DIR --name NAME")
    given = {key: value for key, value in {"size": size, **options}.items() if value is not None}
    begin, line = time.perf_counter(), BarLine("reading" if is_folder else "drawing")
    try:
        if pictures is not None:
            target = dataset_folder(name or pictures.resolve().name, root)
            report = prepare_folder(pictures, target, on_progress=line, **given)
        else:
            target = dataset_folder(name or source, root)
            report = DATASETS[source].prepare(target, package_cache(root), on_progress=line, **given)
    finally:
        line.clear()
    _print_report(report, time.perf_counter() - begin)


def _print_report(report: Report, took: float) -> None:
    """Where the set is, how much there is, and what could not be used."""
    left_out = [f"left out {each}" for each in report.unreadable]
    more = [f"left out {len(left_out) - MOST_LEFT_OUT:,} more"] if len(left_out) > MOST_LEFT_OUT else []
    for warning in (*report.warnings, *left_out[:MOST_LEFT_OUT], *more):
        warn(warning)
    typer.echo(report.folder)
    parts = [
        counted(report.images, "picture"),
        counted(report.concepts, "concept"),
        counted(len(report.styles), "style"),
    ]
    typer.echo(f"{parts[0]} of {parts[1]} in {parts[2]}, {len(left_out):,} left out, in {seconds(took)}")
