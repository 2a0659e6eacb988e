"""Batches of moving pictures: `batch_at(step)` depends on configuration and step alone, so resuming needs no state.

Videos are [B, 4, T, H, W] in [-1, 1], premultiplied RGBA, H = W = size but for buckets of other shapes.
A share of the batches are single pictures, T = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from text2x.data.batches import BatchConfig, ImageBatches
from text2x.data.clipset import Clip, ClipSet
from text2x.data.drawing import shrink
from text2x.data.imageset import ImageSet, Split
from text2x.data.recaptions import Seen, recaptioned
from text2x.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

# Streams of random numbers: which clips, which of their frames, longer captions, places in a shape that is no square;
# 0 and 1 are for pictures.
ORDER, DETAILS, WORDS, PLACES = 2, 3, 4, 5


@dataclass(frozen=True)
class Bucket:
    """A size and duration that some of the batches have, `times` of each round of all buckets."""

    frames: int
    width: int  # pixels
    height: int
    times: int = 1

    def __post_init__(self) -> None:
        for name in ("frames", "width", "height", "times"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of a bucket is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class ClipBatchConfig:
    """What a batch holds and how it is varied; probabilities are for each clip, shares are of batches.

    A clip gives `frames` frames, every one or every second or ... as drawn from `strides`, which lowers its rate. Where
    it loops, they may go on from its last frame to its first, and in `loop_share` of the batches they are spread over
    one whole period instead. `image_share` of the batches hold `image_batch` single pictures of an image set (0: as
    many as a batch of clips has frames). `mirror` flips half of the clips whose mirror image means the same.
    `plain_caption` is the share of plain names among the captions, `recaption` that of captions made longer by what is
    known of the clip (see recaptions.py). With `buckets` batches have several sizes and durations, and as many clips as
    have together no more pixels than `batch_size` clips of `frames` frames of `size` (see bucketed_clips.py).
    """

    batch_size: int = 4
    frames: int = 16
    size: int = 64
    seed: int = 0
    split: Split = "train"
    styles: tuple[str, ...] = ()
    exclude_groups: tuple[str, ...] = ()
    strides: tuple[int, ...] = (1, 2)
    loop_share: float = 0.0
    image_share: float = 0.0
    image_batch: int = 0
    image_styles: tuple[str, ...] = ()
    plain_caption: float = 0.5
    caption_drop: float = 0.1
    style_drop: float = 0.1
    mirror: bool = True
    recaption: float = 0.0
    buckets: tuple[Bucket, ...] = ()

    def __post_init__(self) -> None:
        for name in ("loop_share", "image_share", "plain_caption", "caption_drop", "style_drop", "recaption"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it lies between 0 and 1")
        for name in ("batch_size", "frames", "size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.seed < 0 or self.image_batch < 0:
            raise InputError(f"seed {self.seed} and image_batch {self.image_batch} must be at least 0")
        if not self.strides or min(self.strides) < 1:
            raise InputError(f"strides are {self.strides}; give at least one, of 1 or more frames")


@dataclass(frozen=True)
class ClipBatch:
    """Videos with captions; "" and None stand for a caption or style that was dropped. Pictures are videos of 1 frame.

    `motion` is 0 (among the stillest of the training clips) to 10. Pictures have rate and motion 0.
    """

    videos: Tensor  # [B, 4, T, H, W] float32 in [-1, 1], premultiplied RGBA
    captions: tuple[str, ...]
    styles: tuple[str | None, ...]
    rates: Tensor  # [B] frames/s
    motion: Tensor  # [B] in [0, 10]
    loops: Tensor  # [B] bool: the frames are one period, so the first one follows the last
    items: Tensor  # [B] int64, indexes into the set of clips, or of pictures
    pictures: bool = False


class ClipBatches:
    """Batches of one part of a clip set; every clip is seen once an epoch, in an order of its own each epoch.

    `shape` is height and width of the frames, of which `config.size` is the shorter one; None: squares.
    """

    def __init__(
        self,
        clip_set: ClipSet,
        config: ClipBatchConfig,
        image_set: ImageSet | None = None,
        shape: tuple[int, int] | None = None,
    ) -> None:
        if config.size > clip_set.size:
            raise InputError(f"size {config.size} is larger than the {clip_set.size} px of {clip_set.name!r}")
        if config.image_share > 0 and image_set is None:
            raise InputError(f"image_share is {config.image_share} and no set of pictures is given; give one, or 0")
        self.clip_set, self.config = clip_set, config
        self.shape = shape or (config.size, config.size)
        self.indexes = select_clips(clip_set, config.split, config.styles, config.exclude_groups)
        self._images = ImageBatches(image_set, _image_config(config)) if image_set and config.image_share else None
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def epoch_size(self) -> int:
        """Number of clips in an epoch."""
        return len(self.indexes)

    def batch_at(self, step: int) -> ClipBatch:
        """The batch of one step, the same on every call."""
        share = self.config.image_share
        before = math.floor(step * share)  # batches of pictures up to here: they lie evenly between those of clips
        if self._images is not None and math.floor((step + 1) * share) > before:
            rng = np.random.default_rng([self.config.seed, PLACES, step])
            return _of_pictures(self._images, before, self.shape, rng)
        return self._of_clips(step, step - before)

    def _of_clips(self, step: int, number: int) -> ClipBatch:
        """The batch of `step`, which is the clips' own `number`-th."""
        import torch

        config = self.config
        rng = np.random.default_rng([config.seed, DETAILS, step])
        whole = rng.random() < config.loop_share
        rows = self._rows(number)
        items = [self.clip_set.items[index] for index in rows]
        captions, styles = _texts(items, config, rng)
        looped = np.array([whole and item.loops and item.frames >= config.frames for item in items])
        draws = rng.random((len(rows), 3))  # which stride, where it begins, mirrored?
        videos = np.empty((len(rows), config.frames, 4, *self.shape), np.uint8)
        rates = np.empty(len(rows), np.float32)
        lies = np.random.default_rng([config.seed, PLACES, step]).random(len(rows))
        for place, (index, item, draw) in enumerate(zip(rows, items, draws, strict=True)):
            chosen, rates[place] = frame_places(item, config, draw[0], draw[1], bool(looped[place]))
            frames = shaped(self.clip_set.frames(int(index), chosen), self.shape, lies[place])
            mirrored = config.mirror and item.flips and draw[2] < 0.5
            videos[place] = frames[..., ::-1] if mirrored else frames
        pixels = torch.from_numpy(videos.swapaxes(1, 2).copy()).float().div_(127.5).sub_(1)
        motion = torch.tensor([self.clip_set.level(item.motion) for item in items])
        if config.recaption > 0:
            seconds = config.frames / rates
            seen = [
                Seen(float(level), True if loop else None, float(lasts), style=style)
                for level, loop, lasts, style in zip(motion, looped, seconds, styles, strict=True)
            ]
            seed = int(np.random.default_rng([config.seed, WORDS, step]).integers(2**31))
            captions = recaptioned(captions, seed, seen, config.recaption)
        flags = torch.from_numpy(looped)
        return ClipBatch(pixels, captions, styles, torch.from_numpy(rates), motion, flags, torch.from_numpy(rows))

    def _rows(self, number: int) -> NDArray[np.int64]:
        """Which clips: the stream of all epochs' orders, cut into batches."""
        size = self.config.batch_size
        epochs, offsets = np.divmod(np.arange(number * size, (number + 1) * size), self.epoch_size)
        return np.array([self._order(int(epoch))[offset] for epoch, offset in zip(epochs, offsets, strict=True)])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) > 3:
                self._orders.pop(next(iter(self._orders)))
            rng = np.random.default_rng([self.config.seed, ORDER, epoch])
            self._orders[epoch] = self.indexes[rng.permutation(self.epoch_size)]
        return self._orders[epoch]


def shaped(frames: NDArray[np.uint8], shape: tuple[int, int], lies: float) -> NDArray[np.uint8]:
    """Square frames [T, 4, S, S] at a height and width: [T, 4, H, W].

    Where nothing is drawn outside of the middle of that shape, the middle is taken; otherwise the whole lies in it, at
    the place that `lies` in [0, 1) says, with nothing beside it.
    """
    height, width = shape
    short, long = min(shape), max(shape)
    if short == long:
        return shrink(frames, short)
    side = frames.shape[-1]
    if long <= side:
        bar = (side - round(side * short / long)) // 2
        outside = [frames[..., :bar, :], frames[..., side - bar :, :]]
        if height > width:
            outside = [frames[..., :bar], frames[..., side - bar :]]
        if not any(part[:, 3].any() for part in outside):
            whole, first = shrink(frames, long), (long - short) // 2
            return whole[..., first : first + height, :] if width > height else whole[..., first : first + width]
    return _laid(shrink(frames, short), shape, lies)


def _laid(frames: NDArray[Any], shape: tuple[int, int], lies: float, empty: float = 0) -> NDArray[Any]:
    """Squares [..., s, s] on an empty canvas whose shorter side is s."""
    height, width = shape
    made = np.full((*frames.shape[:-2], height, width), empty, frames.dtype)
    first, side = int(lies * (max(shape) - min(shape) + 1)), frames.shape[-1]
    if height > width:
        made[..., first : first + side, :] = frames
    else:
        made[..., first : first + side] = frames
    return made


def frame_places(
    item: Clip, config: ClipBatchConfig, stride: float, begin: float, period: bool
) -> tuple[NDArray[np.int64], float]:
    """Which frames of a clip [T], and their rate; `stride` and `begin` in [0, 1) choose among what is possible.

    A period starts anywhere and takes its frames at equal distances, rounded down. Otherwise the stride is one of those
    that fit (all of them where the clip loops); a clip that is too short for any holds its last frame.
    """
    steps = np.arange(config.frames)
    if period:
        spread = steps * item.frames // config.frames
        return (spread + int(begin * item.frames)) % item.frames, item.rate * config.frames / item.frames
    wraps = item.loops and item.frames > 1
    fitting = [each for each in config.strides if wraps or (config.frames - 1) * each < item.frames]
    chosen = fitting[int(stride * len(fitting))] if fitting else min(config.strides)
    last = item.frames if wraps else max(1, item.frames - (config.frames - 1) * chosen)
    places = int(begin * last) + steps * chosen
    places = places % item.frames if wraps else np.minimum(places, item.frames - 1)
    return places, item.rate / chosen


def select_clips(
    clip_set: ClipSet, split: Split, styles: tuple[str, ...] = (), exclude_groups: tuple[str, ...] = ()
) -> NDArray[np.int64]:
    """Indexes of a split's clips in the given styles (() for all) and outside the given groups, ascending."""
    groups = sorted({item.group for item in clip_set.items})
    for kind, given, known in (("style", styles, clip_set.styles), ("group", exclude_groups, groups)):
        for name in given:
            if name not in known:
                raise InputError(f"the set {clip_set.name!r} has no {kind} {name!r}; it has {', '.join(known)}")
    chosen = [
        index
        for index in clip_set.split(split)
        if (not styles or clip_set.items[index].style in styles) and clip_set.items[index].group not in exclude_groups
    ]
    if not chosen:
        raise InputError(f"the set {clip_set.name!r} has no clip left in {split!r}; choose more styles or groups")
    return np.array(chosen, dtype=np.int64)


def _texts(
    items: list[Clip], config: ClipBatchConfig, rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    captions: list[str] = []
    styles: list[str | None] = []
    draws = rng.random((len(items), 4))  # plain?, which, drop both?, drop style?
    for item, (plain, which, drop, drop_style) in zip(items, draws, strict=True):
        others = item.captions[1:] if plain >= config.plain_caption else ()
        caption = others[int(which * len(others))] if others else item.captions[0]
        dropped = drop < config.caption_drop
        captions.append("" if dropped else caption)
        styles.append(None if dropped or drop_style < config.style_drop else item.style)
    return tuple(captions), tuple(styles)


def _image_config(config: ClipBatchConfig) -> BatchConfig:
    return BatchConfig(
        batch_size=config.image_batch or config.batch_size * config.frames,
        size=config.size,
        seed=config.seed,
        split=config.split,
        styles=config.image_styles,
        plain_caption=config.plain_caption,
        caption_drop=config.caption_drop,
        style_drop=config.style_drop,
        augment_probability=0,
        mirror=config.mirror,
    )


def _of_pictures(images: ImageBatches, number: int, shape: tuple[int, int], rng: np.random.Generator) -> ClipBatch:
    """Pictures as videos of one frame, without a rate and without motion."""
    import torch

    batch = images.batch_at(number)
    none = torch.zeros(len(batch.items))
    flags = torch.zeros(len(batch.items), dtype=torch.bool)
    pixels = batch.images
    if shape != tuple(pixels.shape[2:]):
        lies = rng.random(len(pixels))
        rows = [_laid(each.numpy(), shape, place, -1.0) for each, place in zip(pixels, lies, strict=True)]
        pixels = torch.from_numpy(np.stack(rows))
    return ClipBatch(
        pixels.unsqueeze(2), batch.captions, batch.styles, none, none.clone(), flags, batch.items, pictures=True
    )
