"""`codec`: sound at 16 kHz to four codes a frame of 20 ms and back; `codec-kl`: to 32 latents a frame for diffusion.

SEANet and a discriminator of complex spectra as in EnCodec (Defossez et al. 2022), codebooks and losses as in DAC
(Kumar et al. 2023), small enough for two cores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.audio import Audio, join
from text2x.coding import (
    PART,
    CodecGAN,
    CodecModel,
    CodecObjective,
    CodecObjectiveConfig,
    CodecRecipe,
    latent_moments,
    read_network,
)
from text2x.config import to_dict
from text2x.data.audioset import AudioBatch, AudioBatchConfig, AudioBatches, AudioSet
from text2x.files import write_json
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig, GaussianConfig
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.networks.residual_quantizer import ResidualQuantizerConfig
from text2x.packaging import Labels, averaged, averaged_part, recipe_of_run, write_parts
from text2x.recipes.vocoder import load_clips
from text2x.training_config import TrainingConfig

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 6
MEASURED_BATCHES = 32  # of which shift and scale of latents are taken


def codec() -> CodecRecipe:
    """Sound at 16 kHz to 50 frames a second of 4 codes: 1.6 kbit/s."""
    return CodecRecipe(
        name="codec",
        summary="Sound at 16 kHz to four codes of 256 fifty times a second, and back.",
        network=AudioCodecConfig(),
        discriminator=AudioDiscriminatorConfig(
            periods=(), ffts=(1024, 512, 256), spectral_width=8, spectral_stride=2, complex_spectra=True
        ),
        data=AudioBatchConfig(frames=16_000),
        training=TrainingConfig(
            steps=18_000,
            batch_size=16,
            learning_rate=5e-4,
            betas=(0.8, 0.99),
            weight_decay=0.01,
            warmup_steps=200,
            final_learning_rate=0.05,
            max_grad_norm=1e4,  # hardly ever clips: both networks' gradients are one vector to it
            averages=(0.999, 0.9998),
            evaluate_every=1000,
            sample_every=3000,
        ),
        objective=CodecObjectiveConfig(adversarial_from=12_000),
    )


def codec_kl() -> CodecRecipe:
    """The same with 32 means and variances a frame in place of codes."""
    recipe = codec()
    return replace(
        recipe,
        name="codec-kl",
        summary="Sound at 16 kHz to 32 latents fifty times a second, and back.",
        network=replace(recipe.network, bottleneck=GaussianConfig()),
    )


def debug_codec() -> CodecRecipe:
    """Vowel-like tones at 8 kHz to 250 frames a second of 2 codes."""
    recipe = codec()
    return replace(
        recipe,
        name="debug-codec",
        summary="Vowel-like tones at 8 kHz to two codes a frame: learns in seconds.",
        network=AudioCodecConfig(8, (4, 8), latent=32, bottleneck=ResidualQuantizerConfig(2, 64)),
        discriminator=AudioDiscriminatorConfig(
            periods=(), ffts=(256,), spectral_width=4, spectral_stride=2, complex_spectra=True
        ),
        data=AudioBatchConfig(frames=2048, hop=32),
        training=replace(
            recipe.training,
            steps=200,
            batch_size=8,
            learning_rate=3e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=100,
            sample_every=200,
        ),
        rate=8000,
        objective=replace(recipe.objective, adversarial_from=160, mel_exponents=(6, 10)),
        data_set="tones",
    )


def debug_codec_kl() -> CodecRecipe:
    """The same with 8 means and variances a frame in place of codes."""
    recipe = debug_codec()
    return replace(
        recipe,
        name="debug-codec-kl",
        summary="Vowel-like tones at 8 kHz to eight latents a frame: learns in seconds.",
        network=replace(recipe.network, bottleneck=GaussianConfig(8)),
    )


@dataclass(frozen=True)
class CodecRun:
    """A codec's recipe with its data; makes what a trainer needs."""

    recipe: CodecRecipe
    clips: AudioSet
    trainable: CodecGAN
    objective: CodecObjective
    batches: AudioBatches
    held_out: tuple[AudioBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """Distances on clips that are not trained on."""
        assert isinstance(trainable, CodecGAN)
        return self.objective.held_out(trainable, self.held_out)

    @torch.no_grad()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a few held-out crops, each as it is and then as it comes out, into one file to be heard."""
        assert isinstance(trainable, CodecGAN)
        codec = trainable.codec
        real = self.held_out[0].samples[:HEARD_ITEMS, None].to(self.device)
        made = codec.quantize(real)[0] if codec.quantizer is not None else codec.decoded(codec.moments(real)[0])
        pairs = zip(real, made[..., : real.shape[-1]], strict=True)
        heard = [Audio(each.clamp(-1, 1).cpu().numpy(), self.recipe.rate) for pair in pairs for each in pair]
        folder.mkdir(parents=True, exist_ok=True)
        join(heard, pause=0.1).save(folder / f"step-{step:07d}.wav")


def prepare_codec_run(recipe: CodecRecipe, device: str = "cpu", data_root: Path | None = None) -> CodecRun:
    """Load the data and make the networks from the recipe's seed."""
    clips = load_clips(recipe.data_set, recipe.rate, data_root)
    torch.manual_seed(recipe.training.seed)
    trainable = CodecGAN(recipe).to(device)
    objective = CodecObjective(trainable, recipe, device)
    batches = AudioBatches(clips, recipe.data)
    unseen = AudioBatches(clips, replace(recipe.data, split="held-out", gain=(0.0, 0.0)))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return CodecRun(recipe, clips, trainable, objective, batches, held, device)


def ship_codec(folder: Path, target: Path, labels: Labels, data_root: Path | None = None) -> CodecModel:
    """Write a codec's folder from a training run: the averaged codec alone, packed, and recipe.json.

    Of a Gaussian bottleneck shift and scale are measured on the run's data, which has to be there.
    """
    recipe = recipe_of_run(CodecRecipe, folder)
    mine = averaged_part(folder, recipe.training, labels.average, PART)
    shift, scale = (), ()
    if isinstance(recipe.network.bottleneck, GaussianConfig):
        clips = AudioBatches(load_clips(recipe.data_set, recipe.rate, data_root), recipe.data)
        network = read_network(recipe.network, averaged(folder, recipe.training, labels.average))
        assert isinstance(network, AudioCodec)
        shift, scale = latent_moments(network, map(clips.batch_at, range(MEASURED_BATCHES)))
    model = CodecModel(*labels.titles(recipe.summary), recipe.rate, recipe.network, shift, scale)
    told = write_parts(target, {model.file: (mine, labels.packing)})
    model = replace(model, weights=told, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
