"""Windows and pasting back: squares around holes, scaling that keeps the hole out, known bytes that stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.editing import (
    Box,
    Window,
    box_mask,
    cut,
    feather,
    finished,
    paste,
    paste_bytes,
    put,
    scale_keep,
    scale_to,
    window_for,
)
from text2x.errors import InputError
from text2x.media import Image

quick = settings(max_examples=30, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def pixels_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    return Image.from_uint8(bytes_of(height, width, seed)).pixels


def bytes_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Straight alpha, a third of it 0 and with hidden colours, a third 255."""
    rng = np.random.default_rng(seed)
    straight = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    straight[..., 3] = np.where(rng.random((height, width)) < 2 / 3, rng.choice([0, 255], (height, width)), 100)
    return straight


@st.composite
def holes(draw: st.DrawFn, most: int = 300) -> tuple[Box, int, int]:
    width, height = draw(st.integers(1, most)), draw(st.integers(1, most))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return Box(left, top, right, bottom), width, height


# Where


@quick
@given(holes(5000), st.sampled_from([16, 32, 64, 512]))
def test_a_window_holds_the_hole_and_as_much_again_where_the_picture_has_it(
    given_: tuple[Box, int, int], side: int
) -> None:
    hole, width, height = given_
    window = window_for(hole, width, height, side)
    assert window.left <= hole.left and window.left + window.side >= hole.right
    assert window.top <= hole.top and window.top + window.side >= hole.bottom
    assert window.side <= max(width, height)
    assert window.side >= min(2 * max(hole.width, hole.height), max(width, height), 5000)
    for start, size in ((window.left, width), (window.top, height)):
        inside = start >= 0 and start + window.side <= size
        assert inside or window.side >= size, "it reaches beyond the picture only if it is larger"


@pytest.mark.parametrize(
    ("hole", "size", "window"),
    [
        (Box(0, 0, 1, 1), (1, 1), Window(0, 0, 1)),
        (Box(5, 5, 9, 9), (128, 128), Window(0, 0, 128)),  # at most twice the model's side: all of it
        (Box(5, 5, 9, 9), (128, 100), Window(0, -14, 128)),
        (Box(5, 5, 9, 9), (129, 100), Window(0, 0, 64)),
        (Box(3990, 2, 4000, 9), (4000, 10), Window(3936, -27, 64)),
        (Box(1000, 0, 1100, 10), (4000, 10), Window(950, -95, 200)),
        (Box(100, 100, 600, 150), (1000, 1000), Window(0, 0, 1000)),
        (Box(400, 400, 500, 450), (1000, 1000), Window(350, 325, 200)),
    ],
)
def test_windows_of_a_model_of_64_pixels(hole: Box, size: tuple[int, int], window: Window) -> None:
    assert window_for(hole, *size, side=64) == window


def test_a_hole_too_long_to_be_painted_at_once_is_an_input_error() -> None:
    assert window_for(Box(0, 0, 4000, 10), 16_000, 10, 64).side == 5000
    with pytest.raises(InputError, match="5,001 x 2 pixels; at most 5,000"):
        window_for(Box(0, 0, 5001, 2), 8_000_000, 2, 64)


# Cutting and pasting


@quick
@given(holes(40), st.sampled_from([4, 16]), seeds)
def test_what_is_cut_and_pasted_back_is_the_same_picture(given_: tuple[Box, int, int], side: int, seed: int) -> None:
    hole, width, height = given_
    pixels, keep = pixels_of(height, width, seed), box_mask(hole, width, height)
    window = window_for(hole, width, height, side)
    piece, known = cut(pixels, keep, window)
    assert piece.shape == (4, window.side, window.side) and known.shape == piece.shape[1:]
    assert np.array_equal(paste(pixels, window, piece, keep), pixels)
    assert known.sum() <= keep.sum() and piece.dtype == known.dtype == np.float32


def test_beyond_the_picture_a_window_is_transparent_and_unknown() -> None:
    pixels = pixels_of(3, 5)
    piece, keep = cut(pixels, np.ones((3, 5), dtype=np.float32), Window(-1, -2, 7))
    assert np.array_equal(piece[:, 2:5, 1:6], pixels) and (keep[2:5, 1:6] == 1).all()
    assert keep.sum() == 15 and (piece[:, keep == 0] == -1).all()


def test_a_window_beside_the_picture_and_other_shapes_are_refused() -> None:
    pixels = pixels_of(3, 5).copy()
    with pytest.raises(ValueError, match="beyond a picture of 5 x 3"):
        cut(pixels, np.ones((3, 5)), Window(5, 0, 2))
    with pytest.raises(ValueError, match="not of side 2"):
        put(pixels, Window(0, 0, 2), np.zeros((4, 3, 3)), np.zeros((2, 2)))


@quick
@given(holes(24), st.integers(0, 4), seeds)
def test_pasting_leaves_known_values_and_bytes_as_they_were(
    given_: tuple[Box, int, int], pixels: int, seed: int
) -> None:
    hole, width, height = given_
    rng = np.random.default_rng(seed)
    straight = bytes_of(height, width, seed)
    hidden = ((straight[..., 3] == 0) & straight[..., :3].any(axis=-1)).any()
    original = Image(Image.from_uint8(straight).pixels, straight if hidden else None)
    keep = box_mask(hole, width, height)
    keep[rng.random((height, width)) < 0.3] = rng.choice([0, 0.4, 1])
    window = window_for(Box(0, 0, width, height), width, height, 8)
    painted = rng.normal(0, 2, (4, window.side, window.side)).astype(np.float32)  # far out of range as well
    edited = paste(original.pixels, window, painted, feather(keep, pixels))
    known = keep == 1
    assert np.array_equal(edited[:, known].view(np.int32), original.pixels[:, known].view(np.int32))
    image = finished(original, edited, keep)
    assert np.array_equal(image.to_uint8()[known], straight[known])
    assert np.array_equal(image.to_uint8()[~known], Image(edited).to_uint8()[~known])


def test_shares_blend_and_colours_never_exceed_alpha() -> None:
    original = np.full((4, 1, 3), -1, dtype=np.float32)
    painted = np.stack([np.full((3, 3), value, dtype=np.float32) for value in (1, 0, -1, 0)])
    edited = paste(original, Window(0, -1, 3), painted, np.array([[1, 0.5, 0]], dtype=np.float32))
    assert edited[:, 0, 0].tolist() == [-1, -1, -1, -1]
    assert edited[:, 0, 1].tolist() == [-0.5, -0.5, -1, -0.5]
    assert edited[:, 0, 2].tolist() == [0, 0, -1, 0], "red 1 above alpha 0 comes down to it"


def test_bytes_of_the_original_are_taken_only_where_it_is_known_for_certain() -> None:
    original, edited = bytes_of(1, 3, seed=1), bytes_of(1, 3, seed=2)
    taken = paste_bytes(original, edited, np.array([[1, 0.99, 0]]))
    assert np.array_equal(taken[:, :1], original[:, :1]) and np.array_equal(taken[:, 1:], edited[:, 1:])


# Scaling


def test_means_over_areas_and_masks_over_all_that_a_pixel_covers() -> None:
    pixels = pixels_of(6, 6)
    means = pixels.reshape(4, 2, 3, 2, 3).mean(axis=(2, 4))
    assert np.allclose(scale_to(pixels, 2), means, atol=1e-6)
    keep = np.ones((6, 6), dtype=np.float32)
    keep[0, 5] = 0
    assert scale_keep(keep, 2).tolist() == [[1, 0], [1, 1]]
    assert scale_keep(keep, 4)[0].tolist() == [1, 1, 1, 0]
    assert scale_keep(keep, 12)[0].tolist() == [1] * 10 + [0, 0]
    assert scale_keep(np.full((6, 6), 0.5), 5).tolist() == np.full((5, 5), 0.5).tolist()


@quick
@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_a_scaled_mask_is_the_least_of_what_each_pixel_covers(seed: int, side: int, size: int) -> None:
    keep = np.random.default_rng(seed).choice([0, 0.5, 1, 1, 1], (side, side)).astype(np.float32)
    spans = [range(index * side // size, -(-(index + 1) * side // size)) for index in range(size)]
    expected = [[min(keep[y, x] for y in rows for x in columns) for columns in spans] for rows in spans]
    assert np.array_equal(scale_keep(keep, size), np.array(expected, dtype=np.float32))


@quick
@given(seeds, st.integers(1, 24), st.integers(1, 24))
def test_nothing_of_the_hole_gets_into_the_known_pixels_of_another_size(seed: int, side: int, size: int) -> None:
    keep = np.random.default_rng(seed).choice([0, 1, 1, 1, 1], (side, side)).astype(np.float32)
    one, other = pixels_of(side, side, seed), pixels_of(side, side, seed + 1)
    other = np.where(keep == 1, one, other)
    known = scale_keep(keep, size) == 1
    assert np.array_equal(scale_to(one, size, keep)[:, known], scale_to(other, size, keep)[:, known])


@pytest.mark.parametrize("size", [3, 8, 20])
def test_scaling_keeps_a_plain_picture_plain_and_within_range(size: int) -> None:
    plain = np.broadcast_to(np.array([0.2, -0.5, -1, 0.4], dtype=np.float32)[:, None, None], (4, 8, 8))
    assert np.allclose(scale_to(plain, size), plain[:, :1, :1], atol=1e-6)
    scaled = scale_to(pixels_of(8, 8), size)
    assert scaled.dtype == np.float32 and np.abs(scaled).max() <= 1 and (scaled[:3] <= scaled[3]).all()
