"""A whole Stable Video Diffusion as diffusers writes it as a model of ours: UNet, autoencoder, CLIP and scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import save_tensors, write_json
from text2x.published.clip_vision import clip_vision_weights
from text2x.published.folders import read_settings, read_weights, weight_files
from text2x.published.settings import number
from text2x.published.stable_video import UNET as UNET_KIND
from text2x.published.stable_video import video_autoencoder_weights, video_unet_weights
from text2x.recipe import WeightFile
from text2x.stable_video import CODEC, UNET, VISION, StableVideoModel
from text2x.weights import Packing, pack

PIPELINE = "StableVideoDiffusionPipeline"
PARTS = ("unet", "vae", "image_encoder", "scheduler")
SCHEDULER = {  # the settings of the one scheduler that there is
    "prediction_type": ("v_prediction", None),
    "timestep_type": ("continuous", None),
    "use_karras_sigmas": (True, None),
}
PUBLISHED_SIDE, PUBLISHED_SIZE = 96, (1024, 576)  # the UNet's sample_size of the published ones, and what they make
SAMPLE_SIZE, FRAMES = 96, 25  # the class's defaults


def import_stable_video(source: Path, target: Path, licence: str, packing: Packing) -> StableVideoModel:
    """Read the pipeline's folder and write ours; raises InputError for what cannot be read as it is."""
    lacking = [name for name in PARTS if not (source / name).is_dir()]
    if lacking:
        raise InputError(f"{source} lacks {', '.join(lacking)}; a {PIPELINE} has {', '.join(PARTS)}")
    scheduler = read_settings(source / "scheduler", "scheduler_config.json")
    levels = _levels(scheduler)
    settings = {name: read_settings(source / name) for name in PARTS[:3]}
    for name in PARTS[:3]:
        weight_files(source / name)  # a pickle is refused before anything is written
    network, unet = video_unet_weights(settings["unet"], read_weights(source / "unet"), source / "unet")
    codec, vae = video_autoencoder_weights(settings["vae"], read_weights(source / "vae"), source / "vae")
    where = source / "image_encoder"
    vision, clip = clip_vision_weights(settings["image_encoder"], read_weights(where), where)
    if network.in_channels != codec.latent_channels or network.extra_channels != codec.latent_channels:
        channels = f"{network.in_channels} and {network.extra_channels} channels"
        of_codec = f"the autoencoder on {codec.latent_channels}"
        raise InputError(f"the UNet in {source} works on {channels}, {of_codec}; they are not of one model")
    if network.context_width != vision.embedding:
        widths = f"{network.context_width} numbers of a picture, the image encoder gives {vision.embedding}"
        raise InputError(f"the UNet in {source} reads {widths}; they are not of one model")
    side = number(settings["unet"], "sample_size", UNET_KIND, SAMPLE_SIZE)
    width, height = PUBLISHED_SIZE if side == PUBLISHED_SIDE else (side * codec.factor,) * 2
    model = StableVideoModel(
        name=target.resolve().name,
        summary=f"A picture that comes alive, read from a {PIPELINE}.",
        licence=licence,
        network=replace(network, levels=levels),
        codec=codec,
        vision=vision,
        scale=float(settings["vae"].get("scaling_factor") or 0.18215),
        width=width,
        height=height,
        frames=number(settings["unet"], "num_frames", UNET_KIND, FRAMES),
    )
    if model.frames < 2:
        raise InputError(f"num_frames of the UNet in {source} is {model.frames}; a clip has 2 or more")
    parts: tuple[tuple[str, dict[str, Tensor]], ...] = ((UNET, unet), (CODEC, vae), (VISION, clip))
    weights = {file: _written(tensors, target / file, packing) for file, tensors in parts}
    model = replace(model, weights=weights)
    write_json(target / "recipe.json", to_dict(model))
    return model


def _levels(scheduler: Mapping[str, Any]) -> tuple[float, float]:
    """The smallest and the largest noise level; another scheduler than the published one is an InputError."""
    for name, known in SCHEDULER.items():
        if scheduler.get(name) not in known:
            only = f"text2x has {known[0]!r} for a {PIPELINE}"
            raise InputError(f"{name} of this scheduler is {scheduler[name]!r}; {only}")
    low, high = scheduler.get("sigma_min") or 0.002, scheduler.get("sigma_max") or 700.0
    if not all(isinstance(each, int | float) for each in (low, high)) or not 0 < low < high:
        raise InputError(f"sigma_min {low!r} and sigma_max {high!r} of this scheduler must be numbers that rise from 0")
    return float(low), float(high)


def _written(tensors: Mapping[str, Tensor], path: Path, packing: Packing) -> WeightFile:
    count = sum(each.numel() for each in tensors.values())
    return WeightFile(save_tensors(path, pack(tensors, packing)), packing, count)
