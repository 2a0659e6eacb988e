"""`vocoder`: mel frames to sound by a Vocos of 2.7 M weights at 16 kHz, spectra first, then discriminators; its twin.

Siuzdak 2023 (Vocos). `hifigan` is the same with a small HiFi-GAN (Kong et al. 2020), to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.audio import Audio, join
from text2x.config import to_dict
from text2x.data import dataset_folder
from text2x.data.audioset import AudioBatch, AudioBatchConfig, AudioBatches, AudioSet, joined, open_sounds
from text2x.data.tones import tones
from text2x.errors import InputError
from text2x.files import write_json
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.networks.hifigan import HiFiGANConfig
from text2x.networks.source_vocoder import SourceVocosConfig
from text2x.networks.vocoder import VocosConfig
from text2x.packaging import Labels, averaged_part, recipe_of_run, write_parts
from text2x.signal import MelConfig, STFTConfig
from text2x.training_config import TrainingConfig
from text2x.vocoder_training import VocoderGAN, VocoderObjective
from text2x.vocoding import PART, VocoderModel, VocoderObjectiveConfig, VocoderRecipe

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 6


def vocoder() -> VocoderRecipe:
    """Mel frames to speech at 16 kHz."""
    return VocoderRecipe(
        name="vocoder",
        summary="Mel frames to sound at 16 kHz: a Vocos of 2.7 M weights.",
        mel=MelConfig(),
        network=VocosConfig(),
        discriminator=AudioDiscriminatorConfig(
            period_widths=(8, 32, 64, 128, 128), spectral_width=8, spectral_stride=2
        ),
        data=AudioBatchConfig(frames=8000),
        training=TrainingConfig(
            steps=33_000,
            batch_size=16,
            learning_rate=5e-4,
            betas=(0.8, 0.99),
            weight_decay=0.01,
            warmup_steps=200,
            final_learning_rate=0.05,
            max_grad_norm=1e4,  # hardly ever clips: both networks' gradients are one vector to it
            averages=(0.999, 0.9998),
            evaluate_every=1000,
            sample_every=5000,
        ),
        objective=VocoderObjectiveConfig(adversarial_from=25_000),
    )


def source_vocoder() -> VocoderRecipe:
    """The same with the pitch given: filters over a pulse train and noise, in a tenth of the training."""
    recipe = vocoder()
    return replace(
        recipe,
        name="source-vocoder",
        summary="Mel frames to sound at 16 kHz: filters over harmonics and noise, 3.1 M weights.",
        network=SourceVocosConfig(),
        training=replace(recipe.training, steps=8000, averages=(0.998, 0.9995)),
        objective=replace(recipe.objective, adversarial_from=5000),
    )


def hifigan() -> VocoderRecipe:
    """The same by a HiFi-GAN of width 128, whose transposed convolutions make a hop of 160 (5, 4, 4, 2)."""
    recipe = vocoder()
    return replace(
        recipe,
        name="hifigan",
        summary="Mel frames to sound at 16 kHz: a HiFi-GAN of 0.9 M weights.",
        network=HiFiGANConfig(width=128, rates=(5, 4, 4, 2), kernels=(11, 8, 8, 4)),
        objective=replace(recipe.objective, loss="squares", adversarial_from=10_000),
    )


def debug_vocoder() -> VocoderRecipe:
    """Mel frames to vowel-like tones at 8 kHz."""
    recipe = vocoder()
    return replace(
        recipe,
        name="debug-vocoder",
        summary="Mel frames to vowel-like tones at 8 kHz: learns in seconds.",
        mel=MelConfig(8000, STFTConfig(256, 256, 64), bands=40, high=4000.0),
        network=VocosConfig(40, 48, 3, stft=STFTConfig(256, 256, 64)),
        discriminator=AudioDiscriminatorConfig(
            periods=(2, 3), period_widths=(8, 16, 16), ffts=(256,), spectral_width=4
        ),
        data=AudioBatchConfig(frames=2048, hop=64),
        training=replace(
            recipe.training,
            steps=240,
            batch_size=8,
            learning_rate=2e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=60,
            sample_every=240,
        ),
        objective=replace(recipe.objective, adversarial_from=180),
        data_set="tones",
    )


@dataclass(frozen=True)
class VocoderRun:
    """A vocoder's recipe with its data; makes what a trainer needs."""

    recipe: VocoderRecipe
    clips: AudioSet
    trainable: VocoderGAN
    objective: VocoderObjective
    batches: AudioBatches
    held_out: tuple[AudioBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """Distances on clips that are not trained on."""
        assert isinstance(trainable, VocoderGAN)
        return self.objective.held_out(trainable, self.held_out)

    @torch.no_grad()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a few held-out crops, each as it is and then as the vocoder makes it, into one file to be heard."""
        assert isinstance(trainable, VocoderGAN)
        batch, rate = self.held_out[0], self.recipe.mel.rate
        real = batch.samples.to(self.device)
        made = trainable.generator(self.objective.frames(batch, real))[:, : real.shape[1]]
        pairs = zip(real[:HEARD_ITEMS], made[:HEARD_ITEMS], strict=True)
        heard = [Audio(each.clamp(-1, 1).cpu().numpy(), rate) for pair in pairs for each in pair]
        folder.mkdir(parents=True, exist_ok=True)
        join(heard, pause=0.1).save(folder / f"step-{step:07d}.wav")


def load_clips(name: str, rate: int, data_root: Path | None = None) -> AudioSet:
    """A set of sounds or of speech by its name, which must have the given rate; or several, joined by "+".

    One that is named twice counts twice.
    """
    if "+" in name and not _folder(name, data_root).is_dir():
        opened = {part: load_clips(part, rate, data_root) for part in name.split("+")}
        return joined([opened[part] for part in name.split("+")])
    if name == "tones":
        return tones(rate=rate)
    folder = _folder(name, data_root)
    if not folder.is_dir():
        raise InputError(f"no data set at {folder}; make it with: text2x data prepare {name}")
    clips = open_sounds(folder)
    if clips.rate != rate:
        raise InputError(
            f"the set {name!r} has {clips.rate} Hz and the recipe's mel {rate} Hz; set mel.rate, or another"
        )
    return clips


def _folder(name: str, data_root: Path | None) -> Path:
    return Path(name) if "/" in name else dataset_folder(name, data_root)


def prepare_vocoder_run(recipe: VocoderRecipe, device: str = "cpu", data_root: Path | None = None) -> VocoderRun:
    """Load the data and make the networks from the recipe's seed."""
    recipe = replace(recipe, data=replace(recipe.data, hop=recipe.mel.hop))
    clips = load_clips(recipe.data_set, recipe.mel.rate, data_root)
    torch.manual_seed(recipe.training.seed)
    trainable = VocoderGAN(recipe).to(device)
    objective = VocoderObjective(trainable, recipe.mel, recipe.objective, device)
    batches = AudioBatches(clips, recipe.data)
    unseen = AudioBatches(clips, replace(recipe.data, split="held-out", gain=(0.0, 0.0)))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return VocoderRun(recipe, clips, trainable, objective, batches, held, device)


def ship_vocoder(folder: Path, target: Path, labels: Labels) -> VocoderModel:
    """Write a vocoder's folder from a training run: the averaged generator alone, packed, and recipe.json."""
    recipe = recipe_of_run(VocoderRecipe, folder)
    mine = averaged_part(folder, recipe.training, labels.average, PART)
    model = VocoderModel(*labels.titles(recipe.summary), recipe.mel, recipe.network)
    told = write_parts(target, {model.file: (mine, labels.packing)})
    model = replace(model, weights=told, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
