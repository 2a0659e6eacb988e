"""A generator that paints without a network, for tests of what the command line does around it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from text2x.media import Image
from text2x.requests import ImageRequest, OnStep, Progress, Result, unknown

Run = Callable[..., tuple[int, str, str]]


class Painter:
    """A generator without a network: one colour a seed, in as many steps as are asked for."""

    def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
        if request.style not in (None, "plain"):
            raise unknown("style", request.style, ["plain"])
        seed = request.seeded().seed or 0
        steps = request.steps or 3
        results = []
        for item in range(request.count):
            image = paint(request.prompt, seed + item, request.size or 16)
            for step in range(steps if on_step is not None else 0):
                assert on_step is not None
                on_step(Progress(step + 1, steps, "base", (item,), lambda image=image: [image]))
            warnings = ("the style is ignored",) if request.style else ()
            results.append(Result(image, seed + item, warnings, {"base": 0.25}, {"steps": steps, "guidance": 1.0}))
        return results


def paint(prompt: str, seed: int, size: int) -> Image:
    """A half-transparent picture that depends on the prompt and the seed alone."""
    colours = np.random.default_rng([len(prompt), *prompt.encode(), seed]).integers(0, 256, 4, dtype=np.uint8)
    return Image.from_uint8(np.broadcast_to(colours | [0, 0, 0, 64], (size, size, 4)).astype(np.uint8))


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("[!.]*")
        if ".models" not in path.parts and path.is_file()
    )
