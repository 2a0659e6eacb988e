"""Pictures: alpha, rounding, files and their metadata, contact sheets."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import ExifTags, PngImagePlugin

from text2x.errors import InputError
from text2x.media import Image, colour_of, contact_sheet, parameters_text, read_metadata

ABOUT = {
    "prompt": 'ein "Apfel" 🍎 सेब', "negative": "blue", "seed": 7, "model": "emoji", "version": "9.9", "steps": 20,
    "sampler": "ddim", "guidance": 3.5, "guidance_interval": [0.0, 1.0], "size": 64,
}  # fmt: skip


def random_bytes(height: int = 13, width: int = 17, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


def plain(red: float, green: float, blue: float, alpha: float, size: int = 8) -> Image:
    """One colour, straight alpha, in [0, 1]."""
    channels = np.array([red * alpha, green * alpha, blue * alpha, alpha]) * 2 - 1
    return Image(np.broadcast_to(channels[:, None, None], (4, size, size)).astype(np.float32))


# Conversion


def test_every_colour_of_a_visible_pixel_survives_premultiplication() -> None:
    colours, alphas = np.meshgrid(np.arange(256), np.arange(1, 256))
    straight = np.stack([colours, colours[:, ::-1], np.full_like(colours, 128), alphas], axis=-1).astype(np.uint8)
    assert np.array_equal(Image.from_uint8(straight).to_uint8(), straight)


def test_a_transparent_pixel_is_minus_one_in_all_channels_and_black_in_a_file() -> None:
    straight = np.array([[[200, 100, 50, 0]]], dtype=np.uint8)
    image = Image.from_uint8(straight)
    assert (image.pixels == -1).all()
    assert not image.to_uint8().any()


def test_colours_above_alpha_and_values_out_of_range_are_clamped() -> None:
    pixels = np.array([3.0, -3.0, 0.5, 0.0], dtype=np.float32)[:, None, None]
    assert Image(pixels).to_uint8().tolist() == [[[255, 0, 255, 128]]]


def test_rounding_is_to_the_nearest_with_halves_up() -> None:
    values = np.array([0.0, 0.4, 0.6, 1.49, 1.51, 254.6]) / 255
    pixels = np.stack([*[values] * 3, np.ones(6)]).astype(np.float32)[:, None] * 2 - 1
    assert Image(pixels).to_uint8()[0, :, 0].tolist() == [0, 0, 1, 1, 2, 255]


def test_a_tensor_is_taken_and_given_back() -> None:
    tensor = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    image = Image(tensor)  # type: ignore[arg-type]
    assert (image.width, image.height) == (6, 5)
    assert torch.equal(image.tensor(), tensor)
    image.tensor().zero_()
    assert torch.equal(image.tensor(), tensor), "the picture must not share its memory"


def test_half_precision_tensors_that_need_gradients_are_taken() -> None:
    image = Image(torch.zeros(3, 2, 2, dtype=torch.bfloat16, requires_grad=True))  # type: ignore[arg-type]
    assert image.pixels.dtype == np.float32 and (image.pixels[3] == 1).all()


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (4, 0, 4), (1, 4, 4, 4)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[4, H, W\]"):
        Image(np.zeros(shape, dtype=np.float32))


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Image(np.full((4, 2, 2), np.nan, dtype=np.float32))


def test_pixels_cannot_be_changed() -> None:
    image = plain(1, 0, 0, 1)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_of_a_picture_is_read(mode: str) -> None:
    if mode == "I;16":
        picture = PIL.Image.fromarray(np.full((3, 3), 65535, dtype=np.uint16))
    else:
        picture = PIL.Image.new("RGBA", (3, 3), "white").convert(mode)
    assert (Image.from_pil(picture).to_uint8() == 255).all()


# Editing


def test_over_a_background_half_transparent_red_is_pink() -> None:
    assert plain(1, 0, 0, 0.5).composite("white").to_uint8()[0, 0].tolist() == [255, 128, 128, 255]
    assert plain(1, 0, 0, 0.5).composite("#0000ff").to_uint8()[0, 0].tolist() == [128, 0, 128, 255]


def test_over_another_picture_only_covered_pixels_change() -> None:
    below = plain(0, 1, 0, 1, size=2)
    pixels = plain(1, 0, 0, 1, size=2).pixels.copy()
    pixels[:, 0] = -1
    composed = Image(pixels).composite(below).to_uint8()
    assert composed[0, 0].tolist() == [0, 255, 0, 255] and composed[1, 0].tolist() == [255, 0, 0, 255]


def test_an_unknown_colour_is_an_input_error() -> None:
    assert colour_of("#ff0080") == (255, 0, 128)
    with pytest.raises(InputError, match="'not a colour'"):
        plain(1, 0, 0, 1).composite("not a colour")


def test_resizing_keeps_a_plain_picture_plain() -> None:
    resized = plain(1, 0.5, 0, 0.5).resize(20, 10)
    assert (resized.width, resized.height) == (20, 10)
    assert np.allclose(resized.pixels, plain(1, 0.5, 0, 0.5).pixels[:, :1, :1], atol=1e-5)


def test_resizing_draws_no_dark_rim_around_what_is_visible() -> None:
    straight = np.zeros((16, 16, 4), dtype=np.uint8)
    straight[4:12, 4:12] = (255, 255, 0, 255)  # yellow on transparent black
    resized = Image.from_uint8(straight).resize(64).to_uint8()
    visible = resized[resized[..., 3] > 8]
    assert (visible[:, :2] > 250).all() and (visible[:, 2] < 5).all()


def test_resizing_never_leaves_the_range_nor_colours_above_alpha() -> None:
    resized = Image.from_uint8(random_bytes()).resize(31, 7).pixels
    assert resized.min() >= -1 and resized.max() <= 1
    assert (resized[:3] <= resized[3]).all()


def test_sharp_resizing_repeats_pixels() -> None:
    image = Image.from_uint8(random_bytes(3, 3))
    assert np.array_equal(image.resize(6, sharp=True).pixels, image.pixels.repeat(2, axis=1).repeat(2, axis=2))


# Files


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
def test_a_file_gives_every_visible_value_back(tmp_path: Path, suffix: str) -> None:
    image = Image.from_uint8(random_bytes())
    image.save(tmp_path / f"a{suffix}")
    assert np.array_equal(Image.read(tmp_path / f"a{suffix}").to_uint8(), image.to_uint8())


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_lies_on_white_or_the_colour_asked_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    plain(0, 0, 1, 0).save(path)
    assert (Image.read(path).to_uint8() == 255).all()
    plain(0, 0, 1, 0).save(path, background="black")
    assert Image.read(path).to_uint8()[0, 0].tolist() == [0, 0, 0, 255]


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_metadata_comes_back_from_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    plain(1, 0, 0, 1).save(path, ABOUT)
    assert read_metadata(path) == ABOUT


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_without_metadata_nothing_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    plain(1, 0, 0, 1).save(path)
    assert read_metadata(path) == {}
    assert b"text2x" not in path.read_bytes()


def test_other_programs_find_the_parameters_where_they_look(tmp_path: Path) -> None:
    expected = parameters_text(ABOUT)
    assert expected.splitlines()[:2] == [ABOUT["prompt"], "Negative prompt: blue"]
    settings = "Steps: 20, Sampler: ddim, CFG scale: 3.5, Seed: 7, Model: emoji, Size: 64x64, Version: text2x 9.9"
    assert expected.splitlines()[2] == settings
    for suffix in ("png", "webp", "jpg"):
        plain(1, 0, 0, 1).save(tmp_path / f"a.{suffix}", ABOUT)
    assert PIL.Image.open(tmp_path / "a.png").text["parameters"] == expected  # type: ignore[attr-defined]
    for suffix in ("webp", "jpg"):
        exif = PIL.Image.open(tmp_path / f"a.{suffix}").getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        assert comment == b"UNICODE\0" + expected.encode("utf-16-be")
        assert exif[ExifTags.Base.Software] == "text2x 9.9"


def test_the_metadata_of_other_programs_is_passed_on_as_text(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat\nSteps: 3")
    text.add_text("text2x", "no JSON {")
    PIL.Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=text)
    assert read_metadata(tmp_path / "a.png") == {"parameters": "a cat\nSteps: 3"}


def test_metadata_too_long_for_jpeg_is_said_and_fits_elsewhere(tmp_path: Path) -> None:
    about = {**ABOUT, "prompt": "🍎" * 9000}
    with pytest.raises(InputError, match="65,533"):
        plain(1, 0, 0, 1).save(tmp_path / "a.jpg", about)
    assert not list(tmp_path.iterdir())
    for suffix in ("png", "webp"):
        plain(1, 0, 0, 1).save(tmp_path / f"a.{suffix}", about)
        assert read_metadata(tmp_path / f"a.{suffix}") == about


def test_the_same_picture_gives_the_same_bytes() -> None:
    image = Image.from_uint8(random_bytes())
    for kind in ("png", "webp", "jpg"):
        assert image.encode(kind, ABOUT) == image.encode(kind, ABOUT)


def test_an_unknown_format_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif"):
        plain(1, 0, 0, 1).save(tmp_path / "a.gif")
    with pytest.raises(InputError, match="'bmp'"):
        plain(1, 0, 0, 1).encode("bmp")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_an_input_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*a\.png"):
        plain(1, 0, 0, 1).save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_a_picture_shows_itself_in_a_notebook() -> None:
    image = Image.from_uint8(random_bytes())
    shown = PIL.Image.open(io.BytesIO(image._repr_png_()))
    assert shown.format == "PNG" and np.array_equal(np.asarray(shown), image.to_uint8())


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    picture = PIL.Image.new("RGB", (20, 10), "white")
    picture.paste((255, 0, 0), (0, 0, 10, 10))  # left half red: on top once it is upright
    picture.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    image = Image.read(tmp_path / "a.jpg")
    assert (image.width, image.height) == (10, 20)
    assert image.to_uint8()[2, 5, 1] < 30 and image.to_uint8()[17, 5, 1] > 225


def bad_file(path: Path, kind: str) -> None:
    """A file that must not be read as a picture."""
    picture = PIL.Image.fromarray(random_bytes(64, 64), "RGBA")
    whole = io.BytesIO()
    picture.save(whole, "PNG")
    if kind == "cut off":
        path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    elif kind == "noise":
        path.write_bytes(random_bytes(20, 20, seed=1).tobytes())
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "animated":
        frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
        frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])
    elif kind == "gif":
        picture.convert("RGB").save(path, "GIF")
    elif kind == "too large":
        PIL.Image.new("1", (5000, 4000)).save(path, "PNG")
    elif kind == "bomb":
        PIL.Image.new("1", (20_000, 20_000)).save(path, "PNG")
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize(
    "kind", ["cut off", "noise", "empty", "animated", "gif", "too large", "bomb", "folder", "missing"]
)
def test_a_file_that_is_no_single_picture_of_fair_size_is_an_input_error(tmp_path: Path, kind: str) -> None:
    bad_file(tmp_path / "a.png", kind)
    with pytest.raises(InputError) as caught:
        Image.read(tmp_path / "a.png")
    assert "a.png" in str(caught.value) and "\n" not in str(caught.value)


# Contact sheets


def test_a_sheet_shows_each_picture_in_its_tile() -> None:
    colours = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
    sheet = contact_sheet([plain(*colour, 1, size=16) for colour in colours], columns=3, scale=1)
    gap = 4
    assert (sheet.width, sheet.height) == (3 * (16 + gap) + gap, 2 * (16 + gap) + gap)
    pixels = sheet.to_uint8()
    for index, colour in enumerate(colours):
        top, left = gap + index // 3 * (16 + gap), gap + index % 3 * (16 + gap)
        tile = pixels[top : top + 16, left : left + 16, :3]
        assert (tile == np.array(colour) * 255).all()
    assert (pixels[:, :gap] == 255).all() and (pixels[:gap] == 255).all()


def test_labels_are_written_below_the_tiles_and_long_ones_stay_within() -> None:
    images = [plain(1, 1, 1, 1, size=64)] * 2
    bare = contact_sheet(images, scale=2)
    labelled = contact_sheet(images, labels=["a", "a label that is far too long for two lines " * 3], scale=2)
    assert labelled.width == bare.width and labelled.height > bare.height + 20
    ink = labelled.to_uint8()[..., 0] < 128
    assert ink[bare.height :].any() and not ink[: 8 + 128].any()
    assert not ink[:, :4].any() and not ink[:, -4:].any()


def test_letters_that_the_font_lacks_are_left_out_and_a_label_of_nothing_else_is_a_number() -> None:
    image = plain(1, 1, 1, 1, size=64)

    def drawn(label: str) -> np.ndarray:
        return contact_sheet([image], labels=[label]).to_uint8()

    assert np.array_equal(drawn("a सेब b"), drawn("a b"))
    assert np.array_equal(drawn("सेब"), drawn("no. 1"))
    assert np.array_equal(drawn(""), drawn(" ")) and not np.array_equal(drawn(""), drawn("no. 1"))  # none is wanted
    assert not np.array_equal(drawn("a b"), drawn("a c"))


def test_checkers_show_what_is_transparent() -> None:
    sheet = contact_sheet([plain(0, 0, 0, 0, size=32)], background="checkerboard", scale=1).to_uint8()
    assert {tuple(pixel[:3]) for pixel in sheet.reshape(-1, 4).tolist()} == {(255, 255, 255), (232, 232, 232)}


def test_small_pictures_are_shown_large_enough() -> None:
    assert contact_sheet([plain(1, 0, 0, 1, size=16)]).width >= 128
    assert contact_sheet([plain(1, 0, 0, 1, size=256)]).width < 300


def test_a_sheet_of_nothing_and_missing_labels_are_input_errors() -> None:
    with pytest.raises(InputError, match="at least one"):
        contact_sheet([])
    with pytest.raises(InputError, match="1 labels for 2"):
        contact_sheet([plain(1, 0, 0, 1)] * 2, labels=["a"])
