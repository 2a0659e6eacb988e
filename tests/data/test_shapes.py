"""The set that is drawn by a formula."""

import numpy as np

from text2x.data.shapes import COLOURS, SHAPES, STYLES, shapes


def test_there_is_one_picture_for_each_colour_shape_and_size():
    made = shapes(16)
    assert len(made) == len(COLOURS) * len(SHAPES) * len(STYLES)
    assert len({item.key for item in made.items}) == len(made)


def test_a_picture_has_the_colour_that_its_caption_says():
    made = shapes(32)
    for item, picture in zip(made.items, made.images, strict=True):
        alpha = picture[3].astype(float)
        shown = picture[:3].reshape(3, -1).sum(1) / alpha.sum() * 255
        assert np.abs(shown - COLOURS[item.colours[0]]).max() < 4
        assert item.captions[0].startswith(item.colours[0])


def test_colours_are_premultiplied():
    images = shapes(32).images.astype(int)
    assert (images[:, :3] <= images[:, 3:]).all()


def test_small_ones_are_smaller():
    made = shapes(32)
    area = {item.key: int(picture[3].sum()) for item, picture in zip(made.items, made.images, strict=True)}
    assert area["small/red-circle"] < 0.6 * area["large/red-circle"]
