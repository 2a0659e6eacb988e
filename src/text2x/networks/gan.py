"""A text-conditioned GAN of one stage in DF-GAN's shape: noise and a text vector to a picture in one call.

Shapes: B batch, Z noise width, V text vector width, A augmentation labels, W channels. Pictures are [B, C, size, size],
premultiplied RGBA with 4 channels; the generator's are not bounded: `in_range` brings them to [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.efficientnet import DEVIATION, MEAN, PYRAMID_CHANNELS, load_efficientnet_lite0
from text2x.nn.blocks import conv1, conv3, downsample, upsample
from text2x.nn.embeddings import in_fours

SMALLEST = 4  # side of the first and last feature map (Tao et al. 2022, Fig. 2)
SLOPE = 0.2  # of the leaky ReLU, as DF-GAN has it
SMALLEST_SEEN = 32  # px a side: the frozen network's coarsest map is then one place
BEHIND = (0.0, 1.0)  # black and white, behind the pictures that the frozen network is shown


@dataclass(frozen=True)
class GANConfig:
    """Shape of both networks. Widths are channels at 4, 8, 16 ... px, up to size / patch."""

    size: int = 64
    patch: int = 2  # pixels of patch x patch are channels of the finest feature map
    channels: int = 4
    noise_width: int = 100
    vector_width: int = 384  # V
    text_width: int = 128  # of the projected text vector
    generator_widths: tuple[int, ...] = (256, 192, 96, 64)
    discriminator_widths: tuple[int, ...] = (256, 192, 96, 48)
    label_width: int = 0  # A: what the discriminator is told of augmentation
    discriminator: Literal["own", "frozen"] = "own"  # "frozen": heads on the features of EfficientNet-Lite0
    frozen_width: int = 64  # of each of its heads


class GAN(nn.Module):
    """Generator and discriminator, trained together."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        _check(config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config) if config.discriminator == "own" else FrozenDiscriminator(config)

    def forward(self, noise: Tensor, vector: Tensor) -> Tensor:
        """The generator's pictures: [B, Z], [B, V] -> [B, C, size, size]."""
        return self.generator(noise, vector)


class TextProjection(nn.Module):
    """The text vector as the networks use it."""

    def __init__(self, vector_width: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(vector_width, width)

    def forward(self, vector: Tensor) -> Tensor:
        """[B, V] -> [B, text_width]."""
        return F.leaky_relu(in_fours(self.linear, vector), SLOPE)


class Modulation(nn.Module):
    """Scale and shift of the channels by noise and text, then a leaky ReLU (Tao et al. 2022, DF-GAN, Eq. 4).

    One affine layer where DF-GAN has two in a row: half of the passes over the feature map. The first scale is 1.
    """

    def __init__(self, channels: int, condition_width: int) -> None:
        super().__init__()
        self.affine = nn.Linear(condition_width, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.5 / math.sqrt(condition_width))
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, W, H, W'] and [B, Z + text_width] -> the shape of x."""
        scale, shift = in_fours(self.affine, condition)[..., None, None].chunk(2, dim=1)  # [B, W, 1, 1]
        return F.leaky_relu(torch.addcmul(shift, x, 1 + scale), SLOPE)


class UpBlock(nn.Module):
    """Modulation and convolution, twice, beside a skip; doubles the size first if asked to."""

    def __init__(self, in_channels: int, out_channels: int, condition_width: int, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles
        self.modulation_in = Modulation(in_channels, condition_width)
        self.conv_in = conv3(2, in_channels, out_channels)
        self.modulation_out = Modulation(out_channels, condition_width)
        self.conv_out = conv3(2, out_channels, out_channels)
        self.skip = nn.Identity() if in_channels == out_channels else conv1(2, in_channels, out_channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, W, H, H] -> [B, W', H, H] or [B, W', 2H, 2H]."""
        skip = self.skip(x)  # before doubling: a linear map of each position
        hidden = self.modulation_in(x, condition)
        if self.doubles:
            skip, hidden = upsample(skip), upsample(hidden)
        hidden = self.conv_in(hidden)
        return skip + self.conv_out(self.modulation_out(hidden, condition))


class Generator(nn.Module):
    """Noise and text to a picture in one call (DF-GAN, Sec. 3.2)."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.generator_widths
        condition_width = config.noise_width + config.text_width
        self.text = TextProjection(config.vector_width, config.text_width)
        self.begin = nn.Linear(condition_width, widths[0] * SMALLEST**2)
        pairs = zip((widths[0], *widths), widths, strict=False)
        self.blocks = nn.ModuleList(
            UpBlock(before, after, condition_width, doubles=place > 0) for place, (before, after) in enumerate(pairs)
        )
        self.end = conv3(2, widths[-1], config.channels * config.patch**2)
        _alike(self.end, 0, config.patch**2)

    def forward(self, noise: Tensor, vector: Tensor) -> Tensor:
        """[B, Z], [B, V] -> [B, C, size, size], about in [-1, 1]."""
        condition = torch.cat([noise, self.text(vector).to(noise.dtype)], dim=1)
        x = in_fours(self.begin, condition).unflatten(1, (-1, SMALLEST, SMALLEST))
        for block in self.blocks:
            x = block(x, condition)
        return F.pixel_shuffle(self.end(F.leaky_relu(x, SLOPE)), self.config.patch).float()


def in_range(x: Tensor) -> Tensor:
    """The nearest picture [B, C, H, W] in [-1, 1]; of RGBA colours are at most alpha.

    A tanh at the end of the generator, as DF-GAN has it, stops learning where it saturates, as emoji mostly do.
    """
    x = x.clamp(-1, 1)
    return torch.cat([torch.minimum(x[:, :3], x[:, 3:]), x[:, 3:]], dim=1) if x.shape[1] == 4 else x


class DownBlock(nn.Module):
    """Halves the size by a convolution of 4x4, then one of 3x3, beside a skip; weighted by a number that begins at 0.

    (DF-GAN's residual block of the discriminator.)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.conv_out = conv3(2, out_channels, out_channels)
        self.skip = nn.Identity() if in_channels == out_channels else conv1(2, in_channels, out_channels)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[B, W, H, H] -> [B, W', H / 2, H / 2]."""
        hidden = F.leaky_relu(self.conv_in(x), SLOPE)
        hidden = F.leaky_relu(self.conv_out(hidden), SLOPE)
        return self.skip(downsample(x)) + self.weight * hidden


class Discriminator(nn.Module):
    """A picture and a text vector to one number: higher is more like a real picture of that text (DF-GAN, Sec. 3.1).

    `features` does not depend on the text, so that a picture is read once for its own text and another's.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.discriminator_widths[::-1]  # from fine to coarse
        self.begin = conv3(2, config.channels * config.patch**2, widths[0])
        _alike(self.begin, 1, config.patch**2)
        self.blocks = nn.ModuleList(DownBlock(*pair) for pair in zip(widths, widths[1:], strict=False))
        self.text = TextProjection(config.vector_width, config.text_width)
        self.joint = conv3(2, widths[-1] + config.text_width + config.label_width, widths[-1])
        self.end = nn.Linear(widths[-1] * SMALLEST**2, 1)

    def features(self, images: Tensor) -> Tensor:
        """[B, C, size, size] -> [B, W, 4, 4]."""
        x = self.begin(F.pixel_unshuffle(images, self.config.patch))
        for block in self.blocks:
            x = block(x)
        return x

    def judge(self, features: Tensor, vector: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features [B, W, 4, 4], text [B, V] and augmentation labels [B, A] (None: not augmented) -> [B] in float32."""
        if labels is None:
            labels = vector.new_zeros(vector.shape[0], self.config.label_width)
        known = torch.cat([self.text(vector).to(features.dtype), labels.to(features.dtype)], dim=1)
        spread = known[..., None, None].expand(-1, -1, SMALLEST, SMALLEST)
        hidden = F.leaky_relu(self.joint(torch.cat([features, spread], dim=1)), SLOPE)
        return in_fours(self.end, hidden.flatten(1)).squeeze(1).float()

    def forward(self, images: Tensor, vector: Tensor, labels: Tensor | None = None) -> Tensor:
        """[B, C, size, size], [B, V], [B, A] -> [B]."""
        return self.judge(self.features(images), vector, labels)


class FrozenDiscriminator(nn.Module):
    """A picture and a text vector to one number, by what a frozen classifier of photographs sees (Sauer et al. 2021).

    The maps of EfficientNet-Lite0 at four sizes, each mixed by a fixed random 1x1 convolution (their Sec. 3.2; the
    mixing across sizes is left out), go through small heads that learn, each with a logit of its own. A picture is
    seen over black or white, in turns along the batch: over one background alone, what is transparent could not be told
    from what has its colour. Its weights are not among the GAN's, and the package that brings them is needed for
    training only; InputError names the command that gets it.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        width = config.frozen_width
        self._seeing = (load_efficientnet_lite0(),)  # not a part: it is not trained and not saved
        rng = torch.Generator().manual_seed(0)  # the same mixtures when a training is gone on with
        self._mixtures = tuple(
            torch.randn(width, count, 1, 1, generator=rng) / count**0.5 for count in PYRAMID_CHANNELS
        )
        self.heads = nn.ModuleList(conv3(2, width, width) for _ in PYRAMID_CHANNELS)
        self.text = TextProjection(config.vector_width, config.text_width)
        self.joints = nn.ModuleList(
            conv3(2, width + config.text_width + config.label_width, width) for _ in PYRAMID_CHANNELS
        )
        self.ends = nn.ModuleList(nn.Linear(width * SMALLEST**2, 1) for _ in PYRAMID_CHANNELS)

    def seen(self, images: Tensor) -> list[Tensor]:
        """[B, 4, size, size] -> the frozen network's map of each of its four sizes, from fine to coarse."""
        network = self._seeing[0].to(images.device)
        values = (images.float() + 1) / 2
        behind = values.new_tensor(BEHIND).repeat(len(images))[: len(images), None, None, None]
        opaque = values[:, :3] + (1 - values[:, 3:]) * behind
        return network.pyramid((opaque * 255 - MEAN) / DEVIATION)

    def features(self, images: Tensor) -> Tensor:
        """[B, 4, size, size] -> [B, 4 W, 4, 4]: the heads' maps, one after the other."""
        found = []
        for head, mixture, seen in zip(self.heads, self._mixtures, self.seen(images), strict=True):
            mixed = F.conv2d(seen, mixture.to(seen))
            hidden = F.leaky_relu(head(mixed), SLOPE)
            found.append(F.adaptive_avg_pool2d(hidden, SMALLEST))
        return torch.cat(found, dim=1)

    def judge(self, features: Tensor, vector: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features [B, 4 W, 4, 4], text [B, V] and labels [B, A] (None: not augmented) -> [B, heads] in float32."""
        if labels is None:
            labels = vector.new_zeros(vector.shape[0], self.config.label_width)
        known = torch.cat([self.text(vector).to(features.dtype), labels.to(features.dtype)], dim=1)
        spread = known[..., None, None].expand(-1, -1, SMALLEST, SMALLEST)
        logits = []
        for joint, end, own in zip(self.joints, self.ends, features.chunk(len(self.heads), dim=1), strict=True):
            hidden = F.leaky_relu(joint(torch.cat([own, spread], dim=1)), SLOPE)
            logits.append(in_fours(end, hidden.flatten(1)).squeeze(1).float())
        return torch.stack(logits, dim=1)

    def forward(self, images: Tensor, vector: Tensor, labels: Tensor | None = None) -> Tensor:
        """[B, 4, size, size], [B, V], [B, A] -> [B, heads]."""
        return self.judge(self.features(images), vector, labels)


@torch.no_grad()
def _alike(layer: nn.Module, axis: int, count: int) -> None:
    """Begin with the same weights for all pixels of a patch: no pattern of single pixels is there to be unlearned.

    (Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution", Sec. 3.)
    """
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    first = weight.index_select(axis, torch.arange(0, weight.shape[axis], count, device=weight.device))
    weight.copy_(first.repeat_interleave(count, axis))
    if axis == 0:
        bias.copy_(bias[::count].repeat_interleave(count))


def _check(config: GANConfig) -> None:
    if config.discriminator == "frozen" and (config.size < SMALLEST_SEEN or config.channels != 4):
        raise InputError(
            f"discriminator is frozen, which sees RGBA pictures of at least {SMALLEST_SEEN} px; size is {config.size}"
            f" with {config.channels} channels: take discriminator=own"
        )
    for name in ("generator_widths", "discriminator_widths"):
        widths = getattr(config, name)
        made = SMALLEST * 2 ** (len(widths) - 1) * config.patch
        if not widths or made != config.size:
            raise InputError(
                f"{name} has {len(widths)} levels and patch is {config.patch}, which makes {made} px; size is"
                f" {config.size}: it must be 4 x 2^(levels - 1) x patch"
            )
