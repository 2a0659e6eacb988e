"""One stage of a model, walking from noise to pictures: an item's own noise, a known region, a picture to begin from.

Pictures are [B, C, S, S] in [-1, 1]; keep is [B, 1, S, S], 1 = known. The noise of item i comes from its own CPU
generator, so that it does not depend on the batch; known regions and beginnings are the same for each item.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.codecs import Codec, Identity
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.inpainting import METHODS, Known, start_from
from text2x.diffusion.samplers import SAMPLERS, Sampler, Step, time_grid
from text2x.masks import known_channels
from text2x.recipe import Recipe, Text

CHANNELS = "channels"  # the method in which the network itself is told of the known region


@dataclass(frozen=True)
class TrainedStage:
    """A recipe with its weights: a denoiser and what reads the prompt for it."""

    recipe: Recipe
    denoiser: Denoiser
    text: Text
    codec: Codec = Identity()  # pixels to what the network works on
    origin: str | None = None  # where it was taken from, if that is not the model's own folder


@dataclass(frozen=True)
class Region:
    """A picture of which a part is known, and how that part is used while sampling."""

    image: Tensor  # [1, 4, S, S] premultiplied RGBA in [-1, 1]
    keep: Tensor  # [1, 1, S, S] in [0, 1], 1 = known
    method: str = CHANNELS
    rounds: int | None = None  # of repaint and langevin; None: the method's own number
    told: Tensor | None = None  # [1, C, S, S] what mask channels hold, if not the known pixels and the mask

    def at(self, size: int) -> Region:
        """The same at another size; a pixel counts as known as far as the least known one within its area."""
        image, keep = self.image, self.keep
        if size < image.shape[-1]:
            factor = image.shape[-1] // size
            image, keep = F.avg_pool2d(image, factor), -F.max_pool2d(-keep, factor)
        elif size > image.shape[-1]:
            image = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
            keep = F.interpolate(keep, size=(size, size), mode="nearest")
        return Region(image, keep, self.method, self.rounds)

    def channels(self, count: int, device: torch.device) -> Tensor:
        """What a network with mask channels is told, [count, 5, S, S]; half-known pixels count as unknown."""
        if self.told is not None:
            return self.told.expand(count, -1, -1, -1).to(device)
        certain = (self.keep == 1).to(self.image.dtype)
        return known_channels(self.image, certain).expand(count, -1, -1, -1).to(device)


@dataclass(frozen=True)
class Beginning:
    """A picture to begin from in place of noise: at time `strength` of the way, 1 = noise alone."""

    image: Tensor  # [1, 4, S, S]
    strength: float

    def at(self, size: int) -> Tensor:
        """The picture at a stage's size."""
        if size == self.image.shape[-1]:
            return self.image
        smaller = size < self.image.shape[-1]
        return F.interpolate(
            self.image, size=(size, size), mode="area" if smaller else "bilinear",
            **({} if smaller else {"align_corners": False}),
        )  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """How one stage is sampled for some items."""

    seeds: tuple[int, ...]  # of this stage's noise, one an item
    size: int
    sampler: str
    steps: int
    known: Region | None = None  # at this size
    begin: Beginning | None = None
    options: tuple[tuple[str, Any], ...] = ()  # further arguments of the sampler
    on_step: Callable[[Step], None] | None = None
    width: int | None = None  # of pictures that are no squares; `size` is then their height
    start: Tensor | None = None  # x at time 1 [B, C, S, S], in place of noise


def walk(recipe: Recipe, denoise: Denoise, plan: Walk, device: torch.device) -> Tensor:
    """From each item's noise, or from a noised picture, to pictures [B, C, S, S]."""
    rngs = [torch.Generator().manual_seed(seed) for seed in plan.seeds]

    def noise_like(x: Tensor) -> Tensor:
        rows = [torch.randn(x.shape[1:], generator=rng, dtype=torch.float32) for rng in rngs]
        return torch.stack(rows).to(x.device, x.dtype)

    defaults, schedule = recipe.sampling, recipe.schedule
    start = 1.0 if plan.begin is None else plan.begin.strength
    steps = max(1, round(plan.steps * start))
    ts = time_grid(steps, shift=defaults.shift, kind=defaults.grid, schedule=schedule, start=start)
    shape = torch.empty(len(rngs), recipe.network.in_channels, plan.size, plan.width or plan.size, device=device)
    noise = noise_like(shape)
    if plan.start is not None:
        x = plan.start.to(device)
    elif plan.begin is None:
        x = noise * (float(schedule(ts[:1])[1]) * defaults.temperature)
    else:
        x = start_from(plan.begin.at(plan.size).expand_as(noise).to(device), noise, schedule, start)
    sampler: Sampler = partial(SAMPLERS[plan.sampler], **dict(plan.options))
    if plan.known is not None:
        sampler = respecting(plan.known, sampler, noise)
    return sampler(denoise, x, ts, schedule, noise_like=noise_like, on_step=plan.on_step)


def respecting(region: Region, sampler: Sampler, noise: Tensor) -> Sampler:
    """The sampler made to keep the known part; with the method channels the network knows of it as well.

    Half-known pixels are sampled like unknown ones, and blended when the picture is put together, but by differential.
    """
    keep = region.keep if region.method == "differential" else (region.keep == 1).to(region.keep.dtype)
    image, keep = (each.to(noise.device).expand(len(noise), *each.shape[1:]) for each in (region.image, keep))
    method = METHODS["keep" if region.method == CHANNELS else region.method]
    rounds = {"repaint": "resample", "langevin": "steps"}.get(region.method)
    options = {rounds: region.rounds} if rounds is not None and region.rounds is not None else {}
    return partial(method, **options)(sampler, Known(image, keep, noise))


def stage_seed(seed: int, stage: int, size: int) -> int:
    """The seed of one stage's noise for one item; that of the base is the item's own."""
    if stage == 0:
        return seed
    digest = hashlib.sha256(f"{seed}/{stage}/{size}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stage_seeds(seeds: Sequence[int], stage: int, size: int) -> tuple[int, ...]:
    """`stage_seed` of each item."""
    return tuple(stage_seed(seed, stage, size) for seed in seeds)
