"""Runs an autoencoder's recipe; finds the codec that a recipe on latents names and puts it into its run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from text2x.autoencoding import (
    AutoencoderAndDiscriminator,
    AutoencoderRecipe,
    Autoencoding,
    NumberedBatches,
    autoencoder_weights,
    build_autoencoder,
    held_out,
)
from text2x.codecs import Codec, Identity, LatentCodec, LatentCodecConfig
from text2x.config import from_dict
from text2x.data import load as load_data
from text2x.data.batches import Batch, ImageBatches
from text2x.data.imageset import ImageSet
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors
from text2x.latents import CODEC_FILE, fitted_to_codec, load_codec, measured
from text2x.library import info
from text2x.media import Image, contact_sheet
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import Recipe, model_from_dict, recipe_from_dict
from text2x.weights import put_weights, unpack

HELD_OUT_BATCHES = 4
SHEET_ITEMS = 24
MEASURED_PICTURES = 512  # whose latents give shift and scale


@dataclass(frozen=True)
class AutoencoderRun:
    """An autoencoder's recipe with its data; makes what a trainer needs."""

    recipe: AutoencoderRecipe
    images: ImageSet
    trainable: AutoencoderAndDiscriminator
    objective: Autoencoding
    batches: NumberedBatches
    held_out: tuple[Batch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """How well pictures are kept whose concepts are not trained on."""
        assert isinstance(trainable, AutoencoderAndDiscriminator)
        return held_out(trainable.autoencoder, self.held_out, self.device)

    @torch.no_grad()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a sheet: held-out pictures, each beside what is made of its latents."""
        assert isinstance(trainable, AutoencoderAndDiscriminator)
        real = self.held_out[0].images[:SHEET_ITEMS]
        made = trainable.autoencoder(real.to(self.device)).float().clamp(-1, 1).cpu()
        tiles = [Image(each.numpy()) for pair in zip(real, made, strict=True) for each in pair]
        folder.mkdir(parents=True, exist_ok=True)
        sheet = contact_sheet(tiles, columns=8, scale=max(1, 96 // self.recipe.data.size))
        sheet.save(folder / f"step-{step:07d}.png")


def prepare_autoencoder_run(
    recipe: AutoencoderRecipe, device: str = "cpu", data_root: Path | None = None
) -> AutoencoderRun:
    """Load the data and make both networks from the recipe's seed."""
    images = shapes() if recipe.data_set == "shapes" else load_data(recipe.data_set, root=data_root)
    if not set(recipe.data.styles) <= set(images.styles):
        recipe = replace(recipe, data=replace(recipe.data, styles=(), exclude_groups=()))
    torch.manual_seed(recipe.training.seed)
    trainable = build_autoencoder(recipe).to(device)
    objective = Autoencoding(trainable, recipe.objective, device)
    batches = NumberedBatches(ImageBatches(images, recipe.data))
    unseen = ImageBatches(images, replace(recipe.data, split="unseen-concepts", augment_probability=0.0, mirror=False))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return AutoencoderRun(recipe, images, trainable, objective, batches, held, device)


# The codec of a recipe on latents


@dataclass(frozen=True)
class Found:
    """A trained autoencoder: its shape, its weights in float32, and its codec if a model was trained on it already."""

    network: AutoencoderConfig
    tensors: Mapping[str, Tensor]
    config: LatentCodecConfig | None = None


def with_codec(
    recipe: Recipe, images: ImageSet, device: str = "cpu", folder: Path | None = None
) -> tuple[Recipe, Codec]:
    """The recipe with what its codec says, and the codec; on pixels both are as they were.

    With the folder of a run the codec's weights are put there, so that it can be used as a model alone; a run that is
    gone on with must be on the codec that it was begun with.
    """
    if recipe.codec is None:
        return recipe, Identity()
    if not isinstance(recipe.codec, str):
        raise InputError("codec is a whole codec; give the folder of a trained autoencoder, as codec=runs/autoencoder")
    own = _own_codec(folder)
    found = None if own is not None and not _place_of(recipe.codec).exists() else find_autoencoder(recipe.codec)
    if found is not None and own is not None and own.sha256 != _hash_of(found.tensors):
        raise InputError(
            f"the run in {folder} was begun with another codec than {recipe.codec} now is; train into another folder"
        )
    config = own or _config_of(found, recipe, images, device)
    if folder is not None and found is not None and own is None:
        config = replace(config, sha256=save_tensors(folder / CODEC_FILE, found.tensors))
    fitted = replace(recipe, codec=config)
    if folder is not None:
        codec = load_codec(fitted, folder / CODEC_FILE, device)
    else:
        assert found is not None
        codec = LatentCodec(config, _network_of(found, device))
    assert isinstance(codec, LatentCodec)
    return fitted_to_codec(fitted, codec), codec


def _own_codec(folder: Path | None) -> LatentCodecConfig | None:
    """What the run in a folder says of its codec, if it has one and its weights are whole."""
    if folder is None or not (folder / "recipe.json").is_file() or not (folder / CODEC_FILE).is_file():
        return None
    codec = recipe_from_dict(read_json(folder / "recipe.json")).codec
    if not isinstance(codec, LatentCodecConfig) or file_hash(folder / CODEC_FILE) != codec.sha256:
        return None
    return codec


def _config_of(found: Found | None, recipe: Recipe, images: ImageSet, device: str) -> LatentCodecConfig:
    """Shift and scale as the model has them that the codec comes from, or measured on the recipe's own pictures."""
    assert found is not None
    if found.config is not None:
        return replace(found.config, sha256="")
    size = min(recipe.data.batch_size, MEASURED_PICTURES)
    plain = ImageBatches(images, replace(recipe.data, batch_size=size, augment_probability=0.0, mirror=False))
    count = max(1, min(MEASURED_PICTURES, plain.epoch_size) // size)
    return measured(_network_of(found, device), (plain.batch_at(step) for step in range(count)))


def _network_of(found: Found, device: str) -> Autoencoder:
    with no_initialization():
        network = Autoencoder(found.network)
    put_weights(network, found.tensors, Path(CODEC_FILE))
    return network.eval().requires_grad_(False).to(device)


def _hash_of(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of the file that `save_tensors` would write."""
    return hashlib.sha256(save({name: value.contiguous() for name, value in tensors.items()})).hexdigest()


def _place_of(source: str) -> Path:
    return Path(source).expanduser()


def find_autoencoder(source: str) -> Found:
    """A trained autoencoder by what names it; raises InputError where there is none.

    A run of `text2x train autoencoder` (its first averages), one of its weight files, or a run or model on latents,
    which brings shift and scale along; a model by its name too.
    """
    path = _place_of(source)
    file = path if path.suffix == ".safetensors" else None
    folder = path if file is None else _run_of(path)
    if folder is None or not (folder / "recipe.json").is_file():
        folder = _known_model(source)
    values = read_json(folder / "recipe.json")
    kind = values.get("type") if isinstance(values, Mapping) else None
    readers: dict[str, Callable[..., Found | None]] = {
        "AutoencoderRecipe": _of_autoencoder,
        "Recipe": _of_run,
        "Model": _of_model,
    }
    found = readers[kind](values, folder, file) if kind in readers else None
    if found is None:
        raise InputError(f"codec is {source!r}, which is no autoencoder and no model on latents; {_way_out()}")
    return found


def _way_out() -> str:
    return "train one by `text2x train autoencoder` and name its folder, as --set codec=runs/autoencoder"


def _run_of(file: Path) -> Path:
    """The run's folder of a weight file in averages/, or beside recipe.json."""
    return file.parent.parent if file.parent.name == "averages" else file.parent


def _known_model(source: str) -> Path:
    try:
        return info(source).folder
    except InputError as error:
        raise InputError(f"codec is {source!r}, where there is no trained autoencoder; {_way_out()}") from error


def _of_autoencoder(values: Mapping[str, Any], folder: Path, file: Path | None) -> Found:
    recipe = from_dict(AutoencoderRecipe, values, where="recipe.json")
    average = folder / "averages" / f"{recipe.training.averages[0]}.safetensors"
    if file is None and not average.is_file():
        raise InputError(f"the autoencoder in {folder} has no weights yet; train it first, or let its training end")
    return Found(recipe.network, _sorted(autoencoder_weights(load_tensors(file or average))))


def _of_run(values: Mapping[str, Any], folder: Path, file: Path | None) -> Found | None:
    codec = recipe_from_dict(values).codec
    if not isinstance(codec, LatentCodecConfig):
        return None
    return Found(codec.network, _sorted(load_tensors(folder / CODEC_FILE)), codec)


def _of_model(values: Mapping[str, Any], folder: Path, file: Path | None) -> Found | None:
    for stage in model_from_dict(values).stages:
        if isinstance(stage.recipe.codec, LatentCodecConfig) and stage.codec is not None:
            tensors = _sorted(unpack(load_tensors(folder / stage.codec)))
            return Found(stage.recipe.codec.network, tensors, stage.recipe.codec)
    return None


def _sorted(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In the order of their names, in float32: the same file whatever they were read from."""
    return {name: tensors[name].float() for name in sorted(tensors)}
