"""Tiny models with random weights that are nowhere zero, for tests of what is done with a model."""

from __future__ import annotations

from pathlib import Path

import torch

from text2x.config import to_dict
from text2x.data.batches import BatchConfig
from text2x.files import file_hash, save_tensors, write_json
from text2x.networks.unet import UNetConfig
from text2x.recipe import LowResolution, Model, Recipe, SamplingConfig, Stage, WeightFile, build_network
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig
from text2x.weights import pack

STYLES = ("flat", "line")


def base_recipe() -> Recipe:
    return Recipe(
        name="base",
        summary="Noise with a meaning.",
        size=16,
        network=UNetConfig(
            width=16,
            multipliers=(1, 2),
            attention_levels=(1,),
            head_width=16,
            extra_channels=5,
            context_width=384,
            vector_width=384 + len(STYLES),
        ),  # fmt: skip
        conditioner=MiniLMConfig(max_tokens=12, styles=STYLES),
        data=BatchConfig(size=16),
        training=TrainingConfig(steps=1),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=3, guidance=2.0, style="flat"),
    )


def upsampler_recipe() -> Recipe:
    return Recipe(
        name="upsampler",
        summary="Twice the size.",
        size=32,
        network=UNetConfig(width=8, multipliers=(1, 2), attention_levels=(), extra_channels=9, vector_width=1),
        conditioner=None,
        data=BatchConfig(size=32),
        training=TrainingConfig(steps=1),
        sampling=SamplingConfig(sampler="euler", steps=2, guidance=1.0),
        low_resolution=LowResolution(),
    )


def write_model(folder: Path, recipes: tuple[Recipe, ...], size: int) -> Model:
    """A model folder with random weights that are nowhere zero."""
    folder.mkdir()
    stages, weights = [], {}
    for place, recipe in enumerate(recipes):
        torch.manual_seed(place)
        network = build_network(recipe)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        file = f"{recipe.name}.safetensors"
        save_tensors(folder / file, pack(network.state_dict(), "float16"))
        weights[file] = WeightFile(file_hash(folder / file), "float16", 1)
        stages.append(Stage(recipe, file))
    model = Model("random", "Random weights.", "none", tuple(stages), weights, size)
    write_json(folder / "recipe.json", to_dict(model))
    return model
