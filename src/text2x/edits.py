"""Edits of a picture that a request may ask for: paint into it, around it, vary or enlarge it. Loads no torch.

Plain values, checked when they are made; editing reads masks and plans windows, painting.py does the work. The
fields carry help, flags and ranges as those of a request do, and the command line is built from them.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text2x.errors import InputError
from text2x.request_fields import check_choice, check_number, check_prompt, request_field, shortened

METHODS = ("channels", "keep", "repaint", "langevin", "differential")
POLARITIES = ("white", "black", "transparent")
LARGEST_SIDE = 4096  # pixels that one side may grow by
METHOD_HELP = "How the known part is used: " + ", ".join(METHODS) + "; channels where the model can."
ROUNDS_HELP = "How often repaint resamples and how many steps langevin takes at each noise level."
FEATHER_HELP = "Blend this many pixels inside the hole; known pixels never change."


@dataclass(frozen=True)
class Inpainting:
    """Paint a part of a picture anew. `mask` is a picture's path, an Image or a box "LEFT,TOP,WIDTH,HEIGHT"."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    mask: Any = request_field(
        help="What to paint anew: a picture of the same size, or a box LEFT,TOP,WIDTH,HEIGHT in pixels or percent.",
        flags=("--mask",),
    )
    repaint: str = request_field(
        "white", help="Which part of the mask picture is painted anew: white, black or transparent.",
        flags=("--repaint",),
    )  # fmt: skip
    method: str | None = request_field(None, help=METHOD_HELP, flags=("--method",))
    rounds: int | None = request_field(None, help=ROUNDS_HELP, flags=("--rounds",), minimum=1, maximum=100)
    feather: int = request_field(0, help=FEATHER_HELP, flags=("--feather",), minimum=0, maximum=256)

    def __post_init__(self) -> None:
        check_choice(self, "repaint", POLARITIES)
        check_choice(self, "method", METHODS)
        check_number(self, "rounds", whole=True)
        check_number(self, "feather", whole=True)


@dataclass(frozen=True)
class Outpainting:
    """Paint around a picture: extents in pixels, or a size of the whole, or a factor of it."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    left: int = request_field(0, help="Pixels to add on the left.", flags=("--left",), minimum=0, maximum=LARGEST_SIDE)
    right: int = request_field(
        0, help="Pixels to add on the right.", flags=("--right",), minimum=0, maximum=LARGEST_SIDE
    )
    top: int = request_field(0, help="Pixels to add above.", flags=("--top",), minimum=0, maximum=LARGEST_SIDE)
    bottom: int = request_field(0, help="Pixels to add below.", flags=("--bottom",), minimum=0, maximum=LARGEST_SIDE)
    to: str | None = request_field(
        None, help="The whole's size as 128x128, the picture in its middle.", flags=("--to",)
    )
    zoom: float | None = request_field(
        None, help="The whole's size as a factor of the picture's, the picture in its middle.", flags=("--zoom",),
        minimum=1, maximum=8,
    )  # fmt: skip
    method: str | None = request_field(None, help=METHOD_HELP, flags=("--method",))
    rounds: int | None = request_field(None, help=ROUNDS_HELP, flags=("--rounds",), minimum=1, maximum=100)
    feather: int = request_field(0, help=FEATHER_HELP, flags=("--feather",), minimum=0, maximum=256)

    def __post_init__(self) -> None:
        for name in ("left", "right", "top", "bottom", "rounds", "feather"):
            check_number(self, name, whole=True)
        check_number(self, "zoom", whole=False)
        check_choice(self, "method", METHODS)
        sides = any((self.left, self.right, self.top, self.bottom))
        given = [name for name, value in (("to", self.to), ("zoom", self.zoom)) if value is not None]
        if sides + len(given) > 1:
            raise InputError("give sides (left, right, top, bottom), or to, or zoom, and not two of them")
        if not sides and not given:
            raise InputError("nothing to add: give left, right, top or bottom in pixels, or to, or zoom")
        if self.to is not None:
            self.size_to()

    def size_to(self) -> tuple[int, int] | None:
        """Width and height of `to`."""
        if self.to is None:
            return None
        found = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", str(self.to))
        if found is None or not (int(found[1]) and int(found[2])):
            raise InputError(f"to is {shortened(str(self.to))!r}; it must be a width and a height, as 128x128")
        return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Variation:
    """Make a picture anew from a noised form of it: strength 1 leaves nothing of it, near 0 nearly all."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    strength: float = request_field(
        0.5, help="How far to go from the picture; 1 leaves nothing of it.", flags=("--strength",),
        minimum=0, maximum=1,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_number(self, "strength", whole=False)
        if self.strength == 0:
            raise InputError("strength is 0, which would give the picture back; it must be above 0 and at most 1")


@dataclass(frozen=True)
class Upscaling:
    """Make a picture larger, in its own proportions: to a size, or by a factor."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    to: str | None = request_field(
        None, help="Its new size as 256x256, or its longer side alone as 256.", flags=("--to",)
    )
    by: float | None = request_field(
        None, help="Its new size as a factor of the old one.", flags=("--by",), minimum=1, maximum=16
    )

    def __post_init__(self) -> None:
        check_number(self, "by", whole=False)
        if (self.to is None) == (self.by is None):
            both = "not both" if self.to is not None else "one of them"
            raise InputError(f"give the new size: to, as 256x256, or by, as 4; {both}")
        if self.by == 1:
            raise InputError("by is 1, which would give the picture back; it must be above 1 and at most 16")
        if self.to is not None:
            self._read()

    def _read(self) -> tuple[int, int | None]:
        """Width and height of `to`, or the longer side and None."""
        found = re.fullmatch(r"\s*(\d{1,6})\s*(?:[xX×]\s*(\d{1,6})\s*)?", str(self.to))
        sides = [int(each) for each in found.groups() if each is not None] if found is not None else []
        if not sides or not all(1 <= side <= LARGEST_SIDE for side in sides):
            raise InputError(
                f"to is {shortened(str(self.to))!r}; it must be a width and a height, as 256x256, or a longer side, as "
                f"256, of at most {LARGEST_SIDE} pixels"
            )
        return sides[0], sides[1] if len(sides) > 1 else None

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """The new width and height of a picture; InputError for other proportions and for sizes that are no larger."""
        if self.by is not None:
            wanted = round(width * self.by), round(height * self.by)
        else:
            first, second = self._read()
            longer = max(width, height)
            wanted = (first, second) if second is not None else tuple(
                max(1, round(side * first / longer)) for side in (width, height)
            )  # fmt: skip
        fits = wanted[0], max(1, round(height * wanted[0] / width))
        if abs(wanted[1] - fits[1]) > 1 and abs(wanted[0] - round(width * wanted[1] / height)) > 1:
            raise InputError(
                f"to is {self.to}, but the picture has {width} x {height} pixels; in its proportions that is "
                f"{fits[0]}x{fits[1]}"
            )
        if wanted[0] < width or wanted[1] < height or wanted == (width, height):
            raise InputError(
                f"the new size is {wanted[0]} x {wanted[1]} pixels, but the picture has {width} x {height} already; "
                "give a larger one"
            )
        if max(wanted) > LARGEST_SIDE:
            raise InputError(
                f"the new size is {wanted[0]} x {wanted[1]} pixels; a side has at most {LARGEST_SIDE}: give less"
            )
        return wanted[0], wanted[1]


@dataclass(frozen=True)
class Blending:
    """A picture between two, by a model with a CLIP: 0 is the first, 1 the other; it has the first one's size."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    other: Any = request_field(help="The other picture.", flags=("OTHER",))
    at: float = request_field(
        0.5, help="Where between the two; 0 is the first picture, 1 the other.", flags=("--at",), minimum=0, maximum=1
    )

    def __post_init__(self) -> None:
        check_number(self, "at", whole=False)


@dataclass(frozen=True)
class Shifting:
    """A picture changed by the difference of two texts, by a model with a CLIP: "the same, but made of gold"."""

    image: Any = request_field(help="The picture: a PNG, JPEG or WebP file.", flags=("IMAGE",))
    after: str = request_field(help="What it should show instead.", flags=("--to",))
    before: str = request_field("", help="What the picture shows now; nothing said is no words.", flags=("--from",))
    by: float = request_field(
        0.3, help="How far to go, as a share of the way to the words.", flags=("--by",), minimum=0, maximum=0.5
    )

    def __post_init__(self) -> None:
        check_number(self, "by", whole=False)
        check_prompt(self, "after", allow_empty=False)
        check_prompt(self, "before", allow_empty=True)


Edit = Inpainting | Outpainting | Variation | Upscaling | Blending | Shifting


def described(edit: Edit | None) -> dict[str, Any]:
    """Plain values that say what was done to which picture, for a file's metadata; pictures by their file's name."""
    if edit is None:
        return {}
    values = {each.name: getattr(edit, each.name) for each in dataclasses.fields(edit)}
    for name in ("image", "mask", "other"):
        if name in values:
            values[name] = _named(values[name])
    defaults = {each.name: each.default for each in dataclasses.fields(edit)}
    kept = {name: value for name, value in values.items() if value not in (None, 0) or defaults[name] not in (None, 0)}
    return {"edit": type(edit).__name__.lower(), **kept}


def _named(picture: Any) -> str:
    """A file by its name, a box as it is, a picture in memory by its size."""
    if hasattr(picture, "pixels"):
        return f"a picture of {picture.width}x{picture.height} pixels"
    return Path(str(picture)).name
