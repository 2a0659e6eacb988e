"""The codec of a recipe on latents of sound: found, measured on the data, and kept in the folder of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

from text2x.audio_codecs import AudioLatentCodec
from text2x.coding import latent_moments, load_audio_codec
from text2x.config import from_dict
from text2x.data.audioset import AudioBatchConfig, AudioBatches, AudioSet
from text2x.data.latent_batches import LatentBatchConfig, crop_frames
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, save_tensors
from text2x.networks.audio_codec import AudioCodecConfig
from text2x.networks.mel_codec import MelCodecConfig
from text2x.recipes.vocoder import load_clips
from text2x.sound_diffusion import CODEC_FILE, LatentPart, codec_of_part

MEASURED_BATCHES, MEASURED_ITEMS = 16, 16  # crops of which shift and scale of latents are taken


class LatentRecipe(Protocol):
    """What all recipes on latents of sound have."""

    @property
    def name(self) -> str:
        """Its own."""
        ...

    @property
    def codec(self) -> str | LatentPart:
        """The folder of a trained codec of latents, or what was read of it."""
        ...

    @property
    def data(self) -> LatentBatchConfig:
        """Crops."""
        ...

    @property
    def data_set(self) -> str:
        """Of captioned sounds."""
        ...


def with_latent_codec(
    recipe: LatentRecipe, device: str, data_root: Path | None, folder: Path | None
) -> tuple[LatentPart, AudioLatentCodec, AudioSet]:
    """The codec, its latents measured on the data, and the data at its rate; its weights are put into `folder`.

    A run that is gone on with must be on the codec that it was begun with, and keeps what was measured then; only the
    vocoder of mel frames may be another one, of the same frames: the run takes it over.
    """
    if not isinstance(recipe.codec, str):
        raise InputError("codec is a whole codec; give the folder of a trained one, as codec=runs/codec-kl")
    place, own = Path(recipe.codec).expanduser(), _own_codec(recipe, folder)
    if not (place / "recipe.json").is_file():
        if own is None or folder is None:
            raise InputError(f"there is no codec in {place}; train one: {_way(recipe)}, or set codec=FOLDER")
        codec = codec_of_part(own, folder / CODEC_FILE, device)
        return own, codec, load_clips(recipe.data_set, own.rate, data_root)
    found = load_audio_codec(place, device)
    if not isinstance(found, AudioLatentCodec):
        raise InputError(f"the codec in {place} makes codes and no latents; train one of those: text2x train codec-kl")
    clips = load_clips(recipe.data_set, found.rate, data_root)
    tensors = {name: value.cpu().contiguous() for name, value in found.network.state_dict().items()}
    if own is not None and folder is not None:
        if isinstance(own.network, MelCodecConfig) and _same_frames(own.network, found.network.config):
            save_tensors(folder / CODEC_FILE, tensors)
            part = replace(own, network=found.network.config)
            return part, replace(found, shift=own.shift, scale=own.scale), clips
        kept = load_tensors(folder / CODEC_FILE)
        same = own.network == found.network.config and kept.keys() == tensors.keys()
        if not same or any(not torch.equal(kept[name], value) for name, value in tensors.items()):
            raise InputError(
                f"the run in {folder} was begun with another codec than {place} now is; train into another folder"
            )
        return own, replace(found, shift=own.shift, scale=own.scale), clips
    crop = AudioBatchConfig(MEASURED_ITEMS, frames=crop_frames(recipe.data, found) * found.hop, gain=(0.0, 0.0))
    shift, scale = latent_moments(found.network, map(AudioBatches(clips, crop).batch_at, range(MEASURED_BATCHES)))
    part = LatentPart(found.network.config, found.rate, shift, scale)
    if folder is not None:
        save_tensors(folder / CODEC_FILE, tensors)
    return part, replace(found, shift=shift, scale=scale), clips


def _same_frames(one: MelCodecConfig, other: AudioCodecConfig | MelCodecConfig) -> bool:
    """Whether latents are the same whatever makes sound of them."""
    return isinstance(other, MelCodecConfig) and (one.mel, one.frames) == (other.mel, other.frames)


def _way(recipe: LatentRecipe) -> str:
    """The command that trains the codec of a recipe."""
    debug = "debug-" if recipe.name.startswith("debug") else ""
    if recipe.name.endswith("-mel"):
        return f"text2x train {debug}vocoder --data {recipe.data_set}"
    return f"text2x train {debug}codec-kl"


def _own_codec(recipe: LatentRecipe, folder: Path | None) -> LatentPart | None:
    """The codec that lies in a run's folder."""
    if folder is None or not (folder / "recipe.json").is_file() or not (folder / CODEC_FILE).is_file():
        return None
    part = from_dict(type(recipe), read_json(folder / "recipe.json"), where="recipe.json").codec
    return part if isinstance(part, LatentPart) else None
