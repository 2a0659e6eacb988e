"""The encoder of pictures of a published CLIP (Radford et al. 2021, Sec. 2.4): a vision transformer and a projection.

Numerically the CLIPVisionModelWithProjection of transformers, which Stable Video Diffusion reads its picture with.
Shapes: B batch, S patches and the class token, D width, E embedding width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of red, green and blue in [0, 1] (Radford et al. 2021, their code)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
SMALLEST_SIGMA = 0.001  # pixels, of the blur before a picture is made smaller


@dataclass(frozen=True)
class CLIPVisionConfig:
    """Shape of the encoder; the defaults are those of CLIP ViT-H/14."""

    size: int = 224  # pixels a side
    patch: int = 14
    width: int = 1280  # D
    depth: int = 32
    num_heads: int = 16
    hidden: int = 5120  # of the layers between
    embedding: int = 1024  # E
    activation: Literal["gelu", "quick_gelu"] = "gelu"
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.size % self.patch or self.width % self.num_heads:
            sizes = f"size {self.size} and patch {self.patch}, width {self.width} and heads {self.num_heads}"
            raise InputError(f"{sizes} do not fit: the first of each must be a multiple of the second")


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), which the first CLIPs have in place of GELU."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "quick_gelu": quick_gelu}


class CLIPVisionBlock(nn.Module):
    """Attention and two layers, each on what is normalised, each added."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        width = config.width
        self.num_heads, self.activation = config.num_heads, ACTIVATIONS[config.activation]
        self.norm_attention, self.norm_feed_forward = (nn.LayerNorm(width, config.epsilon) for _ in range(2))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.feed_in, self.feed_out = nn.Linear(width, config.hidden), nn.Linear(config.hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        normed = self.norm_attention(x)
        rows = (each(normed) for each in (self.query, self.key, self.value))
        heads = [each.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for each in rows]
        x = x + self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return x + self.feed_out(self.activation(self.feed_in(self.norm_feed_forward(x))))


class CLIPVision(nn.Module):
    """Pictures to embeddings."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        self.config = config
        count = (config.size // config.patch) ** 2 + 1
        self.patches = nn.Conv2d(3, config.width, config.patch, config.patch, bias=False)
        self.token = nn.Parameter(torch.zeros(config.width))
        self.positions = nn.Parameter(torch.zeros(count, config.width))
        self.norm_in = nn.LayerNorm(config.width, config.epsilon)
        self.blocks = nn.ModuleList(CLIPVisionBlock(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(config.width, config.epsilon)
        self.project = nn.Linear(config.width, config.embedding, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, size, size] as `clip_pixels` gives them -> [B, E]; not of length 1."""
        patches = self.patches(pictures).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(patches), 1, -1), patches], dim=1) + self.positions
        x = self.norm_in(x)
        for block in self.blocks:
            x = block(x)
        return self.project(self.norm_out(x[:, 0]))


def clip_pixels(pictures: Tensor, size: int) -> Tensor:
    """[B, 3, H, W] in [-1, 1] of any size -> [B, 3, size, size], blurred before they shrink, of about unit variance.

    As Stable Video Diffusion's code makes them: a Gaussian of half of what is more than one pixel in a new one, then
    bicubic interpolation whose corners stay in place.
    """
    x = pictures
    for axis in (2, 3):
        x = _blurred(x, axis, max((x.shape[axis] / size - 1) / 2, SMALLEST_SIGMA))
    x = F.interpolate(x, (size, size), mode="bicubic", align_corners=True)
    mean, deviation = (x.new_tensor(each)[:, None, None] for each in (MEAN, DEVIATION))
    return ((x + 1) / 2 - mean) / deviation


def _blurred(x: Tensor, axis: int, sigma: float) -> Tensor:
    """Along one axis, by as many odd taps as 4 sigma has, at least 3; beyond an edge the picture is mirrored."""
    taps = int(max(4 * sigma, 3))
    taps += taps % 2 == 0
    places = torch.arange(taps, dtype=x.dtype, device=x.device) - taps // 2
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    reach = taps // 2
    if x.shape[axis] <= reach:
        return x
    shape = [1, 1, 1, 1]
    shape[axis] = taps
    padding = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    padded = F.pad(x, padding, mode="reflect")
    return F.conv2d(padded, kernel.view(shape).expand(x.shape[1], 1, -1, -1), groups=x.shape[1])
