"""Batches of clips of several sizes, shapes and durations: each batch is of one bucket, drawn by its step.

Sora (OpenAI 2024) trains at native size, shape and duration; here a set's clips are stored as squares, so a shape that
is no square cuts off bars of nothing where there are any, and otherwise has them at drawn places. A bucket goes through
epochs of its own. Buckets take turns in rounds: in each round a bucket comes `times` times, in an order that is drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from text2x.data.clip_batches import Bucket, ClipBatch, ClipBatchConfig, ClipBatches
from text2x.data.clipset import ClipSet
from text2x.data.imageset import ImageSet

ROUNDS = 6  # stream of random numbers: the order of a round; smaller ones are those of ClipBatches
SEED_STEP = 1_000_003  # between the seeds of two buckets, so that their clips come in other orders


def clip_batches(
    clip_set: ClipSet, config: ClipBatchConfig, image_set: ImageSet | None = None
) -> ClipBatches | BucketedClips:
    """The batches of a config, with buckets or without."""
    if config.buckets:
        return BucketedClips(clip_set, config, image_set)
    return ClipBatches(clip_set, config, image_set)


class BucketedClips:
    """Batches whose size and duration change from step to step; `batch_at` depends on configuration and step alone."""

    def __init__(self, clip_set: ClipSet, config: ClipBatchConfig, image_set: ImageSet | None = None) -> None:
        self.config = config
        self.parts = [
            ClipBatches(clip_set, part_config(config, place), image_set, (each.height, each.width))
            for place, each in enumerate(config.buckets)
        ]
        self._turns = np.repeat(np.arange(len(config.buckets)), [each.times for each in config.buckets])

    @property
    def indexes(self) -> NDArray[np.int64]:
        """Of the clips in the set."""
        return self.parts[0].indexes

    @property
    def epoch_size(self) -> int:
        """Number of clips in an epoch of a bucket."""
        return len(self.indexes)

    def bucket_at(self, step: int) -> tuple[int, int]:
        """Which bucket's turn it is, and how many it had before."""
        number, place = divmod(step, len(self._turns))
        order = np.random.default_rng([self.config.seed, ROUNDS, number]).permutation(self._turns)
        bucket = int(order[place])
        before = int((order[:place] == bucket).sum())
        return bucket, number * self.config.buckets[bucket].times + before

    def batch_at(self, step: int) -> ClipBatch:
        """The batch of one step, the same on every call."""
        bucket, number = self.bucket_at(step)
        return self.parts[bucket].batch_at(number)


def part_config(config: ClipBatchConfig, place: int) -> ClipBatchConfig:
    """What the batches of one bucket hold: as many clips and pictures as fit into the pixels of the usual batch."""
    bucket = config.buckets[place]
    area, most = bucket.width * bucket.height, config.batch_size * config.frames * config.size**2
    pictures = config.image_batch * config.size**2 if config.image_batch else most
    return replace(
        config,
        buckets=(),
        batch_size=clips_in(bucket, most),
        image_batch=max(1, pictures // area),
        frames=bucket.frames,
        size=min(bucket.width, bucket.height),
        seed=config.seed + SEED_STEP * place,
    )


def clips_in(bucket: Bucket, pixels: int) -> int:
    """How many clips of a bucket have together at most so many pixels; at least one."""
    return max(1, pixels // (bucket.frames * bucket.width * bucket.height))
