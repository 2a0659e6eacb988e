"""Runs the recipes of sound by diffusion: data, codec, text and network put together, samples to hear, packing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.audio import join
from text2x.audio_codecs import AudioLatentCodec
from text2x.config import to_dict
from text2x.data.audioset import AudioSet
from text2x.data.latent_batches import LatentBatch, LatentBatches, crop_frames, latents_of_clips
from text2x.data.token_batches import captions_of
from text2x.files import load_tensors, write_json
from text2x.networks.dit import DiT
from text2x.networks.mel_codec import MelCodecConfig
from text2x.packaging import Labels, averaged, recipe_of_run, shared_codec, write_beside_codec, write_parts
from text2x.recipes.latent_codec import with_latent_codec
from text2x.sound_diffusion import (
    NETWORK_FILE,
    LatentPart,
    SoundDiffusionModel,
    SoundDiffusionRecipe,
    fitted,
    text_of,
)
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_objectives import SoundDenoising
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.text_conditioner import TextConditioner

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 4


@dataclass(frozen=True)
class SoundFlowRun:
    """A recipe with its data, codec and text encoder; makes what a trainer needs."""

    recipe: SoundDiffusionRecipe
    clips: AudioSet
    codec: AudioLatentCodec
    text: TextConditioner
    trainable: DiT
    objective: SoundDenoising
    batches: LatentBatches
    held_out: tuple[LatentBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The held-out error in latents by noise level, and that without captions."""
        assert isinstance(trainable, DiT)
        objective = SoundDenoising(trainable, self.text, self.recipe, self.device)
        return objective.held_out(self.held_out, seed=self.recipe.training.seed)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write sounds of a few captions of the training part into one file to be heard."""
        assert isinstance(trainable, DiT)
        recipe = self.recipe
        generator = SoundDiffusionGenerator(recipe.name, recipe, trainable, self.text, self.codec)
        captions = captions_of(self.clips, self.clips.split("train").tolist())
        captions = captions[:: max(1, len(captions) // HEARD_ITEMS)][:HEARD_ITEMS]
        ask = SoundRequest if recipe.kind == "sound" else MusicRequest
        heard = [generator.generate(ask(each or "sound", seed=at))[0].media for at, each in enumerate(captions)]
        folder.mkdir(parents=True, exist_ok=True)
        join(heard, pause=0.3).save(folder / f"step-{step:07d}.wav")


def prepare_sound_flow_run(
    recipe: SoundDiffusionRecipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None
) -> SoundFlowRun:
    """Load codec, data and text encoder, find the latents, and make the network from the recipe's seed.

    `folder` is where the run is kept; the codec's weights and the latents that were found are kept there.
    """
    part, codec, clips = with_latent_codec(recipe, device, data_root, folder)
    text = text_of(recipe)
    recipe = fitted(replace(recipe, codec=part), codec, text)
    latents = latents_of_clips(clips, codec, crop_frames(recipe.data, codec), folder)
    batches = LatentBatches(clips, codec, latents, recipe.data)
    text.precompute(("", *captions_of(clips, range(len(clips)))))
    unseen = replace(recipe.data, split="held-out", mix=0.0, loops=0.0)
    held = tuple(LatentBatches(clips, codec, latents, unseen).batch_at(step) for step in range(HELD_OUT_BATCHES))
    torch.manual_seed(recipe.training.seed)
    trainable = DiT(recipe.network).to(device)
    objective = SoundDenoising(trainable, text, recipe, device)
    return SoundFlowRun(recipe, clips, codec, text, trainable, objective, batches, held, device)


def ship_sound_flow(folder: Path, target: Path, labels: Labels) -> SoundDiffusionModel:
    """Write a model's folder from a training run; or without the codec, where that of a model beside is named.

    An autoencoder's weights are kept as float16, a vocoder's are packed as those of voices are.
    """
    recipe = recipe_of_run(SoundDiffusionRecipe, folder)
    assert isinstance(recipe.codec, LatentPart)
    network = load_tensors(averaged(folder, recipe.training, labels.average))
    shared = None if labels.codec is None else shared_codec(folder, target, labels.codec)
    if shared is None:
        kept = labels.packing if isinstance(recipe.codec.network, MelCodecConfig) else "float16"
        told = write_beside_codec(folder, target, NETWORK_FILE, network, labels.packing, kept)
    else:
        told = write_parts(target, {NETWORK_FILE: (network, labels.packing)})
    model = SoundDiffusionModel(
        *labels.titles(recipe.summary),
        recipe,
        told,
        attribution=labels.attribution,
        codec=labels.codec,
        codec_sha256=shared,
    )
    write_json(target / "recipe.json", to_dict(model))
    return model
