"""From training runs to a model's or guides' folder: averaged weights packed small, recipe.json with their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from text2x.checkpoints import export
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, write_bytes, write_json
from text2x.recipe import Guide, GuideRecipe, Guides, Model, Recipe, Stage, WeightFile, trained_from_dict
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
    guides: Mapping[str, str] = field(default_factory=dict)  # of a model: "classifier", "clip", "auto" -> folder


def ship(parts: Sequence[Part], about: About, target: Path, packing: Packing = "int8") -> Model | Guides:
    """Write a folder from runs; what is there already is replaced.

    Image runs, the one that reads prompts first, make a model; runs of guides make a guides' folder.
    """
    if not parts:
        raise InputError("a model needs at least one training run")
    recipes = [_recipe_of(part.folder) for part in parts]
    images = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    guides = [recipe for recipe in recipes if isinstance(recipe, GuideRecipe)]
    if images and guides:
        raise InputError(f"{guides[0].name!r} is a guide and {images[0].name!r} a model; pack them into two folders")
    if len(guides) > 1 and any(guide.kind == "judge" for guide in guides):
        raise InputError("a judge must not guide what it judges; pack it into a folder of its own")
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two {'guides' if guides else 'stages'} are called {name!r}; a folder takes each name once"
            )
    weights = _write_weights(parts, recipes, target, packing)
    made = _model(images, about, weights) if images else _guides(guides, about, weights)
    write_json(target / "recipe.json", to_dict(made))
    return made


def _model(recipes: Sequence[Recipe], about: About, weights: Mapping[str, WeightFile]) -> Model:
    base = recipes[0]
    return Model(
        name=about.name,
        summary=about.summary or base.summary,
        licence=about.licence,
        stages=tuple(Stage(recipe, file) for recipe, file in zip(recipes, weights, strict=True)),
        weights=weights,
        size=about.size or base.size * (2 if len(recipes) > 1 else 1),
        attribution=about.attribution,
        guides=about.guides,
    )


def _guides(recipes: Sequence[GuideRecipe], about: About, weights: Mapping[str, WeightFile]) -> Guides:
    return Guides(
        name=about.name,
        summary=about.summary or recipes[0].summary,
        licence=about.licence,
        guides=tuple(Guide(recipe, file) for recipe, file in zip(recipes, weights, strict=True)),
        weights=weights,
        attribution=about.attribution,
    )


def _write_weights(
    parts: Sequence[Part], recipes: Sequence[Recipe | GuideRecipe], target: Path, packing: Packing
) -> dict[str, WeightFile]:
    """Write every weight file once all of them are packed, and say what they are."""
    weights: dict[str, WeightFile] = {}
    with TemporaryDirectory() as aside:
        for part, recipe in zip(parts, recipes, strict=True):
            file = f"{recipe.name}.safetensors"
            weights[file] = _packed(part, recipe, Path(aside) / file, packing)
        for file in weights:
            write_bytes(target / file, (Path(aside) / file).read_bytes())
    return weights


def _packed(part: Part, recipe: Recipe | GuideRecipe, path: Path, packing: Packing) -> WeightFile:
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


def _recipe_of(folder: Path) -> Recipe | GuideRecipe:
    path = folder / "recipe.json"
    if not path.is_file():
        raise InputError(f"{folder} is not the folder of a training run: recipe.json is missing")
    return trained_from_dict(read_json(path))
