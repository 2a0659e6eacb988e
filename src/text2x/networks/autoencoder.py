"""The KL autoencoder of latent diffusion: pictures to means and variances of latents, and back (Rombach et al. 2022).

Shapes: B batch, C channels, Z latent channels, f = factor. Pictures [B, C, H, W] in [-1, 1]; latents [B, Z, H/f, W/f].
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.nn.blocks import conv1
from text2x.nn.spatial import AddedResidualBlock, Doubling, Halving, PositionAttention, group_norm

SMALLEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE = -30.0, 20.0  # Rombach et al. 2022, their code


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of the autoencoder; Stable Diffusion's is 3 to 4 channels, width 128, (1, 2, 4, 4), 2 blocks a level."""

    in_channels: int = 4
    out_channels: int = 4
    latent_channels: int = 4  # Z
    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4)  # channels of a level, in widths; each level but the last halves the size
    blocks_per_level: int = 1  # of the encoder; the decoder has one more
    attention: bool = True  # over all positions, at the smallest size
    quantization: bool = True  # a linear map of the channels behind the encoder and before the decoder
    groups: int = 0  # of the group norms; 0: 32, or fewer where channels are few

    @property
    def factor(self) -> int:
        """Pixels along a side for one latent."""
        return 2 ** (len(self.multipliers) - 1)


class Middle(nn.Module):
    """Two residual blocks with attention in between, at the smallest size."""

    def __init__(self, channels: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AddedResidualBlock(channels, channels, groups=config.groups) for _ in range(2))
        self.attention = PositionAttention(channels, config.groups) if config.attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return self.blocks[1](self.attention(self.blocks[0](x)))


class SizeLevel(nn.Module):
    """Residual blocks at one size, then another size, if there is one."""

    def __init__(
        self, in_channels: int, out_channels: int, count: int, resample: nn.Module | None, groups: int
    ) -> None:
        super().__init__()
        channels = [in_channels] + [out_channels] * count
        self.blocks = nn.ModuleList(
            AddedResidualBlock(before, after, groups=groups)
            for before, after in zip(channels[:-1], channels[1:], strict=True)
        )
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W']."""
        for block in self.blocks:
            x = block(x)
        return x if self.resample is None else self.resample(x)


class Encoder(nn.Module):
    """Pictures to 2 Z channels."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        channels = [config.width * multiplier for multiplier in config.multipliers]
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(config.in_channels, channels[0], 3, padding=1)
        self.levels = nn.ModuleList(
            SizeLevel(
                channels[max(0, index - 1)],
                width,
                config.blocks_per_level,
                Halving(width, both_sides=False) if index < last else None,
                config.groups,
            )
            for index, width in enumerate(channels)
        )
        self.middle = Middle(channels[-1], config)
        self.norm_out = group_norm(channels[-1], config.groups)
        self.conv_out = nn.Conv2d(channels[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 2 Z, H / f, W / f]."""
        hidden = self.conv_in(x)
        for level in self.levels:
            hidden = level(hidden)
        return self.conv_out(F.silu(self.norm_out(self.middle(hidden))))


class Decoder(nn.Module):
    """Latents to pictures."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        channels = [config.width * multiplier for multiplier in config.multipliers]
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(config.latent_channels, channels[-1], 3, padding=1)
        self.middle = Middle(channels[-1], config)
        self.levels = nn.ModuleList(
            SizeLevel(
                channels[min(last, index + 1)],
                channels[index],
                config.blocks_per_level + 1,
                Doubling(channels[index]) if index > 0 else None,
                config.groups,
            )
            for index in range(last, -1, -1)
        )
        self.norm_out = group_norm(channels[0], config.groups)
        self.conv_out = nn.Conv2d(channels[0], config.out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """[B, Z, h, w] -> [B, C, f h, f w]."""
        hidden = self.middle(self.conv_in(z))
        for level in self.levels:
            hidden = level(hidden)
        return self.conv_out(F.silu(self.norm_out(hidden)))


class Autoencoder(nn.Module):
    """Encoder, decoder, and the linear maps beside the latents; numerically the AutoencoderKL of published models."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        z = config.latent_channels
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.to_moments = conv1(2, 2 * z, 2 * z) if config.quantization else nn.Identity()
        self.from_latents = conv1(2, z, z) if config.quantization else nn.Identity()

    @property
    def last_layer(self) -> Tensor:
        """The decoder's last weights, whose gradients balance the losses (Esser et al. 2021, VQGAN, Eq. 7)."""
        return self.decoder.conv_out.weight

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [B, C, H, W] -> mean and log-variance, in [-30, 20], of their latents, each [B, Z, H / f, W / f]."""
        factor = self.config.factor
        if any(length % factor for length in x.shape[2:]):
            raise InputError(f"size {tuple(x.shape[2:])} does not fit this autoencoder: take multiples of {factor}")
        mean, log_variance = self.to_moments(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance.clamp(SMALLEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)

    def decode(self, z: Tensor) -> Tensor:
        """Latents [B, Z, h, w] -> pictures [B, C, f h, f w], about in [-1, 1]: not clamped."""
        return self.decoder(self.from_latents(z))

    def forward(self, x: Tensor) -> Tensor:
        """The picture of a picture's mean latents, [B, C, H, W] -> [B, C, H, W]."""
        return self.decode(self.encode(x)[0])
