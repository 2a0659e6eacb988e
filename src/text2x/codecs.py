"""Codecs: pictures to what a model works on, and back: the pixels themselves, or latents of an autoencoder.

Pictures are [B, 4, H, W], premultiplied RGBA in [-1, 1]; latents are [B, Z, H / f, W / f] of about unit variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig


class Codec(Protocol):
    """Media to the space in which a model works, and back."""

    @property
    def factor(self) -> int:
        """Pixels along a side for one place of that space."""
        ...

    def encode(self, media: Tensor) -> Tensor:
        """[B, C, *] -> [B, Z, *]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """[B, Z, *] -> [B, C, *] in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Identity:
    """The codec of a model that works on pixels."""

    factor: int = 1

    def encode(self, media: Tensor) -> Tensor:
        """The media as they are."""
        return media

    def decode(self, latents: Tensor) -> Tensor:
        """The media as they are."""
        return latents


@dataclass(frozen=True)
class LatentCodecConfig:
    """An autoencoder, and per channel the shift and scale that give latents unit variance: (mean - shift) * scale.

    (Rombach et al. 2022, App. G, with one scale and no shift; Stable Diffusion's scale is 0.18215.) With `hole_mask` a
    network is told 1 = hole, as published inpainting networks are; everywhere else 1 = known. `sha256` is of the weight
    file in a training run's folder, so that a run goes on with the codec it began with.
    """

    network: AutoencoderConfig
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    sha256: str = ""
    hole_mask: bool = False

    def __post_init__(self) -> None:
        channels = self.network.latent_channels
        for name in ("shift", "scale"):
            values = getattr(self, name)
            if len(values) != channels or not all(math.isfinite(value) for value in values):
                raise InputError(f"codec.{name} is {values}; it must be {channels} finite numbers, one a channel")
        if not all(value > 0 for value in self.scale):
            raise InputError(f"codec.scale is {self.scale}; each number must be above 0")
        if {self.network.in_channels, self.network.out_channels} - {3, 4}:
            raise InputError(
                f"the codec's autoencoder has {self.network.in_channels} channels; pictures have 3 (RGB) or 4 (RGBA)"
            )


@dataclass(frozen=True)
class LatentCodec:
    """An autoencoder with frozen weights as a codec: latents are means, so that encoding draws nothing.

    An autoencoder of 3 channels sees pictures on black and gives opaque ones.
    """

    config: LatentCodecConfig
    network: Autoencoder

    @property
    def factor(self) -> int:
        """Pixels along a side for one latent."""
        return self.config.network.factor

    @property
    def channels(self) -> int:
        """Z."""
        return self.config.network.latent_channels

    @torch.no_grad()
    def encode(self, media: Tensor) -> Tensor:
        """Pictures [B, 4, H, W] -> latents [B, Z, H / f, W / f]; on the network's device, in float32."""
        place = self.network.last_layer.device
        mean, _ = self.network.encode(media[:, : self.config.network.in_channels].to(place))
        shift, scale = self._moments(place)
        return (mean.float() - shift) * scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, Z, h, w] -> pictures [B, 4, f h, f w] in [-1, 1]."""
        shift, scale = self._moments(latents.device)
        pictures = self.network.decode(latents / scale + shift).float().clamp(-1, 1)
        if pictures.shape[1] == 4:
            return pictures
        return torch.cat([pictures, torch.ones_like(pictures[:, :1])], dim=1)

    def _moments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Shift and scale, each [1, Z, 1, 1]."""
        rows = torch.tensor([self.config.shift, self.config.scale], dtype=torch.float32, device=device)
        return rows[0].reshape(1, -1, 1, 1), rows[1].reshape(1, -1, 1, 1)
