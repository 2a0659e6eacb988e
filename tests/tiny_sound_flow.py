"""A model of sound by diffusion without training, small enough for tests: what it makes is noise, by every law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from text2x.audio_codecs import AudioLatentCodec
from text2x.config import to_dict
from text2x.data.latent_batches import LatentBatchConfig
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig, GaussianConfig
from text2x.networks.dit import DiT, DiTConfig
from text2x.recipe import WeightFile
from text2x.sound_diffusion import (
    CODEC_FILE,
    NETWORK_FILE,
    TOLD,
    LatentPart,
    SoundDiffusionModel,
    SoundDiffusionRecipe,
    SoundSampling,
    read_parts,
)
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_places import PLACES
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

RATE, HOP, CHANNELS, WINDOW = 8000, 32, 3, 50  # Hz, samples a frame, latents a frame, frames seen at once
CODEC = AudioCodecConfig(4, (4, 8), latent=8, bottleneck=GaussianConfig(CHANNELS))
NETWORK = DiTConfig(
    dims=1, patch=1, in_channels=CHANNELS, extra_channels=CHANNELS + 1 + PLACES, out_channels=CHANNELS, width=32,
    depth=2, num_heads=2, text_attention="cross", context_width=384, vector_width=384 + TOLD, local=3,
)  # fmt: skip
RECIPE = SoundDiffusionRecipe(
    "noise",
    "Noise.",
    "sound",
    NETWORK,
    MiniLMConfig(max_tokens=12),
    LatentBatchConfig(seconds=WINDOW * HOP / RATE),
    TrainingConfig(),
    LatentPart(CODEC, RATE, (0.1, 0.0, -0.1), (2.0, 3.0, 2.5)),
    sampling=SoundSampling(seconds=0.2, steps=3),
    places=True,
)


def tiny_latent_codec() -> AudioLatentCodec:
    """A codec of random weights at 8 kHz, 250 latents a second."""
    torch.manual_seed(2)
    network = AudioCodec(CODEC).eval().requires_grad_(False)
    return AudioLatentCodec(network, RATE, (0.1, 0.0, -0.1), (2.0, 3.0, 2.5), chunk=8)


def tiny_dit() -> DiT:
    """A network with random weights that are nowhere zero."""
    torch.manual_seed(3)
    network = DiT(NETWORK).eval().requires_grad_(False)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network


def write_sound_flow(folder: Path, kind: str = "sound") -> Path:
    """A model folder of random weights."""
    told = {}
    for file, module in ((NETWORK_FILE, tiny_dit()), (CODEC_FILE, tiny_latent_codec().network)):
        tensors = module.state_dict()
        save_tensors(folder / file, tensors)
        told[file] = WeightFile(file_hash(folder / file), "float32", sum(each.numel() for each in tensors.values()))
    recipe = replace(RECIPE, kind=kind)  # type: ignore[arg-type]
    write_json(folder / "recipe.json", to_dict(SoundDiffusionModel(folder.name, "Noise.", "CC0-1.0", recipe, told)))
    return folder


def sound_flow(folder: Path, kind: str = "sound") -> SoundDiffusionGenerator:
    """The generator of such a folder."""
    write_sound_flow(folder, kind)
    return SoundDiffusionGenerator.of_parts(read_parts(read_json(folder / "recipe.json"), folder))
