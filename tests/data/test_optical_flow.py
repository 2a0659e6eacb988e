from __future__ import annotations

import numpy as np
import pytest

from moving_discs import circling, disc, stored
from text2x.data import optical_flow
from text2x.data.optical_flow import flow, grey_levels, motion, seam, steps

pytest.importorskip("cv2")


def test_flow_says_where_pixels_went() -> None:
    grey = grey_levels(stored(disc(lambda t: (14 + 1.5 * t, 16 - t), frames=2)))
    found = flow(*grey)
    inside = found[12:20, 10:18].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inside, 0), [1.5, -1], atol=0.2)  # x to the right, y downwards


def test_motion_is_in_hundredths_of_the_side_a_second_at_any_rate_and_size() -> None:
    slow = motion(stored(disc(lambda t: (10 + t, 16))), 12)
    assert slow == pytest.approx(100 * 12 / 32, rel=0.2)
    assert motion(stored(disc(lambda t: (10 + t, 16))), 6) == pytest.approx(slow / 2)
    assert motion(stored(disc(lambda t: (20 + 2 * t, 32), size=64)), 12) == pytest.approx(slow, rel=0.15)


def test_what_stands_still_or_shows_nothing_has_no_motion() -> None:
    assert motion(stored(disc(lambda t: (16, 16))), 12) == 0
    assert motion(np.zeros((3, 4, 8, 8), np.uint8), 12) == 0
    assert motion(np.full((1, 4, 8, 8), 255, np.uint8), 12) == 0


def test_the_seam_is_the_last_step_over_the_others() -> None:
    values = np.array([0, 1, 2, 3, 4, 10], np.uint8).reshape(6, 1, 1, 1) * np.ones((1, 4, 8, 8), np.uint8)
    assert steps(values).tolist() == [1, 1, 1, 1, 6, 10]
    assert seam(values) == pytest.approx(10 / 2)
    assert seam(stored(circling())) == pytest.approx(1, abs=0.15)
    assert seam(np.zeros((4, 4, 8, 8), np.uint8)) == 0
    assert seam(values[:2]) == 1e6


def test_brightness_lies_over_grey_where_nothing_is_drawn() -> None:
    frames = np.zeros((2, 4, 1, 1), np.uint8)
    frames[1] = 255
    assert grey_levels(frames).ravel().tolist() == [128, 255]
    assert optical_flow.LUMINANCE.sum() == pytest.approx(1)
