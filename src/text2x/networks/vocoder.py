"""A vocoder of the Vocos kind: ConvNeXt blocks at the rate of frames, then an inverse Fourier transform; mel [B, M, F].

No upsampling by convolutions, so that nearly all work is done once a frame (Siuzdak 2023, "Vocos", Sec. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.networks.acoustic_blocks import ConvNeXt1d
from text2x.signal import STFTConfig, istft


@dataclass(frozen=True)
class VocosConfig:
    """Shape of the network. 2.7 M weights as it is here; the paper's has width 512, 8 layers and 13.5 M at 24 kHz."""

    bands: int = 80
    width: int = 256
    layers: int = 6
    kernel: int = 7
    expansion: int = 3
    stft: STFTConfig = STFTConfig(640, 640, 160)  # of the head; its hop is that of the mel spectrogram

    def __post_init__(self) -> None:
        if min(self.bands, self.width, self.layers, self.expansion) < 1 or self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(
                f"network has {self.bands} bands, width {self.width}, {self.layers} layers, expansion {self.expansion}"
                f" and kernel {self.kernel}; each must be at least 1, the kernel odd"
            )
        if self.stft.centred:
            raise InputError("network.stft.centred is true; a vocoder makes F hop samples of F frames: set it to false")

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.stft.hop

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on."""
        before = self.stft.overhang - (self.stft.fft - self.stft.window) // 2  # samples of a window before its hop
        reach = max(before, self.stft.window - self.hop - before)
        return self.kernel // 2 * (self.layers + 1) + -(-reach // self.hop)


class Vocos(nn.Module):
    """Log-mel frames to samples."""

    HEADS = 2  # logarithm and phase of each bin

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.config = config
        self.begin = nn.Conv1d(config.bands, config.width, config.kernel, padding=config.kernel // 2)
        self.begin_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(
            ConvNeXt1d(config.width, config.kernel, config.expansion) for _ in range(config.layers)
        )
        self.end_norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, self.HEADS * config.stft.bins)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop], in float32."""
        hidden = self.hidden(mel)
        with torch.autocast(hidden.device.type, enabled=False):  # a phase in bfloat16 would be heard
            logarithm, phase = self.head(hidden).chunk(2, dim=-1)  # [B, F, bins] each
            # No bin of a signal in [-1, 1] is above the sum of the window, fft / 2.
            magnitude = logarithm.exp().clamp_max(self.config.stft.fft / 2)
            return istft(torch.polar(magnitude, phase), self.config.stft)

    def hidden(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F, C] what the head reads, in float32."""
        x = self.begin_norm(self.begin(mel).transpose(1, 2)).transpose(1, 2)  # [B, C, F]
        everywhere = x.new_ones(())
        for block in self.blocks:
            x = block(x, everywhere)
        return self.end_norm(x.transpose(1, 2)).float()
