"""Painting in windows without a model: the seam, the order of windows, what a painter is told."""

import numpy as np
import pytest

from text2x.edits import Inpainting, Outpainting
from text2x.media import Image
from text2x.painting import inpainted, met, outpainted, varied


def smooth(width: int, height: int) -> Image:
    """An opaque ramp of colours."""
    across, down = np.meshgrid(np.linspace(-0.8, 0.8, width), np.linspace(-0.5, 0.5, height))
    return Image(np.stack([across, down, (across + down) / 2]).astype(np.float32))


def steepest(pixels: np.ndarray, keep: np.ndarray) -> float:
    """The mean step across the hole's left border."""
    column = int(np.flatnonzero((keep == 0).any(0))[0])
    rows = keep[:, column] == 0
    return float(np.abs(pixels[:3, rows, column] - pixels[:3, rows, column - 1]).mean())


def test_a_shift_of_colour_in_the_hole_is_taken_away_at_its_border() -> None:
    pixels = smooth(48, 48).pixels
    keep = np.ones((48, 48), dtype=np.float32)
    keep[12:36, 12:36] = 0
    shifted = np.where(keep == 1, pixels, pixels - 0.2)
    shifted[3] = 1
    mended = np.where(keep == 1, pixels, met(shifted, pixels, keep))
    assert steepest(shifted, keep) > 0.15
    assert steepest(mended, keep) < 1.5 * steepest(pixels, keep)
    assert np.abs(mended - shifted)[:, 22:26, 22:26].max() < 1e-6  # far from the border nothing changes


def test_an_outline_at_the_border_is_no_shift_of_colour() -> None:
    pixels = np.full((4, 48, 48), 1.0, dtype=np.float32)
    keep = np.zeros((48, 48), dtype=np.float32)
    keep[12:36, 12:36] = 1
    nothing = np.full_like(pixels, -1)
    assert np.array_equal(met(nothing, pixels, keep, largest=0.5), nothing)
    assert met(nothing, pixels, keep).max() > 0


def test_a_hole_that_meets_its_surroundings_is_left_as_it_was_drawn() -> None:
    pixels = smooth(48, 48).pixels
    keep = np.ones((48, 48), dtype=np.float32)
    keep[12:36, 12:36] = 0
    assert np.abs(met(pixels, pixels, keep) - pixels).max() < 0.06  # the ramp's own step over a stretch
    assert np.array_equal(met(pixels, pixels, np.zeros_like(keep)), pixels)


def test_a_painter_is_told_what_is_known_and_where_nothing_is() -> None:
    told: list[tuple[np.ndarray, np.ndarray, int]] = []

    def paint(pixels: np.ndarray, keep: np.ndarray, number: int) -> np.ndarray:
        told.append((pixels, keep, number))
        return np.zeros_like(pixels)

    image = smooth(30, 20)
    made, warnings = inpainted(Inpainting(image, "5,5,10,10"), 32, paint)
    pixels, keep, number = told[0]
    assert (number, warnings, keep.shape, pixels.shape) == (0, (), (30, 30), (4, 30, 30))
    assert keep.sum() == 30 * 20 - 100 and (keep[:5] == 0).all()  # beyond the picture nothing is known
    assert np.array_equal(made.pixels[:, :5], image.pixels[:, :5])


@pytest.mark.parametrize("edit", [{"left": 10, "right": 70}, {"zoom": 3.0}, {"to": "61x33"}], ids=str)
def test_windows_go_from_the_known_to_the_unknown_and_each_sees_what_was_painted(edit: dict) -> None:
    known: list[float] = []

    def paint(pixels: np.ndarray, keep: np.ndarray, number: int) -> np.ndarray:
        known.append(float(keep.mean()))
        average = pixels[:, keep == 1].mean(1)
        return np.broadcast_to(average[:, None, None], pixels.shape).astype(np.float32)

    image = smooth(24, 24)
    made = outpainted(Outpainting(image, **edit), 16, paint)
    assert min(known) > 0.05
    assert made.pixels[3].min() > 0.9  # opaque, as what each window saw
    assert np.abs(made.pixels[:3]).max() <= 0.9


def test_a_variation_is_painted_in_one_square_about_the_whole_picture() -> None:
    shapes: list[tuple[int, ...]] = []

    def paint(pixels: np.ndarray, keep: np.ndarray, number: int) -> np.ndarray:
        shapes.append(pixels.shape)
        assert not keep.any() and pixels[3].min() > 0.99  # the outside takes the picture's colours, not transparency
        return pixels

    image = smooth(31, 17)
    made = varied(image, 64, paint)
    assert shapes == [(4, 31, 31)] and np.allclose(made.pixels, image.pixels, atol=1e-6)


@pytest.mark.parametrize("free", [True, False])
def test_beyond_the_canvas_of_a_picture_on_nothing_there_is_nothing_and_else_the_unknown(free: bool) -> None:
    told: list[tuple[np.ndarray, np.ndarray]] = []

    def paint(pixels: np.ndarray, keep: np.ndarray, number: int) -> np.ndarray:
        told.append((pixels, keep))
        return pixels

    pixels = np.full((4, 24, 24), -1, dtype=np.float32)
    pixels[:, 4:20, 4:20] = 1
    image = Image(pixels) if free else smooth(24, 24)
    outpainted(Outpainting(image, left=12, right=12), 48, paint)
    seen, keep = told[0]
    assert keep.shape == (48, 48)
    beyond = np.ones((48, 48), dtype=bool)
    beyond[12:36] = False
    assert (keep[beyond] == free).all() and (seen[:, beyond] == -1).all()
