"""One window of a clip from noise: guidance that may rise over its frames, known frames, its own generator of noise.

x is [1, C, T, h, w], masks [1, 1, T, h, w], 1 = known. Guidance scale w is null + w (cond - null).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from text2x.clip_conditioning import told_numbers
from text2x.conditioning import concatenate
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.guidance import clamped
from text2x.diffusion.inpainting import METHODS, Known, start_from
from text2x.diffusion.samplers import SAMPLERS, Sampler, Step, time_grid
from text2x.text_conditioner import TextConditioner
from text2x.video_objectives import clip_noise, first_frames, known_frames
from text2x.video_recipe import VideoRecipe

OVERLAP = 4  # windows share this part of their frames with the one before
TOLD_RATES = (3.0, 24.0)  # frames/s that are told; beyond them no clip was seen


@dataclass(frozen=True)
class Window:
    """What is sampled at once."""

    x: Tensor  # [1, C, T, h, w] what is known of it, or what to begin from
    keep: Tensor  # [1, 1, T, h, w] 1 = known
    seed: int
    scales: tuple[float, ...]  # guidance of each frame
    strength: float | None = None  # of what x is made anew; None: it begins from noise


@dataclass(frozen=True)
class Told:
    """What the network is told of a clip, and how it is sampled."""

    prompt: str
    negative: str
    rate: float
    motion: float | None
    loop: bool
    steps: int
    sampler: str


def windows(total: int, length: int, known: int = 0) -> list[slice]:
    """Frames that are made at once, of `total`: each window begins before the end of the one before.

    `known` is how many frames there are already: of these the first window sees at most half of its length.
    """
    if total <= length:
        return [slice(0, total)]
    stride = length - max(1, length // OVERLAP)
    starts = [max(0, known - length // 2)]
    while starts[-1] + length < total:
        starts.append(min(starts[-1] + stride, total - length))
    starts[0] = min(starts[0], total - length)
    return [slice(start, start + length) for start in starts]


def circular_windows(total: int, length: int) -> list[Tensor]:
    """The places of windows around a loop of more frames than a window has, as `windows` overlap: each [length]."""
    stride = length - max(1, length // OVERLAP)
    count = -(-total // stride)
    return [(torch.arange(length) + total * place // count) % total for place in range(count)]


def told_rate(rate: float) -> float:
    """The nearest rate that was seen in training."""
    return min(max(rate, TOLD_RATES[0]), TOLD_RATES[1])


def merged(parts: Sequence[tuple[slice | Tensor, Denoise]]) -> Denoise:
    """The denoise of a long clip by windows that cover it: at each step the mean of what they say of a frame.

    Windows are slices, or the places of different frames; one window is taken to be the whole.

    (Bar-Tal et al. 2023, MultiDiffusion; over time as in Lumiere, Bar-Tal et al. 2024, Sec. 3.3.)
    """
    if len(parts) == 1:
        return parts[0][1]

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        total, count = torch.zeros_like(x_t), x_t.new_zeros(1, 1, x_t.shape[2], 1, 1)
        for places, part in parts:
            total[:, :, places] = total[:, :, places] + part(x_t[:, :, places].contiguous(), t)
            count[:, :, places] = count[:, :, places] + 1
        return total / count

    return denoise


def rising(first: float, last: float, total: int, places: slice) -> tuple[float, ...]:
    """Guidance of the frames at some places of a clip: even steps from the first one's to the last one's."""
    step = (last - first) / max(1, total - 1)
    return tuple(first + step * place for place in range(places.start, places.stop))


def guided(recipe: VideoRecipe, denoiser: Denoiser, text: TextConditioner, told: Told, window: Window) -> Denoise:
    """The denoise of a window, [1, C, T, h, w]: condition and null in one call where any frame is guided."""
    device = window.x.device
    styles = [None, None]
    words = text([told.prompt, told.negative], styles)
    motion = torch.tensor([-1.0 if told.motion is None else told.motion] * 2)
    words = words.with_vector(told_numbers(torch.tensor([told.rate] * 2), motion, torch.tensor([told.loop] * 2)))
    rows = [words[torch.tensor([place])].to(device).with_channels(_channels(recipe, window)) for place in (0, 1)]
    pixels = recipe.codec is None
    if all(scale == 1 for scale in window.scales):
        plain = denoiser.denoise(rows[0])
        return clamped(plain) if pixels else plain
    pair = denoiser.denoise(concatenate(rows))
    scale = torch.tensor(window.scales, device=device)[None, None, :, None, None]

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        given, null = pair(torch.cat([x_t, x_t]), torch.cat([t, t])).chunk(2)
        return torch.lerp(null, given, scale.to(given.dtype))

    return clamped(denoise) if pixels else denoise


def _channels(recipe: VideoRecipe, window: Window) -> Tensor | None:
    """What the network is told of known frames."""
    network = recipe.network
    if recipe.objective.first_frame:
        given = window.keep[:, :, 0].flatten(1).min(1).values  # [1]
        return first_frames(window.x, given)
    if network.extra_channels <= network.in_channels:
        return None
    return known_frames(window.x, (window.keep == 1).to(window.x.dtype))


def sampled(
    recipe: VideoRecipe, denoise: Denoise, window: Window, told: Told, on_step: Callable[[Step], None] | None = None
) -> Tensor:
    """From noise, or from a noised clip, to the window [1, C, T, h, w]; known frames of pixels stay as they are."""
    rng = torch.Generator().manual_seed(window.seed)
    shared = recipe.objective.shared_noise

    def noise_like(x: Tensor) -> Tensor:
        return clip_noise(x, [rng], shared)

    schedule, start = recipe.schedule, window.strength or 1.0
    steps = max(1, round(told.steps * start))
    ts = time_grid(steps, shift=recipe.sampling.shift, kind=recipe.sampling.grid, schedule=schedule, start=start)
    noise = noise_like(window.x)
    begins = window.strength is not None
    x = start_from(window.x, noise, schedule, start) if begins else noise * float(schedule(ts[:1])[1])
    sampler: Sampler = SAMPLERS[told.sampler]
    if recipe.codec is None and bool((window.keep == 1).any()):
        sampler = METHODS["keep"](sampler, Known(window.x, (window.keep == 1).to(window.x.dtype), noise))
    return sampler(denoise, x, ts, schedule, noise_like=noise_like, on_step=on_step)
