"""Cascades: upsamplers behind a base, each of which makes a picture larger by a whole factor and may read the prompt.

Pictures are [B, 4, H, W] in [-1, 1]. The noise of item i comes from its own CPU generators, one for what corrupts the
small picture and one for the sampler, keyed by its seed, the stage and the side of what is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.variance import LastVariance
from text2x.errors import InputError
from text2x.guidance_terms import GuidanceTerm
from text2x.guiding import Asked, Leaders, led
from text2x.masks import unknown_channels
from text2x.networks.efficient_unet import EfficientUNetConfig
from text2x.objectives import quantized, upsampling_condition
from text2x.recipe import LowResolution, Recipe, SamplingConfig
from text2x.requests import read_weighted
from text2x.sampling import CHANNELS, Beginning, Region, TrainedStage, Walk, stage_seed, walk
from text2x.settings import Run, reads_masks

LARGEST_FACTOR = 16  # of the base's size that a last stage which repeats is allowed to reach
OVERLAP = 4  # a tile shares this part of its side with the next


@dataclass(frozen=True)
class Pass:
    """One run of an upsampler."""

    place: int  # of its stage
    size: int  # side of the square that it makes


@dataclass(frozen=True)
class Cascade:
    """What all passes of one run share; `sampler`, `steps` and `terms` replace those of the stages' recipes."""

    stages: Sequence[TrainedStage]
    model: str  # its name
    run: Run
    seeds: tuple[int, ...]  # one an item
    device: torch.device
    known: Region | None = None
    begin: Beginning | None = None
    sampler: str | None = None
    steps: int | None = None
    terms: tuple[GuidanceTerm, ...] | None = None


def passes(stages: Sequence[TrainedStage]) -> Iterator[Pass]:
    """The passes that follow the base: each upsampler once, then the last one again and again if it repeats."""
    base = stages[0].recipe.size
    size, place, low = base, 0, None
    for place, stage in enumerate(stages[1:], start=1):
        low = low_resolution_of(stage.recipe)
        size *= low.factor
        yield Pass(place, size)
    while low is not None and low.repeats and size * low.factor <= LARGEST_FACTOR * base:
        size *= low.factor
        yield Pass(place, size)


def largest(stages: Sequence[TrainedStage]) -> int:
    """The side of the largest square that the stages make, in pixels."""
    return max([stages[0].recipe.size, *(each.size for each in passes(stages))])


def low_resolution_of(recipe: Recipe) -> LowResolution:
    """What an upsampler starts from; InputError for a stage that is none."""
    if recipe.low_resolution is None:
        raise InputError(f"the stage {recipe.name!r} is no upsampler, so it cannot follow another; leave it out")
    return recipe.low_resolution


def check_chain(stages: Sequence[TrainedStage]) -> None:
    """Raise InputError unless every stage behind the first is an upsampler that can make what is its to make."""
    for stage in stages[1:]:
        low_resolution_of(stage.recipe)
    if stages[0].recipe.low_resolution is not None:
        return  # upsamplers alone: pictures are padded to what they can make
    for each in passes(stages):
        recipe = stages[each.place].recipe
        if each.size % (step := step_of(recipe)):
            makes = f"the upsampler {recipe.name} makes sides that are multiples of {step}"
            raise InputError(f"{makes}, not {each.size} as behind {stages[0].recipe.name}; take another")


def default_terms(sampling: SamplingConfig) -> tuple[GuidanceTerm, ...]:
    """The guidance of a recipe."""
    interval = sampling.guidance_interval
    return (GuidanceTerm("cfg", sampling.guidance, interval=interval, threshold=sampling.threshold),)


def asked_of(stage: TrainedStage, cascade: Cascade) -> Asked:
    """The request as it reaches one upsampler: its own guidance, and the style only if it knows it."""
    settings, recipe = cascade.run.settings, stage.recipe
    terms = default_terms(recipe.sampling) if cascade.terms is None else cascade.terms
    style = settings.style if recipe.conditioner is not None and settings.style in recipe.conditioner.styles else None
    further = tuple(read_weighted(each) for each in settings.also)
    return Asked(settings.prompt, settings.negative, style, further, terms)


def upsample(x: Tensor, place: int, cascade: Cascade, tile: int | None = None) -> Tensor:
    """[B, 4, H, W] -> [B, 4, H factor, W factor] by one stage, in inference mode.

    What is larger than `tile` pixels a side is denoised in tiles that overlap, a step at a time, so that all tiles see
    one noisy picture and no seam can open (Bar-Tal et al. 2023, MultiDiffusion).
    """
    stage = cascade.stages[place]
    recipe = stage.recipe
    low = low_resolution_of(recipe)
    small = quantized(x.clamp(-1, 1), low)
    height, width = (side * low.factor for side in x.shape[-2:])
    size = max(height, width)
    # seeds of the corrupting noise differ from those of the sampler's by the size of the picture they are for
    rngs = [torch.Generator().manual_seed(stage_seed(seed, place, -size)) for seed in cascade.seeds]
    noise = torch.stack([torch.randn(x.shape[1:], generator=rng) for rng in rngs]).to(cascade.device)
    known = cascade.known
    if known is not None:
        # the base's method has done its work: from here on the hole follows the small picture
        known = replace(known.at(size), method=CHANNELS if reads_masks(recipe) else "keep")
    sampling = recipe.sampling
    sampler, steps = cascade.sampler or sampling.sampler, cascade.steps or sampling.steps
    told = _Told(stage, cascade, asked_of(stage, cascade), sampler, small, noise, known)
    whole = Box(0, 0, height, width)
    denoise, options = told.denoise(whole) if tile is None or size <= tile else _tiled(told, whole, tile)
    name = f"upsampler to {size}" if height == width else f"upsampler to {width}x{height}"
    own = tuple(stage_seed(seed, place, size) for seed in cascade.seeds)
    report = cascade.run.report(name, steps)
    plan = Walk(own, height, sampler, steps, known, cascade.begin, options, report, width)
    return walk(recipe, denoise, plan, cascade.device)


@dataclass(frozen=True)
class Box:
    """A part of what an upsampler makes, in its pixels; the stage's factor divides all four."""

    top: int
    left: int
    height: int
    width: int

    def of(self, x: Tensor, factor: int = 1) -> Tensor:
        """This part of a picture that is `factor` times smaller; shares memory with it."""
        top, left, height, width = (each // factor for each in (self.top, self.left, self.height, self.width))
        return x[..., top : top + height, left : left + width]


Options = tuple[tuple[str, Any], ...]  # further arguments of a sampler


@dataclass(frozen=True)
class _Told:
    """All that an upsampler is told in one pass."""

    stage: TrainedStage
    cascade: Cascade
    asked: Asked
    sampler: str
    small: Tensor  # [B, 4, h, w]
    noise: Tensor  # [B, 4, h, w] that corrupts it
    known: Region | None

    def condition(self, box: Box) -> Conditioning:
        """The noised low resolution, the known part and the noise level of a part of the picture."""
        low = low_resolution_of(self.stage.recipe)
        count, channels = self.small.shape[:2]
        told = unknown_channels(self.small.new_empty(count, channels, box.height, box.width))
        if self.known is not None and reads_masks(self.stage.recipe):
            told = self.known.channels(count, self.cascade.device)
        level = torch.full((count,), low.sampling_noise if low.largest_noise > 0 else 0.0, device=self.small.device)
        small, noise = (box.of(each, low.factor) for each in (self.small, self.noise))
        return upsampling_condition(small, level, noise, told, low.factor)

    def denoise(self, box: Box) -> tuple[Denoise, Options]:
        """The guided denoise of a part, and further arguments of the sampler."""
        count, name = len(self.small), self.cascade.model
        lead = led(self.stage, self.asked, Leaders(), name, count, None, self.sampler, self.condition(box))
        return lead.denoise, lead.options


def tiles(whole: Box, side: int, step: int) -> list[Box]:
    """Boxes of at most `side` a side that cover the whole, overlapping by a quarter or more; `step` divides each."""

    def starts(length: int) -> list[int]:
        if length <= side:
            return [0]
        stride = max(step, (side - side // OVERLAP) // step * step)
        return [*range(0, length - side, stride), length - side]

    height, width = min(side, whole.height), min(side, whole.width)
    return [Box(top, left, height, width) for top in starts(whole.height) for left in starts(whole.width)]


def tile_weights(box: Box) -> Tensor:
    """[height, width] of a tile's pixels among those that overlap: falling evenly over the overlap to its edges."""

    def ramp(length: int) -> Tensor:
        place = torch.arange(length, dtype=torch.float32)
        return ((torch.minimum(place, length - 1 - place) + 1) / (length // OVERLAP + 1)).clamp_max(1)

    return ramp(box.height)[:, None] * ramp(box.width)


def _tiled(told: _Told, whole: Box, side: int) -> tuple[Denoise, Options]:
    """The estimates of overlapping tiles, averaged; and a learned variance, if the sampler asks for one."""
    step = step_of(told.stage.recipe)
    side = max(step, side // step * step)
    boxes = tiles(whole, side, step)
    weights = tile_weights(boxes[0]).to(told.small.device)
    total = told.small.new_zeros(whole.height, whole.width)
    for box in boxes:
        box.of(total).add_(weights)
    options = dict(told.denoise(boxes[0])[1])
    whole_variance = LastVariance() if "variance" in options else None
    options |= {} if whole_variance is None else {"variance": whole_variance}

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        x_0, v = torch.zeros_like(x_t), torch.zeros_like(x_t) if whole_variance is not None else None
        for box in boxes:
            part, own = told.denoise(box)  # conditions of all tiles at once would fill the memory
            box.of(x_0).add_(part(box.of(x_t).contiguous(), t) * weights)
            if v is not None:
                box.of(v).add_(dict(own)["variance"].v[: len(x_t)] * weights)
        if whole_variance is not None and v is not None:
            whole_variance(v / total)
        return x_0 / total

    return denoise, tuple(options.items())


def step_of(recipe: Recipe) -> int:
    """Pixels of which the sides of what a stage makes must be multiples."""
    network = recipe.network
    halvings = len(getattr(network, "multipliers", (1,))) - 1 + isinstance(network, EfficientUNetConfig)
    return math.lcm(getattr(network, "patch", 1) * 2**halvings, low_resolution_of(recipe).factor)
