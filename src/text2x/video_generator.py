"""Clips from words, pictures and clips: a request to Video. Item i depends on model, request and seed + i alone.

Each item goes through the network alone, its conditional and null row together. A clip of more frames than the model
was trained with is made window by window, each of which knows the last frames of the one before, or, if the recipe says
so, all at once with the means of overlapping windows. Frames that are given come back bit for bit at the size of the
result. x is [B, C, T, H, W]; masks are [B, 1, T, H, W], 1 = known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.cascades import Cascade, passes, upsample
from text2x.codecs import Codec, Identity
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.samplers import Step
from text2x.errors import InputError
from text2x.memory import weight_bytes
from text2x.moving import Video
from text2x.requests import OnStep, Progress, Result
from text2x.sampling import TrainedStage, stage_seed
from text2x.settings import Run, Settings
from text2x.text_conditioner import TextConditioner
from text2x.video_estimate import Estimate, Probe, Sizes, peak_bytes, probed
from text2x.video_material import Material
from text2x.video_objectives import DECODED_TOGETHER, decoded_frames, encoded_frames
from text2x.video_recipe import VideoModel, VideoRecipe
from text2x.video_requests import VideoRequest
from text2x.video_sampling import Told, Window, guided, merged, rising, sampled, told_rate, windows
from text2x.video_settings import Making, VideoSettings, resolved, warned
from text2x.video_upsampling import ClipUpsampler

Enlarge = Callable[[Tensor, VideoSettings, int], Tensor]  # frames [N, 4, s, s], the seed of the clip
WINDOW_STAGE = 1000  # in the keys of the seeds of further windows; those of upsamplers are far smaller
UPSAMPLED_TOGETHER = 16  # frames
PROBED_FRAMES = 4


@dataclass
class _Work:
    """One item on its way."""

    settings: VideoSettings
    material: Material
    seed: int
    item: int
    on_step: OnStep | None
    frames: Tensor  # [1, 4, N, h, w] at the network's size: what is known, and what is made so far
    keep: Tensor  # [1, 1, N, h, w] 1 = known or made
    timings: dict[str, float] = field(default_factory=dict)

    def count(self, name: str, begin: float) -> None:
        """Add the seconds since `begin` to a part of the work."""
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin


class VideoGenerator:
    """Text, pictures and clips to clips.

    `stages` are those of the base of pictures: its first, which says the size, and its upsamplers, which make each
    frame larger with the same noise (Singer et al. 2022, Sec. 3.2). One of clips, `upsampler`, replaces the first.
    """

    def __init__(
        self,
        model: VideoModel,
        denoiser: Denoiser,
        text: TextConditioner,
        device: str = "cpu",
        codec: Codec | None = None,
        stages: tuple[TrainedStage, ...] = (),
        upsampler: ClipUpsampler | None = None,
    ) -> None:
        self.model, self.denoiser, self.text = model, denoiser, text
        self.device, self.codec, self.stages = torch.device(device), codec or Identity(), stages
        self.upsampler = upsampler
        self.making = Making(model, (model.recipe.size, *(side for side, _ in self._enlarging())), self.codec.factor)

    @property
    def recipe(self) -> VideoRecipe:
        """The recipe of the model."""
        return self.model.recipe

    @property
    def largest(self) -> int:
        """The side of the largest square clip that it makes, in pixels."""
        return max(self.making.sides)

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
                for number, parts in enumerate(self._windows(settings, material)):
                    self._make(work, number, parts)
                video = self._finished(work)
            described = {**settings.as_dict(), **material.described, "model": self.model.name}
            results.append(Result(video, work.seed, (*cleaning, *ignored), dict(work.timings), described))
        return results

    def settings(self, request: VideoRequest) -> tuple[VideoSettings, Material, tuple[str, ...]]:
        """The request with the model's defaults, what it was given, and what of it is ignored or changed."""
        settings, material, warnings = resolved(self.making, request)
        return settings, material, (*warnings, *warned(self.making, settings, self.text))

    def estimate(self, request: VideoRequest) -> Estimate:
        """Seconds and memory that a request will take, from one pass of a few frames, and one frame made larger."""
        settings, material, _ = self.settings(request.cleaned()[0].seeded())
        frames = max(PROBED_FRAMES, self.recipe.network.step)
        height, width = (side // self.codec.factor for side in self.making.canvas(settings.width, settings.height))
        x = torch.zeros(1, self.recipe.network.in_channels, frames, height, width, device=self.device)
        rows = 1.0 if settings.guidance == (1.0, 1.0) else 2.0
        window = Window(x, torch.zeros_like(x[:, :1]), 0, (rows,) * frames)
        with torch.inference_mode():
            denoise = guided(self.recipe, self.denoiser, self.text, _told(settings), window)
            base = probed(lambda: denoise(x, torch.ones(1, device=self.device)))
            decoded = Probe()
            if not isinstance(self.codec, Identity):
                decoded = probed(lambda: decoded_frames(self.codec, x[:, :, :1]))
            larger = self._probed_upsamplers(settings)
        groups = self._windows(settings, material)
        parts = [part for group in groups for part in group]
        made = sum(part.stop - part.start for part in parts)
        longest = max(part.stop - part.start for part in parts)
        phases = [base.num_bytes / frames * longest, decoded.num_bytes * min(DECODED_TOGETHER, settings.frames)]
        phases += [each.num_bytes * min(UPSAMPLED_TOGETHER, settings.frames) for each in larger]
        pixels, latent = settings.width * settings.height, x[0, :, 0].numel()
        span = max(group[-1].stop - group[0].start for group in groups)
        sizes = Sizes(settings.frames, pixels, height * width * self.codec.factor**2, latent, span)
        steps = settings.steps * (settings.strength or 1.0)
        seconds = steps * base.seconds / frames * made + settings.frames * decoded.seconds
        seconds += settings.frames * sum(each.seconds for each in larger)
        encoder = getattr(self.text.encoder, "encoder", None)
        codec = getattr(self.codec, "network", None)
        clips = None if self.upsampler is None else self.upsampler.denoiser.network
        networks = [self.denoiser.network, encoder, codec, clips, *(each.denoiser.network for each in self.stages)]
        return Estimate(request.count * seconds, peak_bytes(sizes, weight_bytes(networks), phases, request.count))

    def _probed_upsamplers(self, settings: VideoSettings) -> list[Probe]:
        """What a frame takes in each upsampler that a size needs; one of clips is given a few."""
        side, found = self.recipe.size, []
        for larger, enlarge in self._enlarging():
            if side < settings.width:
                count = PROBED_FRAMES if enlarge == self._upsampled_clip else 1
                small = torch.zeros(count, 4, side, side, device=self.device)
                probe = probed(lambda small=small, enlarge=enlarge: enlarge(small, settings, 0))
                found.append(Probe(probe.seconds / count, probe.num_bytes // count))
                side = larger
        return found

    def _windows(self, settings: VideoSettings, material: Material) -> list[list[slice]]:
        """Frames that are made at once, in groups of those whose estimates are merged."""
        step, count = self.recipe.network.step, len(material.keep)
        window = self.making.window(settings.width, settings.height)
        padded = -(-count // step) * step if count <= window else count
        found = windows(padded, window, material.begins)
        return [found] if self.recipe.sampling.windows == "merged" else [[each] for each in found]

    def _begun(
        self, settings: VideoSettings, material: Material, seed: int, item: int, on_step: OnStep | None
    ) -> _Work:
        """An item with what is known of it at the network's size; frames that only fill up a multiple lie behind."""
        count = max(part.stop for parts in self._windows(settings, material) for part in parts)
        frames, keep = (torch.from_numpy(each.copy()) for each in (material.frames, material.keep))
        size = self.making.canvas(settings.width, settings.height)
        if size != (settings.height, settings.width):
            frames, keep = _resized(frames, size), (_resized(keep, size) > 0.999).float()
        if count > len(frames):
            frames = torch.cat([frames, frames[-1:].expand(count - len(frames), -1, -1, -1)])
            keep = torch.cat([keep, torch.zeros(count - len(keep), 1, *size)])
        frames, keep = (each.transpose(0, 1)[None].to(self.device) for each in (frames, keep))
        return _Work(settings, material, seed, item, on_step, frames, keep)

    def _make(self, work: _Work, number: int, parts: list[slice]) -> None:
        """Sample one window, or several that are merged, and put it among the frames: the next one knows them."""
        begin, settings = time.perf_counter(), work.settings
        places = slice(parts[0].start, parts[-1].stop)
        told, given = _told(settings), work.frames[:, :, places]
        x = given if isinstance(self.codec, Identity) else encoded_frames(self.codec, given)
        keep = work.keep[:, :, places]
        if keep.shape[3:] != x.shape[3:]:
            keep = -F.max_pool3d(-keep, (1, self.codec.factor, self.codec.factor))
        seed = work.seed if number == 0 else stage_seed(work.seed, WINDOW_STAGE, number)
        whole = Window(x, keep, seed, (), settings.strength if work.material.start else None)
        own = [slice(part.start - places.start, part.stop - places.start) for part in parts]
        denoise = merged([(part, self._guided(work, whole, told, part, places.start)) for part in own])
        made = sampled(self.recipe, denoise, whole, told, self._reporter(work, places))
        made = decoded_frames(self.codec, made)
        work.frames[:, :, places] = torch.where(work.keep[:, :, places] == 1, given, made)
        work.keep[:, :, places] = 1
        work.count("base", begin)

    def _guided(self, work: _Work, whole: Window, told: Told, part: slice, first: int) -> Denoise:
        """The denoise of a part of what is sampled together, whose first frame is that of the clip."""
        low, high = work.settings.guidance
        scales = rising(low, high, work.frames.shape[2], slice(first + part.start, first + part.stop))
        window = Window(whole.x[:, :, part], whole.keep[:, :, part], whole.seed, scales)
        return guided(self.recipe, self.denoiser, self.text, told, window)

    def _finished(self, work: _Work) -> Video:
        """The clip at the wanted size, with what was given laid over it bit for bit."""
        begin, settings = time.perf_counter(), work.settings
        x = work.frames[0].transpose(0, 1)  # [N, 4, h, w]
        for _, enlarge in self._enlarging():
            if x.shape[-1] < settings.width:
                x = enlarge(x, settings, work.seed)
        work.count("upsampler", begin)
        return self._video(x, work)

    def _video(self, x: Tensor, work: _Work) -> Video:
        """[N, 4, H, W] at any size to a clip of the wanted one; of what fills up a multiple nothing is left."""
        settings, material = work.settings, work.material
        frames = x.float().clamp(-1, 1).cpu().numpy()[: settings.frames]
        video = Video(frames, settings.fps, loops=settings.loop)
        size = settings.width, settings.height
        video = video if (video.width, video.height) == size else video.resize(*size)
        return replace(video, frames=np.where(material.keep == 1, material.frames, video.frames))

    def _enlarging(self) -> list[tuple[int, Enlarge]]:
        """The sides that frames can be made larger to, one after the other, and by what."""
        found: list[tuple[int, Enlarge]] = [
            (each.size, partial(self._upsampled, each.place)) for each in (passes(self.stages) if self.stages else ())
        ]
        if self.upsampler is None:
            return found
        side = self.recipe.size * self.upsampler.recipe.low_resolution.factor
        return [(side, self._upsampled_clip), *(each for each in found if each[0] > side)]

    def _upsampled_clip(self, frames: Tensor, settings: VideoSettings, seed: int) -> Tensor:
        """A clip made larger by the upsampler of clips; of frames that fill up a multiple nothing is left."""
        assert self.upsampler is not None
        rate = settings.pace or settings.fps
        return self.upsampler(frames[: settings.frames], seed, rate, settings.motion, settings.loop)

    def _upsampled(self, place: int, frames: Tensor, settings: VideoSettings, seed: int) -> Tensor:
        """Frames made larger by one stage, all with the same noise."""
        return torch.cat([self._stage(place, part, settings, seed) for part in frames.split(UPSAMPLED_TOGETHER)])

    def _stage(self, place: int, frames: Tensor, settings: VideoSettings, seed: int) -> Tensor:
        words = Settings(
            settings.prompt, settings.negative, settings.steps, settings.sampler, "1", (0.0, 1.0), None, settings.width
        )
        run = Run(words, lambda name, steps: None)
        seeds = (seed,) * len(frames)
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
    rate = told_rate(settings.pace or settings.fps)
    return Told(
        settings.prompt, settings.negative, rate, settings.motion, settings.loop, settings.steps, settings.sampler
    )


def _resized(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, H, W] at another height and width."""
    if frames.shape[-1] > size[1]:
        return F.interpolate(frames, size, mode="area")
    return F.interpolate(frames, size, mode="bilinear", align_corners=False)
