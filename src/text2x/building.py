"""A generator of diffusion from what a recipe.json says, with the weights beside it and the guides that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from text2x.errors import InputError
from text2x.files import read_json
from text2x.generators import DiffusionGenerator
from text2x.guides import load_classifier, load_clip
from text2x.guiding import Leaders
from text2x.nn.initialization import no_initialization
from text2x.recipe import (
    Model,
    Recipe,
    Stage,
    Text,
    build_denoiser,
    build_network,
    build_text,
    model_from_dict,
    parts_of,
    recipe_from_dict,
    trainable_of,
)
from text2x.sampling import TrainedStage
from text2x.text_conditioner import MiniLMConfig, TextConditioner
from text2x.weights import load_weights


def build_generator(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Callable[[str], Path] | None = None
) -> DiffusionGenerator:
    """The generator that a recipe.json describes, with the weights beside it: a model, or the folder of a run.

    `find` gives the folder of a guide by its name; without it guides lie beside the model's folder.
    """
    if values.get("type") == "Recipe":
        recipe = recipe_from_dict(values)
        weights = f"averages/{recipe.training.averages[0]}.safetensors"
        model = Model(recipe.name, recipe.summary, "unknown", (Stage(recipe, weights),), size=recipe.size)
    else:
        model = model_from_dict(values)
    if not model.stages:
        raise InputError(f"the model {model.name} has no stages; its recipe.json names none")
    texts: dict[Any, Any] = {}
    stages = []
    for stage in model.stages:
        recipe = stage.recipe
        if recipe.conditioner not in texts:
            texts[recipe.conditioner] = build_text(recipe)
        network, text = load_stage(recipe, folder / stage.weights, texts[recipe.conditioner], device)
        stages.append(TrainedStage(recipe, build_denoiser(recipe, network), text))
    return DiffusionGenerator(model, tuple(stages), device, _leaders(model, stages[0].text, folder, device, find))


def _leaders(model: Model, text: Text, folder: Path, device: str, find: Callable[[str], Path] | None) -> Leaders:
    """What loads the guides that a model names, when they are asked for; they read prompts with the model's encoder."""
    encoder = None
    if isinstance(text, TextConditioner) and isinstance(text.config, MiniLMConfig):
        encoder = text.encoder
    place = find or (lambda name: folder.parent / name)

    def finder(form: str, name: str) -> Callable[[], Any]:
        if form == "auto":
            return lambda: build_generator(read_json(place(name) / "recipe.json"), place(name), device, find).stages[0]
        load = {"classifier": load_classifier, "clip": load_clip}[form]
        return lambda: load(place(name), device, encoder)

    return Leaders({form: finder(form, name) for form, name in model.guides.items()})


def load_stage(recipe: Recipe, path: Path, text: Text, device: str) -> tuple[Any, Text]:
    """The recipe's network and text encoder with the weights in a file."""
    with no_initialization():  # weights that would be thrown away are not drawn
        network = build_network(recipe)
    trainable = trainable_of(network, text)
    load_weights(trainable, path)
    return parts_of(trainable.eval().requires_grad_(False).to(device), text)
