"""A small conditional GAN of latents of sound: noise and words to all frames in one call, and their judge.

DF-GAN's blocks (Tao et al. 2022) in one dimension, as in WaveGAN (Donahue et al. 2018) over time, with a projection
discriminator (Miyato and Koyama 2018). Shapes: B batch, Z latent channels, S frames, N noise, V text vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError

SLOPE = 0.2  # of leaky ReLU (DF-GAN, their code)
KERNEL = 5


@dataclass(frozen=True)
class SoundGANConfig:
    """Shape of both networks; each width is a level, and between two of them there are twice the frames."""

    channels: int = 32  # Z
    frames: int = 200  # S
    noise_width: int = 64
    vector_width: int = 0  # V
    text_width: int = 128
    generator_widths: tuple[int, ...] = (256, 192, 128, 96)
    discriminator_widths: tuple[int, ...] = (96, 128, 192, 256)

    def __post_init__(self) -> None:
        sizes = (self.channels, self.frames, self.noise_width, self.text_width)
        if min(*sizes, *self.generator_widths, *self.discriminator_widths) < 1:
            raise InputError(f"network has sizes {sizes} and widths below 1; each must be at least 1")


class Affine(nn.Module):
    """Scale and shift of channels by a condition; a fresh one changes nothing (DF-GAN, Sec. 3.4)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.layer = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, C, S], [B, D] -> [B, C, S]."""
        scale, shift = self.layer(condition)[..., None].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


class UpBlock(nn.Module):
    """Twice the frames unless it is the first, then two convolutions, each behind an affine step, added to x."""

    def __init__(self, before: int, after: int, condition: int, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles
        self.affine_1, self.affine_2 = Affine(before, condition), Affine(after, condition)
        self.conv_1 = nn.Conv1d(before, after, KERNEL, padding=KERNEL // 2)
        self.conv_2 = nn.Conv1d(after, after, KERNEL, padding=KERNEL // 2)
        self.skip = nn.Conv1d(before, after, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, C, S] -> [B, C', S or 2 S]."""
        x = x.repeat_interleave(2, dim=2) if self.doubles else x
        hidden = self.conv_1(F.leaky_relu(self.affine_1(x, condition), SLOPE))
        return self.skip(x) + self.conv_2(F.leaky_relu(self.affine_2(hidden, condition), SLOPE))


class SoundGenerator(nn.Module):
    """Noise and the vector of the words to latents."""

    def __init__(self, config: SoundGANConfig) -> None:
        super().__init__()
        self.config = config
        widths, condition = config.generator_widths, config.noise_width + config.text_width
        self.first = -(-config.frames // 2 ** (len(widths) - 1))
        self.text = nn.Sequential(nn.Linear(config.vector_width, config.text_width), nn.LeakyReLU(SLOPE))
        self.begin = nn.Linear(condition, widths[0] * self.first)
        pairs = pairwise((widths[0], *widths))
        self.blocks = nn.ModuleList(UpBlock(*pair, condition, place > 0) for place, pair in enumerate(pairs))
        self.end = nn.Conv1d(widths[-1], config.channels, KERNEL, padding=KERNEL // 2)

    def forward(self, noise: Tensor, vector: Tensor) -> Tensor:
        """[B, N], [B, V] -> [B, Z, S] in float32."""
        condition = torch.cat([noise, self.text(vector).to(noise.dtype)], dim=1)
        x = self.begin(condition).unflatten(1, (-1, self.first))
        for block in self.blocks:
            x = block(x, condition)
        return self.end(F.leaky_relu(x, SLOPE))[..., : self.config.frames].float()


class DownBlock(nn.Module):
    """Half the frames by two convolutions, added to what skips them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(before, after, KERNEL, stride=2, padding=KERNEL // 2)
        self.conv_2 = nn.Conv1d(after, after, KERNEL, padding=KERNEL // 2)
        self.skip = nn.Conv1d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, C', S / 2], rounded up."""
        hidden = self.conv_2(F.leaky_relu(self.conv_1(F.leaky_relu(x, SLOPE)), SLOPE))
        return self.skip(F.avg_pool1d(x, 2, ceil_mode=True)) + hidden


class SoundDiscriminator(nn.Module):
    """How real latents look and how well they fit their words: one logit."""

    def __init__(self, config: SoundGANConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        self.begin = nn.Conv1d(config.channels, widths[0], KERNEL, padding=KERNEL // 2)
        self.blocks = nn.ModuleList(DownBlock(*pair) for pair in pairwise((widths[0], *widths)))
        self.seen = nn.Linear(2 * widths[-1], config.text_width)
        self.text = nn.Linear(config.vector_width, config.text_width)
        self.end = nn.Linear(config.text_width, 1)

    def features(self, x: Tensor) -> Tensor:
        """[B, Z, S] -> [B, F]: mean and deviation over time of what is seen."""
        x = self.begin(x)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(x, SLOPE).float()
        deviation = (x.var(2, correction=0) + 1e-4).sqrt()
        return F.leaky_relu(self.seen(torch.cat([x.mean(2), deviation], dim=1)), SLOPE)

    def judge(self, features: Tensor, vector: Tensor) -> Tensor:
        """[B, F], [B, V] -> [B]: higher for what looks real and fits its words."""
        fit = (features * self.text(vector)).sum(1) / features.shape[1] ** 0.5
        return (self.end(features)[:, 0] + fit).float()

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """[B, Z, S], [B, V] -> [B]."""
        return self.judge(self.features(x), vector)


class SoundGAN(nn.Module):
    """Generator and discriminator: what is trained together."""

    def __init__(self, config: SoundGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = SoundGenerator(config)
        self.discriminator = SoundDiscriminator(config)
