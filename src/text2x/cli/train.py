"""`text2x train`: make or improve a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from text2x.cli.options import Device, Threads, data_folder, set_threads
from text2x.errors import InputError
from text2x.requests import unknown

RUNS = Path("runs")
INTERRUPTED = 130  # as a shell reports SIGINT


def _recipe_names(incomplete: str) -> list[str]:
    from text2x.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


Recipe = Annotated[
    str | None,
    typer.Argument(metavar="RECIPE", autocompletion=_recipe_names, help="Its name; without one they are listed."),
]
Data = Annotated[str | None, typer.Option(metavar="NAME|DIR", help="A prepared data set instead of the recipe's own.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe, as training.learning_rate=1e-3."),
]
Folder = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run is kept; otherwise runs/RECIPE.")]
Steps = Annotated[int | None, typer.Option(metavar="N", min=1, help="The same as --set training.steps=N.")]
Start = Annotated[
    Path | None, typer.Option("--from", metavar="FILE", help="Weights to begin with where there is no checkpoint yet.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh/--resume", help="Begin in a new folder, or go on from the last checkpoint there is.")
]


def train(
    recipe: Recipe = None,
    data: Data = None,
    settings: Settings = None,
    folder: Folder = None,
    steps: Steps = None,
    fresh: Fresh = False,
    start: Start = None,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Train a recipe, or go on with it: the same command again continues where it was stopped, even by kill -9.

    Ctrl-C saves a checkpoint and ends. The run's folder holds the log, sample sheets, curves and averaged weights; it
    can be used as a model: text2x image "a red apple" --model runs/RECIPE
    """
    if recipe is None:
        _list_recipes()
        return
    from text2x.recipes import RECIPES

    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    place = _run_folder(folder or RUNS / recipe, fresh, given=folder is not None)
    changes = [*(settings or []), *([] if steps is None else [f"training.steps={steps}"])]
    set_threads(threads)
    from text2x.library import resolve_device
    from text2x.recipes.running import train as run

    outcome = run(recipe, data, changes, place, resolve_device(device), data_folder(), start)
    typer.echo(outcome)
    if outcome.reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _list_recipes() -> None:
    from text2x.recipes import RECIPES

    recipes = {name: make() for name, make in RECIPES.items()}
    width = max(len(name) for name in recipes)
    for name, recipe in recipes.items():
        typer.echo(f"{name.ljust(width)}  {recipe.summary}")


def _run_folder(folder: Path, fresh: bool, given: bool) -> Path:
    """The folder itself, or with --fresh one that holds nothing yet."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file and no folder; give another one with --folder")
    if not fresh or not folder.exists() or not any(folder.iterdir()):
        return folder
    if given:
        raise InputError(f"{folder} holds a run already; give another --folder, or leave out --fresh to go on with it")
    number = 2
    while (other := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return other
