"""Known pixels through files: the bytes that come out are those that went in, in every mode; what cannot be read."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import ExifTags, PngImagePlugin

from text2x.editing import box_mask, cut, feather, finished, paste, read_box, read_mask, window_for
from text2x.errors import InputError
from text2x.media import Image

WIDTH, HEIGHT = 23, 17


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def written(folder: Path, mode: str) -> Path:
    """A file of noise in one of PIL's modes, "-t" for a PNG with a transparent colour (tRNS)."""
    path = folder / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.webp" if mode == "WebP" else "a.png")
    channels = {"RGBA": 4, "WebP": 4, "LA": 2}.get(mode.removesuffix("-t"), 3)
    values = noise(HEIGHT, WIDTH, channels)
    values[..., -1] = np.where(noise(HEIGHT, WIDTH, seed=1) < 90, 0, values[..., -1])  # much of it hidden
    options: dict[str, object] = {}
    if mode.startswith("I;16"):
        picture = PIL.Image.fromarray(values[..., 0].astype(np.uint16) * 257)
        options = {"transparency": int(values[0, 0, 0]) * 257}
    elif mode.startswith("P"):
        picture = PIL.Image.fromarray(values).quantize(16)
        options = {"transparency": bytes(range(0, 256, 16))}
    elif mode.startswith(("L-", "RGB-")):
        picture = PIL.Image.fromarray(values).convert(mode[:-2])
        first = picture.getpixel((0, 0))
        options = {"transparency": first}
    elif mode in ("RGBA", "WebP"):
        picture, options = PIL.Image.fromarray(values, "RGBA"), {"lossless": True, "exact": True}
    else:
        picture = PIL.Image.fromarray(values, {2: "LA", 3: "RGB"}[channels])
        picture = picture.convert(mode) if mode != "YCbCr" else picture
    picture.save(path, **(options if mode.endswith("-t") or mode == "WebP" else {}))
    return path


def shown(path: Path) -> np.ndarray:
    """Straight bytes [H, W, 4] of the file, read by PIL alone; 16 bits by hand."""
    picture = PIL.Image.open(path)
    if picture.mode != "I;16":
        return np.asarray(picture.convert("RGBA"))
    values = np.asarray(picture)
    alpha = np.where(values == picture.info.get("transparency", -1), 0, 255)
    return np.stack([values // 257] * 3 + [alpha], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize(
    "mode",
    ["1", "L", "L-t", "LA", "P", "P-t", "RGB", "RGB-t", "RGBA", "I;16", "I;16-t", "CMYK", "YCbCr", "WebP"],
)
def test_known_pixels_leave_in_the_bytes_in_which_they_came(tmp_path: Path, mode: str, suffix: str) -> None:
    source = written(tmp_path, mode)
    image = Image.read(source)
    hole = read_box("30%,20%,40%,50%", WIDTH, HEIGHT)
    keep = box_mask(hole, WIDTH, HEIGHT)
    window = window_for(hole, WIDTH, HEIGHT, 8)
    piece, _ = cut(image.pixels, keep, window)
    pixels = paste(image.pixels, window, np.zeros_like(piece), feather(keep, 2))
    finished(image, pixels, keep).save(tmp_path / f"out.{suffix}")
    before, after = shown(source), shown(tmp_path / f"out.{suffix}")
    assert np.array_equal(after[keep == 1], before[keep == 1])
    assert (after[keep < 1] != before[keep < 1]).any()
    image.save(tmp_path / f"same.{suffix}")
    assert np.array_equal(shown(tmp_path / f"same.{suffix}"), before)


def test_a_picture_in_memory_keeps_its_hidden_colours_too_and_a_resized_one_has_none() -> None:
    picture = PIL.Image.fromarray(noise(HEIGHT, WIDTH, 4) * np.array([1, 1, 1, 0], dtype=np.uint8), "RGBA")
    image = Image.from_pil(picture)
    assert image.straight is not None and np.array_equal(image.to_uint8(), np.asarray(picture))
    assert (image.pixels == -1).all() and not image.resize(4).to_uint8().any()
    assert Image.from_pil(picture.convert("RGB")).straight is None
    with pytest.raises(ValueError, match=r"\[H, W, 4\]"):
        Image(image.pixels, np.zeros((2, 2, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        image.straight[0] = 0


def test_jpeg_shows_no_hidden_colour(tmp_path: Path) -> None:
    straight = np.zeros((8, 8, 4), dtype=np.uint8)
    straight[..., 0] = 255
    Image(Image.from_uint8(straight).pixels, straight).save(tmp_path / "a.jpg")
    assert (Image.read(tmp_path / "a.jpg").to_uint8() == 255).all()


def test_a_picture_and_its_mask_are_turned_upright_alike(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    mask = PIL.Image.new("L", (20, 10), 0)
    mask.paste(255, (0, 0, 5, 10))  # left: on top once it is upright
    mask.save(tmp_path / "m.png", exif=exif)
    keep, _ = read_mask(tmp_path / "m.png", 10, 20)
    assert np.array_equal(keep, box_mask(read_box("0,0,10,5", 10, 20), 10, 20))


def bad_bytes(kind: str) -> bytes:
    """The content of a file that must not be read as one picture."""
    frames = [PIL.Image.fromarray(noise(64, 64, 3, seed=seed)) for seed in range(3)]
    buffer = io.BytesIO()
    name, _, format = kind.partition(" ")
    if name == "animated":
        frames[0].save(buffer, format, save_all=True, append_images=frames[1:], duration=50)
    elif name in ("half", "cut"):
        frames[0].save(buffer, format)
        whole = len(buffer.getvalue())
        return buffer.getvalue()[: whole // 2 if name == "half" else whole - 100]
    elif name == "zipped":
        text = PngImagePlugin.PngInfo()
        text.add_text("comment", "a" * 70_000_000, zip=True)
        frames[0].save(buffer, "PNG", pnginfo=text)
    elif name == "BMP":
        frames[0].save(buffer, "BMP")
    elif name == "large":
        PIL.Image.new("1", (4001, 4000)).save(buffer, "PNG")
    else:
        return b"no picture at all, only text\n" * 9 if name == "text" else b""
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind",
    ["animated PNG", "animated WEBP", "animated GIF", "half JPEG", "cut JPEG", "half WEBP", "cut WEBP", "cut PNG",
     "zipped bomb", "BMP", "large", "text", "nothing"],
)  # fmt: skip
def test_a_file_that_is_no_single_whole_picture_is_an_input_error_of_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bad_bytes(kind))
    with pytest.raises(InputError, match=r"a\.png") as caught:
        Image.read(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"a\.png"):
        read_mask(path, 64, 64)
