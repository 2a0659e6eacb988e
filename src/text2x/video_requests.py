"""What can be asked of a model of moving pictures: the fields of a VideoRequest, with help, flags and ranges.

None means "as the model likes it". Item i depends on (model, request, seed + i) alone. Pictures and clips are given as
Image and Video or by their files. Guidance scale w is null + w (cond - null): 1 = off. Loads no torch.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from text2x.config import from_dict
from text2x.errors import InputError
from text2x.request_fields import check_name, check_number, check_prompt, request_field, shortened, unknown
from text2x.text import clean_prompt

MAX_SEED = 2**63 - 1  # what a torch.Generator takes
FEWEST_FRAMES, MOST_FRAMES = 2, 240
RATES = (1.0, 60.0)  # frames/s
SEPARATOR = ".."  # between the first and the last frame's guidance
SIDES = (8, 4096)  # pixels
BEGINNINGS = ("image", "extend", "interpolate", "video")  # what a clip can be made of; one of them


@dataclass(frozen=True)
class VideoRequest:
    """A clip from words, pictures or another clip."""

    prompt: str = request_field("", help="What the clip shows.", flags=("PROMPT",))
    negative: str = request_field("", help="What it should not show.", flags=("--negative",))
    count: int = request_field(1, help="How many clips.", flags=("--count", "-n"), minimum=1, maximum=100)
    seed: int | None = request_field(
        None, help="The first clip's seed, the next has one more; drawn and printed if not given.", flags=("--seed",),
        minimum=0, maximum=MAX_SEED,
    )  # fmt: skip
    frames: int | None = request_field(
        None, help="How many frames; with --extend, how many new ones; with --interpolate, how many in all.",
        flags=("--frames",), minimum=FEWEST_FRAMES, maximum=MOST_FRAMES,
    )  # fmt: skip
    fps: float | None = request_field(
        None, help="Frames a second.", flags=("--fps",), minimum=RATES[0], maximum=RATES[1]
    )
    size: str | int | None = request_field(
        None, help="Side of the square clip in pixels; of models that make any shape also as 96x64, width first.",
        flags=("--size",), minimum=8, maximum=4096,
    )  # fmt: skip
    motion: float | None = request_field(
        None, help="How much moves: 0 is hardly anything, 5 is usual, 10 is a lot.", flags=("--motion",), minimum=0,
        maximum=10,
    )  # fmt: skip
    loop: bool | None = request_field(
        None, help="The first frame follows the last without a seam.", flags=("--loop/--no-loop",)
    )
    image: Any = request_field(None, help="A picture that the clip begins with.", flags=("--image",))
    last_image: Any = request_field(None, help="A picture that it ends with.", flags=("--last-image",))
    extend: Any = request_field(None, help="A clip that goes on.", flags=("--extend",))
    interpolate: Any = request_field(
        None, help="A clip that gets more frames between its own: as many in all as --frames says, or at the rate of "
        "--fps.", flags=("--interpolate",),
    )  # fmt: skip
    video: Any = request_field(
        None, help="A clip to be made anew, as far as --strength says, or within --mask.", flags=("--video",)
    )
    strength: float | None = request_field(
        None, help="How much of --video is made anew: near 0 is little, 1 is all.", flags=("--strength",),
        minimum=0.01, maximum=1,
    )  # fmt: skip
    mask: Any = request_field(
        None, help="Of --video: what is painted anew, in every frame: a picture, its white parts, or LEFT,TOP,WIDTH,"
        "HEIGHT.", flags=("--mask",),
    )  # fmt: skip
    steps: int | None = request_field(
        None, help="Sampling steps: more is slower and finer.", flags=("--steps",), minimum=1, maximum=1000
    )
    sampler: str | None = request_field(None, help="Sampler; `text2x samplers` lists them.", flags=("--sampler",))
    guidance: str | float | None = request_field(
        None, help="How closely to follow the prompt, 1 is off, 2 to 5 is usual; 1..3 rises from the first frame to "
        "the last.", flags=("--guidance",),
    )  # fmt: skip

    def __post_init__(self) -> None:
        given = any(getattr(self, name) is not None for name in (*BEGINNINGS, "last_image"))
        check_prompt(self, "prompt", allow_empty=given)
        check_prompt(self, "negative", allow_empty=True)
        for name in ("count", "seed", "frames", "steps"):
            check_number(self, name, whole=True)
        if self.size is not None:
            sides_of(self.size)
        for name in ("fps", "motion", "strength"):
            check_number(self, name, whole=False)
        check_name(self, "sampler")
        if self.loop is not None and not isinstance(self.loop, bool):
            raise InputError(f"loop is {shortened(repr(self.loop))}; it must be true or false")
        if self.guidance is not None:
            guidance_range(self.guidance)
        if self.seed is not None and self.seed + self.count - 1 > MAX_SEED:
            raise InputError(f"seed is {self.seed}; with {self.count} clips it must be at most 2**63 - {self.count}")
        self._check_together()

    def _check_together(self) -> None:
        """Raise for fields that exclude or need each other."""
        begins = [name for name in BEGINNINGS if getattr(self, name) is not None]
        if len(begins) > 1:
            raise InputError(f"{begins[0]} and {begins[1]} were both given; a clip begins with one of them")
        if self.last_image is not None and begins not in ([], ["image"]):
            raise InputError(f"last_image and {begins[0]} were both given; leave one of them out")
        for name in ("strength", "mask"):
            if getattr(self, name) is not None and self.video is None:
                raise InputError(f"{name} is for a given clip; add video, or leave {name} out")
        if self.video is not None and self.strength is None and self.mask is None:
            raise InputError("video is given without strength or mask, so nothing would change; add strength=0.5")
        if self.interpolate is not None and self.frames is None and self.fps is None:
            raise InputError("interpolate needs how many frames there are to be in all, or a rate: add frames or fps")
        if self.loop and (self.extend is not None or self.last_image is not None):
            name = "extend" if self.extend is not None else "last_image"
            raise InputError(f"a loop has no end, so {name} is not for it; leave one of them out")
        if self.frames is not None and self.video is not None:
            raise InputError("frames and video were both given; the clip made anew has as many frames as it had")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VideoRequest:
        """The request written as plain values, as JSON gives them; an unknown field raises InputError."""
        names = [each.name for each in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise unknown("field", name, names)
        return from_dict(cls, values, where="request")

    def cleaned(self) -> tuple[VideoRequest, tuple[str, ...]]:
        """The same request without invisible characters in its prompts, and a warning for each that lost some."""
        prompt = clean_prompt(self.prompt, allow_empty=True)
        negative = clean_prompt(self.negative, allow_empty=True, where="the negative prompt")
        request = dataclasses.replace(self, prompt=prompt.text, negative=negative.text)
        return request, prompt.warnings + negative.warnings

    def seeded(self) -> VideoRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))


def sides_of(asked: str | int) -> tuple[int, int]:
    """Width and height in pixels, from 64 or "96x64"; what is no such size raises InputError."""
    parts = [asked, asked] if isinstance(asked, int) else str(asked).lower().replace("\u00d7", "x").split("x")
    try:
        sides = [int(part) for part in parts] * (3 - len(parts))
    except ValueError:
        sides = []
    low, high = SIDES
    if isinstance(asked, bool) or len(sides) != 2 or not all(low <= side <= high for side in sides):
        way = f"it must be a whole number from {low} to {high}, or two as in 96x64, width first"
        raise InputError(f"size is {shortened(str(asked))}; {way}")
    return sides[0], sides[1]


def guidance_range(asked: str | float) -> tuple[float, float]:
    """Guidance of the first and of the last frame, from 3 or "1..3"; what is no number raises InputError."""
    parts = str(asked).split(SEPARATOR)
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if isinstance(asked, bool) or not 1 <= len(numbers) <= 2 or not all(map(math.isfinite, numbers)):
        shown = shortened(repr(asked))
        raise InputError(f"guidance is {shown}; it must be a number, 1 is off, or two as in 1..3")
    return numbers[0], numbers[-1]
