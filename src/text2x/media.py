"""Pictures: Image is float32 [4, H, W] in [-1, 1] with premultiplied alpha; reading, writing, resizing, contact sheets.

Every channel c in [0, 1] is stored as 2c - 1, so a fully transparent pixel is -1 in all four. Files and PIL carry
straight alpha in 8 bits; the conversion rounds to nearest and is the same on every machine. Loads no torch.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from PIL import ExifTags, ImageColor, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from text2x.errors import InputError
from text2x.files import write_bytes

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 16_000_000  # of a file that is read: a phone's photograph fits, a decompression bomb does not
MAX_EXIF = 65_533  # bytes; one JPEG segment holds no more
FORMATS = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG", "jpeg": "JPEG"}
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, PIL.Image.DecompressionBombError, Warning)


@dataclass(frozen=True, eq=False)
class Image:
    """A picture with transparency; three channels are taken as opaque, and a torch tensor in place of an array too."""

    pixels: np.ndarray  # [4, H, W] float32 in [-1, 1], premultiplied RGBA; read-only
    straight: np.ndarray | None = None  # [H, W, 4] uint8, what to_uint8 gives: keeps colours hidden under alpha 0

    def __post_init__(self) -> None:
        given: Any = self.pixels
        if hasattr(given, "detach"):
            given = given.detach().float().cpu().numpy()
        pixels = np.array(given, dtype=np.float32)
        if pixels.ndim != 3 or pixels.shape[0] not in (3, 4) or 0 in pixels.shape:
            raise ValueError(f"an image is [4, H, W] or [3, H, W], got {list(pixels.shape)}")
        if not np.isfinite(pixels).all():
            raise InputError("the picture holds values that are not finite; lower the guidance or take more steps")
        if pixels.shape[0] == 3:
            pixels = np.concatenate([pixels, np.ones_like(pixels[:1])])
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)
        if self.straight is not None:
            straight = np.array(self.straight, dtype=np.uint8)
            if straight.shape != (*pixels.shape[1:], 4):
                raise ValueError(f"straight is [H, W, 4] of the pixels' size, got {list(straight.shape)}")
            straight.flags.writeable = False
            object.__setattr__(self, "straight", straight)

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.pixels.shape[2]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.pixels.shape[1]

    # Conversion

    def tensor(self) -> torch.Tensor:
        """A copy as a tensor [4, H, W] in [-1, 1], premultiplied."""
        import torch

        return torch.from_numpy(self.pixels.copy())

    def to_uint8(self) -> np.ndarray:
        """[H, W, 4] with straight alpha; colours above alpha and values out of range are clamped.

        What is fully transparent is black, unless the picture came from a file that hides colours there.
        """
        if self.straight is not None:
            return self.straight.copy()
        alpha = np.clip((self.pixels[3] + 1) / 2, 0, 1)  # [H, W]
        colours = np.clip((self.pixels[:3] + 1) / 2, 0, alpha)  # [3, H, W]
        visible = alpha >= 0.5 / 255  # what rounds to 0 has no colour
        straight = np.where(visible, colours / np.where(visible, alpha, 1), 0)
        channels = np.concatenate([straight, np.where(visible, alpha, 0)[None]])
        return np.floor(channels * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)

    def to_pil(self) -> PIL.Image.Image:
        """An RGBA picture with straight alpha."""
        return PIL.Image.fromarray(np.ascontiguousarray(self.to_uint8()), "RGBA")

    @classmethod
    def from_uint8(cls, straight: np.ndarray) -> Image:
        """From [H, W, 4] or [H, W, 3] with straight alpha."""
        values = straight.astype(np.float32).transpose(2, 0, 1) / 255
        if len(values) == 4:
            values[:3] *= values[3:]
        return cls(values * 2 - 1)

    @classmethod
    def from_pil(cls, picture: PIL.Image.Image) -> Image:
        """From any mode of PIL; 16-bit grey is brought to 8 bits. Colours hidden under alpha 0 come back in a file."""
        straight = _straight(picture)
        image = cls.from_uint8(straight)
        hidden = (straight[..., 3] == 0) & straight[..., :3].any(axis=-1)
        return cls(image.pixels, straight) if hidden.any() else image

    # Editing

    def resize(self, width: int, height: int | None = None, sharp: bool = False) -> Image:
        """Another size, by Lanczos' filter over the premultiplied channels; `sharp` repeats or drops whole pixels."""
        height = height or width
        how = PIL.Image.Resampling.NEAREST if sharp else PIL.Image.Resampling.LANCZOS
        scaled = [np.asarray(PIL.Image.fromarray(channel).resize((width, height), how)) for channel in self.pixels]
        alpha = np.clip(scaled[3], -1, 1)
        return Image(np.stack([*(np.clip(channel, -1, alpha) for channel in scaled[:3]), alpha]))

    def composite(self, background: str | Image = "white") -> Image:
        """Opaque, over a colour (a name or #rrggbb) or over an opaque image of the same size."""
        if isinstance(background, str):
            colour = np.array(colour_of(background), dtype=np.float32)[:, None, None] / 255  # [3, 1, 1]
        else:
            colour = (background.pixels[:3] + 1) / 2
        values = (self.pixels + 1) / 2
        return Image((values[:3] + (1 - values[3]) * colour) * 2 - 1)

    # Files

    def encode(
        self, format: str = "png", metadata: Mapping[str, Any] | None = None, background: str = "white"
    ) -> bytes:
        """The bytes of a file: png and webp keep transparency and every value, jpg lies on the background."""
        kind = FORMATS.get(format.lower().removeprefix("."))
        if kind is None:
            raise InputError(f"cannot write the format {format!r}; there are png, webp and jpg")
        options: dict[str, Any] = {"format": kind}
        if kind == "PNG":
            options["pnginfo"] = png_text_of(metadata)
        elif metadata is not None:
            options["exif"] = exif_of(metadata, kind)
        if kind == "WEBP":
            options |= {"lossless": True, "quality": 80, "method": 4, "exact": self.straight is not None}
        picture = self.to_pil()
        if kind == "JPEG":
            options |= {"quality": 95, "subsampling": 0}
            picture = self.composite(background).to_pil().convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        return buffer.getvalue()

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None, background: str = "white") -> None:
        """Write the file whole or not at all; its suffix names the format: .png, .webp, .jpg."""
        path = Path(path)
        if path.suffix.lower().removeprefix(".") not in FORMATS:
            raise InputError(f"cannot tell the format of {path}; end the name in .png, .webp or .jpg")
        write_bytes(path, self.encode(path.suffix, metadata, background))

    @classmethod
    def read(cls, path: str | Path) -> Image:
        """A PNG, JPEG or WebP file of one frame and at most 16 megapixels, turned upright as its EXIF data says."""
        with _opened(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width} x {picture.height} pixels"
                raise InputError(f"{path} has {size}; at most {MAX_PIXELS // 10**6} megapixels are read: shrink it")
            if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
                raise InputError(f"{path} has {picture.n_frames} frames; a picture of one frame is read")  # type: ignore[attr-defined]
            try:
                return cls.from_pil(ImageOps.exif_transpose(picture))
            except UNREADABLE as error:
                raise InputError(f"cannot read {path}: {reason_of(error)}") from error

    def _repr_png_(self) -> bytes:
        return self.encode("png")


def _straight(picture: PIL.Image.Image) -> np.ndarray:
    """[H, W, 4] uint8 with straight alpha, what is hidden under alpha 0 included."""
    if not picture.mode.startswith("I"):
        return np.asarray(picture.convert("RGBA"))
    values = np.asarray(picture)  # [H, W]
    grey = np.clip(values.astype(np.float32) / 257 + 0.5, 0, 255).astype(np.uint8)
    clear = picture.info.get("transparency")  # PNG's tRNS: the one grey that is transparent
    alpha = np.where(values == clear, 0, 255) if isinstance(clear, int) else np.full_like(values, 255)
    return np.stack([grey, grey, grey, alpha.astype(np.uint8)], axis=-1)


def _opened(path: str | Path) -> PIL.Image.Image:
    """The file's header, checked; its pixels are not decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            return PIL.Image.open(path, formats=("PNG", "JPEG", "WEBP"))
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is no PNG, JPEG or WebP picture") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} has more than {MAX_PIXELS // 10**6} megapixels: shrink it") from error
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Why a file cannot be read, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.splitlines() or [type(error).__name__])[0]


def colour_of(name: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour's name or #rrggbb."""
    try:
        return ImageColor.getrgb(name)[:3]  # type: ignore[return-value]
    except ValueError as error:
        raise InputError(f"unknown colour {name!r}; give a name such as white, or #rrggbb") from error


# Metadata: our JSON under the key text2x (PNG) or as ImageDescription (EXIF), and for other programs the text that the
# Stable Diffusion web interfaces write, under `parameters` (PNG) or as UserComment (EXIF).


def parameters_text(metadata: Mapping[str, Any]) -> str:
    """Metadata in the form most programs for generated pictures read: prompt, negative prompt, one line of settings."""
    names = {"steps": "Steps", "sampler": "Sampler", "scale": "CFG scale", "seed": "Seed", "model": "Model"}
    scale = re.search(r"(?:^|\+)(?:cfg|apg):(-?[\d.]+)|^(-?[\d.]+)$", str(metadata.get("guidance", "")))
    metadata = {**metadata, "scale": (scale[1] or scale[2]) if scale else None}
    lines = [str(metadata.get("prompt", ""))]
    if metadata.get("negative"):
        lines.append(f"Negative prompt: {metadata['negative']}")
    settings = [f"{shown}: {metadata[name]}" for name, shown in names.items() if metadata.get(name) is not None]
    if metadata.get("size") is not None:
        settings.append(f"Size: {metadata['size']}x{metadata['size']}")
    settings.append(f"Version: text2x {metadata.get('version', '')}".rstrip())
    return "\n".join([*lines, ", ".join(settings)])


def png_text_of(metadata: Mapping[str, Any] | None) -> PngImagePlugin.PngInfo | None:
    """Metadata as the texts of a PNG."""
    if metadata is None:
        return None
    text = PngImagePlugin.PngInfo()
    text.add_itxt("parameters", parameters_text(metadata))
    text.add_text("text2x", json.dumps(metadata))
    return text


def exif_of(metadata: Mapping[str, Any], kind: str) -> bytes:
    """Metadata as EXIF data of a WebP or JPEG; InputError where it does not fit."""
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(metadata)  # the field is ASCII, and so is this JSON
    exif[ExifTags.Base.Software] = f"text2x {metadata.get('version', '')}".rstrip()
    comment = b"UNICODE\0" + parameters_text(metadata).encode("utf-16-be", "replace")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    data = exif.tobytes()
    if kind == "JPEG" and len(data) > MAX_EXIF:
        raise InputError(f"the metadata has {len(data):,} bytes; JPEG holds {MAX_EXIF:,}: write PNG, or no metadata")
    return data


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What text2x wrote into the file; of another program its `parameters` text alone; empty if there is nothing."""
    with _opened(path) as picture:
        try:
            texts: dict[str, str] = dict(getattr(picture, "text", {}))
            exif = picture.getexif()
            comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
        except UNREADABLE as error:
            raise InputError(f"cannot read the metadata of {path}: {reason_of(error)}") from error
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        texts.setdefault("parameters", comment[8:].decode("utf-16-be", "replace"))
    ours = texts.get("text2x") or exif.get(ExifTags.Base.ImageDescription)
    try:
        values = json.loads(ours) if isinstance(ours, str) else None
    except json.JSONDecodeError:
        values = None
    if isinstance(values, dict):
        return values
    return {"parameters": texts["parameters"]} if "parameters" in texts else {}


# Contact sheets

INK = (70, 70, 70)
CHECKERS = ((255, 255, 255), (232, 232, 232))


def contact_sheet(
    images: Sequence[Image],
    columns: int | None = None,  # None: about square
    labels: Sequence[str] | None = None,  # one an image, below it, or ""; a number where the font lacks its letters
    background: str = "white",  # of a tile: a colour, or "checkerboard", which shows what is transparent
    scale: int | None = None,  # None: so that a tile has 128 pixels or more
) -> Image:
    """Many pictures on one white page, row by row, each in a tile of the largest one's size."""
    if not images:
        raise InputError("a contact sheet needs at least one picture")
    if labels is not None and len(labels) != len(images):
        raise InputError(f"{len(labels)} labels for {len(images)} pictures; give one each")
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    largest = max(max(image.width, image.height) for image in images)
    scale = scale or max(1, math.ceil(128 / largest))
    tile, gap = largest * scale, max(4, largest * scale // 16)
    font = ImageFont.load_default(max(11, tile // 11))
    line = _line_height(font)
    legible = [
        label.strip() and (_legible(label, font) or f"no. {number}")
        for number, label in enumerate(labels or (), start=1)
    ]
    wrapped = [_wrap(label, font, tile) for label in legible]
    below = line * max((len(lines) for lines in wrapped), default=0) + (gap // 2 if wrapped else 0)
    rows = math.ceil(len(images) / columns)
    page = PIL.Image.new("RGB", (columns * (tile + gap) + gap, rows * (tile + below + gap) + gap), "white")
    draw = ImageDraw.Draw(page)
    under = _tile_background(background, tile)
    for index, image in enumerate(images):
        left, top = gap + index % columns * (tile + gap), gap + index // columns * (tile + below + gap)
        picture = (image.resize(image.width * scale, image.height * scale) if scale > 1 else image).to_pil()
        page.paste(under, (left, top))
        page.paste(picture, (left + (tile - picture.width) // 2, top + (tile - picture.height) // 2), picture)
        for row, text in enumerate(wrapped[index] if wrapped else ()):
            place = (left + tile / 2, top + tile + gap // 2 + row * line)
            draw.text(place, text, fill=INK, font=font, anchor="ma")
    return Image.from_pil(page)


def _line_height(font: Any) -> int:
    left, top, right, bottom = font.getbbox("Ágjp")
    return math.ceil((bottom - min(top, 0)) * 1.15)


def _tile_background(name: str, tile: int) -> PIL.Image.Image:
    if name != "checkerboard":
        return PIL.Image.new("RGB", (tile, tile), colour_of(name))
    side = max(4, tile // 16)
    rows, columns = np.indices((tile, tile)) // side
    squares = np.array(CHECKERS, dtype=np.uint8)[(rows + columns) % 2]  # [tile, tile, 3]
    return PIL.Image.fromarray(squares, "RGB")


def _legible(label: str, font: Any) -> str:
    """What the font can draw of the label; it has Latin letters and little else."""
    missing = bytes(font.getmask("\uffff"))
    return " ".join("".join(each for each in label if each.isspace() or bytes(font.getmask(each)) != missing).split())


def _wrap(label: str, font: Any, width: int, most: int = 2) -> list[str]:
    """The label in at most two lines that fit the width, the last one cut with an ellipsis."""
    lines: list[str] = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: Any, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line.rstrip() + "…"
