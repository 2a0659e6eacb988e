"""HiFi-GAN's generator: transposed convolutions and residual blocks of several widths; mel [B, M, F].

Kong et al. 2020, "HiFi-GAN", Sec. 2.2 and appendix A.1. Parameters are named as the authors' are, and as Coqui's and
Indic-TTS's, with weight norm folded in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError

SLOPE = 0.1  # of leaky ReLUs, but the last one, which has torch's 0.01 (the authors' code)
PREFIXES = re.compile(r"^(?:module\.|model_g\.|generator\.|model\.)+")
NORMED = {"weight_g": "g", "weight_v": "v"}
NEW_NORMED = {"parametrizations.weight.original0": "g", "parametrizations.weight.original1": "v"}


@dataclass(frozen=True)
class HiFiGANConfig:
    """Shape of the generator; V1 as it is here, at 22.05 kHz and hop 256.

    `block` "1" has two convolutions a dilation, "2" one. `edge` frames are repeated at both ends of what is heard and
    cut off again: Coqui's inference_padding, which Indic-TTS's models are used with, is 5.
    """

    bands: int = 80
    width: int = 512
    rates: tuple[int, ...] = (8, 8, 2, 2)
    kernels: tuple[int, ...] = (16, 16, 4, 4)
    block: Literal["1", "2"] = "1"
    block_kernels: tuple[int, ...] = (3, 7, 11)
    block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    edge: int = 0

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.kernels) or len(self.block_kernels) != len(self.block_dilations):
            raise InputError(
                f"network has {len(self.rates)} rates and {len(self.kernels)} kernels, {len(self.block_kernels)}"
                f" block_kernels and {len(self.block_dilations)} block_dilations; each pair must be as long"
            )
        for rate, kernel in zip(self.rates, self.kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise InputError(
                    f"network.kernels has {kernel} at the rate {rate}; it must be that plus an even number"
                )
        if self.width % 2 ** len(self.rates) or self.edge < 0:
            raise InputError(f"network.width {self.width} must be halved {len(self.rates)} times; edge is at least 0")

    @property
    def hop(self) -> int:
        """Samples a frame."""
        product = 1
        for rate in self.rates:
            product *= rate
        return product

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on."""
        reach = 3  # samples: of the last convolution, seven wide
        inner = [
            sum(kernel // 2 * (dilation + (self.block == "1")) for dilation in dilations)
            for kernel, dilations in zip(self.block_kernels, self.block_dilations, strict=True)
        ]
        for rate, kernel in zip(self.rates[::-1], self.kernels[::-1], strict=True):
            reach = (reach + max(inner) + (kernel + rate) // 2 - 1) // rate
        return reach + 3 + self.edge


V1 = HiFiGANConfig()
V2 = HiFiGANConfig(width=128)
V3 = HiFiGANConfig(
    width=256,
    rates=(8, 8, 4),
    kernels=(16, 16, 8),
    block="2",
    block_kernels=(3, 5, 7),
    block_dilations=((1, 2), (2, 6), (3, 12)),
)


class ResBlock1(nn.Module):
    """Pairs of convolutions, one dilated and one not, each added to its input."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(width, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(width, kernel, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class ResBlock2(nn.Module):
    """Dilated convolutions, each added to its input."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(width, kernel, dilation) for dilation in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, SLOPE))
        return x


class HiFiGAN(nn.Module):
    """Log-mel frames to samples in [-1, 1]."""

    def __init__(self, config: HiFiGANConfig) -> None:
        super().__init__()
        self.config = config
        self.conv_pre = nn.Conv1d(config.bands, config.width, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        block = ResBlock1 if config.block == "1" else ResBlock2
        width = config.width
        for rate, kernel in zip(config.rates, config.kernels, strict=True):
            up = nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2)
            nn.init.normal_(up.weight, std=0.01)
            self.ups.append(up)
            width //= 2
            for size, dilations in zip(config.block_kernels, config.block_dilations, strict=True):
                self.resblocks.append(block(width, size, dilations))
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3)
        nn.init.normal_(self.conv_post.weight, std=0.01)

    def forward(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop]."""
        edge, hop, frames = self.config.edge, self.config.hop, mel.shape[-1]
        x = self.conv_pre(F.pad(mel, (edge, edge), mode="replicate") if edge else mel)
        count = len(self.config.block_kernels)
        for number, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))
            blocks = self.resblocks[number * count : (number + 1) * count]
            x = torch.stack([block(x) for block in blocks]).sum(0) / count
        samples = torch.tanh(self.conv_post(F.leaky_relu(x)))[:, 0].float()
        return samples[:, edge * hop : (edge + frames) * hop]


def _conv(width: int, kernel: int, dilation: int) -> nn.Conv1d:
    conv = nn.Conv1d(width, width, kernel, padding=kernel // 2 * dilation, dilation=dilation)
    nn.init.normal_(conv.weight, std=0.01)
    return conv


# Published weights


def published_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as others publish them, under this network's names and with weight norm folded in.

    Takes the authors' layout (weight_g, weight_v), torch's newer one (parametrizations), Coqui's with `model_g.` in
    front (discriminators are left out), and transformers' SpeechT5HifiGan where it does not normalise its input.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    state: dict[str, Tensor] = {}
    for full, value in tensors.items():
        if full.startswith(("model_d.", "discriminator.")):
            continue
        name = PREFIXES.sub("", full)
        name = re.sub(r"^upsampler\.", "ups.", name)
        if name in ("mean", "scale"):
            if not bool((value == (name == "scale")).all()):
                raise InputError("these HiFi-GAN weights expect a normalised mel; such are not read: fold it in first")
            continue
        for ending, part in {**NORMED, **NEW_NORMED}.items():
            if name.endswith(f".{ending}"):
                parts.setdefault(name.removesuffix(ending) + "weight", {})[part] = value.float()
                break
        else:
            state[name] = value.float()
    for name, both in parts.items():
        if both.keys() != {"g", "v"}:
            raise InputError(f"the HiFi-GAN weights have only one part of the weight norm of {name}; copy them again")
        norm = both["v"].flatten(1).norm(dim=1).reshape(-1, *[1] * (both["v"].ndim - 1))
        state[name] = both["v"] * (both["g"] / norm)
    return state
