"""Generators: a request to media. Item i depends on the model, the request and seed + i, not on the batch it is in.

On a CPU each item goes through the networks alone, its conditional and null row together, so that every item meets
calls of the same shape: bytes are then equal however many are asked for. On a GPU items go together.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.conditioning import Conditioning, concatenate
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.guidance import paired
from text2x.diffusion.samplers import SAMPLERS, Step, time_grid
from text2x.diffusion.variance import LastVariance
from text2x.errors import InputError
from text2x.masks import unknown_channels
from text2x.media import Image
from text2x.nn.initialization import no_initialization
from text2x.objectives import upsampling_condition
from text2x.recipe import (
    Model,
    Recipe,
    Stage,
    Text,
    build_denoiser,
    build_network,
    build_text,
    model_from_dict,
    parts_of,
    recipe_from_dict,
    trainable_of,
)
from text2x.requests import ImageRequest, OnStep, Progress, Result, unknown
from text2x.weights import load_weights

CPU_ITEMS, GPU_ITEMS = 1, 64  # that go through the networks together
LARGEST_FACTOR = 16  # of the base's size that upsampling by steps of two is allowed to reach


@dataclass(frozen=True)
class TrainedStage:
    """A recipe with its weights: a denoiser and what reads the prompt for it."""

    recipe: Recipe
    denoiser: Denoiser
    text: Text


@dataclass(frozen=True)
class Settings:
    """A request with the model's defaults filled in."""

    prompt: str
    negative: str
    steps: int
    sampler: str
    guidance: float
    guidance_interval: tuple[float, float]
    style: str | None
    size: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        return dict(self.__dict__)


class DiffusionGenerator:
    """Text to image by diffusion: a base that reads the prompt, then an upsampler as often as the size needs it."""

    def __init__(self, model: Model, stages: tuple[TrainedStage, ...], device: str = "cpu") -> None:
        if not stages:
            raise InputError(f"the model {model.name} has no stages; its recipe.json names none")
        if stages[0].recipe.low_resolution is not None:
            raise InputError(f"the model {model.name} has no stage that reads a prompt: its first is an upsampler")
        self.model, self.stages, self.device = model, stages, torch.device(device)

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that a request may name."""
        conditioner = self.stages[0].recipe.conditioner
        return () if conditioner is None else conditioner.styles

    def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do."""
        request, cleaning = request.cleaned()
        request = request.seeded()
        assert request.seed is not None
        settings, ignored = self.settings(request)
        warnings = (*cleaning, *ignored)
        together = CPU_ITEMS if self.device.type == "cpu" else GPU_ITEMS
        results: list[Result] = []
        for start in range(0, request.count, together):
            items = tuple(range(start, min(start + together, request.count)))
            seeds = [request.seed + item for item in items]
            timings: dict[str, float] = {}
            pictures = self._pictures(settings, seeds, _Reporter(on_step, items, self, settings), timings)
            shares = {name: seconds / len(items) for name, seconds in timings.items()}
            described = {**settings.as_dict(), "model": self.model.name}
            results += [
                Result(picture, seed, warnings, shares, described)
                for picture, seed in zip(pictures, seeds, strict=True)
            ]
        return results

    def settings(self, request: ImageRequest) -> tuple[Settings, tuple[str, ...]]:
        """The request with the model's defaults, and what of it is ignored or cut off."""
        defaults = self.stages[0].recipe.sampling
        size = self.model.size if request.size is None else request.size
        largest = self.stages[0].recipe.size * (LARGEST_FACTOR if len(self.stages) > 1 else 1)
        if size > largest:
            raise InputError(f"size is {size}; the model {self.model.name} makes pictures of at most {largest} pixels")
        sampler = request.sampler or defaults.sampler
        if sampler not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        style = request.style or defaults.style
        if style is not None and style not in self.styles:
            raise unknown("style", style, self.styles)
        settings = Settings(
            prompt=request.prompt,
            negative=request.negative,
            steps=request.steps or defaults.steps,
            sampler=sampler,
            guidance=defaults.guidance if request.guidance is None else request.guidance,
            guidance_interval=request.guidance_interval or defaults.guidance_interval,
            style=style,
            size=size,
        )
        return settings, tuple(self._warnings(settings))

    def _warnings(self, settings: Settings) -> Iterator[str]:
        text = self.stages[0].text
        for name in ("prompt", "negative"):
            dropped = text.truncated(getattr(settings, name)) if text is not None else None
            if dropped:
                yield f"the end of the {name} does not fit and is ignored: {dropped!r}"
        if settings.negative and settings.guidance == 1:
            yield f"guidance is 1, which is off, so the negative prompt is ignored: {settings.negative!r}"

    @torch.inference_mode()
    def _pictures(
        self, settings: Settings, seeds: list[int], report: _Reporter, timings: dict[str, float]
    ) -> list[Image]:
        begin = time.perf_counter()
        denoise, variance = guided(self.stages[0], settings, len(seeds), self.device)
        timings["text"] = time.perf_counter() - begin
        x = self._sample(0, settings, denoise, seeds, self.stages[0].recipe.size, report, variance)
        timings["base"] = time.perf_counter() - begin - timings["text"]
        while x.shape[-1] < settings.size:
            x = self._upsample(x, settings, seeds, report)
        if len(self.stages) > 1:
            timings["upsampler"] = time.perf_counter() - begin - timings["text"] - timings["base"]
        return self.images(x, settings.size)

    def _sample(
        self,
        stage: int,
        settings: Settings,
        denoise: Denoise,
        seeds: list[int],
        size: int,
        report: _Reporter,
        variance: LastVariance | None = None,
    ) -> Tensor:
        """Draw each item's noise from its own generator and walk from noise to data."""
        recipe = self.stages[stage].recipe
        defaults = recipe.sampling
        sampler, steps = (settings.sampler, settings.steps) if stage == 0 else (defaults.sampler, defaults.steps)
        rngs = [torch.Generator().manual_seed(stage_seed(seed, stage, size)) for seed in seeds]

        def noise_like(x: Tensor) -> Tensor:
            rows = [torch.randn(x.shape[1:], generator=rng, dtype=torch.float32) for rng in rngs]
            return torch.stack(rows).to(x.device, x.dtype)

        ts = time_grid(steps, shift=defaults.shift, kind=defaults.grid, schedule=recipe.schedule)
        _, sigma = recipe.schedule(ts[:1])
        shape = torch.empty(len(seeds), recipe.network.in_channels, size, size, device=self.device)
        x = noise_like(shape) * float(sigma)
        on_step = report.stage("base" if stage == 0 else f"upsampler to {size}", steps)
        options = {"variance": variance} if sampler == "ddpm" and variance is not None else {}
        return SAMPLERS[sampler](denoise, x, ts, recipe.schedule, noise_like=noise_like, on_step=on_step, **options)

    def _upsample(self, x: Tensor, settings: Settings, seeds: list[int], report: _Reporter) -> Tensor:
        """[B, 4, H, W] -> [B, 4, 2H, 2W] by the last stage."""
        place = len(self.stages) - 1
        stage = self.stages[place]
        low = stage.recipe.low_resolution
        assert low is not None
        size = x.shape[-1] * low.factor
        # seeds of the corrupting noise differ from those of the sampler's by the size of the picture they are for
        rngs = [torch.Generator().manual_seed(stage_seed(seed, place, -size)) for seed in seeds]
        noise = torch.stack([torch.randn(x.shape[1:], generator=rng) for rng in rngs]).to(self.device)
        level = torch.full((len(seeds),), low.sampling_noise, device=self.device)
        known = unknown_channels(x.new_empty(len(seeds), x.shape[1], size, size))
        conditioning = upsampling_condition(x.clamp(-1, 1), level, noise, known, low.factor)
        denoise = clamped(stage.denoiser.denoise(conditioning))
        return self._sample(place, settings, denoise, seeds, size, report)

    def images(self, x: Tensor, size: int) -> list[Image]:
        """Pictures of the wanted size from [B, 4, H, W]."""
        pictures = [Image(each.clamp(-1, 1).numpy()) for each in x.float().cpu()]
        return [each if each.width == size else each.resize(size) for each in pictures]


class _Reporter:
    """Turns a sampler's steps into the caller's progress."""

    def __init__(
        self, on_step: OnStep | None, items: tuple[int, ...], generator: DiffusionGenerator, settings: Settings
    ) -> None:
        self.on_step, self.items, self.generator, self.settings = on_step, items, generator, settings

    def stage(self, name: str, steps: int) -> Callable[[Step], None] | None:
        if self.on_step is None:
            return None
        on_step = self.on_step

        def report(step: Step) -> None:
            estimate = step.x_0

            def shown() -> list[Image]:
                return self.generator.images(estimate, max(self.settings.size, estimate.shape[-1]))

            on_step(Progress(step.index + 1, steps, name, self.items, shown))

        return report


def guided(
    stage: TrainedStage, settings: Settings, count: int, device: torch.device
) -> tuple[Denoise, LastVariance | None]:
    """The stage's denoise for `count` items of one prompt, guided as the settings say; text is read once.

    With it, the variance that the network has learned, if it has.
    """
    network = stage.recipe.network
    variance = LastVariance() if network.out_channels == 2 * network.in_channels else None
    if stage.text is None:
        return clamped(stage.denoiser.denoise(Conditioning(), variance)), variance
    conditional = stage.text([settings.prompt], [settings.style])
    # the null is the empty prompt without a style, or the negative prompt in the same style
    null = stage.text([settings.negative], [settings.style if settings.negative else None])
    rows = torch.zeros(count, dtype=torch.long)
    given, other = conditional[rows].to(device), null[rows].to(device)
    alone = stage.denoiser.denoise(given, variance)
    if settings.guidance == 1:
        return clamped(alone), variance
    pair = stage.denoiser.denoise(concatenate([given, other]), variance)
    return clamped(paired(alone, pair, settings.guidance, settings.guidance_interval)), variance


def build_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> DiffusionGenerator:
    """The generator that a recipe.json describes, with the weights beside it: a model, or the folder of a run."""
    if values.get("type") == "Recipe":
        recipe = recipe_from_dict(values)
        weights = f"averages/{recipe.training.averages[0]}.safetensors"
        model = Model(recipe.name, recipe.summary, "unknown", (Stage(recipe, weights),), size=recipe.size)
    else:
        model = model_from_dict(values)
    texts: dict[Any, Any] = {}
    stages = []
    for stage in model.stages:
        recipe = stage.recipe
        if recipe.conditioner not in texts:
            texts[recipe.conditioner] = build_text(recipe)
        network, text = load_stage(recipe, folder / stage.weights, texts[recipe.conditioner], device)
        stages.append(TrainedStage(recipe, build_denoiser(recipe, network), text))
    return DiffusionGenerator(model, tuple(stages), device)


def load_stage(recipe: Recipe, path: Path, text: Text, device: str) -> tuple[Any, Text]:
    """The recipe's network and text encoder with the weights in a file."""
    with no_initialization():  # weights that would be thrown away are not drawn
        network = build_network(recipe)
    trainable = trainable_of(network, text)
    load_weights(trainable, path)
    return parts_of(trainable.eval().requires_grad_(False).to(device), text)


def clamped(denoise: Denoise) -> Denoise:
    """Estimates of pixels cannot leave [-1, 1] (Ho et al. 2020, Sec. 3.2; "static thresholding" in Imagen)."""
    return lambda x_t, t: denoise(x_t, t).clamp(-1, 1)


def stage_seed(seed: int, stage: int, size: int) -> int:
    """The seed of one stage's noise for one item; that of the base is the item's own."""
    if stage == 0:
        return seed
    digest = hashlib.sha256(f"{seed}/{stage}/{size}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
