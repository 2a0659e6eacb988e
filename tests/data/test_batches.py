from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from text2x.data.batches import AUGMENTATIONS, Batch, BatchConfig, ImageBatches, augmented
from text2x.data.imageset import ImageSet, Item
from text2x.errors import InputError


def make_set(count: int = 60, size: int = 16) -> ImageSet:
    rng = np.random.default_rng(1)
    items = [
        Item(
            key=str(number),
            concept=f"thing {number // 2}",
            style="ab"[number % 2],
            captions=(f"thing {number}", f"a thing {number}", f"thing {number}, red"),
            group="flags" if number % 10 == 0 else "things",
            colours=("red",),
            licence="CC0-1.0",
            flips=number % 3 > 0,
        )
        for number in range(count)
    ]
    alpha = rng.integers(0, 256, (count, 1, size, size))
    colour = rng.integers(0, 256, (count, 3, size, size)) * alpha // 255
    return ImageSet("made", items, np.concatenate([colour, alpha], 1).astype(np.uint8))


PLAIN = BatchConfig(batch_size=8, size=16, caption_drop=0, style_drop=0, augment_probability=0, plain_caption=1)


def same(one: Batch, other: Batch) -> bool:
    assert one.augmentations is not None and other.augmentations is not None
    tensors = ((one.images, other.images), (one.augmentations, other.augmentations), (one.items, other.items))
    texts = one.captions == other.captions and one.styles == other.styles
    return texts and all(torch.equal(*pair) for pair in tensors)


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    config = BatchConfig(batch_size=8, size=8, augment_probability=0.5, seed=3)
    first, second = ImageBatches(make_set(), config), ImageBatches(make_set(), config)
    wanted = [first.batch_at(step) for step in range(20)]
    for step in (19, 0, 7):  # any order, another object
        assert same(second.batch_at(step), wanted[step])
    other = ImageBatches(make_set(), replace(config, seed=4))
    assert not same(other.batch_at(0), wanted[0])
    assert not torch.equal(wanted[0].items, wanted[1].items)


def test_an_epoch_shows_every_item_once_and_the_next_in_another_order():
    batches = ImageBatches(make_set(), PLAIN)
    size = batches.epoch_size
    seen = torch.cat([batches.batch_at(step).items for step in range(2 * size // 8 + 1)]).tolist()
    assert sorted(seen[:size]) == sorted(seen[size : 2 * size]) == batches.indexes.tolist()
    assert seen[:size] != seen[size : 2 * size]


def test_a_batch_may_be_larger_than_the_set():
    batches = ImageBatches(make_set(), replace(PLAIN, batch_size=200))
    counts = np.bincount(batches.batch_at(0).items.numpy())[batches.indexes]
    assert counts.min() >= 200 // batches.epoch_size


def test_pictures_are_those_of_the_items_in_minus_one_to_one():
    images = make_set()
    batch = ImageBatches(images, PLAIN).batch_at(0)
    stored = torch.from_numpy(images.images[batch.items.numpy()].astype(np.float32))
    assert batch.images.dtype == torch.float32 and batch.items.dtype == torch.int64
    torch.testing.assert_close(batch.images, stored / 127.5 - 1)
    assert batch.captions == tuple(images.items[index].captions[0] for index in batch.items)
    assert batch.styles == tuple(images.items[index].style for index in batch.items)


def test_smaller_pictures_are_means_over_areas():
    images = make_set()
    batch = ImageBatches(images, replace(PLAIN, size=4)).batch_at(0)
    stored = torch.from_numpy(images.images[batch.items.numpy()].astype(np.float32))
    means = torch.nn.functional.avg_pool2d(stored, 4)
    assert (batch.images - (means / 127.5 - 1)).abs().max() <= 0.5 / 127.5 + 1e-6


def test_styles_and_groups_choose_the_items():
    images = make_set()
    batches = ImageBatches(images, replace(PLAIN, styles=("b",), exclude_groups=("flags",)))
    assert {images.items[index].style for index in batches.indexes} == {"b"}
    assert not {images.items[index].group for index in batches.indexes} & {"flags"}
    with pytest.raises(InputError, match="no style 'c'; it has a, b"):
        ImageBatches(images, replace(PLAIN, styles=("c",)))
    with pytest.raises(InputError, match="no picture left"):
        ImageBatches(images, replace(PLAIN, exclude_groups=("flags", "things")))


def test_captions_and_styles_are_dropped_as_often_as_asked():
    config = replace(PLAIN, batch_size=500, caption_drop=0.2, style_drop=0.25, plain_caption=0.6)
    batches = ImageBatches(make_set(), config)
    drawn = [batches.batch_at(step) for step in range(8)]
    captions = [caption for batch in drawn for caption in batch.captions]
    styles = [style for batch in drawn for style in batch.styles]
    dropped = [caption == "" for caption in captions]
    assert 0.18 < np.mean(dropped) < 0.22
    assert all(style is None for style, gone in zip(styles, dropped, strict=True) if gone)
    kept = [style is None for style, gone in zip(styles, dropped, strict=True) if not gone]
    assert 0.22 < np.mean(kept) < 0.28
    plain = [caption.startswith("thing") and "," not in caption for caption in captions if caption]
    assert 0.56 < np.mean(plain) < 0.64
    assert 0.17 < np.mean([caption.endswith("red") for caption in captions if caption]) < 0.23


def test_labels_say_what_was_done_and_only_what_may_flip_is_flipped():
    images = make_set()
    config = replace(PLAIN, batch_size=400, augment_probability=0.3)
    batch, plain = (ImageBatches(images, each).batch_at(0) for each in (config, replace(PLAIN, batch_size=400)))
    labels = batch.augmentations
    assert labels is not None and labels.shape == (400, len(AUGMENTATIONS)) and labels.abs().max() <= 1
    untouched = labels.eq(0).all(1)
    assert torch.equal(batch.images[untouched], plain.images[untouched])
    changed = (batch.images - plain.images).abs().flatten(1).amax(1) > 0
    assert changed[~untouched].float().mean() > 0.95
    mirrored = labels[:, 0] > 0
    assert mirrored.any() and all(images.items[index].flips for index in batch.items[mirrored])
    assert plain.augmentations is not None and not plain.augmentations.any()
    assert (batch.images[:, :3] <= batch.images[:, 3:] + 1e-6).all()  # still premultiplied


def test_each_augmentation_does_what_its_name_says():
    image = torch.full((1, 4, 16, 16), -1.0)
    image[:, :, 4:6, 2:6] = 0.0
    image[:, 3, 4:6, 2:6] = 1.0

    def box(**amounts: float) -> tuple[int, int, int, int]:
        labels = torch.tensor([[amounts.get(name, 0.0) for name in AUGMENTATIONS]])
        rows, columns = torch.where(augmented(image, labels)[0, 3] > 0)
        return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())

    assert box() == (4, 5, 2, 5)
    assert box(mirrored=1) == (4, 5, 10, 13)
    assert box(right=1) == (4, 5, 4, 7)  # an eighth of 16 is 2 pixels
    assert box(down=-1) == (2, 3, 2, 5)
    assert box(mirrored=1, right=1) == (4, 5, 12, 15)
    top, bottom, left, right = box(larger=1)
    assert (bottom - top) * (right - left) > 3
    brighter = augmented(image, torch.tensor([[0, 0, 0, 0, 1.0]]))
    assert torch.allclose(brighter[0, 0, 4, 3], torch.tensor(0.5 * 1.2 * 2 - 1)) and brighter[0, 3, 4, 3] == 1


def test_mirroring_untold_leaves_labels_zero_and_flips_half_of_what_may_flip():
    images = make_set()
    batch, plain = (
        ImageBatches(images, replace(PLAIN, batch_size=400, mirror=mirror)).batch_at(0) for mirror in (True, False)
    )
    turned = (batch.images - plain.images).abs().flatten(1).amax(1) > 0
    flips = torch.tensor([images.items[index].flips for index in batch.items])
    assert not turned[~flips].any() and 0.4 < turned[flips].float().mean() < 0.6
    assert torch.equal(batch.images[turned], plain.images[turned].flip(-1))


def test_crops_are_windows_of_the_picture_and_avoid_empty_ones():
    items = make_set(40).items
    images = np.zeros((40, 4, 16, 16), np.uint8)
    images[:, :, :, 8:] = np.arange(1, 9, dtype=np.uint8) + np.arange(16, dtype=np.uint8)[:, None] * 8
    batch = ImageBatches(ImageSet("half", items, images), replace(PLAIN, crop=4, batch_size=64)).batch_at(0)
    assert batch.images.shape == (64, 4, 4, 4)
    bytes_ = ((batch.images[:, 0] + 1) * 127.5).round()
    full = bytes_[(bytes_ > 0).all(2).all(1)]
    assert len(full) > 20
    assert (full[:, 1:, :] - full[:, :-1, :] == 8).all() and (full[:, :, 1:] - full[:, :, :-1] == 1).all()
    assert (bytes_.flatten(1).amax(1) == 0).float().mean() < 0.1  # a third would be empty without looking


@pytest.mark.parametrize(
    "wrong", [{"augment_probability": 1.5}, {"caption_drop": -0.1}, {"batch_size": 0}, {"crop": 20}, {"seed": -1}]
)
def test_impossible_settings_are_refused(wrong: dict):
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(PLAIN, **wrong)


def test_a_batch_is_made_quickly():
    batches = ImageBatches(make_set(400, 32), BatchConfig(batch_size=64, size=32))
    batches.batch_at(0)
    times = []
    for step in range(1, 11):
        begin = time.perf_counter()
        batches.batch_at(step)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.02
