from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from text2x.data.drawing import area_mean, draw_svg, main_colours, premultiply, shrink

VIEW = (0.0, 0.0, 32.0, 32.0)


def filled(colour: tuple[int, int, int], rows: slice = slice(None)) -> np.ndarray:
    image = np.zeros((4, 32, 32), np.uint8)
    image[:3, rows] = np.array(colour, np.uint8)[:, None, None]
    image[3, rows] = 255
    return image


def test_a_drawing_is_premultiplied_and_of_the_size_asked_for():
    body = '<rect x="0" y="0" width="16" height="32" fill="#ff0000" fill-opacity="0.5"/>'
    image = draw_svg(body, VIEW, 24)
    assert image.shape == (4, 24, 24) and image.dtype == np.uint8
    assert abs(int(image[3, 12, 4]) - 128) <= 1 and abs(int(image[0, 12, 4]) - 128) <= 1
    assert not image[:, :, 13:].any() and not image[1:3].any()
    assert (image[:3] <= image[3:]).all()


def test_a_drawing_that_is_not_square_is_centred():
    image = draw_svg('<rect width="16" height="32"/>', (0, 0, 16, 32), 16)
    assert image[3, :, 4:12].min() == 255 and not image[3, :, :4].any() and not image[3, :, 12:].any()


def test_a_mirrored_drawing_is_the_flipped_one():
    body = '<path d="M2 2h10v3H2z" fill="#0000ff"/>'
    np.testing.assert_allclose(
        draw_svg(body, VIEW, 32, flip=True).astype(int), draw_svg(body, VIEW, 32)[:, :, ::-1].astype(int), atol=1
    )


@pytest.mark.parametrize("size", [1, 3, 5, 8, 12, 20])
def test_area_mean_keeps_the_mean_and_constants(size: int):
    pixels = np.random.default_rng(0).random((2, 12, 12), dtype=np.float32)
    small = area_mean(pixels, size)
    assert small.shape == (2, size, size) and small.dtype == np.float32
    np.testing.assert_allclose(small.mean((1, 2)), pixels.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(area_mean(np.full((12, 12), 0.3, np.float32), size), 0.3, rtol=1e-5)


def test_area_mean_by_a_broken_ratio_weighs_shared_pixels():
    row = np.array([[0, 3, 6]], np.float32).repeat(3, 0)
    np.testing.assert_allclose(area_mean(row, 2)[0], [1.0, 5.0])  # (0 + 3/2) / 1.5 and (3/2 + 6) / 1.5


@pytest.mark.parametrize("size", [16, 8, 4, 2, 6])
def test_shrinking_in_integers_agrees_with_floating_point(size: int):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16), dtype=np.uint8)
    exact = area_mean((images / 255).astype(np.float32), size) * 255
    assert np.abs(shrink(images, size) - exact).max() <= 0.51


def test_premultiplying_hides_the_colour_of_transparent_pixels():
    picture = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    picture.putpixel((1, 0), (200, 100, 50, 255))
    pixels = premultiply(picture)
    assert not pixels[:, 0, 0].any()
    np.testing.assert_allclose(pixels[:, 0, 1] * 255, [200, 100, 50, 255], rtol=1e-5)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((221, 46, 68), "red"),
        ((255, 204, 77), "yellow"),
        ((59, 136, 195), "blue"),
        ((62, 114, 29), "green"),
        ((20, 20, 20), "black"),
        ((250, 250, 250), "white"),
        ((140, 140, 140), "grey"),
        ((110, 60, 25), "brown"),
        ((116, 78, 170), "purple"),
        ((244, 150, 190), "pink"),
        ((244, 144, 12), "orange"),
    ],
)
def test_colours_are_named_as_people_name_them(colour: tuple[int, int, int], name: str):
    assert main_colours(filled(colour)) == (name,)


def test_colours_come_with_the_largest_first_and_specks_are_left_out():
    image = filled((0, 0, 255))
    image[:, :10] = filled((255, 0, 0))[:, :10]
    image[:, 31:] = filled((0, 160, 0))[:, 31:]
    assert main_colours(image) == ("blue", "red")
    assert main_colours(np.zeros((4, 32, 32), np.uint8)) == ()
