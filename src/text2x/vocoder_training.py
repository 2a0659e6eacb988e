"""What a vocoder learns by: spectra alone at first, then discriminators beside them; and held-out distances.

"loss" is the sum of both networks' losses; each gets the gradient of its own (`audio_adversarial`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from text2x.audio_adversarial import adversarial_losses
from text2x.data.audioset import AudioBatch
from text2x.data.pitch import track
from text2x.errors import InputError
from text2x.networks.audio_discriminators import AudioDiscriminator
from text2x.networks.source_vocoder import SourceVocos
from text2x.signal import MelConfig, mel_loss, mel_spectrogram, spectral_loss
from text2x.vocoding import VocoderNetwork, VocoderObjectiveConfig, VocoderRecipe, build_vocoder_network


class VocoderGAN(nn.Module):
    """A vocoder and its discriminators: what is trained together."""

    def __init__(self, recipe: VocoderRecipe) -> None:
        super().__init__()
        self.generator: VocoderNetwork = build_vocoder_network(recipe.network)
        self.discriminator = AudioDiscriminator(recipe.discriminator)


class VocoderObjective:
    """Losses on crops of sound; with predicted mels the vocoder hears those in place of the crops' own.

    Nothing in it is random: a step depends on its batch alone.
    """

    def __init__(
        self,
        trainable: VocoderGAN,
        mel: MelConfig,
        config: VocoderObjectiveConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.trainable, self.mel, self.config, self.device = trainable, mel, config, torch.device(device)

    def __call__(self, batch: AudioBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "mel" and "spectral", or "mel", "adversarial", "matching" and "discriminator"; "loss" is their sum.

        With "pitch" for a network that has a source.
        """
        config = self.config
        real = batch.samples.to(self.device)
        made, pitch = self._made(self.frames(batch, real), real)
        mel = mel_loss(made, real, [self.mel])
        if batch.step < config.adversarial_from:
            spectral = sum(spectral_loss(made, real).values(), start=made.new_zeros(()))
            loss = config.mel * mel + config.spectral * spectral
            told = {"mel": mel.detach(), "spectral": spectral.detach()}
            return self._with_pitch({"loss": loss, **told}, pitch)
        losses = adversarial_losses(self.trainable.discriminator, real, made, config.loss)
        loss = losses["discriminator"] + config.mel * mel
        loss = loss + config.adversarial * losses["adversarial"] + config.matching * losses["matching"]
        told = {"mel": mel.detach(), **{name: value.detach() for name, value in losses.items()}}
        return self._with_pitch({"loss": loss, **told}, pitch)

    def _made(self, mel: Tensor, real: Tensor) -> tuple[Tensor, Tensor | None]:
        """Samples of the mel, as many as the real ones; and the loss of the pitch where the network finds one."""
        generator = self.trainable.generator
        if not isinstance(generator, SourceVocos):
            return generator(mel)[:, : real.shape[1]], None
        made, logits = generator.with_logits(mel)
        return made[:, : real.shape[1]], generator.finder.loss(logits, self._pitches(real, logits.shape[1]))

    def _pitches(self, real: Tensor, frames: int) -> Tensor:
        """The pitch of samples [B, T] in Hz, 0 for none: [B, frames]."""
        found = np.zeros((len(real), frames), np.float32)
        for row, samples in zip(found, real.cpu().numpy(), strict=True):
            pitch = track(samples, self.mel.rate, self.mel.hop)[:frames]
            row[: len(pitch)] = pitch
        return torch.from_numpy(found).to(real.device)

    def _with_pitch(self, losses: dict[str, Tensor], pitch: Tensor | None) -> dict[str, Tensor]:
        if pitch is None:
            return losses
        return {**losses, "loss": losses["loss"] + self.config.pitch * pitch, "pitch": pitch.detach()}

    def frames(self, batch: AudioBatch, real: Tensor) -> Tensor:
        """[B, M, F] what the vocoder hears."""
        if batch.mel is None:
            with torch.no_grad():
                return mel_spectrogram(real, self.mel)
        if batch.mel.shape[1] != self.mel.bands:
            raise InputError(f"predicted mels have {batch.mel.shape[1]} bands; this vocoder reads {self.mel.bands}")
        return batch.mel.to(self.device)

    @torch.no_grad()
    def held_out(self, trainable: VocoderGAN, batches: Iterable[AudioBatch]) -> dict[str, float]:
        """Distance of what is made from real sound: "held_out" in log-mel, and spectral convergence."""
        mels, spectra = [], []
        for batch in batches:
            real = batch.samples.to(self.device)
            made = trainable.generator(self.frames(batch, real))[:, : real.shape[1]]
            mels.append(mel_loss(made, real, [self.mel]))
            spectra.append(spectral_loss(made, real)["convergence"])
        mel, spectral = (float(torch.stack(each).mean()) for each in (mels, spectra))
        return {"held_out": mel, "held_out/convergence": spectral}
