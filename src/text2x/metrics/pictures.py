"""Pictures with what they show: generated ones with what was asked for, real ones with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.data.batches import resized, select
from text2x.data.imageset import ImageSet, Split
from text2x.errors import InputError
from text2x.metrics.metric import same_length

TEXTS = ("prompts", "concepts", "parts", "styles")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures [N, 4, H, W] in [-1, 1], premultiplied, and of each what it shows; a style of None is any."""

    images: Tensor
    prompts: tuple[str, ...]  # asked for, or the caption
    concepts: tuple[str, ...]
    parts: tuple[Split, ...]
    styles: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "styles", self.styles or (None,) * len(self.prompts))
        if self.images.ndim != 4 or self.images.shape[1] != 4:
            raise InputError(f"pictures must be [N, 4, H, W], got {list(self.images.shape)}")
        same_length({"pictures": self.images, **{name: getattr(self, name) for name in TEXTS}})
        bad = int((~torch.isfinite(self.images)).flatten(1).any(1).sum())
        if bad:
            raise InputError(f"{bad} of {len(self.images)} pictures have values that are not finite; leave them out")

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Pictures:
        """Some of the pictures, in that order."""
        places = [int(row) for row in rows]
        texts = {name: tuple(getattr(self, name)[place] for place in places) for name in TEXTS}
        return Pictures(self.images[places], **texts)

    def show(self, images: Tensor) -> Pictures:
        """Other pictures [N, 4, H, W] for the same prompts."""
        return Pictures(images, self.prompts, self.concepts, self.parts, self.styles)

    def of(self, part: Split) -> Pictures:
        """The pictures of one part."""
        return self.take([row for row, own in enumerate(self.parts) if own == part])


def real_pictures(image_set: ImageSet, split: Split, size: int, styles: tuple[str, ...] = ()) -> Pictures:
    """One part of a data set, at the size that is generated, with plain names as captions."""
    rows = select(image_set, split, styles)
    images = resized(image_set, rows, size)
    if images is None:
        images = np.stack([image_set.images[row] for row in rows])
    items = [image_set.items[row] for row in rows]
    return Pictures(
        torch.from_numpy(images).float().div_(127.5).sub_(1),
        tuple(item.captions[0] for item in items),
        tuple(item.concept for item in items),
        (split,) * len(items),
        tuple(item.style for item in items),
    )
