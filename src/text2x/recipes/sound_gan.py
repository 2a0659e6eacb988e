"""`sound-gan`: words to sound in one call, a small GAN on the latents of `codec-kl`; its training and packing.

It is there to be compared with `sound-flow` and `audiogen`: DF-GAN's blocks over time with R3GAN's loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.audio import join
from text2x.audio_codecs import AudioLatentCodec
from text2x.config import to_dict
from text2x.data.audioset import AudioSet
from text2x.data.latent_batches import LatentBatch, LatentBatchConfig, LatentBatches, crop_frames, latents_of_clips
from text2x.data.token_batches import captions_of
from text2x.files import write_json
from text2x.networks.sound_gan import SoundGAN, SoundGANConfig
from text2x.packaging import Labels, averaged_part, recipe_of_run, write_beside_codec
from text2x.recipes.latent_codec import with_latent_codec
from text2x.sound_adversarial import (
    GENERATOR_FILE,
    SoundAdversarial,
    SoundGANModel,
    SoundGANRecipe,
    held_out,
)
from text2x.sound_diffusion import TOLD
from text2x.sound_gan_generator import PART, SoundGANGenerator
from text2x.sound_requests import SoundRequest
from text2x.text_conditioner import MiniLMConfig, TextConditioner, build_conditioner
from text2x.training_config import TrainingConfig

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 4


def sound_gan() -> SoundGANRecipe:
    """Four seconds at 16 kHz, 32 latents fifty times a second."""
    return SoundGANRecipe(
        name="sound-gan",
        summary="Sounds from words in one call, by a GAN.",
        kind="sound",
        network=SoundGANConfig(),
        conditioner=MiniLMConfig(max_tokens=32, context=False),
        data=LatentBatchConfig(seconds=4.0),
        training=TrainingConfig(
            steps=20_000,
            batch_size=32,
            learning_rate=2e-4,
            betas=(0.0, 0.99),
            weight_decay=0.0,
            warmup_steps=100,
            final_learning_rate=0.1,
            max_grad_norm=1e6,  # hardly ever clips: both networks' gradients are one vector to it
            averages=(0.999, 0.9998),
            evaluate_every=500,
            sample_every=2000,
        ),
    )


def debug_sound_gan() -> SoundGANRecipe:
    """Vowel-like tones at 8 kHz from the vowel's name, on the latents of `debug-codec-kl`."""
    recipe = sound_gan()
    return replace(
        recipe,
        name="debug-sound-gan",
        summary="Vowel-like tones from the vowel's name by a GAN: learns in seconds.",
        network=SoundGANConfig(
            noise_width=16, text_width=32, generator_widths=(64, 48, 32), discriminator_widths=(32, 48, 64)
        ),
        data=replace(recipe.data, seconds=0.25),
        training=replace(
            recipe.training,
            steps=400,
            batch_size=16,
            learning_rate=5e-4,
            warmup_steps=20,
            averages=(0.95, 0.98),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=200,
            sample_every=400,
        ),
        codec="runs/debug-codec-kl",
        data_set="tones",
    )


@dataclass(frozen=True)
class SoundGANRun:
    """A recipe with its data, codec and text encoder; makes what a trainer needs."""

    recipe: SoundGANRecipe
    clips: AudioSet
    codec: AudioLatentCodec
    text: TextConditioner
    trainable: SoundGAN
    objective: SoundAdversarial
    batches: LatentBatches
    held_out: tuple[LatentBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The energy score on held-out sounds."""
        assert isinstance(trainable, SoundGAN)
        longest, seed = self.recipe.data.seconds, self.recipe.training.seed
        return held_out(trainable, self.text, self.held_out, longest, seed, self.device)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write sounds of a few captions of the training part into one file to be heard."""
        assert isinstance(trainable, SoundGAN)
        generator = SoundGANGenerator(self.recipe.name, self.recipe, trainable.generator, self.text, self.codec)
        captions = captions_of(self.clips, self.clips.split("train").tolist())
        captions = captions[:: max(1, len(captions) // HEARD_ITEMS)][:HEARD_ITEMS]
        asked = [SoundRequest(each or "sound", seed=at) for at, each in enumerate(captions)]
        folder.mkdir(parents=True, exist_ok=True)
        heard = [generator.generate(each)[0].media for each in asked]
        join(heard, pause=0.3).save(folder / f"step-{step:07d}.wav")


def prepare_sound_gan_run(
    recipe: SoundGANRecipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None
) -> SoundGANRun:
    """Load codec, data and text encoder, find the latents, and make both networks from the recipe's seed."""
    part, codec, clips = with_latent_codec(recipe, device, data_root, folder)
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    frames = crop_frames(recipe.data, codec)
    network = replace(
        recipe.network, channels=codec.latent_channels, frames=frames, vector_width=text.vector_size + TOLD
    )
    recipe = replace(recipe, codec=part, network=network)
    latents = latents_of_clips(clips, codec, frames, folder)
    text.precompute(captions_of(clips, range(len(clips))))
    unseen = LatentBatches(clips, codec, latents, replace(recipe.data, split="held-out", mix=0.0))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    torch.manual_seed(recipe.training.seed)
    trainable = SoundGAN(recipe.network).to(device)
    objective = SoundAdversarial(trainable, text, recipe, device)
    batches = LatentBatches(clips, codec, latents, recipe.data)
    return SoundGANRun(recipe, clips, codec, text, trainable, objective, batches, held, device)


def ship_sound_gan(folder: Path, target: Path, labels: Labels) -> SoundGANModel:
    """Write a model's folder from a training run: the averaged generator and the codec, which is kept as float16."""
    recipe = recipe_of_run(SoundGANRecipe, folder)
    generator = averaged_part(folder, recipe.training, labels.average, PART)
    told = write_beside_codec(folder, target, GENERATOR_FILE, generator, labels.packing)
    model = SoundGANModel(*labels.titles(recipe.summary), recipe, told, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
