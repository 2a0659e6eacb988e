"""The autoencoder of Stable Video Diffusion: an encoder of pictures, a decoder that mixes frames so that none flickers.

(Blattmann et al. 2023, "Align your latents", Sec. 3.1.1.) Numerically the AutoencoderKLTemporalDecoder of diffusers.
Shapes: B batch, C channels, T frames, Z latent channels, f = factor. Clips [B, C, T, H, W] in [-1, 1]; latents
[B, Z, T, H/f, W/f].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.autoencoder import LARGEST_LOG_VARIANCE, SMALLEST_LOG_VARIANCE, AutoencoderConfig, Encoder
from text2x.networks.spatiotemporal_blocks import TimeConv, VideoResidualBlock
from text2x.nn.blocks import conv1
from text2x.nn.spatial import Doubling, PositionAttention, group_norm

TIME_EPSILON = 1e-5  # of the norms over time
FRAMES_TOGETHER = 14  # that are decoded at once, as many as Stable Video Diffusion makes


@dataclass(frozen=True)
class TemporalAutoencoderConfig:
    """Shape of the autoencoder; the defaults are Stable Video Diffusion's."""

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 4  # Z
    width: int = 128
    multipliers: tuple[int, ...] = (
        1,
        2,
        4,
        4,
    )  # channels of a level, in widths; each level but the last halves the size
    blocks_per_level: int = 2  # of the encoder; the decoder has one more
    groups: int = 32

    @property
    def factor(self) -> int:
        """Pixels along a side for one latent."""
        return 2 ** (len(self.multipliers) - 1)

    @property
    def pictures(self) -> AutoencoderConfig:
        """The shape of the encoder."""
        return AutoencoderConfig(
            self.in_channels,
            self.out_channels,
            self.latent_channels,
            self.width,
            self.multipliers,
            self.blocks_per_level,
            groups=self.groups,
        )


class TemporalMiddle(nn.Module):
    """Residual blocks over space and time with attention of each frame behind the first."""

    def __init__(self, channels: int, config: TemporalAutoencoderConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_block(channels, channels, config) for _ in range(config.blocks_per_level))
        self.attention = PositionAttention(channels, config.groups)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B T, C, h, w] -> [B T, C, h, w]."""
        for index, block in enumerate(self.blocks):
            x = block(self.attention(x) if index == 1 else x, frames)
        return x


class TemporalLevel(nn.Module):
    """Residual blocks over space and time at one size, then twice the size, but for the last."""

    def __init__(self, in_channels: int, out_channels: int, last: bool, config: TemporalAutoencoderConfig) -> None:
        super().__init__()
        channels = [in_channels] + [out_channels] * (config.blocks_per_level + 1)
        pairs = zip(channels[:-1], channels[1:], strict=True)
        self.blocks = nn.ModuleList(_block(before, after, config) for before, after in pairs)
        self.resample = None if last else Doubling(out_channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B T, C, h, w] -> [B T, C', h', w']."""
        for block in self.blocks:
            x = block(x, frames)
        return x if self.resample is None else self.resample(x)


class TemporalDecoder(nn.Module):
    """Latents of frames to frames."""

    def __init__(self, config: TemporalAutoencoderConfig) -> None:
        super().__init__()
        channels = [config.width * multiplier for multiplier in config.multipliers][::-1]
        self.conv_in = nn.Conv2d(config.latent_channels, channels[0], 3, padding=1)
        self.middle = TemporalMiddle(channels[0], config)
        last = len(channels) - 1
        self.levels = nn.ModuleList(
            TemporalLevel(channels[max(0, place - 1)], width, place == last, config)
            for place, width in enumerate(channels)
        )
        self.norm_out = group_norm(channels[-1], config.groups)
        self.conv_out = nn.Conv2d(channels[-1], config.out_channels, 3, padding=1)
        self.time_out = TimeConv(config.out_channels)

    def forward(self, z: Tensor, frames: int) -> Tensor:
        """[B T, Z, h, w] -> [B T, C, f h, f w]."""
        hidden = self.middle(self.conv_in(z), frames)
        for level in self.levels:
            hidden = level(hidden, frames)
        made = self.conv_out(F.silu(self.norm_out(hidden)))
        clips = made.flatten(2).unflatten(0, (-1, frames)).transpose(1, 2).contiguous()  # [B, C, T, S]
        return self.time_out(clips).transpose(1, 2).flatten(0, 1).unflatten(2, made.shape[2:])


class TemporalAutoencoder(nn.Module):
    """Encoder of pictures, decoder of clips, and the linear map behind the encoder."""

    def __init__(self, config: TemporalAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.pictures)
        self.decoder = TemporalDecoder(config)
        self.to_moments = conv1(2, 2 * config.latent_channels, 2 * config.latent_channels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clips [B, C, T, H, W] -> mean and log-variance, in [-30, 20], of latents, each [B, Z, T, H / f, W / f].

        Frame by frame, one at a time: memory does not grow with their number.
        """
        factor, frames = self.config.factor, x.shape[2]
        if any(length % factor for length in x.shape[3:]):
            raise InputError(f"size {tuple(x.shape[3:])} does not fit this autoencoder: take multiples of {factor}")
        moments = [self.to_moments(self.encoder(x[:, :, place])) for place in range(frames)]
        mean, log_variance = torch.stack(moments, dim=2).chunk(2, dim=1)
        return mean, log_variance.clamp(SMALLEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)

    def decode(self, z: Tensor, together: int = FRAMES_TOGETHER) -> Tensor:
        """Latents [B, Z, T, h, w] -> clips [B, C, T, f h, f w], about in [-1, 1]: not clamped.

        `together` frames are decoded at once and see only each other: fewer take less memory, which does not grow with
        T, and may flicker where one chunk ends and the next begins.
        """
        if together < 1:
            raise InputError(f"frames decoded together are {together}; there must be at least 1")
        count, _, frames, height, width = z.shape
        factor = self.config.factor
        if torch.is_grad_enabled():  # then nothing is written in place
            return torch.cat([self._decoded(part) for part in z.split(together, dim=2)], dim=2)
        clips = z.new_empty(count, self.config.out_channels, frames, factor * height, factor * width)
        for begin in range(0, frames, together):
            clips[:, :, begin : begin + together] = self._decoded(z[:, :, begin : begin + together])
        return clips

    def _decoded(self, z: Tensor) -> Tensor:
        frames = z.shape[2]
        return self.decoder(z.transpose(1, 2).flatten(0, 1), frames).unflatten(0, (-1, frames)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The clip of a clip's mean latents, [B, C, T, H, W] -> [B, C, T, H, W]."""
        return self.decode(self.encode(x)[0])


def _block(before: int, after: int, config: TemporalAutoencoderConfig) -> VideoResidualBlock:
    return VideoResidualBlock(before, after, 0, config.groups, time_epsilon=TIME_EPSILON, time_mix=True)
