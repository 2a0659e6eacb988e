"""Canvases and plans: sizes, limits, and windows that each see enough of what is there until all is painted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.editing import Box, Canvas, Step, Window, cut, extend, finished, plan, put, step_masks, to_size, zoom
from text2x.errors import InputError
from text2x.media import Image

quick = settings(max_examples=30, deadline=None, derandomize=True, database=None)
PICTURE = Image.from_uint8(np.random.default_rng(0).integers(0, 256, (6, 9, 4), dtype=np.uint8))


def blank(width: int, height: int) -> Image:
    return Image(np.ones((4, height, width), dtype=np.float32))


# Canvases


def test_the_picture_lies_where_it_was_asked_to_and_all_around_is_transparent_and_unknown() -> None:
    canvas = extend(PICTURE, left=2, right=1, top=3, bottom=4)
    assert (canvas.image.width, canvas.image.height) == (12, 13)
    assert canvas.original == Box(2, 3, 11, 9)
    assert np.array_equal(canvas.image.pixels[:, 3:9, 2:11], PICTURE.pixels)
    assert canvas.keep.sum() == 54 and (canvas.keep[3:9, 2:11] == 1).all()
    assert (canvas.image.pixels[:, canvas.keep == 0] == -1).all()


@pytest.mark.parametrize(
    ("anchor", "left", "top"),
    [
        ("center", 2, 3), ("left", 0, 3), ("right", 5, 3), ("top", 2, 0), ("bottom", 2, 7),
        ("top-left", 0, 0), ("top-right", 5, 0), ("bottom-left", 0, 7), ("bottom-right", 5, 7),
    ],
)  # fmt: skip
def test_a_size_puts_the_picture_in_the_middle_or_at_the_anchor(anchor: str, left: int, top: int) -> None:
    assert to_size(PICTURE, 14, 13, anchor).original == Box(left, top, left + 9, top + 6)


def test_zoom_is_a_factor_of_both_sides() -> None:
    assert zoom(PICTURE, 2).original == Box(4, 3, 13, 9)
    canvas = zoom(PICTURE, 1.5)
    assert (canvas.image.width, canvas.image.height) == (14, 9)  # 13.5 is rounded up


def test_colours_hidden_in_the_picture_stay_on_the_canvas() -> None:
    straight = np.zeros((2, 2, 4), dtype=np.uint8)
    straight[..., :3] = 77
    canvas = extend(Image(Image.from_uint8(straight).pixels, straight), left=1)
    assert canvas.image.to_uint8()[:, :, 0].tolist() == [[0, 77, 77]] * 2


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        ({}, "nothing to add"),
        ({"left": -1}, "left is -1; a side may grow by 0 to 4,096"),
        ({"left": 3, "top": 4097}, "top is 4,097"),
        ({"bottom": 10**9}, "bottom is 1,000,000,000"),
        ({"right": 1.5}, "right is 1.5"),
        ({"left": True}, "left is True"),
        ({"left": 4096, "right": 4096, "bottom": 4096}, "8,201 x 4,102 pixels; at most 16 megapixels"),
    ],
)
def test_sides_that_cannot_be_are_input_errors(sides: dict[str, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        extend(PICTURE, **sides)


def test_sizes_and_factors_that_cannot_be_are_input_errors() -> None:
    for size in ((8, 20), (20, 5), (0, 0)):
        with pytest.raises(InputError, match=f"{size[0]} x {size[1]} pixels; the picture has 9 x 6.*shrink"):
            to_size(PICTURE, *size)
    with pytest.raises(InputError, match="nothing to add"):
        to_size(PICTURE, 9, 6)
    with pytest.raises(InputError, match="'middle'; known: center"):
        to_size(PICTURE, 20, 20, "middle")
    with pytest.raises(InputError, match="left is 15,000"):
        to_size(PICTURE, 30_009, 6)
    for factor in (1, 0.5, -2, float("nan"), float("inf"), 1e300, True, "2"):
        with pytest.raises(InputError, match="zoom is .*above 1"):
            zoom(PICTURE, factor)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="adds no pixel to 9 x 6"):
        zoom(PICTURE, 1.01)


# Plans


def checked(canvas: Canvas, side: int) -> list[Step]:
    """The plan, after seeing that each step adds something, is told enough and that all is known in the end."""
    known = canvas.keep == 1
    steps = plan(canvas, side)
    for step in steps:
        window, box = step.window, step.box
        assert window.left <= box.left < box.right <= window.left + window.side
        assert window.top <= box.top < box.bottom <= window.top + window.side
        seen, _ = window.within(canvas.image.width, canvas.image.height)
        grows = (canvas.image.width > canvas.original.width) + (canvas.image.height > canvas.original.height)
        assert known[seen.area].mean() >= 0.5**grows - 1e-9, step
        assert not known[box.area].all(), "a step adds something"
        known[box.area] = True
    assert known.all()
    return steps


@quick
@given(st.data(), st.sampled_from([16, 64]))
def test_every_plan_paints_all_and_every_window_sees_enough(data: st.DataObject, side: int) -> None:
    width, height = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    most = st.integers(0, 4 * max(width, height))
    sides = [data.draw(most) for _ in range(4)]
    if any(sides):
        checked(extend(blank(width, height), *sides), side)


@pytest.mark.parametrize(
    ("size", "sides", "windows"),
    [
        ((64, 64), (32, 32, 32, 32), [128]),  # zoomed out by 2: one window
        ((64, 64), (64, 0, 0, 0), [128]),
        ((64, 64), (0, 20, 0, 0), [84]),
        ((10, 10), (59, 59, 59, 59), [20, 40, 80, 128]),
        ((1000, 1000), (200, 0, 0, 0), [400] * 4),
        ((1000, 1000), (200, 200, 200, 200), [400] * 20),
        ((4000, 10), (0, 500, 0, 0), [128] * 8),
        ((1, 1), (1, 0, 0, 0), [2]),
        ((1, 1), (0, 0, 0, 1), [2]),
    ],
)
def test_plans_for_a_model_of_64_pixels(
    size: tuple[int, int], sides: tuple[int, int, int, int], windows: list[int]
) -> None:
    steps = checked(extend(blank(*size), *sides), 64)
    assert [step.window.side for step in steps] == windows


def test_sides_come_before_corners() -> None:
    boxes = [step.box for step in plan(extend(blank(400, 400), 20, 30, 40, 50), 100, largest=400)]
    assert boxes[:4] == [Box(0, 40, 20, 440), Box(420, 40, 450, 440), Box(20, 0, 420, 40), Box(20, 440, 420, 490)]
    assert boxes[4:] == [Box(0, 0, 20, 40), Box(0, 440, 20, 490), Box(420, 0, 450, 40), Box(420, 440, 450, 490)]


def test_a_picture_like_a_thread_that_needs_thousands_of_windows_is_an_input_error() -> None:
    with pytest.raises(InputError, match="50,000 x 11 pixels around 50,000 x 1 need more than 2,000 windows"):
        plan(extend(blank(50_000, 1), bottom=10), 64)


def test_a_seam_is_painted_again_but_never_the_original() -> None:
    known = np.zeros((8, 16), dtype=bool)
    original = known.copy()
    known[:, :8] = True  # rows 4 to 7 of it are the original, the others were painted before
    original[4:, :8] = True
    keep, weights = step_masks(Step(Window(0, -4, 16), Box(8, 0, 12, 8), seam=3), known, original)
    assert keep[4].tolist() == [1] * 5 + [0] * 11
    assert weights[4] == pytest.approx([1] * 5 + [0.75, 0.5, 0.25] + [0] * 4 + [1] * 4)
    assert keep[8].tolist() == [1] * 8 + [0] * 8
    assert weights[8].tolist() == [1] * 8 + [0] * 4 + [1] * 4, "what is not in the box stays"
    assert not keep[:4].any() and (weights[:4] == 1).all(), "and so does what lies beyond the canvas"


@pytest.mark.parametrize("seam", [0, None])
def test_a_canvas_painted_step_by_step_keeps_the_original_and_is_painted_everywhere(seam: int | None) -> None:
    canvas = extend(PICTURE, 7, 12, 5, 9)
    pixels, known = canvas.image.pixels.copy(), canvas.keep == 1
    painted = np.zeros(known.shape, dtype=int)
    for step in plan(canvas, 4, seam, largest=8):
        keep, weights = step_masks(step, known, canvas.keep == 1)
        piece, _ = cut(pixels, known.astype(np.float32), step.window)
        assert (piece[:, keep == 0][:, weights[keep == 0] == 0] == -1).all(), "what is new was empty"
        put(pixels, step.window, np.zeros_like(piece), weights)
        seen, own = step.window.within(canvas.image.width, canvas.image.height)
        painted[seen.area] += weights[own.area] < 1
        known[step.box.area] = True
    assert known.all() and (painted[canvas.keep == 1] == 0).all() and (painted[canvas.keep == 0] >= 1).all()
    assert (painted.max() == 1) == (seam == 0), "without a seam every pixel is painted once"
    image = finished(canvas.image, pixels, canvas.keep)
    assert np.array_equal(image.to_uint8()[canvas.original.area], PICTURE.to_uint8())
    assert (image.pixels[:, canvas.keep == 0] == 0).all()
