"""Batches of several sizes and durations: drawn by the step, within the pixels of the usual batch, recaptioned."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_clip_batches import PLAIN, make_pictures, same
from test_clipset import SIZE, make_clips

from text2x.data.bucketed_clips import BucketedClips, clip_batches, clips_in
from text2x.data.clip_batches import Bucket, ClipBatches, shaped
from text2x.errors import InputError

HALF = SIZE // 2
BUCKETS = (Bucket(4, SIZE, SIZE, times=2), Bucket(8, HALF, HALF), Bucket(4, SIZE, HALF), Bucket(2, HALF, SIZE))
CONFIG = replace(PLAIN, buckets=BUCKETS, image_share=0.25, seed=3)


def test_a_batch_depends_on_the_seed_and_the_step_alone_and_fits_into_the_pixels_of_the_usual_one() -> None:
    one, other = (BucketedClips(make_clips(), CONFIG, make_pictures()) for _ in range(2))
    wanted = [one.batch_at(step) for step in range(30)]
    for step in (29, 0, 11):
        assert same(other.batch_at(step), wanted[step])
    assert not same(BucketedClips(make_clips(), replace(CONFIG, seed=4), make_pictures()).batch_at(0), wanted[0])
    most = CONFIG.batch_size * CONFIG.frames * SIZE**2
    for batch in wanted:
        count, _, frames, height, width = batch.videos.shape
        assert count * frames * height * width <= most
        assert 2 * count * frames * height * width > most  # one more of each clip would not fit


def test_in_each_round_a_bucket_comes_as_often_as_it_says_and_goes_through_all_clips() -> None:
    batches = BucketedClips(make_clips(), replace(CONFIG, image_share=0.0))
    turns = [batches.bucket_at(step) for step in range(500)]
    assert Counter(bucket for bucket, _ in turns) == {0: 200, 1: 100, 2: 100, 3: 100}
    for bucket in range(4):
        assert [number for each, number in turns if each == bucket] == list(range(200 if bucket == 0 else 100))
    assert len({tuple(bucket for bucket, _ in turns[at : at + 5]) for at in range(0, 500, 5)}) > 10  # other orders
    part = batches.parts[1]
    whole = range(len(part.indexes) // part.config.batch_size)
    seen = [int(item) for number in whole for item in part.batch_at(number).items]
    assert len(seen) == len(set(seen))


def test_pictures_have_the_shapes_of_the_buckets_too() -> None:
    batches = BucketedClips(make_clips(), CONFIG, make_pictures())
    shown = [batch for batch in map(batches.batch_at, range(40)) if batch.pictures]
    assert {tuple(batch.videos.shape[2:]) for batch in shown} >= {(1, SIZE, SIZE), (1, HALF, SIZE)}
    for batch in shown:
        drawn = (batch.videos[:, 3, 0] > -1).sum((1, 2))
        assert (drawn == min(batch.videos.shape[3:]) ** 2).all()  # the whole picture, and nothing beside it


def test_without_buckets_batches_are_the_usual_ones() -> None:
    plain = clip_batches(make_clips(), replace(CONFIG, buckets=()), make_pictures())
    assert isinstance(plain, ClipBatches)
    assert isinstance(clip_batches(make_clips(), CONFIG, make_pictures()), BucketedClips)
    assert clips_in(Bucket(100, 64, 64), 5) == 1
    with pytest.raises(InputError, match="width of a bucket is 0; it must be at least 1"):
        Bucket(4, 0, 8)


def test_bars_of_nothing_are_cut_off_and_whole_squares_lie_within_the_shape() -> None:
    frames = np.zeros((2, 4, 16, 16), np.uint8)
    frames[:, :, 4:12] = 200  # a wide clip between bars
    wide = shaped(frames, (8, 16), 0.0)
    assert wide.shape == (2, 4, 8, 16) and (wide == 200).all()
    tall = shaped(frames.swapaxes(2, 3).copy(), (16, 8), 0.0)
    assert tall.shape == (2, 4, 16, 8) and (tall == 200).all()
    frames[0, :, 0] = 200  # something lies outside of the middle
    places = []
    for lies in (0.0, 0.5, 0.99):
        laid = shaped(frames, (8, 16), lies)
        columns = np.flatnonzero(laid[1, 3].any(0))
        assert laid.shape == (2, 4, 8, 16) and len(columns) == 8
        places.append(columns[0])
    assert places == [0, 4, 8]
    assert np.array_equal(shaped(frames, (16, 16), 0.7), frames)


def test_a_share_of_the_captions_says_more_of_what_is_known() -> None:
    config = replace(PLAIN, recaption=0.5, batch_size=16)
    batch, again = (ClipBatches(make_clips(), config).batch_at(3) for _ in range(2))
    plain = ClipBatches(make_clips(), PLAIN if PLAIN.batch_size == 16 else replace(PLAIN, batch_size=16)).batch_at(3)
    assert batch.captions == again.captions and torch.equal(batch.videos, plain.videos)
    longer = [new for new, old in zip(batch.captions, plain.captions, strict=True) if new != old]
    assert 2 <= len(longer) <= 14 and all(len(new) > 10 for new in longer)
    assert all(old in new or old == new for new, old in zip(batch.captions, plain.captions, strict=True))
    dropped = ClipBatches(make_clips(), replace(config, recaption=1.0, caption_drop=1.0)).batch_at(0)
    assert set(dropped.captions) == {""}
