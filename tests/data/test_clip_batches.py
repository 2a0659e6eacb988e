from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_clipset import SIZE, make_clips

from text2x.data.clip_batches import ClipBatch, ClipBatchConfig, ClipBatches, frame_places
from text2x.data.imageset import ImageSet, Item
from text2x.errors import InputError

PLAIN = ClipBatchConfig(
    batch_size=8, frames=4, size=SIZE, strides=(1,), plain_caption=1, caption_drop=0, style_drop=0, mirror=False
)


def make_pictures(count: int = 40) -> ImageSet:
    items = [Item(str(n), f"thing {n}", "p", (f"picture {n}",), "things", (), "CC0-1.0", False) for n in range(count)]
    return ImageSet("made", items, np.full((count, 4, SIZE, SIZE), 200, np.uint8))


def same(one: ClipBatch, other: ClipBatch) -> bool:
    tensors = ("videos", "rates", "motion", "loops", "items")
    texts = one.captions == other.captions and one.styles == other.styles
    return texts and all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors)


def values(batch: ClipBatch) -> np.ndarray:
    """[B, T] the stored value of each frame's first pixel."""
    return ((batch.videos[:, 0, :, 0, 0] + 1) * 127.5).round().numpy().astype(int)


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    config = replace(PLAIN, strides=(1, 2), loop_share=0.5, image_share=0.3, mirror=True, caption_drop=0.2, seed=3)
    one, other = (ClipBatches(make_clips(), config, make_pictures()) for _ in range(2))
    wanted = [one.batch_at(step) for step in range(20)]
    for step in (19, 0, 7):  # any order, another object
        assert same(other.batch_at(step), wanted[step])
    assert not same(ClipBatches(make_clips(), replace(config, seed=4), make_pictures()).batch_at(0), wanted[0])


def test_videos_are_frames_of_their_clips_in_order() -> None:
    clips = make_clips()
    batch = ClipBatches(clips, PLAIN).batch_at(0)
    assert batch.videos.shape == (8, 4, 4, SIZE, SIZE) and batch.videos.dtype == torch.float32
    assert batch.videos.min() >= -1 and batch.videos.max() <= 1
    for row, index, caption in zip(values(batch), batch.items.tolist(), batch.captions, strict=True):
        item = clips.items[index]
        places = (row - index) // 10
        assert caption == item.captions[0]
        if item.loops:
            assert np.array_equal(places, (places[0] + np.arange(4)) % item.frames)
        else:
            assert np.array_equal(places, np.minimum(places[0] + np.arange(4), item.frames - 1))
    assert batch.rates.tolist() == [12] * 8
    assert batch.motion.tolist() == pytest.approx([clips.level(clips.items[i].motion) for i in batch.items.tolist()])
    assert batch.styles == ("a",) * 8 and not batch.loops.any() and not batch.pictures


def test_an_epoch_shows_every_clip_once_also_between_batches_of_pictures() -> None:
    clips = make_clips()
    batches = ClipBatches(clips, replace(PLAIN, batch_size=7, image_share=0.4), make_pictures())
    steps = range(2 * batches.epoch_size)
    seen = [batch for batch in map(batches.batch_at, steps) if not batch.pictures]
    items = torch.cat([batch.items for batch in seen]).tolist()
    size = batches.epoch_size
    assert sorted(items[:size]) == sorted(items[size : 2 * size]) == batches.indexes.tolist()
    assert items[:size] != items[size : 2 * size]
    pictures = len(steps) - len(seen)
    assert pictures == int(0.4 * len(steps))


def test_pictures_are_videos_of_one_frame_without_rate_or_motion() -> None:
    batches = ClipBatches(make_clips(), replace(PLAIN, image_share=1.0, image_batch=5), make_pictures())
    batch = batches.batch_at(2)
    assert batch.pictures and batch.videos.shape == (5, 4, 1, SIZE, SIZE)
    assert batch.rates.tolist() == batch.motion.tolist() == [0] * 5
    torch.testing.assert_close(batch.videos, torch.full_like(batch.videos, 200 / 127.5 - 1))
    assert all(caption.startswith("picture") for caption in batch.captions)
    as_many = ClipBatches(make_clips(), replace(PLAIN, image_share=1.0), make_pictures()).batch_at(0)
    assert len(as_many.items) == 8 * 4


def test_a_stride_lowers_the_rate_and_only_those_that_fit_are_taken() -> None:
    clip = make_clips().items[4]  # 7 frames, no loop
    config = replace(PLAIN, strides=(1, 2, 3))
    assert frame_places(clip, config, 0.99, 0.0, False)[0].tolist() == [0, 2, 4, 6]
    places, rate = frame_places(clip, config, 0.6, 0.99, False)
    assert (places.tolist(), rate) == ([0, 2, 4, 6], 6)
    assert frame_places(clip, config, 0.0, 0.99, False)[0].tolist() == [3, 4, 5, 6]
    loop = replace(clip, seam=1.0)
    places, rate = frame_places(loop, config, 0.99, 0.5, False)
    assert (places.tolist(), rate) == ([3, 6, 2, 5], 4)


def test_a_short_clip_holds_its_last_frame() -> None:
    clip = make_clips().items[0]  # 3 frames, no loop
    assert frame_places(clip, PLAIN, 0.5, 0.9, False)[0].tolist() == [0, 1, 2, 2]


def test_a_period_is_spread_over_all_frames_and_starts_anywhere() -> None:
    clip = replace(make_clips().items[1], frames=12, seam=0.5)
    places, rate = frame_places(clip, PLAIN, 0.5, 0.0, True)
    assert (places.tolist(), rate) == ([0, 3, 6, 9], 4)
    assert frame_places(clip, PLAIN, 0.5, 0.5, True)[0].tolist() == [6, 9, 0, 3]


def test_whole_periods_come_of_clips_that_loop_alone() -> None:
    clips = make_clips()
    batch = ClipBatches(clips, replace(PLAIN, loop_share=1.0)).batch_at(1)
    for looped, index in zip(batch.loops.tolist(), batch.items.tolist(), strict=True):
        item = clips.items[index]
        assert looped == (item.loops and item.frames >= 4)
    assert batch.loops.any() and not batch.loops.all()


def test_only_clips_whose_mirror_image_means_the_same_are_mirrored() -> None:
    clips = make_clips()
    clips.stored[..., : SIZE // 2] = 0
    batches = ClipBatches(clips, replace(PLAIN, mirror=True))
    turned = {True: 0, False: 0}
    for step in range(6):
        batch = batches.batch_at(step)
        for video, index in zip(batch.videos, batch.items.tolist(), strict=True):
            turned[clips.items[index].flips] += int(video[..., -1].max() == -1)
    assert turned[True] > 5 and turned[False] == 0


def test_smaller_frames_are_means_over_areas() -> None:
    clips = make_clips()
    clips.stored[..., ::2] = 0
    one, half = (ClipBatches(clips, replace(PLAIN, size=size)).batch_at(0) for size in (SIZE, SIZE // 2))
    assert half.videos.shape[-1] == SIZE // 2
    means = torch.nn.functional.avg_pool3d(one.videos, (1, 2, 2))
    torch.testing.assert_close(half.videos, means, atol=1 / 127.5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"strides": (0,)}, "strides"),
        ({"loop_share": 1.5}, "loop_share is 1.5"),
        ({"size": 16}, "size 16 is larger than the 8 px"),
        ({"image_share": 0.5}, "no set of pictures is given"),
        ({"styles": ("cubist",)}, "no style 'cubist'; it has a"),
        ({"exclude_groups": ("flags", "things")}, "no clip left"),
    ],
)
def test_wishes_that_cannot_be_met_name_the_value(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClipBatches(make_clips(), replace(PLAIN, **options))
