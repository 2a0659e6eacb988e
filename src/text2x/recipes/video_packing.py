"""Training runs of clips to model folders: what the base has is left out of the weight file, the rest is packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors, write_json
from text2x.latents import CODEC_FILE
from text2x.library import info
from text2x.networks.video_unet import VideoUNet
from text2x.nn.initialization import no_initialization
from text2x.recipe import WeightFile
from text2x.video_adversarial import VideoGANModel, VideoGANRecipe
from text2x.video_gan_generator import PART
from text2x.video_models import Base, inherited_upsampler, of_base, read_base
from text2x.video_recipe import VideoModel, VideoRecipe, VideoUpsamplerRecipe, build_video_network, trained_names
from text2x.weights import Packing, pack

FILE, UPSAMPLER_FILE = "video.safetensors", "upsampler.safetensors"


def ship_video(
    folder: Path,
    target: Path,
    name: str,
    licence: str,
    average: str | None = None,
    packing: Packing = "int8",
    attribution: tuple[str, ...] = (),
    upsampler: Path | None = None,
) -> VideoModel:
    """Write a model's folder from a training run; a codec's weights are kept as float16.

    `average` is as "0.998", or "best-0.998" for the one with the lowest held-out loss; None: the recipe's first. The
    base must be the one that the run began with: it is named in recipe.json with its hash, and not copied. `upsampler`
    is the run of one of clips, with the same base.
    """
    recipe = from_dict(VideoRecipe, _saved(folder), where="recipe.json")
    tensors = _averaged(folder, recipe.training.averages, average)
    base = None if recipe.base is None else read_base(info(recipe.base).folder)
    if base is not None:
        with no_initialization():
            trained = trained_names(build_video_network(recipe), recipe.trained)
        inherited = of_base(base.state())
        frozen = [each for each in inherited if each not in trained]
        if any(not torch.equal(inherited[each], tensors[each]) for each in frozen):
            raise InputError(f"the run in {folder} was begun with another {base.name} than {base.folder} now holds")
        tensors = {each: value for each, value in tensors.items() if each not in frozen}
    weights = {FILE: _kept(target / FILE, tensors, packing)}
    codec_file = None
    if isinstance(recipe.codec, LatentCodecConfig):
        codec_file = CODEC_FILE
        weights[CODEC_FILE] = _kept(target / CODEC_FILE, load_tensors(folder / CODEC_FILE), "float16")
        recipe = replace(recipe, codec=replace(recipe.codec, sha256=""))
    size = recipe.size if base is None or base.model is None else base.model.size
    enlarging = None if upsampler is None else _upsampler(upsampler, base, recipe)
    if enlarging is not None:
        weights[UPSAMPLER_FILE] = _kept(target / UPSAMPLER_FILE, enlarging[1], packing)
        size = max(size, recipe.size * enlarging[0].low_resolution.factor)
    model = VideoModel(
        name,
        recipe.summary,
        licence,
        recipe,
        FILE,
        weights,
        size,
        attribution=attribution,
        base=recipe.base,
        base_sha256=None if base is None else base.sha256,
        codec_file=codec_file,
        clip_upsampler=None if enlarging is None else enlarging[0],
        clip_upsampler_file=UPSAMPLER_FILE,
    )
    write_json(target / "recipe.json", to_dict(model))
    return model


def _upsampler(
    folder: Path, base: Base | None, recipe: VideoRecipe
) -> tuple[VideoUpsamplerRecipe, dict[str, torch.Tensor]]:
    """The recipe of a run of an upsampler of clips, and its weights without those of its base."""
    values = _saved(folder)
    if values.get("type") != "VideoUpsamplerRecipe":
        raise InputError(f"{folder} is no run of an upsampler of clips; train lumiere-upsampler, or leave it out")
    own = from_dict(VideoUpsamplerRecipe, values, where="recipe.json")
    tensors = _averaged(folder, own.training.averages, None)
    if own.base is None:
        return own, tensors
    if own.base != recipe.base or base is None:
        raise InputError(f"{folder} grew out of {own.base}, and {recipe.name} out of {recipe.base}: take one base")
    inherited = of_base(inherited_upsampler(own, base)[1])
    with no_initialization():
        trained = trained_names(VideoUNet(own.network), own.trained)
    frozen = [each for each in inherited if each not in trained]
    if any(not torch.equal(inherited[each], tensors[each]) for each in frozen):
        raise InputError(f"the run in {folder} was begun with another {base.name} than {base.folder} now holds")
    return own, {each: value for each, value in tensors.items() if each not in frozen}


def ship_video_gan(
    folder: Path,
    target: Path,
    name: str,
    licence: str,
    average: str | None = None,
    packing: Packing = "int8",
    attribution: tuple[str, ...] = (),
) -> VideoGANModel:
    """Write a GAN's folder from a training run: the averaged generator alone; `average` as for `ship_video`."""
    recipe = from_dict(VideoGANRecipe, _saved(folder), where="recipe.json")
    tensors = _averaged(folder, recipe.training.averages, average)
    own = {key: value for key, value in tensors.items() if key.startswith(PART)}
    weights = {FILE: _kept(target / FILE, own, packing)}
    model = VideoGANModel(name, recipe.summary, licence, recipe, FILE, weights, attribution=attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model


def _saved(folder: Path) -> Mapping[str, Any]:
    """The recipe of a training run."""
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} is not the folder of a training run: recipe.json is missing")
    return read_json(folder / "recipe.json")


def _averaged(folder: Path, averages: Sequence[float], average: str | None) -> dict[str, torch.Tensor]:
    """The averaged weights that are asked for, or the first ones of the recipe."""
    average = average or str(averages[0])
    source = folder if average.startswith("best-") else folder / "averages"
    return load_tensors(source / f"{average}.safetensors")


def _kept(path: Path, tensors: dict[str, torch.Tensor], packing: Packing) -> WeightFile:
    """Write the weights, and say what the file is."""
    save_tensors(path, pack(tensors, packing))
    return WeightFile(file_hash(path), packing, sum(each.numel() for each in tensors.values()))
