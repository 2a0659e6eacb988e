"""FastPitch as Indic-TTS published it (Kumar et al. 2022, arXiv 2211.09536): its weights' names and its quirks.

Shapes: B batch, L characters, T frames, C hidden channels, M mel bands. The names of the parameters are those of the
published files. What differs from the paper of FastPitch (Lancucki 2021) is marked as a quirk: the weights were trained
with it, so it has to stay. Items go through alone, without padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError

MOST_FRAMES = 5000  # of the published table of positions
NORM_EPSILON = 1e-4  # of the predictors' norms, as published


@dataclass(frozen=True)
class FastPitchConfig:
    """The published sizes; `num_speakers` 0 is a model of one voice without an embedding."""

    num_characters: int
    num_speakers: int = 2
    mel_bands: int = 80
    hidden: int = 512
    feed_forward: int = 1024
    encoder_layers: int = 6
    decoder_layers: int = 6
    heads: int = 1
    predictor_hidden: int = 256
    predictor_kernel: int = 3
    pitch_kernel: int = 3

    def __post_init__(self) -> None:
        if self.hidden % 2 or self.hidden % self.heads:
            raise InputError(f"hidden is {self.hidden}; it must be even and a multiple of the {self.heads} heads")


class _Layer(nn.Module):
    """Self-attention and two convolutions, each followed by its norm."""

    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        width, inner = config.hidden, config.feed_forward
        self.self_attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.conv1 = nn.Conv1d(width, inner, 3, padding=1)
        self.conv2 = nn.Conv1d(inner, width, 3, padding=1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        attended = self.self_attn(x, x, x, need_weights=False)[0]
        x = self.norm1(x + 2 * attended)  # quirk: what was attended to is added twice
        hidden = self.conv2(F.relu(self.conv1(x.transpose(1, 2)))).transpose(1, 2)
        return self.norm2(x + hidden)


class _Layers(nn.Module):
    """Layers in a row, under the published name."""

    def __init__(self, config: FastPitchConfig, count: int) -> None:
        super().__init__()
        self.fft_layers = nn.ModuleList(_Layer(config) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        for layer in self.fft_layers:
            x = layer(x)
        return x


class _Encoder(nn.Module):
    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        self.encoder = _Layers(config, config.encoder_layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


class _Spectrum(nn.Module):
    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        self.transformer_block = _Layers(config, config.decoder_layers)
        self.postnet = nn.Conv1d(config.hidden, config.mel_bands, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.postnet(self.transformer_block(x).transpose(1, 2))


class _Decoder(nn.Module):
    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        self.decoder = _Spectrum(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(x)


class _ChannelNorm(nn.Module):
    """A norm over the channels of [B, C, L], under the published names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, unbiased=False)
        return (x - mean) * torch.rsqrt(variance + NORM_EPSILON) * self.gamma + self.beta


class _Predictor(nn.Module):
    """One number a character: [B, C, L] -> [B, 1, L]."""

    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        hidden, kernel = config.predictor_hidden, config.predictor_kernel
        self.conv_1 = nn.Conv1d(config.hidden, hidden, kernel, padding=kernel // 2)
        self.norm_1 = _ChannelNorm(hidden)
        self.conv_2 = nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2)
        self.norm_2 = _ChannelNorm(hidden)
        self.proj = nn.Conv1d(hidden, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_1(F.relu(self.conv_1(x)))
        return self.proj(self.norm_2(F.relu(self.conv_2(x))))


class _Positions(nn.Module):
    """The table that is added to the decoder's input; published files carry it, and it is read from them."""

    pe: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        place = torch.arange(MOST_FRAMES).float()[:, None]
        frequency = torch.pow(10_000, torch.arange(0, width, 2).float() / width)
        angle = place * frequency  # quirk: multiplied where Vaswani et al. 2017 divide
        table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # [frames, C], sine and cosine in turn
        self.register_buffer("pe", table.T[None].contiguous())  # [1, C, frames]


class FastPitch(nn.Module):
    """Characters to log-mels."""

    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.Embedding(config.num_characters, config.hidden)
        self.emb_g = nn.Embedding(config.num_speakers, config.hidden) if config.num_speakers else None
        self.encoder = _Encoder(config)
        self.pos_encoder = _Positions(config.hidden)
        self.decoder = _Decoder(config)
        self.duration_predictor = _Predictor(config)
        self.pitch_predictor = _Predictor(config)
        kernel = config.pitch_kernel
        self.pitch_emb = nn.Conv1d(1, config.hidden, kernel, padding=(kernel - 1) // 2)

    def states(self, characters: Tensor, speaker: Tensor) -> Tensor:
        """Ids [B, L] and speakers [B] -> [B, C, L]."""
        states = self.encoder(self.emb(characters)).transpose(1, 2)
        if self.emb_g is not None:
            states = states + self.emb_g(speaker)[..., None]  # quirk: the decoder is not told who speaks
        return states

    def durations(self, states: Tensor, length_scale: Tensor | float = 1.0) -> Tensor:
        """Frames of each character, [B, L] int64; `length_scale` 2 is twice as slow, a number or [B, L]."""
        exact = (self.duration_predictor(states)[:, 0].exp() - 1) * length_scale
        return exact.clamp_min(1).round().long()

    def pitch(self, states: Tensor) -> Tensor:
        """Pitch of each character in the units it was trained in (F0 normalised over the speaker), [B, 1, L]."""
        return self.pitch_predictor(states)

    def mel(self, states: Tensor, pitch: Tensor, durations: Tensor) -> Tensor:
        """Log-mels [1, M, T] of one item, [1, C, L] with [1, 1, L] and [1, L]."""
        frames = int(durations.sum())
        if frames > self.pos_encoder.pe.shape[2]:
            raise InputError(
                f"a sentence would last {frames:,} frames; this model makes at most {MOST_FRAMES:,}: cut it in two"
            )
        states = states + self.pitch_emb(pitch)
        states = states.repeat_interleave(durations[0], dim=2) * math.sqrt(self.config.hidden)
        return self.decoder((states + self.pos_encoder.pe[:, :, :frames]).transpose(1, 2))
