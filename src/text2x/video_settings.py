"""A request for a clip with a model's defaults filled in: which sizes a model makes, and what it cannot do.

A UNet makes squares of one size, which the upsamplers of its base enlarge. A transformer that was trained on buckets of
several sizes makes any size and shape near them. Sizes are (width, height) in pixels, of what is given back; the canvas
is (height, width) of what the network works on, decoded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from text2x.diffusion.samplers import SAMPLERS
from text2x.errors import InputError
from text2x.networks.video_dit import VideoDiTConfig
from text2x.requests import unknown
from text2x.text_conditioner import TextConditioner
from text2x.video_material import Material, material_of
from text2x.video_recipe import VideoModel, VideoRecipe
from text2x.video_requests import VideoRequest, guidance_range, sides_of
from text2x.video_sampling import TOLD_RATES, told_rate

LARGEST_AREA = 4  # times the largest bucket's


@dataclass(frozen=True)
class VideoSettings:
    """A request with the model's defaults filled in."""

    prompt: str
    negative: str
    frames: int  # of the clip, those that were given included
    fps: float
    width: int
    height: int
    motion: float | None
    loop: bool
    steps: int
    sampler: str
    guidance: tuple[float, float]  # of the first and of the last frame
    strength: float | None = None
    pace: float | None = None  # frames/s that are told, if not those at which the clip is shown

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        first, last = self.guidance
        values = {**self.__dict__, "guidance": first if first == last else f"{first:g}..{last:g}"}
        width, height = values.pop("width"), values.pop("height")
        values["size"] = width if width == height else f"{width}x{height}"
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Making:
    """What a model makes: its recipe, the sides of the squares that it makes, and pixels of a side for one latent."""

    model: VideoModel
    sides: tuple[int, ...]
    factor: int = 1

    @property
    def recipe(self) -> VideoRecipe:
        """The recipe of the model."""
        return self.model.recipe

    @property
    def any_shape(self) -> bool:
        """Whether it was trained on several sizes, by a network that takes any."""
        return isinstance(self.recipe.network, VideoDiTConfig) and bool(self.recipe.data.buckets)

    @property
    def unit(self) -> int:
        """Pixels of which the sides of its canvas are multiples."""
        network = self.recipe.network
        return self.factor * (network.patch if isinstance(network, VideoDiTConfig) else 1)

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Height and width of what the network makes for a size."""
        if not self.any_shape:
            return self.recipe.size, self.recipe.size
        return -(-height // self.unit) * self.unit, -(-width // self.unit) * self.unit

    def window(self, width: int, height: int) -> int:
        """Frames that are made at once: as many as it was trained with, at that size or a larger one."""
        canvas, buckets = self.canvas(width, height), self.recipe.data.buckets if self.any_shape else ()
        longest = [each.frames for each in buckets if each.width * each.height >= canvas[0] * canvas[1]]
        return max([self.recipe.data.frames, *longest])


def resolved(making: Making, request: VideoRequest) -> tuple[VideoSettings, Material, tuple[str, ...]]:
    """The request with the model's defaults, what it was given, and what had to be changed of that."""
    defaults = making.recipe.sampling
    size = sides_of(request.size or making.model.size)
    _check_size(making, *size)
    sampler = request.sampler or defaults.sampler
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    material, warnings = material_of(request, defaults.frames, size, making.window(*size))
    scales = (defaults.guidance, defaults.guidance if defaults.last_guidance is None else defaults.last_guidance)
    fps = request.fps or material.rate or defaults.rate
    settings = VideoSettings(
        prompt=request.prompt,
        negative=request.negative,
        frames=len(material.keep),
        fps=fps,
        width=size[0],
        height=size[1],
        motion=defaults.motion if request.motion is None else request.motion,
        loop=bool(request.loop),
        steps=request.steps or defaults.steps,
        sampler=sampler,
        guidance=scales if request.guidance is None else guidance_range(request.guidance),
        strength=request.strength,
        pace=material.pace if material.pace != fps else None,
    )
    _check(making, settings, material)
    return settings, material, warnings


def _check_size(making: Making, width: int, height: int) -> None:
    """Raise InputError for a size that the model does not make, with one that it does."""
    name = making.model.name
    if not making.any_shape:
        if width != height:
            side = min(max(making.sides), max(width, height))
            way = f"give one number, as {side}; models of the recipe sora make any shape"
            raise InputError(f"size is {width}x{height}; the model {name} makes square clips only: {way}")
        if width > max(making.sides):
            raise InputError(f"size is {width}; the model {name} makes clips of at most {max(making.sides)} pixels")
        return
    most = LARGEST_AREA * max(each.width * each.height for each in making.recipe.data.buckets)
    if width * height > most:
        scale = math.sqrt(most / (width * height))
        fits = "x".join(
            str(max(making.unit, int(side * scale) // making.unit * making.unit)) for side in (width, height)
        )
        asked = f"size is {width}x{height}, which is {width * height} pixels a frame"
        raise InputError(f"{asked}; the model {name} makes at most {most}: take {fits} or less")


def _check(making: Making, settings: VideoSettings, material: Material) -> None:
    """Raise InputError for what this model cannot do."""
    network, name, objective = making.recipe.network, making.model.name, making.recipe.objective
    window = making.window(settings.width, settings.height)
    frames = f"frames is {settings.frames}; loops of the model {name} have"
    if settings.loop and settings.frames > window:
        raise InputError(f"{frames} at most {window}, which are made at once")
    if settings.loop and settings.frames % network.step:
        raise InputError(f"{frames} a multiple of {network.step} frames")
    if objective.first_frame and material.kinds - {"image"} and not material.start:
        raise InputError(f"the model {name} knows a first picture only: give image, or take another model")
    told = objective.first_frame or network.extra_channels > network.in_channels
    if material.known and not told:
        raise InputError(f"the model {name} was not trained with known frames; give words alone, or strength")


def warned(making: Making, settings: VideoSettings, text: TextConditioner) -> list[str]:
    """What of a request is ignored, or made otherwise than asked."""
    found = []
    for name in ("prompt", "negative"):
        if dropped := text.truncated(getattr(settings, name)):
            found.append(f"the end of the {name} does not fit and is ignored: {dropped!r}")
    if settings.negative and settings.guidance == (1.0, 1.0):
        found.append(f"guidance is 1, so the negative prompt is ignored: {settings.negative!r}")
    rate = settings.pace or settings.fps
    if told_rate(rate) != rate:
        low, high = TOLD_RATES
        told = f"the clip moves as at {told_rate(rate):g}"
        found.append(f"{rate:g} frames/s were never seen in training, which had {low:g} to {high:g}: {told}")
    return found + list(_sizes_warned(making, settings.width, settings.height))


def _sizes_warned(making: Making, width: int, height: int) -> Sequence[str]:
    if not making.any_shape:
        if width in making.sides:
            return ()
        larger = min(side for side in making.sides if side > width)
        return (f"the model makes no {width} pixels: they are {larger} made smaller",)
    found, canvas = [], making.canvas(width, height)
    if canvas != (height, width):
        made = f"{canvas[1]} x {canvas[0]}"
        found.append(f"sides are multiples of {making.unit}: {width} x {height} pixels are {made} made smaller")
    buckets = making.recipe.data.buckets
    areas = [each.width * each.height for each in buckets]
    widest = max(max(each.width / each.height, each.height / each.width) for each in buckets)
    seen = min(areas) / 2 <= width * height <= 2 * max(areas)
    if not seen or max(width / height, height / width) > 1.25 * widest:
        shown = ", ".join(dict.fromkeys(f"{each.width}x{each.height}" for each in buckets))
        found.append(f"{width} x {height} is far from what the model was trained on ({shown}): it may look worse")
    return found
