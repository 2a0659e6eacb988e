"""`text2x data`: data sets to train on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from text2x.cli.options import data_folder
from text2x.cli.terminal import BarLine, seconds, warn
from text2x.errors import InputError
from text2x.requests import unknown

app = typer.Typer(help="List the data sets, or prepare one to train on.", invoke_without_command=True)
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
        Path | None, typer.Argument(metavar="[DIR]", help="For folder: where the pictures and captions are.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the result is called; for folder: DIR's name otherwise.")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side of the stored pictures in pixels.")] = None,
    style: Annotated[list[str] | None, typer.Option(help="Only this style; may be given several times.")] = None,
    packages: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take the packages from here instead of fetching them.")
    ] = None,
) -> None:
    """Prepare a data set: text2x data prepare emoji, or text2x data prepare folder DIR --name NAME

    Captions of a folder are NAME.txt beside NAME.png, or a table (CSV or JSON lines) of file names and captions.
    """
    from text2x.data import DATASETS, dataset_folder, package_cache

    root = data_folder()
    line = BarLine("drawing" if source != FOLDER else "reading")
    begin = time.perf_counter()
    try:
        if source == FOLDER:
            if pictures is None:
                raise InputError("say where the pictures are: text2x data prepare folder DIR")
            report = _prepare_folder(pictures, name, size, root, line)
        elif source not in DATASETS:
            raise unknown("data set", source, [*DATASETS, FOLDER])
        else:
            options = {"size": size, "styles": style, "packages_folder": packages, "on_progress": line}
            given = {key: value for key, value in options.items() if value is not None}
            target = dataset_folder(name or source, root)
            report = DATASETS[source].prepare(target, package_cache(root), **given)
    finally:
        line.clear()
    _print_report(report, time.perf_counter() - begin)


def _prepare_folder(pictures: Path, name: str | None, size: int | None, root: Path, line: Callable[..., None]) -> Any:
    from text2x.data import dataset_folder
    from text2x.data.folder import prepare_folder

    target = dataset_folder(name or pictures.resolve().name, root)
    return prepare_folder(pictures, target, **({} if size is None else {"size": size}), on_progress=line)


def _print_report(report: Any, took: float) -> None:
    """Where the set is, how much there is, and what could not be used."""
    for unreadable in report.unreadable:
        warn(f"left out: {unreadable}")
    typer.echo(report.folder)
    counts = f"{report.images} pictures of {report.concepts} concepts in {len(report.styles)} styles"
    typer.echo(f"{counts}, {len(report.unreadable)} left out, in {seconds(took)}")
