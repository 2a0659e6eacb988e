"""A tiny model on latents with random weights that are nowhere zero, and an autoencoder's run, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from text2x.autoencoding import AutoencoderRecipe, build_autoencoder
from text2x.codecs import LatentCodec, LatentCodecConfig
from text2x.config import to_dict
from text2x.files import file_hash, save_tensors, write_json
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.networks.cross_unet import CrossUNetConfig
from text2x.recipe import Model, Recipe, Stage, WeightFile, build_network
from text2x.recipes.latent import debug_autoencoder
from text2x.training_config import TrainingConfig
from tiny_models import STYLES, base_recipe

SHAPE = AutoencoderConfig(latent_channels=4, width=8, multipliers=(1, 2, 2), attention=False)


def codec_config(shape: AutoencoderConfig = SHAPE) -> LatentCodecConfig:
    z = shape.latent_channels
    return LatentCodecConfig(shape, tuple(0.1 * place for place in range(z)), (2.0,) * z)


def tiny_codec(shape: AutoencoderConfig = SHAPE, hole_mask: bool = False) -> LatentCodec:
    torch.manual_seed(5)
    config = replace(codec_config(shape), hole_mask=hole_mask)
    return LatentCodec(config, Autoencoder(shape).eval().requires_grad_(False))


def latent_recipe(masks: bool = True) -> Recipe:
    """Pictures of 32 px by way of 8 x 8 latents."""
    return replace(
        base_recipe(),
        name="latent",
        size=32,
        network=CrossUNetConfig(
            extra_channels=5 if masks else 0,
            width=16,
            multipliers=(1, 2),
            attention_levels=(1,),
            head_width=16,
            context_width=384,
            vector_width=384 + len(STYLES),
        ),
        data=replace(base_recipe().data, size=32),
        parameterization="epsilon",
        codec=codec_config(),
    )


def random_weights(recipe: Recipe) -> dict[str, torch.Tensor]:
    """Of the recipe's network, nowhere zero."""
    torch.manual_seed(1)
    network = build_network(recipe)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.state_dict()


def write_latent_model(folder: Path, recipe: Recipe) -> Model:
    """A model's folder; its codec is `tiny_codec`."""
    folder.mkdir()
    files = {"latent.safetensors": random_weights(recipe), "codec.safetensors": tiny_codec().network.state_dict()}
    weights = {}
    for file, tensors in files.items():
        save_tensors(folder / file, tensors)
        weights[file] = WeightFile(file_hash(folder / file), "float32", 1)
    stage = Stage(recipe, "latent.safetensors", "codec.safetensors")
    model = Model("latent", "Random latents.", "none", (stage,), weights, size=32)
    write_json(folder / "recipe.json", to_dict(model))
    return model


def write_latent_run(folder: Path, recipe: Recipe) -> Path:
    """A training run's folder."""
    sha256 = save_tensors(folder / "codec.safetensors", tiny_codec().network.state_dict())
    assert recipe.codec is not None and not isinstance(recipe.codec, str)
    training = TrainingConfig(steps=1, averages=(0.9,))
    recipe = replace(recipe, training=training, codec=replace(recipe.codec, sha256=sha256))
    save_tensors(folder / "averages" / "0.9.safetensors", random_weights(recipe))
    write_json(folder / "recipe.json", to_dict(recipe))
    return folder


def write_autoencoder_run(folder: Path, seed: int = 0) -> AutoencoderRecipe:
    """The folder of a run of `debug-autoencoder`, with random weights."""
    recipe = debug_autoencoder()
    torch.manual_seed(seed)
    trainable = build_autoencoder(recipe)
    for average in recipe.training.averages:
        save_tensors(folder / "averages" / f"{average}.safetensors", trainable.state_dict())
    write_json(folder / "recipe.json", to_dict(recipe))
    return recipe
