"""Acoustic models: phones to speech; one text side and a decoder: in one pass, by flow matching, or to the wave itself.

Shapes: B batch, L phones, T frames, D width, M mel bands. Mel features are log-mels less their mean, over their
standard deviation, by band; pitch is log F0 likewise, with a flag that is 0 where a phone has no voice. Durations count
frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.acoustic_blocks import ConvNeXt1d, Expansion, Places, Predictor
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.nn.embeddings import TimeEmbedding

LONGEST_PHONE = 400  # frames a phone; beyond it a duration predictor has lost its way


@dataclass(frozen=True)
class TextSideConfig:
    """Phones, language and speaker to states of phones, and to their durations and pitch."""

    num_phones: int
    num_languages: int = 1
    num_speakers: int = 1
    width: int = 160
    layers: int = 4
    kernel: int = 7
    expansion: int = 3
    dropout: float = 0.1
    predictor_width: int = 160
    predictor_dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("num_phones", "num_languages", "num_speakers", "width", "layers"):
            if getattr(self, name) < 1:
                raise InputError(f"text.{name} is {getattr(self, name)}; it must be at least 1")
        if self.kernel % 2 == 0:
            raise InputError(f"text.kernel is {self.kernel}; it must be odd, so that a phone is in the middle of it")


@dataclass(frozen=True)
class ParallelConfig:
    """A decoder that makes all frames in one pass (the role of FastPitch's: Lancucki 2021)."""

    layers: int = 6


@dataclass(frozen=True)
class FlowConfig:
    """A decoder by flow matching around a mean that is derived from the text (Popov et al. 2021; Mehta et al. 2024)."""

    width: int = 128
    layers: int = 8
    mean_layers: int = 3  # between the text side and the mean
    spread: float = 0.5  # deviation of features around the mean, about


@dataclass(frozen=True)
class WaveConfig:
    """A decoder to samples, to be trained by discriminators (Binkowski et al. 2020, GAN-TTS; Kim et al. 2021, VITS).

    Its end is a vocoder of the Vocos kind that reads states of the text side's width in place of mel bands.
    """

    layers: int = 6
    noise_width: int = 16  # what is told of chance, a frame
    vocoder: VocosConfig = VocosConfig()


@dataclass(frozen=True)
class AcousticConfig:
    """The whole network."""

    text: TextSideConfig
    decoder: ParallelConfig | FlowConfig | WaveConfig = ParallelConfig()
    mel_bands: int = 80


@dataclass(frozen=True)
class Phones:
    """What is said, for a batch: ids and whose voice; `mask` is 1 where there is a phone."""

    ids: Tensor  # [B, L] int64
    mask: Tensor  # [B, 1, L] float
    language: Tensor  # [B] int64
    speaker: Tensor  # [B] int64


class TextSide(nn.Module):
    """States of phones, and what is foretold from them."""

    def __init__(self, config: TextSideConfig) -> None:
        super().__init__()
        width = config.width
        self.phone = nn.Embedding(config.num_phones, width)
        self.language = nn.Embedding(config.num_languages, width)
        self.speaker = nn.Embedding(config.num_speakers, width)
        for embedding, spread in ((self.phone, 0.5), (self.language, 0.1), (self.speaker, 0.1)):
            nn.init.normal_(embedding.weight, std=spread)
        self.layers = nn.ModuleList(
            ConvNeXt1d(width, config.kernel, config.expansion, config.dropout) for _ in range(config.layers)
        )
        hidden, dropout = config.predictor_width, config.predictor_dropout
        self.duration = Predictor(width, hidden, 1, dropout)
        self.pitch = Predictor(width, hidden, 2, dropout)
        self.pitch_embedding = nn.Linear(2, width)
        self.places = Places(width)

    def forward(self, phones: Phones) -> Tensor:
        """States [B, D, L]."""
        whose = self.language(phones.language) + self.speaker(phones.speaker)  # [B, D]
        x = (self.phone(phones.ids) + whose[:, None]).transpose(1, 2) * phones.mask
        for layer in self.layers:
            x = layer(x, phones.mask)
        return x

    def foretell(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log(1 + duration), pitch, and the logit of being voiced, each [B, L]; no gradient goes back to the states."""
        states = states.detach()
        duration = self.duration(states, mask)[:, 0]
        pitch, voiced = self.pitch(states, mask).unbind(1)
        return duration, pitch, voiced

    def frames(self, states: Tensor, pitch: Tensor, voiced: Tensor, expansion: Expansion) -> Tensor:
        """States and pitch, repeated for each phone's frames: [B, D, T]; pitch and voiced (0 or 1) are [B, L]."""
        told = self.pitch_embedding(torch.stack([pitch * voiced, voiced], dim=-1)).transpose(1, 2)
        x = expansion(states + told)
        return (x + self.places(expansion.offset, expansion.duration)) * expansion.mask


class ParallelDecoder(nn.Module):
    """Frames' states to mel features in one pass."""

    def __init__(self, config: ParallelConfig, text: TextSideConfig, mel_bands: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConvNeXt1d(text.width, text.kernel, text.expansion, text.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(text.width)
        self.out = nn.Linear(text.width, mel_bands)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[B, D, T] -> [B, M, T]."""
        for layer in self.layers:
            states = layer(states, mask)
        return self.out(self.norm(states.transpose(1, 2))).transpose(1, 2) * mask


@dataclass(frozen=True)
class FlowCondition:
    """What the flow's network is told."""

    mean: Tensor  # [B, M, T]
    states: Tensor  # [B, D, T]
    mask: Tensor  # [B, 1, T]


class FlowNetwork(nn.Module):
    """The network of flow matching: it sees x_t beside the mean and gives x_0.

    ConvNeXt blocks in place of Matcha's U-Net (Mehta et al. 2024), dilated 1, 2, 4 in turn; time scales, shifts, gates.
    x_0 is what would be best if features lay around the mean as a Gaussian of deviation `spread`, and what the blocks
    add in units of its own error: the preconditioning of Karras et al. 2022, Eq. 7 and Table 1, around a mean.
    """

    def __init__(self, config: FlowConfig, states_width: int, mel_bands: int) -> None:
        super().__init__()
        width, self.spread = config.width, config.spread
        self.time = TimeEmbedding(width)
        self.enter = nn.Linear(2 * mel_bands, width)
        self.states = nn.Linear(states_width, width)
        self.layers = nn.ModuleList(
            ConvNeXt1d(width, dilation=2 ** (place % 3), embedding_width=width) for place in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, mel_bands)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def prepare(self, conditioning: FlowCondition) -> FlowCondition:
        """Nothing is left to do once."""
        return conditioning

    def forward(self, x: Tensor, t: Tensor, conditioning: FlowCondition) -> Tensor:
        """[B, M, T] at times [B] of the linear schedule -> x_0 [B, M, T]."""
        mask = conditioning.mask
        embedding = F.silu(self.time(t, None))
        hidden = self.enter(torch.cat([x, conditioning.mean], dim=1).transpose(1, 2))
        hidden = (hidden + self.states(conditioning.states.transpose(1, 2))).transpose(1, 2) * mask
        for layer in self.layers:
            hidden = layer(hidden, mask, embedding)
        more = self.out(self.norm(hidden.transpose(1, 2))).transpose(1, 2)
        t, spread = t[:, None, None], self.spread
        level = (
            (1 - t) * spread
        ).square() + t.square()  # variance of x_t around (1 - t) mean: alpha = 1 - t, sigma = t
        gaussian = conditioning.mean + (1 - t) * spread**2 / level * (x - (1 - t) * conditioning.mean)
        return (gaussian + spread * t / level.sqrt() * more) * mask


class FlowDecoder(nn.Module):
    """The mean derived from the text, as a parallel decoder makes it, and the flow's network."""

    def __init__(self, config: FlowConfig, text: TextSideConfig, mel_bands: int) -> None:
        super().__init__()
        self.mean = ParallelDecoder(ParallelConfig(config.mean_layers), text, mel_bands)
        self.network = FlowNetwork(config, text.width, mel_bands)

    def condition(self, states: Tensor, mask: Tensor) -> FlowCondition:
        """The condition of frames' states [B, D, T]."""
        return FlowCondition(self.mean(states, mask), states, mask)


class WaveDecoder(nn.Module):
    """Frames' states and noise to states that its own vocoder hears; `mel` guesses their spectrum while training."""

    def __init__(self, config: WaveConfig, text: TextSideConfig, mel_bands: int) -> None:
        super().__init__()
        self.noise_width = config.noise_width
        self.noise = nn.Linear(config.noise_width, text.width)
        self.layers = nn.ModuleList(
            ConvNeXt1d(text.width, text.kernel, text.expansion, text.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(text.width)
        self.mel = nn.Linear(text.width, mel_bands)
        self.vocoder = Vocos(replace(config.vocoder, bands=text.width))
        nn.init.normal_(self.noise.weight, std=0.02)

    def forward(self, states: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
        """[B, D, T] and [B, Z, T] -> [B, D, T]."""
        states = (states + self.noise(noise.transpose(1, 2)).transpose(1, 2)) * mask
        for layer in self.layers:
            states = layer(states, mask)
        return self.norm(states.transpose(1, 2)).transpose(1, 2) * mask

    def spectrum(self, states: Tensor, mask: Tensor) -> Tensor:
        """Mel features [B, M, T] of what it gives, as a guess."""
        return self.mel(states.transpose(1, 2)).transpose(1, 2) * mask


class Acoustic(nn.Module):
    """A text side and a decoder, and the statistics of the data that both see features by.

    `phone_mean` guesses a phone's mean features, for learning which frames are whose where nobody has said.
    """

    mel_mean: Tensor
    mel_std: Tensor
    pitch_range: Tensor

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.text = TextSide(config.text)
        self.phone_mean = nn.Linear(config.text.width, config.mel_bands)
        self.decoder = build_decoder(config)
        self.register_buffer("mel_mean", torch.zeros(config.mel_bands))  # of the data's log-mels
        self.register_buffer("mel_std", torch.ones(config.mel_bands))
        self.register_buffer("pitch_range", torch.tensor([5.0, 0.25]))  # mean and deviation of log F0, F0 in hertz

    def features(self, mel: Tensor) -> Tensor:
        """Log-mels [B, M, T] as the networks see them."""
        return (mel - self.mel_mean[:, None]) / self.mel_std[:, None]

    def log_mel(self, features: Tensor) -> Tensor:
        """The inverse of `features`."""
        return features * self.mel_std[:, None] + self.mel_mean[:, None]

    def pitch_features(self, log_f0: Tensor) -> Tensor:
        """Log F0 [B, L] as the networks see it."""
        return (log_f0 - self.pitch_range[0]) / self.pitch_range[1]

    def means(self, states: Tensor) -> Tensor:
        """Guessed mean features of each phone: [B, D, L] -> [B, M, L]."""
        return self.phone_mean(states.transpose(1, 2)).transpose(1, 2)


def build_decoder(config: AcousticConfig) -> ParallelDecoder | FlowDecoder | WaveDecoder:
    """The decoder that the config names."""
    if isinstance(config.decoder, FlowConfig):
        return FlowDecoder(config.decoder, config.text, config.mel_bands)
    if isinstance(config.decoder, WaveConfig):
        return WaveDecoder(config.decoder, config.text, config.mel_bands)
    return ParallelDecoder(config.decoder, config.text, config.mel_bands)


def durations_of(logarithms: Tensor, speed: Tensor | float = 1.0, least: Tensor | int = 1) -> Tensor:
    """Whole frames from log(1 + duration) [B, L]; `speed` 2 halves them, one number or [B, L].

    Rounding is carried on from phone to phone, so that a sentence is as long as its durations say. `least` is a phone's
    least duration, one number or [B, L]: 0 for marks, at which nobody has to pause.
    """
    exact = torch.maximum(logarithms.double().exp() - 1, torch.as_tensor(least, device=logarithms.device))
    ends = (exact.clamp_max(LONGEST_PHONE) / speed).cumsum(1).round().long()
    durations = torch.diff(ends, dim=1, prepend=ends.new_zeros(len(ends), 1))
    return torch.maximum(durations, torch.as_tensor(least, device=logarithms.device))
