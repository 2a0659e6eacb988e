"""A small network that names what kind of sound is heard, by log-mel windows and by numbers about the whole sound.

Shapes: B batch, M mel bands, F frames of a window, S numbers about the whole sound, D features, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class SoundClassifierConfig:
    """Each of `widths` halves bands and frames; the numbers of labels is 0 until the data are known."""

    bands: int = 48  # M
    frames: int = 96  # F
    widths: tuple[int, ...] = (24, 48, 72, 96)
    statistics: int = 0  # S
    features: int = 96  # D
    labels: int = 0  # K
    dropout: float = 0.3


class SoundClassifier(nn.Module):
    """Strided convolutions, then mean and maximum over time, as in PANNs (Kong et al. 2020); one hidden layer."""

    def __init__(self, config: SoundClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        channels = 1
        for width in config.widths:
            layers += [nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.trunk = nn.Sequential(*layers)
        rows = config.bands
        for _ in config.widths:
            rows = -(-rows // 2)
        self.hidden = nn.Linear(2 * rows * channels + config.statistics, config.features)
        self.head = nn.Linear(config.features, config.labels)

    def features(self, mel: Tensor, statistics: Tensor) -> Tensor:
        """[B, M, F] and [B, S] to [B, D], at least 0."""
        h = self.trunk(mel[:, None]).flatten(1, 2)  # [B, C M', F']
        h = torch.cat([h.mean(-1), h.amax(-1), statistics], dim=1)
        return F.relu(self.hidden(F.dropout(h, self.config.dropout, self.training)))

    def forward(self, mel: Tensor, statistics: Tensor) -> Tensor:
        """[B, M, F] and [B, S] to logits [B, K]."""
        return self.head(F.dropout(self.features(mel, statistics), self.config.dropout, self.training))
