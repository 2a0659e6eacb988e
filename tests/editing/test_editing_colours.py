"""Colours: holes filled from around them, painted windows matched to the picture."""

import numpy as np
import pytest

from text2x.editing import fill, match_colours
from text2x.media import Image


def noise(side: int, seed: int = 0, low: int = 60, high: int = 190) -> np.ndarray:
    """Opaque premultiplied pixels [4, side, side]."""
    return Image.from_uint8(np.random.default_rng(seed).integers(low, high, (side, side, 3), dtype=np.uint8)).pixels


def left_half(side: int) -> np.ndarray:
    keep = np.zeros((side, side), dtype=np.float32)
    keep[:, : side // 2] = 1
    return keep


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (8, 8), (13, 5), (33, 40)])
def test_a_hole_in_one_colour_takes_that_colour(shape: tuple[int, int]) -> None:
    plain = np.broadcast_to(np.array([0.2, -0.5, -1, 0.4], dtype=np.float32)[:, None, None], (4, *shape)).copy()
    keep = (np.random.default_rng(1).random(shape) < 0.3).astype(np.float32)
    keep[0, 0] = 1
    holed = np.where(keep == 1, plain, np.float32(7))
    filled = fill(holed, keep)
    assert filled.dtype == np.float32 and np.allclose(filled, plain, atol=1e-6)


def test_what_is_known_does_not_change_and_the_fill_lies_between_its_colours() -> None:
    pixels, keep = noise(32), left_half(32)
    keep[5, 5] = 0.5  # not known for certain, so it is filled as well
    filled = fill(pixels, keep)
    assert np.array_equal(filled[:, keep == 1], pixels[:, keep == 1])
    for channel in range(4):
        known = pixels[channel][keep == 1]
        assert known.min() <= filled[channel].min() and filled[channel].max() <= known.max()
    assert filled[0, 5, 5] != pixels[0, 5, 5]
    assert (filled[:3] <= filled[3] + 1e-6).all()


def test_a_hole_between_two_colours_fades_from_one_to_the_other() -> None:
    pixels = np.ones((4, 32, 32), dtype=np.float32)
    pixels[:3, :, :8] = -1
    keep = np.ones((32, 32), dtype=np.float32)
    keep[:, 8:24] = 0
    row = fill(pixels, keep)[0, 16]
    assert row[8] < -0.5 and row[23] > 0.5 and (np.diff(row) >= -1e-6).all()


def test_with_nothing_known_the_fill_is_transparent() -> None:
    assert (fill(noise(6), np.zeros((6, 6))) == -1).all()


def test_a_shifted_window_comes_back_to_the_colours_of_the_picture() -> None:
    known, keep = noise(24), left_half(24)
    values = (known + 1) / 2
    painted = (np.concatenate([values[:3] * 0.9 + 0.06, values[3:]]) * 2 - 1).astype(np.float32)
    matched = match_colours(painted, known, keep)
    assert matched.dtype == np.float32
    assert np.allclose(matched, known, atol=1e-5), "a linear change is undone, in the hole as well"


def test_a_window_of_the_right_colours_is_left_alone() -> None:
    known = noise(24)
    assert np.allclose(match_colours(known, known, left_half(24)), known, atol=1e-6)


def test_gain_and_shift_are_bounded() -> None:
    known, keep = noise(24, low=100, high=110), left_half(24)
    painted = noise(24, seed=1, low=5, high=250)
    before, after = (painted + 1) / 2, (match_colours(painted, known, keep) + 1) / 2
    assert after[0].std() / before[0].std() == pytest.approx(0.8, abs=0.01)
    dark = noise(24, low=5, high=9)
    raised = (match_colours(dark, known, keep) - dark)[0][keep == 1].mean() / 2
    assert raised == pytest.approx(0.15, abs=1e-3)


def test_what_is_transparent_stays_so_and_a_transparent_overlap_says_nothing() -> None:
    known, keep = noise(24).copy(), left_half(24)
    painted = noise(24, seed=1, low=20, high=90).copy()
    painted[:, 10:, 10:] = -1
    matched = match_colours(painted, known, keep)
    assert (matched[:, 10:, 10:] == -1).all() and np.array_equal(matched[3], painted[3])
    assert (matched[:3] <= matched[3]).all() and matched[0, :10].mean() > painted[0, :10].mean()
    known[:, keep == 1] = -1
    assert np.array_equal(match_colours(painted, known, keep), painted)


def test_half_transparent_colours_are_matched_as_the_straight_ones() -> None:
    straight = np.random.default_rng(3).integers(80, 150, (24, 24, 4), dtype=np.uint8)
    brighter = straight.copy()
    brighter[..., :3] += 20
    painted, known = Image.from_uint8(straight).pixels, Image.from_uint8(brighter).pixels
    assert np.allclose(match_colours(painted, known, left_half(24)), known, atol=2e-3)
