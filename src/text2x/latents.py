"""Models that work on latents: codecs read from files, known regions and beginnings in latents, latents of batches.

Pictures are [B, 4, S, S] in [-1, 1], masks [B, 1, S, S], 1 = known; latents are [B, Z, S / f, S / f]. An inpainting
network is told the mask, then the latents of the picture with its holes made 0, in Stable Diffusion's order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.codecs import Codec, Identity, LatentCodec, LatentCodecConfig
from text2x.data.batches import Batch, BatchConfig
from text2x.editing import fill
from text2x.errors import InputError
from text2x.networks.autoencoder import Autoencoder
from text2x.nn.initialization import no_initialization
from text2x.recipe import Recipe
from text2x.sampling import CHANNELS, Beginning, Region, TrainedStage
from text2x.weights import load_weights

CODEC_FILE = "codec.safetensors"  # in the folder of a training run
MOST_KEPT = 100_000  # pictures whose latents are kept in memory: 400 MB at 16 x 16 x 4
SMALLEST_DEVIATION = 1e-6  # of a channel of latents; below it says nothing


def load_codec(recipe: Recipe, path: Path, device: str = "cpu") -> Codec:
    """The codec of a stage with the weights in a file; that of a stage on pixels needs none."""
    if recipe.codec is None:
        return Identity()
    if isinstance(recipe.codec, str):
        raise InputError(f"{recipe.name} names the codec {recipe.codec!r}, which was never read; train it once more")
    with no_initialization():
        network = Autoencoder(recipe.codec.network)
    load_weights(network, path, recipe.codec.sha256 or None)
    return LatentCodec(recipe.codec, network.eval().requires_grad_(False).to(device))


# Sampling


def side_of(stage: TrainedStage, size: int) -> int:
    """The side of what the stage's network works on, for pictures of a size."""
    return size // stage.codec.factor


def entered(
    stage: TrainedStage, size: int, known: Region | None, begin: Beginning | None
) -> tuple[Region | None, Beginning | None]:
    """A known region and a beginning, pictures of this size, as the stage's network meets them."""
    if not isinstance(stage.codec, LatentCodec):
        return known, begin
    if begin is not None:
        begin = replace(begin, image=stage.codec.encode(begin.at(size)).cpu())
    if known is None and stage.codec.config.hole_mask and told_of_holes(stage.recipe):
        known = Region(torch.zeros(1, 4, size, size), torch.zeros(1, 1, size, size), CHANNELS)  # nothing: told as well
    return None if known is None else region_in_latents(stage.codec, known), begin


def region_in_latents(codec: LatentCodec, region: Region) -> Region:
    """The region in latents: one is known as far as the least known of its pixels.

    Holes take the colours around them before the picture is encoded, so that known latents hold nothing of the hole.
    """
    certain = region.keep == 1
    used = region.keep > 0 if region.method == "differential" else certain
    filled = torch.from_numpy(fill(region.image[0].cpu().numpy(), used[0, 0].float().cpu().numpy()))[None]
    told = told_of_masks(codec, region.image, certain.to(region.image.dtype))
    keep = least(region.keep, codec.factor)
    return Region(codec.encode(filled).cpu(), keep, region.method, region.rounds, told.cpu())


def least(keep: Tensor, factor: int) -> Tensor:
    """The least of each block of factor x factor: [B, 1, S, S] -> [B, 1, S / factor, S / factor]."""
    return -F.max_pool2d(-keep, factor)


def told_of_masks(codec: LatentCodec, images: Tensor, keep: Tensor) -> Tensor:
    """What an inpainting network is told: mask, and latents of the picture with its holes 0, [B, 1 + Z, h, w].

    (Rombach et al. 2022, Sec. 4.5; Stable Diffusion's inpainting network.) keep is 0 or 1.
    """
    masked = codec.encode(images * keep)
    mask = least(keep, codec.factor).to(masked)
    return torch.cat([1 - mask if codec.config.hole_mask else mask, masked], dim=1)


# Training


@dataclass(frozen=True)
class Latents:
    """Latents of batches. Those of pictures that are the same each time are made once and kept.

    Such a picture is encoded alone and in float32, so that its latents do not depend on when that is.
    """

    codec: LatentCodec
    masks: bool  # whether the network is told of masks
    repeats: bool  # whether an item's picture is the same each time, but for augmentation that is told
    kept: dict[int, Tensor] = field(default_factory=dict)  # by item, [Z, h, w] on the codec's device

    def of(self, batch: Batch, changed: bool = False) -> Tensor:
        """[B, Z, h, w]; `changed` says that the pictures are no longer the items' own."""
        fresh = torch.ones(len(batch.images), dtype=torch.bool)
        if self.repeats and not changed:
            fresh = fresh & False if batch.augmentations is None else batch.augmentations.ne(0).any(1)
        rows: list[Tensor] = []
        made = iter(self.codec.encode(batch.images[fresh])) if fresh.any() else iter(())
        for place, item in enumerate(batch.items.tolist()):
            rows.append(next(made) if fresh[place] else self._kept(item, batch.images[place : place + 1]))
        return torch.stack(rows)

    def _kept(self, item: int, image: Tensor) -> Tensor:
        if item in self.kept:
            return self.kept[item]
        with torch.autocast(self.codec.network.last_layer.device.type, enabled=False):
            latents = self.codec.encode(image)[0]
        if len(self.kept) < MOST_KEPT:
            self.kept[item] = latents
        return latents

    def told(self, images: Tensor, masks: Tensor | None) -> Tensor | None:
        """The channels beside x_t, [B, 1 + Z, h, w]; None where nothing is known, which networks take as zeros."""
        if not self.masks:
            return None
        if masks is None and not self.codec.config.hole_mask:
            return None
        return told_of_masks(self.codec, images, torch.zeros_like(images[:, :1]) if masks is None else masks)


def latents_of(recipe: Recipe, codec: Codec) -> Latents | None:
    """What makes the latents of a recipe's batches; None on pixels."""
    if not isinstance(codec, LatentCodec):
        return None
    return Latents(codec, told_of_holes(recipe), repeats(recipe.data))


def told_of_holes(recipe: Recipe) -> bool:
    """Whether the network has channels for the mask and the masked latents."""
    return recipe.network.extra_channels > recipe.network.in_channels


def repeats(data: BatchConfig) -> bool:
    """Whether an item's picture is the same each time, but for augmentation that is told."""
    return data.crop is None and not data.mirror


def measured(network: Autoencoder, batches: Iterable[Batch]) -> LatentCodecConfig:
    """The codec of an autoencoder: per channel the mean of its latents of these pictures, and 1 / their deviation.

    (Rombach et al. 2022, App. G: of the first batch, one number for all channels; a shift and scale a channel are what
    later models have, as Stable Diffusion 3 its one shift.)
    """
    place = network.last_layer.device
    with torch.no_grad(), torch.autocast(place.type, enabled=False):
        means = [network.encode(batch.images[:, : network.config.in_channels].to(place))[0] for batch in batches]
    values = torch.cat(means).transpose(0, 1).flatten(1).double()  # [Z, all places]
    shift, deviation = values.mean(1), values.std(1).clamp_min(SMALLEST_DEVIATION)
    rounded = [tuple(float(f"{value:.6g}") for value in each.tolist()) for each in (shift, 1 / deviation)]
    return LatentCodecConfig(network.config, rounded[0], rounded[1])


def fitted_to_codec(recipe: Recipe, codec: LatentCodec) -> Recipe:
    """The recipe with the codec, its network's channels those of the latents; raises InputError for what does not fit.

    A network that is told of masks stays one, and one that learns a variance too.
    """
    network, z = recipe.network, codec.channels
    if recipe.low_resolution is not None:
        raise InputError(f"{recipe.name} is an upsampler, which works on pixels; leave out codec")
    if recipe.size % codec.factor or recipe.data.size % codec.factor:
        raise InputError(
            f"size is {recipe.size} and data.size {recipe.data.size}; this codec takes multiples of {codec.factor}"
        )
    variance = network.out_channels == 2 * network.in_channels
    network = replace(
        network,
        in_channels=z,
        out_channels=2 * z if variance else z,
        extra_channels=z + 1 if told_of_holes(recipe) else 0,
    )
    return replace(recipe, network=network, codec=codec.config)
