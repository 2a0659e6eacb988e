"""Clips from words, pictures and clips: a request to Video. Item i depends on model, request and seed + i alone.

Each item goes through the network alone, its conditional and null row together. A clip of more frames than the model
was trained with is made window by window, each of which knows the last frames of the one before. Frames that are given
come back bit for bit at the size of the result. x is [B, C, T, H, W]; masks are [B, 1, T, H, W], 1 = known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.cascades import Cascade, passes, upsample
from text2x.codecs import Codec, Identity
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.samplers import SAMPLERS, Step
from text2x.errors import InputError
from text2x.moving import Video
from text2x.requests import OnStep, Progress, Result, unknown
from text2x.sampling import TrainedStage, stage_seed
from text2x.settings import Run, Settings
from text2x.text_conditioner import TextConditioner
from text2x.video_material import Material, material_of
from text2x.video_objectives import decoded_frames, encoded_frames
from text2x.video_recipe import VideoModel, VideoRecipe
from text2x.video_requests import VideoRequest, guidance_range
from text2x.video_sampling import Told, Window, guided, rising, sampled, windows

WINDOW_STAGE = 1000  # in the keys of the seeds of further windows; those of upsamplers are far smaller
UPSAMPLED_TOGETHER = 16  # frames
TOLD_RATES = (3.0, 24.0)  # frames/s that are told; beyond them no clip was seen
KEPT_AT_ONCE = 24  # tensors of the first level's width that a pass holds at its peak
PROBED_FRAMES = 4


@dataclass(frozen=True)
class VideoSettings:
    """A request with the model's defaults filled in."""

    prompt: str
    negative: str
    frames: int  # that are made
    fps: float
    size: int
    motion: float | None
    loop: bool
    steps: int
    sampler: str
    guidance: tuple[float, float]  # of the first and of the last frame
    strength: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        first, last = self.guidance
        values = {**self.__dict__, "guidance": first if first == last else f"{first:g}..{last:g}"}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Estimate:
    """What a request will take on this machine, about."""

    seconds: float
    num_bytes: int  # at the peak, weights included


@dataclass
class _Work:
    """One item on its way."""

    settings: VideoSettings
    material: Material
    seed: int
    item: int
    on_step: OnStep | None
    frames: Tensor  # [1, 4, N, s, s] at the network's size: what is known, and what is made so far
    keep: Tensor  # [1, 1, N, s, s] 1 = known or made
    timings: dict[str, float] = field(default_factory=dict)

    def count(self, name: str, begin: float) -> None:
        """Add the seconds since `begin` to a part of the work."""
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin


class VideoGenerator:
    """Text, pictures and clips to clips.

    `stages` are those of the base of pictures: its first, which says the size, and its upsamplers, which make each
    frame larger with the same noise (Singer et al. 2022, Sec. 3.2).
    """

    def __init__(
        self,
        model: VideoModel,
        denoiser: Denoiser,
        text: TextConditioner,
        device: str = "cpu",
        codec: Codec | None = None,
        stages: tuple[TrainedStage, ...] = (),
    ) -> None:
        self.model, self.denoiser, self.text = model, denoiser, text
        self.device, self.codec, self.stages = torch.device(device), codec or Identity(), stages

    @property
    def recipe(self) -> VideoRecipe:
        """The recipe of the model."""
        return self.model.recipe

    @property
    def largest(self) -> int:
        """The side of the largest square clip that it makes, in pixels."""
        return max(self._sides())

    @property
    def window(self) -> int:
        """Frames that are made at once: as many as it was trained with."""
        return self.recipe.data.frames

    def generate(self, request: VideoRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do."""
        if not isinstance(request, VideoRequest):
            raise InputError(f"{self.model.name} makes clips: text2x video PROMPT --model {self.model.name}")
        request, cleaning = request.cleaned()
        request = request.seeded()
        assert request.seed is not None
        settings, material, ignored = self.settings(request)
        results = []
        for item in range(request.count):
            work = self._begun(settings, material, request.seed + item, item, on_step)
            with torch.inference_mode():
                for number, places in enumerate(self._windows(material)):
                    self._make(work, number, places)
                video = self._finished(work)
            described = {**settings.as_dict(), **material.described, "model": self.model.name}
            results.append(Result(video, work.seed, (*cleaning, *ignored), dict(work.timings), described))
        return results

    def settings(self, request: VideoRequest) -> tuple[VideoSettings, Material, tuple[str, ...]]:
        """The request with the model's defaults, what it was given, and what of it is ignored or changed."""
        defaults, name = self.recipe.sampling, self.model.name
        size = request.size or self.model.size
        if size > self.largest:
            raise InputError(f"size is {size}; the model {name} makes clips of at most {self.largest} pixels")
        sampler = request.sampler or defaults.sampler
        if sampler not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        material, warnings = material_of(request, request.frames or defaults.frames, size)
        scales = (defaults.guidance, defaults.guidance if defaults.last_guidance is None else defaults.last_guidance)
        settings = VideoSettings(
            prompt=request.prompt,
            negative=request.negative,
            frames=len(material.keep),
            fps=request.fps or material.rate or defaults.rate,
            size=size,
            motion=defaults.motion if request.motion is None else request.motion,
            loop=bool(request.loop),
            steps=request.steps or defaults.steps,
            sampler=sampler,
            guidance=scales if request.guidance is None else guidance_range(request.guidance),
            strength=request.strength,
        )
        self._check(settings, material)
        return settings, material, (*warnings, *self._warnings(settings))

    def estimate(self, request: VideoRequest) -> Estimate:
        """Seconds and memory that a request will take, from one pass of a few frames."""
        settings, material, _ = self.settings(request.cleaned()[0].seeded())
        recipe, side = self.recipe, self.recipe.size // self.codec.factor
        frames = max(PROBED_FRAMES, recipe.network.step)
        rows = 1 if settings.guidance == (1.0, 1.0) else 2
        shape = (1, recipe.network.in_channels, frames, side, side)
        x = torch.zeros(shape, device=self.device)
        window = Window(x, torch.zeros(1, 1, *shape[2:], device=self.device), 0, (float(rows),) * frames)
        with torch.inference_mode():
            denoise = guided(recipe, self.denoiser, self.text, _told(settings), window)
            seconds = []
            for _ in range(2):  # the first pass is slower than all others
                begin = time.perf_counter()
                denoise(x, torch.ones(1, device=self.device))
                seconds.append(time.perf_counter() - begin)
        made = sum(places.stop - places.start for places in self._windows(material))
        steps = settings.steps * (settings.strength or 1.0)
        image = getattr(recipe.network, "image", recipe.network)
        places = rows * min(settings.frames, self.window) * (side // getattr(image, "patch", 1)) ** 2
        held = KEPT_AT_ONCE * places * getattr(image, "width", 64)
        weights = sum(value.numel() for value in self.denoiser.network.parameters())  # type: ignore[attr-defined]
        clips = 12 * settings.frames * settings.size**2
        return Estimate(request.count * steps * min(seconds) / frames * made, 4 * (weights + held + clips))

    def _windows(self, material: Material) -> list[slice]:
        step, count = self.recipe.network.step, len(material.keep)
        padded = -(-count // step) * step if count <= self.window else count
        return windows(padded, self.window, material.begins)

    def _check(self, settings: VideoSettings, material: Material) -> None:
        """Raise InputError for what this model cannot do."""
        network, name, objective = self.recipe.network, self.model.name, self.recipe.objective
        frames = f"frames is {settings.frames}; loops of the model {name} have"
        if settings.loop and settings.frames > self.window:
            raise InputError(f"{frames} at most {self.window}, which are made at once")
        if settings.loop and settings.frames % network.step:
            raise InputError(f"{frames} a multiple of {network.step} frames")
        if objective.first_frame and material.kinds - {"image"} and not material.start:
            raise InputError(f"the model {name} knows a first picture only: give image, or take another model")
        told = objective.first_frame or network.extra_channels > network.in_channels
        if material.known and not told:
            raise InputError(f"the model {name} was not trained with known frames; give words alone, or strength")

    def _warnings(self, settings: VideoSettings) -> list[str]:
        found = []
        for name in ("prompt", "negative"):
            if dropped := self.text.truncated(getattr(settings, name)):
                found.append(f"the end of the {name} does not fit and is ignored: {dropped!r}")
        if settings.negative and settings.guidance == (1.0, 1.0):
            found.append(f"guidance is 1, so the negative prompt is ignored: {settings.negative!r}")
        if _told(settings).rate != settings.fps:
            told = f"the clip moves as at {_told(settings).rate:g}"
            found.append(f"{settings.fps:g} frames/s were never seen in training: {told}")
        if settings.size not in self._sides():
            larger = min(side for side in self._sides() if side > settings.size)
            found.append(f"the model makes no {settings.size} pixels: they are {larger} made smaller")
        return found

    def _sides(self) -> list[int]:
        return [self.recipe.size, *(each.size for each in passes(self.stages))] if self.stages else [self.recipe.size]

    def _begun(
        self, settings: VideoSettings, material: Material, seed: int, item: int, on_step: OnStep | None
    ) -> _Work:
        """An item with what is known of it at the network's size; frames that only fill up a multiple lie behind."""
        count = max(places.stop for places in self._windows(material))
        frames, keep = (torch.from_numpy(each.copy()) for each in (material.frames, material.keep))
        size = self.recipe.size
        if settings.size != size:
            frames, keep = _resized(frames, size), (_resized(keep, size) > 0.999).float()
        if count > len(frames):
            frames = torch.cat([frames, frames[-1:].expand(count - len(frames), -1, -1, -1)])
            keep = torch.cat([keep, torch.zeros(count - len(keep), 1, size, size)])
        frames, keep = (each.transpose(0, 1)[None].to(self.device) for each in (frames, keep))
        return _Work(settings, material, seed, item, on_step, frames, keep)

    def _make(self, work: _Work, number: int, places: slice) -> None:
        """Sample one window and put it among the frames, which are then known to the next one."""
        begin, settings = time.perf_counter(), work.settings
        told, given = _told(settings), work.frames[:, :, places]
        x = given if isinstance(self.codec, Identity) else encoded_frames(self.codec, given)
        keep = work.keep[:, :, places]
        keep = (
            keep if keep.shape[3:] == x.shape[3:] else -F.max_pool3d(-keep, (1, self.codec.factor, self.codec.factor))
        )
        first, last = settings.guidance
        total = work.frames.shape[2]
        seed = work.seed if number == 0 else stage_seed(work.seed, WINDOW_STAGE, number)
        scales = rising(first, last, total, places)
        window = Window(x, keep, seed, scales, settings.strength if work.material.start else None)
        denoise = guided(self.recipe, self.denoiser, self.text, told, window)
        made = sampled(self.recipe, denoise, window, told, self._reporter(work, places))
        made = decoded_frames(self.codec, made)
        work.frames[:, :, places] = torch.where(work.keep[:, :, places] == 1, given, made)
        work.keep[:, :, places] = 1
        work.count("base", begin)

    def _finished(self, work: _Work) -> Video:
        """The clip at the wanted size, with what was given laid over it bit for bit."""
        begin, settings = time.perf_counter(), work.settings
        x = work.frames[0].transpose(0, 1)  # [N, 4, s, s]
        for each in passes(self.stages) if self.stages else ():
            if x.shape[-1] < settings.size:
                x = torch.cat([self._upsampled(part, each.place, work) for part in x.split(UPSAMPLED_TOGETHER)])
        work.count("upsampler", begin)
        return self._video(x, work)

    def _video(self, x: Tensor, work: _Work) -> Video:
        """[N, 4, S, S] at any size to a clip of the wanted one; of what fills up a multiple nothing is left."""
        settings, material = work.settings, work.material
        frames = x.float().clamp(-1, 1).cpu().numpy()[: settings.frames]
        video = Video(frames, settings.fps, loops=settings.loop)
        video = video if video.width == settings.size else video.resize(settings.size)
        return replace(video, frames=np.where(material.keep == 1, material.frames, video.frames))

    def _upsampled(self, frames: Tensor, place: int, work: _Work) -> Tensor:
        """Frames made larger by one stage, all with the same noise."""
        settings = work.settings
        words = Settings(
            settings.prompt, settings.negative, settings.steps, settings.sampler, "1", (0.0, 1.0), None, settings.size
        )
        run = Run(words, lambda name, steps: None)
        seeds = (work.seed,) * len(frames)
        return upsample(frames, place, Cascade(self.stages, self.model.name, run, seeds, self.device))

    def _reporter(self, work: _Work, places: slice) -> Callable[[Step], None] | None:
        tell = work.on_step
        if tell is None:
            return None
        steps = max(1, round(work.settings.steps * (work.settings.strength or 1.0)))
        name = f"frames {places.start + 1} to {min(places.stop, work.settings.frames)}"

        def told(step: Step) -> None:
            estimate = step.x_0

            @torch.inference_mode()
            def shown() -> list[Any]:
                frames = work.frames.clone()
                frames[:, :, places] = decoded_frames(self.codec, estimate)
                video = self._video(frames[0].transpose(0, 1), work)
                begun = places.stop < len(video)  # what lies behind has not been looked at yet
                return [replace(video, frames=video.frames[: places.stop], loops=False) if begun else video]

            tell(Progress(step.index + 1, steps, name, (work.item,), shown))

        return told


def _told(settings: VideoSettings) -> Told:
    """What of the settings reaches the network; rates that were never seen are told as the nearest that were."""
    low, high = TOLD_RATES
    rate = min(max(settings.fps, low), high)
    return Told(
        settings.prompt, settings.negative, rate, settings.motion, settings.loop, settings.steps, settings.sampler
    )


def _resized(frames: Tensor, size: int) -> Tensor:
    """[N, C, S, S] at another size."""
    if frames.shape[-1] > size:
        return F.interpolate(frames, (size, size), mode="area")
    return F.interpolate(frames, (size, size), mode="bilinear", align_corners=False)
