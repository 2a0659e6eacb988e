"""Masks: polarities, boxes, what is no mask, distances and feathered edges."""

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.editing import Box, box_mask, distance_to, feather, hole_of, read_box, read_mask
from text2x.errors import InputError
from text2x.media import Image

BOX = Box(3, 5, 11, 9)
quick = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def drawn(ground: tuple[int, ...], ink: tuple[int, ...], width: int = 20, height: int = 16) -> Image:
    """BOX in the ink on the ground; three or four channels, 0 to 255."""
    picture = np.empty((height, width, len(ground)), dtype=np.uint8)
    picture[:] = ground
    picture[BOX.area] = ink
    return Image.from_uint8(picture)


def texture(size: int = 96, seed: int = 0) -> np.ndarray:
    """[size, size] uint8, rough at every scale as a photograph is."""
    rng = np.random.default_rng(seed)
    layers = [rng.random((size // step, size // step)).repeat(step, 0).repeat(step, 1) * step for step in (1, 2, 8, 32)]
    grey = sum(layers)
    return np.uint8(255 * (grey - grey.min()) / np.ptp(grey))


def soft_brush(size: int, blur: float) -> PIL.Image.Image:
    picture = PIL.Image.new("L", (size, size), 0)
    draw = PIL.ImageDraw.Draw(picture)
    draw.ellipse((size // 5, size // 4, size // 2, size // 2), fill=255)
    draw.line((0, size * 0.9, size * 0.7, size * 0.6), fill=255, width=max(2, size // 12))
    return picture.filter(PIL.ImageFilter.GaussianBlur(blur))


# Polarity


@pytest.mark.parametrize(
    ("repaint", "ground", "ink"),
    [
        ("white", (0, 0, 0), (255, 255, 255)),
        ("black", (255, 255, 255), (0, 0, 0)),
        ("transparent", (10, 200, 30, 255), (90, 9, 200, 0)),
        ("white", (0, 0, 0, 0), (255, 255, 255, 255)),  # strokes on an empty layer
        ("black", (0, 0, 0, 0), (0, 0, 0, 255)),
        ("white", (5, 8, 3), (249, 255, 250)),  # JPEG's noise
    ],
)
def test_every_way_to_say_what_is_painted_anew_gives_the_same_mask(
    repaint: str, ground: tuple[int, ...], ink: tuple[int, ...]
) -> None:
    keep, warnings = read_mask(drawn(ground, ink), 20, 16, repaint)
    assert keep.dtype == np.float32 and not warnings
    assert np.array_equal(keep, box_mask(BOX, 20, 16))


def test_grey_and_half_transparent_pixels_are_kept_in_part() -> None:
    white, _ = read_mask(drawn((0, 0, 0), (64, 64, 64)), 20, 16)
    black, _ = read_mask(drawn((255, 255, 255), (64, 64, 64)), 20, 16, "black")
    clear, _ = read_mask(drawn((1, 2, 3, 255), (1, 2, 3, 64)), 20, 16, "transparent")
    assert white[6, 6] == pytest.approx(191 / 255) and white[0, 0] == 1
    assert black[6, 6] == pytest.approx(64 / 255) and black[0, 0] == 1
    assert clear[6, 6] == pytest.approx(64 / 255) and clear[0, 0] == 1


def test_a_mask_is_read_from_a_file(tmp_path: Path) -> None:
    drawn((0, 0, 0), (255, 255, 255)).save(tmp_path / "m.png")
    for source in (tmp_path / "m.png", str(tmp_path / "m.png")):
        assert np.array_equal(read_mask(source, 20, 16)[0], box_mask(BOX, 20, 16))
    with pytest.raises(InputError, match=r"none\.png"):
        read_mask(tmp_path / "none.png", 20, 16)


def test_a_mask_with_nothing_known_is_taken_with_a_warning() -> None:
    keep, warnings = read_mask(drawn((255,) * 3, (255,) * 3), 20, 16)
    assert not keep.any() and "nothing known" in warnings[0]
    assert "nothing known" in read_mask("0,0,100%,100%", 20, 16)[1][0]


# What is no mask


def test_a_mask_of_another_size_is_an_input_error_with_both_sizes() -> None:
    with pytest.raises(InputError, match="20 x 16 pixels, the picture 16 x 20"):
        read_mask(drawn((0, 0, 0), (255, 255, 255)), 16, 20)


@pytest.mark.parametrize(
    ("repaint", "ground", "ink", "hint"),
    [
        ("white", (0, 0, 0), (3, 3, 3), "no white pixel.*it is all black"),
        ("black", (255, 255, 255), (255, 255, 255), "no black pixel.*it is all white"),
        ("white", (0, 0, 0, 255), (0, 0, 0, 0), "repaint transparent"),
        ("transparent", (0, 0, 0), (255, 255, 255), "no transparent pixel.*repaint white or black"),
    ],
)
def test_a_mask_with_nothing_to_repaint_says_what_may_be_meant(
    repaint: str, ground: tuple[int, ...], ink: tuple[int, ...], hint: str
) -> None:
    with pytest.raises(InputError, match=hint):
        read_mask(drawn(ground, ink), 20, 16, repaint)


def test_an_unknown_polarity_is_an_input_error() -> None:
    with pytest.raises(InputError, match="'grey'.*white, black or transparent"):
        read_mask("0,0,5,5", 20, 16, "grey")


@pytest.mark.parametrize("repaint", ["white", "black"])
@pytest.mark.parametrize("coloured", [True, False], ids=["coloured", "grey"])
def test_a_photograph_in_place_of_a_mask_is_told_what_a_mask_is(repaint: str, coloured: bool) -> None:
    layers = [texture(seed=channel if coloured else 0) for channel in range(3)]
    with pytest.raises(InputError, match="a mask is black and white"):
        read_mask(Image.from_uint8(np.stack(layers, axis=-1)), 96, 96, repaint)


def test_a_picture_with_a_transparent_hole_is_pointed_to_that_polarity() -> None:
    layers = [texture(seed=channel) for channel in range(3)]
    alpha = np.full((96, 96), 255, dtype=np.uint8)
    alpha[20:40, 30:60] = 0
    picture = Image.from_uint8(np.stack([*layers, alpha], axis=-1))
    with pytest.raises(InputError, match="repaint transparent"):
        read_mask(picture, 96, 96)
    keep, _ = read_mask(picture, 96, 96, "transparent")
    assert np.array_equal(keep, box_mask(Box(30, 20, 60, 40), 96, 96))


@pytest.mark.parametrize("size", [16, 48, 200])
@pytest.mark.parametrize("blur", [0.0, 1.0, 4.0])
def test_hard_and_soft_brushes_are_masks(tmp_path: Path, size: int, blur: float) -> None:
    for suffix in ("png", "jpg"):
        soft_brush(size, blur).save(tmp_path / f"m.{suffix}")
        keep, _ = read_mask(tmp_path / f"m.{suffix}", size, size)
        assert keep.min() < 0.8 and keep.max() == 1


# Boxes


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("3,5,8,4", BOX),
        (" 10% , 25%, 50%,50% ", Box(2, 4, 12, 12)),
        ("0,0,100%,100%", Box(0, 0, 20, 16)),
        ("33.3%,0,1%,1", Box(6, 0, 7, 1)),  # 6.66 to 6.86
        ("24%,0,3%,16", Box(4, 0, 6, 16)),  # 4.8 to 5.4: rounded outward
        ("+19,15,1,1", Box(19, 15, 20, 16)),
        ("5%,12.5%,95%,.5%", Box(1, 2, 20, 3)),
    ],
)
def test_boxes_in_pixels_and_percent(text: str, box: Box) -> None:
    assert read_box(text, 20, 16) == box
    keep, _ = read_mask(text, 20, 16, "black")  # the polarity of pictures does not matter
    assert np.array_equal(keep, box_mask(box, 20, 16))
    assert hole_of(keep) == box


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,3,4,5", "LEFT,TOP,WIDTH,HEIGHT"),
        ("1,,3,4", "LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,3,4%%", "LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,0,4", "above 0"),
        ("1,2,5,-4", "above 0"),
        ("1,2,5,0%", "above 0"),
        ("-1,2,5,5", "from -1,2 to 4,7; the picture has 20 x 16"),
        ("15,2,6,5", "from 15,2 to 21,7"),
        ("0,60%,5,50%", "the picture has 20 x 16"),
        ("999999999,0,1,1", "stay within it"),
        ("1.5,2,3,4", "1.5; give whole pixels"),
    ],
)
def test_a_box_that_cannot_be_is_an_input_error(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_mask(text, 20, 16)


@quick
@given(st.text(alphabet="0123456789.,%+- \n", max_size=24).map(lambda text: text + ","), st.integers(1, 4000))
def test_whatever_looks_like_a_box_is_one_within_the_picture_or_an_error_of_one_line(text: str, width: int) -> None:
    try:
        box = read_box(text, width, 10)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= 10


@quick
@given(st.data(), st.integers(1, 300), st.integers(1, 300))
def test_every_box_of_whole_pixels_is_read_as_written(data: st.DataObject, width: int, height: int) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    wide, high = data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top))
    assert read_box(f"{left},{top},{wide},{high}", width, height) == (left, top, left + wide, top + high)


# Distances and edges


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.integers(0, 20))
def test_distances_are_those_to_the_nearest_pixel_of_all(seed: int, height: int, width: int, reach: int) -> None:
    target = np.random.default_rng(seed).random((height, width)) < 0.15
    places = np.argwhere(target)
    for (row, column), found in np.ndenumerate(distance_to(target, reach)):
        least = min((np.hypot(*(place - (row, column))) for place in places), default=np.inf)
        assert found == (pytest.approx(least) if least <= reach else np.inf)


def test_beside_a_straight_edge_the_original_fades_evenly() -> None:
    keep = np.ones((9, 12), dtype=np.float32)
    keep[:, 4:] = 0
    share = feather(keep, 3)
    assert share[5] == pytest.approx([1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0])


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(0, 12))
def test_feathering_stays_within_the_hole_and_never_below_the_mask(
    seed: int, height: int, width: int, pixels: int
) -> None:
    rng = np.random.default_rng(seed)
    keep = rng.choice([0, 0, 0.3, 1], (height, width)).astype(np.float32)
    share = feather(keep, pixels)
    assert (share[keep == 1] == 1).all()
    assert (share[keep < 1] < 1).all()
    assert (share >= keep).all()
    assert pixels or np.array_equal(share, keep)


def test_feathering_near_the_hole_is_as_over_the_whole_picture() -> None:
    keep = np.ones((60, 80), dtype=np.float32)
    keep[20:40, 30:50] = 0
    whole = np.clip(1 - distance_to(keep == 1, 5) / 6, 0, 1)
    assert np.array_equal(feather(keep, 5), whole.astype(np.float32))


def test_a_picture_with_nothing_known_has_nothing_to_fade_and_too_wide_an_edge_is_an_input_error() -> None:
    assert not feather(np.zeros((5, 5), dtype=np.float32), 3).any()
    assert hole_of(np.ones((5, 5), dtype=np.float32)) is None
    for pixels in (-1, 257):
        with pytest.raises(InputError, match=f"{pixels} pixels.*0 to 256"):
            feather(np.zeros((5, 5), dtype=np.float32), pixels)
