"""One tiny model folder of each system with random weights that are nowhere zero, and what each of them can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from text2x.config import to_dict
from text2x.diffusion.schedules import Linear
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.networks.dit import DiTConfig
from text2x.networks.unet import UNetConfig
from text2x.recipe import Model, Recipe, Stage, WeightFile, build_network, build_text, trainable_of
from text2x.recipes.glide import debug_glide, debug_glide_upsampler
from text2x.recipes.imagen import debug_imagen, debug_imagen_upsampler, debug_imagen_upsampler_2
from text2x.text_conditioner import TrainableTextConfig
from tiny_gan import write_gan
from tiny_guides import classifier_recipe, clip_recipe, write_guide_run
from tiny_latents import latent_recipe, write_latent_model
from tiny_models import base_recipe, upsampler_recipe
from tiny_unclip import write_unclip

GUIDES = {"auto": "dit", "classifier": "guides-classifier", "clip": "guides-clip"}


@dataclass(frozen=True)
class System:
    """What a system is made of, as far as a request can tell."""

    write: Callable[[Path], object]  # into a folder that is not there yet
    size: int  # pixels a side, if nothing is said
    styles: tuple[str, str] = ("flat", "line")
    upsamples: bool = False
    masks: bool = True  # its base is told of known regions
    led: bool = False  # has a classifier, a CLIP and a weaker model to be guided by
    sees: bool = False  # has a CLIP that edits pictures
    diffusion: bool = True  # samples in steps, is guided, edits
    base: int = 16


def _unet(folder: Path) -> None:
    write_stages(folder, (base_recipe(), upsampler_recipe()), 32)
    change(folder, guides=GUIDES)
    for recipe in (classifier_recipe(), clip_recipe()):
        write_guide_run(folder.parent / f"guides-{recipe.name}", recipe)


def _dit(folder: Path) -> None:
    vector = base_recipe().network.vector_width
    network = DiTConfig(patch=4, width=32, depth=2, num_heads=2, context_width=384, vector_width=vector)
    write_stages(folder, (replace(base_recipe(), name="dit", network=network),), 16)


def _glide(folder: Path) -> None:
    stages = (small(debug_glide(), 3.0), small(debug_glide_upsampler(), 1.0))
    write_stages(folder, tuple(_reading_few(stage) for stage in stages), 32)


def _imagen(folder: Path) -> None:
    stages = (small(debug_imagen(), 2.0), small(debug_imagen_upsampler(), 2.0), small(debug_imagen_upsampler_2(), 1.0))
    write_stages(folder, stages, 32)


def _dalle2(folder: Path) -> None:
    write_unclip(folder.parent / "parts")
    (folder.parent / "parts" / "painter").rename(folder)


def _latent_dit(folder: Path) -> None:
    recipe = latent_recipe()
    vector = recipe.network.vector_width
    network = DiTConfig(
        in_channels=4, out_channels=4, extra_channels=5, patch=2, width=32, depth=2, num_heads=2, context_width=384,
        vector_width=vector,
    )  # fmt: skip
    sampling = replace(recipe.sampling, shift=3.0)
    recipe = replace(
        recipe, network=network, schedule=Linear(), parameterization="velocity", sampling=sampling
    )  # rectified flow
    write_latent_model(folder, recipe)


SYSTEMS: Mapping[str, System] = {
    "dit": System(_dit, 16, masks=False),
    "unet": System(_unet, 32, upsamples=True, led=True),
    "gan": System(write_gan, 16, diffusion=False, masks=False),
    "glide": System(_glide, 32, ("large", "small"), upsamples=True),
    "dalle2": System(_dalle2, 32, upsamples=True, sees=True),
    "imagen": System(_imagen, 32, ("large", "small"), upsamples=True),
    "ldm": System(lambda folder: write_latent_model(folder, latent_recipe()), 32, base=32),
    "latent-dit": System(_latent_dit, 32, base=32),
}
DIFFUSION = [name for name, system in SYSTEMS.items() if system.diffusion]


def small(recipe: Recipe, guidance: float) -> Recipe:
    """The recipe with a few narrow layers and 2 steps."""
    shape = {"width": 8, "head_width": 8} if isinstance(recipe.network, UNetConfig) else {"width": 8}
    return replace(
        recipe,
        network=replace(recipe.network, **shape),  # type: ignore[arg-type]
        sampling=replace(recipe.sampling, steps=2, guidance=guidance),
    )


def _reading_few(recipe: Recipe) -> Recipe:
    """A trainable text encoder of one narrow layer."""
    text = recipe.conditioner
    assert isinstance(text, TrainableTextConfig)
    narrow = replace(text, width=16, layers=1, heads=2)
    vector = recipe.network.vector_width - text.width + narrow.width
    network = replace(recipe.network, context_width=narrow.width, vector_width=vector)
    return replace(recipe, conditioner=narrow, network=network)


def write_stages(folder: Path, recipes: tuple[Recipe, ...], size: int) -> None:
    """A model's folder of stages, text encoders that learn among them."""
    folder.mkdir()
    stages, weights = [], {}
    for place, recipe in enumerate(recipes):
        torch.manual_seed(place)
        trainable = trainable_of(build_network(recipe), build_text(recipe))
        for parameter in trainable.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        file = f"{recipe.name}.safetensors"
        save_tensors(folder / file, trainable.state_dict())
        weights[file] = WeightFile(file_hash(folder / file), "float32", 1)
        stages.append(Stage(recipe, file))
    model = Model(folder.name, "Random weights.", "CC0-1.0", tuple(stages), weights, size)
    write_json(folder / "recipe.json", to_dict(model))


def change(folder: Path, **fields: object) -> None:
    """Write other values into a folder's recipe.json."""
    write_json(folder / "recipe.json", {**read_json(folder / "recipe.json"), **fields})


def write_systems(root: Path) -> Path:
    """A folder of each system by its name; gives `root`."""
    for name, system in SYSTEMS.items():
        system.write(root / name)
        change(root / name, name=name)
    return root
