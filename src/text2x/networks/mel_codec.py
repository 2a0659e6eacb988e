"""Log-mel frames as the latents of sound, and a vocoder as the way back: a codec with nothing to train but the latter.

A latent is `frames` mel frames side by side, [B, M frames, S] of sound [B, 1, S hop], as in text-to-speech and as the
first models of sound by diffusion had it (Liu et al. 2023, AudioLDM, without its autoencoder). The interface is that of
an AudioCodec with a Gaussian bottleneck whose variance is nearly none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.hifigan import HiFiGAN, HiFiGANConfig
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.signal import MelConfig, mel_spectrogram

LOG_VARIANCE = -30.0


@dataclass(frozen=True)
class MelCodecConfig:
    """What frames are taken and what makes sound of them."""

    mel: MelConfig = MelConfig()
    network: VocosConfig | HiFiGANConfig = field(default_factory=VocosConfig)
    frames: int = 2  # of mel in a latent

    def __post_init__(self) -> None:
        network, mel = self.network, self.mel
        if self.frames < 1:
            raise InputError(f"network.frames is {self.frames}; a latent holds at least 1 frame")
        if (network.hop, network.bands) != (mel.hop, mel.bands) or mel.stft.centred:
            raise InputError(
                f"the vocoder has {network.bands} bands and hop {network.hop}, the mel {mel.bands} and {mel.hop},"
                f" centred {mel.stft.centred}; take one that was trained on this mel, not centred"
            )

    @property
    def channels(self) -> int:
        """Z."""
        return self.mel.bands * self.frames

    @property
    def hop(self) -> int:
        """Samples a latent."""
        return self.mel.hop * self.frames


class MelCodec(nn.Module):
    """Sound to mel frames and, by a vocoder, back."""

    sound_channels = 1

    def __init__(self, config: MelCodecConfig) -> None:
        super().__init__()
        self.config = config
        shape = config.network
        self.vocoder = Vocos(shape) if isinstance(shape, VocosConfig) else HiFiGAN(shape)

    @property
    def hop(self) -> int:
        """Samples a latent."""
        return self.config.hop

    @property
    def context(self) -> int:
        """Latents on each side of its own that a sample depends on."""
        return -(-self.config.network.context // self.config.frames)

    @property
    def encoder_context(self) -> int:
        """Latents on each side of its own whose samples a latent depends on."""
        stft = self.config.mel.stft
        return -(-max(stft.overhang, stft.fft - stft.hop - stft.overhang) // self.hop)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, T] -> mean and log variance [B, Z, S]; S is T / hop, rounded up, with silence behind the sound."""
        x = F.pad(x[:, 0], (0, -x.shape[-1] % self.hop))
        mel = mel_spectrogram(x, self.config.mel)  # [B, M, S frames]
        mean = mel.unflatten(2, (-1, self.config.frames)).permute(0, 3, 1, 2).flatten(1, 2)
        return mean, torch.full_like(mean, LOG_VARIANCE)

    def decoded(self, z: Tensor) -> Tensor:
        """[B, Z, S] -> [B, 1, S hop]."""
        mel = z.unflatten(1, (self.config.frames, -1)).permute(0, 2, 3, 1).flatten(2, 3)
        return self.vocoder(mel)[:, None]
