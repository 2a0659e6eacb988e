"""From training runs to a model folder: averaged weights packed small, recipe.json with their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from text2x.checkpoints import export
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, write_bytes, write_json
from text2x.recipe import Model, Recipe, Stage, WeightFile, recipe_from_dict
from text2x.weights import SCALE, Packing


@dataclass(frozen=True)
class Part:
    """A training run that becomes a stage: its folder and which of its averages, as "0.999" or "best-0.999"."""

    folder: Path
    average: str | None = None  # None: the first one of the recipe


@dataclass(frozen=True)
class About:
    """What a model folder says of itself."""

    name: str
    summary: str | None  # None: the first recipe's
    licence: str
    size: int | None = None  # None: the base's, doubled once if there is an upsampler
    attribution: tuple[str, ...] = ()


def ship(parts: Sequence[Part], about: About, target: Path, packing: Packing = "int8") -> Model:
    """Write a model folder from runs, the one that reads prompts first; what is there already is replaced."""
    if not parts:
        raise InputError("a model needs at least one training run")
    recipes = [_recipe_of(part.folder) for part in parts]
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two stages are called {name!r}; a model takes each name once")
    weights = {}
    with TemporaryDirectory() as aside:
        for part, recipe in zip(parts, recipes, strict=True):
            file = f"{recipe.name}.safetensors"
            weights[file] = _packed(part, recipe, Path(aside) / file, packing)
        for file in weights:
            write_bytes(target / file, (Path(aside) / file).read_bytes())
    stages = [Stage(recipe, file) for recipe, file in zip(recipes, weights, strict=True)]
    base = recipes[0]
    size = about.size or base.size * (2 if len(stages) > 1 else 1)
    model = Model(
        name=about.name,
        summary=about.summary or base.summary,
        licence=about.licence,
        stages=tuple(stages),
        weights=weights,
        size=size,
        attribution=about.attribution,
    )
    write_json(target / "recipe.json", to_dict(model))
    return model


def _packed(part: Part, recipe: Recipe, path: Path, packing: Packing) -> WeightFile:
    """Write the averaged weights of a run and say what they are."""
    sha256 = export(part.folder, part.average or str(recipe.training.averages[0]), path, packing)
    tensors = load_tensors(path)
    count = sum(value.numel() for name, value in tensors.items() if not name.endswith(SCALE))
    return WeightFile(sha256, packing, count)


def packed_as(name: str) -> Packing:
    """A packing by its name; another one raises InputError."""
    for known in get_args(Packing):
        if name == known:
            return known
    raise InputError(f"unknown packing {name!r}; weights are kept as {', '.join(get_args(Packing))}")


def _recipe_of(folder: Path) -> Recipe:
    path = folder / "recipe.json"
    if not path.is_file():
        raise InputError(f"{folder} is not the folder of a training run: recipe.json is missing")
    return recipe_from_dict(read_json(path))
