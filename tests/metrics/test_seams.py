"""Seams and errors that were painted on purpose."""

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.seams import hole_error, seam


@pytest.fixture
def real() -> torch.Tensor:
    """Slopes of 0.05 a pixel from left to right and from top to bottom."""
    slope = torch.arange(16.0) * 0.05 - 0.7
    return (slope[:, None] * 0.5 + slope[None, :] * 0.5).expand(6, 4, 16, 16).clone()


@pytest.fixture
def mask() -> torch.Tensor:
    known = torch.ones(16, 16)
    known[4:10, 5:16] = 0  # reaches the right edge of the picture, which is no border
    return known


def test_the_real_picture_has_no_seam_and_no_error(real, mask):
    figure = seam(real, real, mask)
    assert (figure.value, figure.low, figure.high) == (1, 1, 1)
    assert hole_error(real, real, mask).value == 0


def test_a_step_at_the_border_is_a_seam_of_known_size(real, mask):
    painted = torch.where(mask == 1, real, real + 0.3)
    # Across the border the real slope is 0.025; the step adds to it at the left and top, and turns it at the bottom.
    left, top, bottom = 6, 11, 11
    expected = (left + top) * 0.325 + bottom * abs(0.025 - 0.3)
    assert seam(painted, real, mask).value == pytest.approx(expected / ((left + top + bottom) * 0.025), rel=1e-4)
    assert hole_error(painted, real, mask).value == pytest.approx(0.3, abs=1e-6)


def test_a_blurred_border_is_below_one_and_what_happens_elsewhere_is_no_seam(real, mask):
    rng = torch.Generator().manual_seed(0)
    textured = real + 0.2 * torch.randn(real.shape, generator=rng)
    smooth = torch.where(mask == 1, textured, real)
    assert seam(real, textured, mask).value < 0.3
    inner = torch.zeros(16, 16, dtype=torch.bool)
    inner[6:8, 8:14] = True  # inside the hole, away from the border
    changed = torch.where(inner, -1.0, textured)
    assert seam(changed, textured, mask).value == 1
    assert hole_error(changed, textured, mask).value > 0.1
    assert hole_error(smooth, textured, mask).value < 0.3


def test_each_picture_may_have_a_mask_of_its_own(real, mask):
    painted = real.clone()
    painted[0] += 1 - mask
    whole = seam(painted, real, mask).value
    other = torch.ones(6, 16, 16)
    other[:, :3] = 0
    other[0] = mask
    assert seam(painted, real, other).value != whole
    assert hole_error(painted, real, other).value == pytest.approx(1 / 6, abs=1e-6)


@pytest.mark.parametrize(
    ("pictures", "mask", "message"),
    [
        (np.zeros((2, 4, 8, 8)), np.ones((8, 8)), "2 of 2 masks have no border"),
        (np.zeros((2, 4, 8, 8)), np.ones((8, 9)), r"the mask is \[8, 9\]; it must be \[8, 8\] or \[2, 8, 8\]"),
        (np.zeros((2, 4, 8, 8)), np.full((8, 8), 0.5), "values other than 0 and 1"),
        (np.zeros((2, 4, 8, 9)), np.ones((8, 8)), r"pictures \[2, 4, 8, 9\] and real ones \[2, 4, 8, 8\]"),
        (np.full((2, 4, 8, 8), np.nan), np.ones((8, 8)), "512 values of the pictures are not finite"),
    ],
)
def test_mistakes_are_named_with_their_numbers(pictures, mask, message):
    with pytest.raises(InputError, match=message):
        seam(pictures, np.zeros((2, 4, 8, 8)), mask)


def test_real_pictures_that_are_flat_at_the_border_give_no_ratio(mask):
    with pytest.raises(InputError, match="mean 0; it must be above 0"):
        seam(np.ones((2, 4, 16, 16)), np.zeros((2, 4, 16, 16)), mask)
