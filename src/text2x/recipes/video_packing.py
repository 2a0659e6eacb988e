"""Training runs of clips to model folders: what the base has is left out of the weight file, the rest is packed."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, write_json
from text2x.latents import CODEC_FILE
from text2x.library import info
from text2x.networks.video_unet import VideoUNet
from text2x.nn.initialization import no_initialization
from text2x.packaging import Labels, averaged, averaged_part, recipe_of_run, write_parts
from text2x.video_adversarial import VideoGANModel, VideoGANRecipe
from text2x.video_gan_generator import PART
from text2x.video_models import Base, inherited_upsampler, of_base, read_base
from text2x.video_recipe import VideoModel, VideoRecipe, VideoUpsamplerRecipe, build_video_network, trained_names
from text2x.weights import Packing

FILE, UPSAMPLER_FILE = "video.safetensors", "upsampler.safetensors"


def ship_video(folder: Path, target: Path, labels: Labels, upsampler: Path | None = None) -> VideoModel:
    """Write a model's folder from a training run; a codec's weights are kept as float16.

    The base must be the one that the run began with: it is named in recipe.json with its hash, and not copied.
    `upsampler` is the run of one of clips, with the same base.
    """
    recipe = recipe_of_run(VideoRecipe, folder)
    base = None if recipe.base is None else read_base(info(recipe.base).folder)
    parts: dict[str, tuple[dict[str, torch.Tensor], Packing]] = {
        FILE: (_trained(folder, recipe, base, labels.average), labels.packing)
    }
    codec_file = None
    if isinstance(recipe.codec, LatentCodecConfig):
        codec_file = CODEC_FILE
        parts[CODEC_FILE] = (load_tensors(folder / CODEC_FILE), "float16")
        recipe = replace(recipe, codec=replace(recipe.codec, sha256=""))
    size = recipe.size if base is None or base.model is None else base.model.size
    enlarging = None if upsampler is None else _upsampler(upsampler, base, recipe)
    if enlarging is not None:
        parts[UPSAMPLER_FILE] = (enlarging[1], labels.packing)
        size = max(size, recipe.size * enlarging[0].low_resolution.factor)
    model = VideoModel(
        *labels.titles(recipe.summary),
        recipe,
        FILE,
        write_parts(target, parts),
        size,
        attribution=labels.attribution,
        base=recipe.base,
        base_sha256=None if base is None else base.sha256,
        codec_file=codec_file,
        clip_upsampler=None if enlarging is None else enlarging[0],
        clip_upsampler_file=UPSAMPLER_FILE,
    )
    write_json(target / "recipe.json", to_dict(model))
    return model


def _trained(folder: Path, recipe: VideoRecipe, base: Base | None, average: str | None) -> dict[str, torch.Tensor]:
    """The averaged weights of a run, without what its base has."""
    tensors = load_tensors(averaged(folder, recipe.training, average))
    if base is None:
        return tensors
    with no_initialization():
        trained = trained_names(build_video_network(recipe), recipe.trained)
    return _without_base(tensors, of_base(base.state()), trained, folder, base)


def _without_base(
    tensors: dict[str, torch.Tensor],
    inherited: Mapping[str, torch.Tensor],
    trained: Container[str],
    folder: Path,
    base: Base,
) -> dict[str, torch.Tensor]:
    """What was trained; InputError where the rest is not what the base holds now."""
    frozen = [each for each in inherited if each not in trained]
    if any(not torch.equal(inherited[each], tensors[each]) for each in frozen):
        raise InputError(f"the run in {folder} was begun with another {base.name} than {base.folder} now holds")
    return {each: value for each, value in tensors.items() if each not in frozen}


def _upsampler(
    folder: Path, base: Base | None, recipe: VideoRecipe
) -> tuple[VideoUpsamplerRecipe, dict[str, torch.Tensor]]:
    """The recipe of a run of an upsampler of clips, and its weights without those of its base."""
    path = folder / "recipe.json"
    values = read_json(path) if path.is_file() else {}
    if values.get("type") != "VideoUpsamplerRecipe":
        raise InputError(f"{folder} is no run of an upsampler of clips; train lumiere-upsampler, or leave it out")
    own = from_dict(VideoUpsamplerRecipe, values, where="recipe.json")
    tensors = load_tensors(averaged(folder, own.training, None))
    if own.base is None:
        return own, tensors
    if own.base != recipe.base or base is None:
        raise InputError(f"{folder} grew out of {own.base}, and {recipe.name} out of {recipe.base}: take one base")
    with no_initialization():
        trained = trained_names(VideoUNet(own.network), own.trained)
    return own, _without_base(tensors, of_base(inherited_upsampler(own, base)[1]), trained, folder, base)


def ship_video_gan(folder: Path, target: Path, labels: Labels) -> VideoGANModel:
    """Write a GAN's folder from a training run: the averaged generator alone."""
    recipe = recipe_of_run(VideoGANRecipe, folder)
    own = averaged_part(folder, recipe.training, labels.average, PART, keep=True)
    weights = write_parts(target, {FILE: (own, labels.packing)})
    model = VideoGANModel(*labels.titles(recipe.summary), recipe, FILE, weights, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
