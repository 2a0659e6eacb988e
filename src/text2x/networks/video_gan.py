"""A small text-conditioned GAN of clips: one code of content, a path of motion codes, two discriminators.

Content and motion are apart (Tulyakov et al. 2018, MoCoGAN); motion is a smooth path of noise, here a sum of harmonics,
so that clips have any length and loops close by construction (after Skorokhodov et al. 2022, StyleGAN-V, Sec. 3.1); one
discriminator sees a single frame, the other a few with the time between them (their Sec. 3.2).
Shapes: B batch, T frames, C channels, Z content noise, K harmonics, N motion noise, M motion width, V text vector
width, F frames that a discriminator sees. Clips are [B, C, T, size, size], premultiplied RGBA with 4 channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.gan import SLOPE, SMALLEST, Discriminator, GANConfig, TextProjection, UpBlock, in_range
from text2x.nn.blocks import conv3
from text2x.nn.embeddings import in_fours


@dataclass(frozen=True)
class VideoGANConfig:
    """Shape of all networks; `image` is that of the generator's blocks and of both discriminators."""

    image: GANConfig
    frames: int = 16  # in which the path of a clip that does not loop goes half around
    harmonics: int = 4  # K
    motion_noise: int = 16  # N
    motion_width: int = 32  # M
    seen: int = 3  # F (Skorokhodov et al. 2022, Sec. 3.2)


class VideoGAN(nn.Module):
    """Generator and discriminators, trained together."""

    def __init__(self, config: VideoGANConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.generator = VideoGANGenerator(config)
        image = replace(config.image, label_width=0)
        self.of_frames = Discriminator(image)
        told = config.seen  # the gaps between frames, and whether the clip loops
        self.of_clips = Discriminator(replace(image, channels=image.channels * config.seen, label_width=told))

    def forward(self, noise: Tensor, motion: Tensor, vector: Tensor, frames: int, loops: Tensor) -> Tensor:
        """The generator's clips, see there."""
        return self.generator(noise, motion, vector, frames, loops)


class MotionPath(nn.Module):
    """Noise and text to a motion code for each frame."""

    def __init__(self, config: VideoGANConfig) -> None:
        super().__init__()
        self.frames = config.frames
        inputs = config.motion_noise + config.image.text_width
        self.into = nn.Linear(inputs, 2 * config.motion_width)
        self.out = nn.Linear(2 * config.motion_width, config.motion_width)

    def angles(self, frames: int, loops: Tensor) -> Tensor:
        """Where on the circle each frame is, [B, T]: a loop goes around once, another clip half in `config.frames`."""
        numbers = torch.arange(frames, device=loops.device, dtype=torch.float32)
        return torch.where(loops[:, None], 2 * math.pi / frames, math.pi / self.frames) * numbers

    def forward(self, motion: Tensor, text: Tensor, angles: Tensor) -> Tensor:
        """[B, K, 2, N] noise, [B, W] projected text, [B, T] places on the circle -> [B, T, M]."""
        path = harmonics(motion, angles)
        told = text[:, None].expand(-1, path.shape[1], -1).to(path.dtype)
        hidden = F.leaky_relu(self.into(torch.cat([path, told], dim=2)), SLOPE)
        return self.out(hidden)


def harmonics(motion: Tensor, angles: Tensor) -> Tensor:
    """[B, K, 2, N] and [B, T] -> [B, T, N] of unit variance: sum over k of (cos(k a) m_k0 + sin(k a) m_k1) / k."""
    order = torch.arange(1, motion.shape[1] + 1, device=angles.device, dtype=angles.dtype)
    turned = angles[..., None] * order  # [B, T, K]
    waves = torch.stack([turned.cos(), turned.sin()], dim=3) / order[:, None]  # [B, T, K, 2]
    deviation = order.pow(-2).sum().sqrt()
    return torch.einsum("btki,bkin->btn", waves.to(motion.dtype), motion) / deviation


class VideoGANGenerator(nn.Module):
    """Noise, motion and text to a clip in one call: DF-GAN's blocks, modulated anew for each frame."""

    def __init__(self, config: VideoGANConfig) -> None:
        super().__init__()
        self.config = config
        image = config.image
        widths = image.generator_widths
        content = image.noise_width + image.text_width
        self.text = TextProjection(image.vector_width, image.text_width)
        self.path = MotionPath(config)
        self.begin = nn.Linear(content, widths[0] * SMALLEST**2)
        pairs = zip((widths[0], *widths), widths, strict=False)
        self.blocks = nn.ModuleList(
            UpBlock(before, after, content + config.motion_width, doubles=place > 0)
            for place, (before, after) in enumerate(pairs)
        )
        self.end = conv3(2, widths[-1], image.channels * image.patch**2)

    def forward(self, noise: Tensor, motion: Tensor, vector: Tensor, frames: int, loops: Tensor) -> Tensor:
        """[B, Z], [B, K, 2, N], [B, V], T, [B] bool -> [B, C, T, size, size], about in [-1, 1]."""
        return self.at(noise, motion, vector, self.path.angles(frames, loops))

    def at(self, noise: Tensor, motion: Tensor, vector: Tensor, angles: Tensor) -> Tensor:
        """The frames at places on the circle, [B, T] -> [B, C, T, size, size]."""
        text = self.text(vector)
        frames = angles.shape[1]
        content = torch.cat([noise, text.to(noise.dtype)], dim=1)
        moved = self.path(motion, text, angles).flatten(0, 1)  # [B T, M]
        condition = torch.cat([content.repeat_interleave(frames, dim=0), moved.to(content.dtype)], dim=1)
        x = in_fours(self.begin, content).unflatten(1, (-1, SMALLEST, SMALLEST)).repeat_interleave(frames, dim=0)
        for block in self.blocks:
            x = block(x, condition)
        made = F.pixel_shuffle(self.end(F.leaky_relu(x, SLOPE)), self.config.image.patch).float()
        return made.unflatten(0, (-1, frames)).transpose(1, 2)


def shown(clips: Tensor) -> Tensor:
    """The nearest clips [B, C, T, H, W] that are pictures; see networks/gan.py."""
    frames = clips.shape[2]
    return in_range(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, frames)).transpose(1, 2)


def picked(clips: Tensor, places: Tensor) -> Tensor:
    """Frames of each clip, as channels one behind the other: [B, C, T, H, W] and [B, F] -> [B, F C, H, W]."""
    items = torch.arange(len(clips), device=clips.device)[:, None]
    return clips.transpose(1, 2)[items, places].flatten(1, 2)


def draw_motion(count: int, config: VideoGANConfig, rng: torch.Generator) -> Tensor:
    """[count, K, 2, N] standard normal numbers."""
    return torch.randn(count, config.harmonics, 2, config.motion_noise, generator=rng)


def draw_places(frames: int, loops: Tensor, seen: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which frames are seen, [B, F], and what is told of them, [B, F]: shares of the clip between them, 1 for a loop.

    They are distinct and in order; of a loop they may go on from the last frame to the first.
    """
    if frames < seen:
        raise InputError(f"{frames} frames are too few: the discriminator sees {seen}")
    rows = [torch.randperm(frames, generator=rng)[:seen].sort().values for _ in loops]
    places = torch.stack(rows)
    begins = torch.randint(frames, (len(rows), 1), generator=rng)
    gaps = places.diff(dim=1) / frames
    around = loops.cpu()[:, None]
    return torch.where(around, (places + begins) % frames, places), torch.cat([gaps, around.float()], dim=1)


def _check(config: VideoGANConfig) -> None:
    if config.image.discriminator != "own":
        raise InputError(f"image.discriminator is {config.image.discriminator!r}; a video GAN has 'own'")
    if config.harmonics < 1:
        raise InputError(f"harmonics is {config.harmonics}; a path has at least 1")
    if not 2 <= config.seen <= config.frames:
        raise InputError(f"seen is {config.seen}; the discriminator sees 2 to {config.frames} frames")
