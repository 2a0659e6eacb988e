"""What a request for a clip will take on this machine: seconds and memory, measured on a few frames before the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from text2x.memory import LiveBytes

SAMPLER_STATES = 6  # tensors like x that a sampler holds: x, noise, known frames, estimates of further steps
CLIP_VALUES = 24  # numbers a pixel of the result: what was given and its mask, the frames, and copies when it is done
CANVAS_VALUES = 8  # numbers a pixel of what the network works on
NUMBER = 4  # bytes


@dataclass(frozen=True)
class Estimate:
    """What a request will take on this machine, about."""

    seconds: float
    num_bytes: int  # at the peak, weights included; beside what Python and its libraries take


@dataclass(frozen=True)
class Probe:
    """What one run of a part of the work took."""

    seconds: float = 0.0
    num_bytes: int = 0  # of tensors, at the peak


def probed(run: Callable[[], object]) -> Probe:
    """Run it twice: memory is counted in the first run, which is slower than all others, and time in the second."""
    with LiveBytes() as held:
        run()
    begin = time.perf_counter()
    run()
    return Probe(time.perf_counter() - begin, held.peak)


@dataclass(frozen=True)
class Sizes:
    """How much there is to make of one clip."""

    frames: int  # of the clip
    pixels: int  # of a frame of the result
    canvas: int  # of a frame as the network's codec gives it
    latent: int  # numbers of a frame that is noised
    span: int  # frames that are sampled together


def clip_bytes(sizes: Sizes, clips: int = 1) -> int:
    """Of the clips themselves, without what networks hold; those that are done wait for the last one."""
    whole = NUMBER * sizes.frames * (CLIP_VALUES * sizes.pixels + CANVAS_VALUES * sizes.canvas)
    waiting = NUMBER * sizes.frames * 4 * sizes.pixels * (clips - 1)
    return whole + waiting


def peak_bytes(sizes: Sizes, weights: int, phases: list[float], clips: int = 1) -> int:
    """Weights and clips, and the largest of what the phases of the work hold."""
    sampler = NUMBER * SAMPLER_STATES * sizes.latent * sizes.span
    return int(weights + clip_bytes(sizes, clips) + sampler + max(phases, default=0.0))
