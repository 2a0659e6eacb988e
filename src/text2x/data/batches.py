"""Batches of an image set: `batch_at(step)` depends on configuration and step alone, so resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from text2x.data.drawing import shrink
from text2x.data.imageset import ImageSet, Split
from text2x.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

AUGMENTATIONS = ("mirrored", "right", "down", "larger", "brighter")
NUM_AUGMENTATIONS = len(AUGMENTATIONS)
MOST_SHIFT = 1 / 8  # of the side
MOST_LARGER = 0.15  # in the natural logarithm of the scale
MOST_BRIGHTER = 0.2
CROP_TRIES = 4
LEAST_COVER = 1 / 16  # a crop should show something on at least this share of its area

ORDER, DETAILS = 0, 1  # streams of random numbers: which items, and what is done to them
CHUNK = 256  # pictures resized at a time


@dataclass(frozen=True)
class BatchConfig:
    """What a batch holds and how it is varied; probabilities are for each item.

    `size` is the side that pictures are brought to; `crop` cuts windows of that side out of them (for an upsampler; no
    augmentation then but `mirror`). `styles` () means all. `plain_caption` is the share of plain names among the
    captions. `augment_probability` is that of each of AUGMENTATIONS, told to the network so that it does not leak into
    samples. `mirror` flips half of the items whose mirror image means the same, untold.
    """

    batch_size: int = 64
    size: int = 64
    crop: int | None = None
    seed: int = 0
    split: Split = "train"
    styles: tuple[str, ...] = ()
    exclude_groups: tuple[str, ...] = ()
    plain_caption: float = 0.5
    caption_drop: float = 0.1
    style_drop: float = 0.1
    augment_probability: float = 0.15
    mirror: bool = False

    def __post_init__(self) -> None:
        for name in ("plain_caption", "caption_drop", "style_drop", "augment_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; a probability lies between 0 and 1")
        if self.batch_size < 1 or self.size < 1 or self.seed < 0:
            raise InputError(
                f"batch_size {self.batch_size} and size {self.size} must be at least 1, seed {self.seed} at least 0"
            )
        if self.crop is not None and not 1 <= self.crop <= self.size:
            raise InputError(f"crop {self.crop} must lie between 1 and the size, {self.size}")


@dataclass(frozen=True)
class Batch:
    """Pictures with captions; "" and None stand for a caption or style that was dropped."""

    images: Tensor  # [B, 4, size, size] float32 in [-1, 1], premultiplied RGBA
    captions: tuple[str, ...]
    styles: tuple[str | None, ...]
    augmentations: Tensor | None  # [B, NUM_AUGMENTATIONS], zeros where nothing was done
    items: Tensor  # [B] int64, indexes into the set


class ImageBatches:
    """Batches of one part of an image set; every item is seen once an epoch, in an order of its own each epoch."""

    def __init__(self, image_set: ImageSet, config: BatchConfig) -> None:
        self.image_set = image_set
        self.config = config
        self.indexes = select(image_set, config.split, config.styles, config.exclude_groups)
        self._images = resized(image_set, self.indexes, config.size)  # uint8 [N, 4, size, size]
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def epoch_size(self) -> int:
        """Number of items in an epoch."""
        return len(self.indexes)

    def batch_at(self, step: int) -> Batch:
        """The batch of one step, the same on every call."""
        import torch

        config = self.config
        rng = np.random.default_rng([config.seed, DETAILS, step])
        rows = self._rows(step)
        items = [self.image_set.items[index] for index in self.indexes[rows]]
        captions, styles = self._texts(rows, rng)
        images = self._pictures(rows, rng)
        flips = np.array([item.flips for item in items])
        if config.mirror:
            images = _mirrored(images, flips & (rng.random(len(rows)) < 0.5))
        pixels = torch.from_numpy(images).float().div_(127.5).sub_(1)
        labels = torch.zeros(len(rows), NUM_AUGMENTATIONS)
        if config.crop is None and config.augment_probability > 0:
            chosen = _draw_labels(rng, config, flips & (not config.mirror))
            labels = torch.from_numpy(chosen)
            pixels = augmented(pixels, labels)
        return Batch(pixels, captions, styles, labels, torch.from_numpy(self.indexes[rows]))

    def _rows(self, step: int) -> NDArray[np.int64]:
        """Which of `self.indexes`: the stream of all epochs' orders, cut into batches."""
        places = np.arange(step * self.config.batch_size, (step + 1) * self.config.batch_size)
        epochs, offsets = np.divmod(places, self.epoch_size)
        return np.array([self._order(int(epoch))[offset] for epoch, offset in zip(epochs, offsets, strict=True)])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) > 3:
                self._orders.pop(next(iter(self._orders)))
            rng = np.random.default_rng([self.config.seed, ORDER, epoch])
            self._orders[epoch] = rng.permutation(self.epoch_size)
        return self._orders[epoch]

    def _pictures(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
        stored = self._images is None  # at the size that is wanted: read from disk
        source = self.image_set.images if self._images is None else self._images
        pictures = [source[index] for index in (self.indexes[rows] if stored else rows)]
        if self.config.crop is not None:
            places = rng.integers(0, self.config.size - self.config.crop + 1, (len(rows), CROP_TRIES, 2))
            pictures = [_window(*pair, self.config.crop) for pair in zip(pictures, places, strict=True)]
        return np.stack(pictures)

    def _texts(
        self, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
        config = self.config
        captions: list[str] = []
        styles: list[str | None] = []
        draws = rng.random((len(rows), 4))  # plain?, which, drop both?, drop style?
        for index, (plain, which, drop, drop_style) in zip(self.indexes[rows], draws, strict=True):
            item = self.image_set.items[index]
            others = item.captions[1:] if plain >= config.plain_caption else ()
            caption = others[int(which * len(others))] if others else item.captions[0]
            dropped = drop < config.caption_drop
            captions.append("" if dropped else caption)
            styles.append(None if dropped or drop_style < config.style_drop else item.style)
        return tuple(captions), tuple(styles)


def select(
    image_set: ImageSet, split: Split, styles: tuple[str, ...] = (), exclude_groups: tuple[str, ...] = ()
) -> NDArray[np.int64]:
    """Indexes of a split's items in the given styles (() for all) and outside the given groups, ascending."""
    groups = {item.group for item in image_set.items}
    for kind, given, known in (("style", styles, image_set.styles), ("group", exclude_groups, sorted(groups))):
        for name in given:
            if name not in known:
                raise InputError(f"the set {image_set.name!r} has no {kind} {name!r}; it has {', '.join(known)}")

    def wanted(index: int) -> bool:
        item = image_set.items[index]
        return (not styles or item.style in styles) and item.group not in exclude_groups

    chosen = np.array([index for index in image_set.split(split) if wanted(index)], dtype=np.int64)
    if len(chosen) == 0:
        raise InputError(f"the set {image_set.name!r} has no picture left in {split!r}; choose more styles or groups")
    return chosen


def resized(image_set: ImageSet, indexes: NDArray[np.int64], size: int) -> NDArray[np.uint8] | None:
    """The chosen pictures at another size, by area, in memory; None where the stored size will do."""
    if size == image_set.size:
        return None
    images = np.empty((len(indexes), 4, size, size), np.uint8)
    for start in range(0, len(indexes), CHUNK):
        part = indexes[start : start + CHUNK]
        stored = np.stack([image_set.images[index] for index in part])
        images[start : start + CHUNK] = shrink(stored, size)
    return images


def _mirrored(images: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(where[:, None, None, None], images[..., ::-1], images)


def _window(image: NDArray[np.uint8], places: NDArray[np.int64], crop: int) -> NDArray[np.uint8]:
    """The first of the windows at `places` (top, left) that is not nearly empty, else the last."""
    windows = (image[:, top : top + crop, left : left + crop] for top, left in places[:-1])
    full = (window for window in windows if np.count_nonzero(window[3]) >= LEAST_COVER * crop * crop)
    top, left = places[-1]
    return next(full, image[:, top : top + crop, left : left + crop])


def _draw_labels(rng: np.random.Generator, config: BatchConfig, flips: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[B, NUM_AUGMENTATIONS]: mirrored 0 or 1, others in [-1, 1] of their largest; shifts in whole pixels."""
    count = len(flips)
    on = rng.random((count, NUM_AUGMENTATIONS)) < config.augment_probability
    amount = rng.uniform(-1, 1, (count, NUM_AUGMENTATIONS))
    amount[:, 0] = flips
    pixels = config.size * MOST_SHIFT
    amount[:, 1:3] = np.rint(amount[:, 1:3] * pixels) / pixels
    return (np.where(on, amount, 0) + 0.0).astype(np.float32)  # + 0.0: no negative zeros


def augmented(images: Tensor, labels: Tensor) -> Tensor:
    """Apply labelled changes to pictures [B, 4, H, W] in [-1, 1] (Karras et al. 2022, appendix F.2)."""
    import torch
    from torch.nn import functional as F

    changed = labels.ne(0).any(1)
    if not changed.any():
        return images
    mirrored, right, down, larger, brighter = labels[changed].unbind(1)
    pixels = (images[changed] + 1) / 2
    scale = torch.exp(larger * MOST_LARGER)
    zero = torch.zeros_like(scale)
    across = torch.stack([(1 - 2 * mirrored) / scale, zero, -(1 - 2 * mirrored) * right * 2 * MOST_SHIFT / scale], 1)
    along = torch.stack([zero, 1 / scale, -down * 2 * MOST_SHIFT / scale], 1)
    grid = F.affine_grid(torch.stack([across, along], 1), list(pixels.shape), align_corners=False)
    pixels = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    colour, alpha = pixels[:, :3], pixels[:, 3:]
    colour = torch.minimum(colour * (1 + brighter * MOST_BRIGHTER)[:, None, None, None], alpha)
    result = images.clone()
    result[changed] = torch.cat([colour, alpha], 1).clamp(0, 1) * 2 - 1
    return result
