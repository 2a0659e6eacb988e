"""A voice from text to wave by discriminators: both networks learn from one backward pass, on windows of the speech.

"loss" is the sum of both networks' losses; each gets the gradient of its own (`audio_adversarial`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.acoustics import Adversary, Prepared, Speaking, window_starts, windowed
from text2x.audio_adversarial import adversarial_losses
from text2x.data.speech_batches import SpeechBatch
from text2x.errors import InputError
from text2x.networks.acoustic import Acoustic, WaveDecoder
from text2x.networks.audio_discriminators import AudioDiscriminator
from text2x.signal import mel_loss


class SpeechGAN(nn.Module):
    """An acoustic model with a wave decoder, and those who judge it."""

    def __init__(self, generator: Acoustic, discriminator: AudioDiscriminator) -> None:
        super().__init__()
        if not isinstance(generator.decoder, WaveDecoder):
            raise InputError("an adversarial voice needs network.decoder=WaveConfig")
        self.generator, self.discriminator = generator, discriminator


class AdversarialSpeaking:
    """The losses of both, with those of durations and pitch.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(self, gan: SpeechGAN, speaking: Speaking, config: Adversary) -> None:
        self.gan, self.speaking, self.config = gan, speaking, config

    def __call__(self, batch: SpeechBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "adversarial", "matching", "discriminator", "mel", "spectrum", those foretold, and their "loss"."""
        config, speaking = self.config, self.speaking
        ready = speaking.prepare(batch, rng)
        made, real, spectrum = self._windows(batch, ready, rng)
        losses = speaking.foretelling(ready) | adversarial_losses(self.gan.discriminator, real, made, config.loss)
        losses |= {"spectrum": spectrum, "mel": mel_loss(made, real, [speaking.mel])}
        loss = losses["adversarial"] + config.matching * losses["matching"] + config.mel * losses["mel"] + spectrum
        total = speaking.weighted(loss, losses) + losses["discriminator"]
        return {**{name: value.detach() for name, value in losses.items()}, "loss": total}

    def _windows(self, batch: SpeechBatch, ready: Prepared, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A window of each item made and real, [B, S] each, and the error of the spectra that the states foretell."""
        speaking, config = self.speaking, self.config
        decoder, hop = self.gan.generator.decoder, speaking.mel.hop
        assert isinstance(decoder, WaveDecoder)
        mask, states = ready.expansion.mask, speaking.frames(ready)
        noise = torch.randn(len(states), decoder.noise_width, states.shape[2], generator=rng).to(states.device)
        features = decoder(states, noise, mask)
        spectrum = speaking.mel_error(decoder.spectrum(features, mask), ready)
        starts = window_starts(batch.frame_counts, config.segment, rng).to(states.device)
        wide = config.segment + 2 * config.context
        seen = windowed(F.pad(features, (config.context, 0)), starts, wide)
        trimmed = slice(config.context * hop, (config.context + config.segment) * hop)
        made = decoder.vocoder(seen)[:, trimmed]
        real = windowed(batch.samples.to(states.device)[:, None], starts * hop, config.segment * hop)
        return made, real[:, 0], spectrum
