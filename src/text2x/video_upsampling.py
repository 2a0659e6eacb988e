"""Clips made larger by a network that mixes their frames, in windows that overlap and are merged at each step.

Lumiere (Bar-Tal et al. 2024, Sec. 3.3): an inflated upsampler of pictures sees a window of frames; the windows of a
longer clip are sampled together, and what they say of a frame that they share is averaged (Bar-Tal et al. 2023,
MultiDiffusion). All frames have the same noise (Singer et al. 2022, Sec. 3.2). Shapes: B clips, T frames, N of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from text2x.clip_conditioning import told_numbers
from text2x.conditioning import Conditioning
from text2x.data.clip_batches import ClipBatch
from text2x.diffusion.denoiser import WEIGHTINGS, Denoise, Denoiser, draw_times
from text2x.diffusion.guidance import clamped
from text2x.diffusion.samplers import SAMPLERS, time_grid
from text2x.masks import unknown_channels
from text2x.objectives import shrink, upsampling_condition
from text2x.sampling import stage_seed
from text2x.video_objectives import clip_noise, errors_by_time
from text2x.video_recipe import VideoUpsamplerRecipe
from text2x.video_sampling import circular_windows, merged, told_rate, windows

STAGE = 1  # in the keys of its seeds: the place that it takes among a base's stages


def clip_condition(small: Tensor, level: Tensor, noise: Tensor, told: Tensor, factor: int) -> Conditioning:
    """What the network is told of clips [B, 4, T, h, w]: each frame noised by the clip's level [B], and the numbers.

    `noise` is [B, 4, 1, h, w], the same for all frames; `told` [B, TOLD].
    """
    count, _, frames = small.shape[:3]
    rows, same = (each.expand_as(small).transpose(1, 2).flatten(0, 1) for each in (small, noise))
    unknown = unknown_channels(rows.new_empty(len(rows), 4, small.shape[3] * factor, small.shape[4] * factor))
    each = upsampling_condition(rows, level.repeat_interleave(frames), same, unknown, factor)
    assert each.channels is not None
    channels = each.channels.unflatten(0, (count, frames)).transpose(1, 2)
    return Conditioning(vector=torch.cat([level[:, None], told.to(level)], dim=1), channels=channels)


class VideoUpsampling:
    """The mean loss over a batch of clips at random times, from the clips made small and noised."""

    def __init__(self, denoiser: Denoiser, recipe: VideoUpsamplerRecipe, device: torch.device | str = "cpu") -> None:
        self.denoiser, self.recipe, self.device = denoiser, recipe, torch.device(device)
        self.weighting = WEIGHTINGS[recipe.objective.weighting]

    def __call__(self, batch: ClipBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times."""
        x_0, config = batch.videos, self.recipe.objective
        level = torch.rand(len(x_0), generator=rng) * self.recipe.low_resolution.largest_noise
        conditioning = self._condition(batch, level, rng)
        t = draw_times(len(x_0), rng, config.times)
        noise = clip_noise(x_0, [rng] * len(x_0), config.shared_noise)
        x_0, t, noise = (each.to(self.device) for each in (x_0, t, noise))
        loss = self.denoiser.loss(x_0, t, noise, conditioning.to(self.device), self.weighting).mean()
        return {"loss": loss}

    def _condition(self, batch: ClipBatch, level: Tensor, rng: torch.Generator) -> Conditioning:
        factor = self.recipe.low_resolution.factor
        small = small_clips(batch.videos, factor)
        noise = torch.randn(small[:, :, :1].shape, generator=rng)
        told = told_numbers(batch.rates, batch.motion, batch.loops, batch.pictures)
        return clip_condition(small, level, noise, told, factor)

    @torch.no_grad()
    def held_out(self, batches: Iterable[ClipBatch], seed: int) -> dict[str, float]:
        """The unweighted error in x_0 at each evaluation time, and their mean as "held_out"."""
        recipe = self.recipe

        def rows() -> Iterator[tuple[Tensor, Tensor, Conditioning]]:
            for index, batch in enumerate(batches):
                rng = torch.Generator().manual_seed(seed + index)
                level = torch.full((len(batch.videos),), recipe.low_resolution.sampling_noise)
                conditioning = self._condition(batch, level, rng).to(self.device)
                noise = clip_noise(batch.videos, [rng] * len(batch.videos), recipe.objective.shared_noise)
                yield batch.videos.to(self.device), noise.to(self.device), conditioning

        return errors_by_time(self.denoiser, recipe.objective.evaluation_times, rows())


def small_clips(videos: Tensor, factor: int) -> Tensor:
    """[B, C, T, H, W] -> [B, C, T, H / factor, W / factor], frame by frame by area."""
    frames = shrink(videos.transpose(1, 2).flatten(0, 1), factor)
    return frames.unflatten(0, (len(videos), -1)).transpose(1, 2)


@dataclass(frozen=True)
class ClipUpsampler:
    """An upsampler of clips with its weights."""

    recipe: VideoUpsamplerRecipe
    denoiser: Denoiser

    @property
    def window(self) -> int:
        """Frames that it sees at once."""
        return self.recipe.data.frames

    def __call__(self, frames: Tensor, seed: int, rate: float, motion: float | None, loop: bool) -> Tensor:
        """[N, 4, h, w] of one clip -> [N, 4, H, W], in inference mode; a long one in merged windows."""
        recipe, low = self.recipe, self.recipe.low_resolution
        small = frames.clamp(-1, 1).transpose(0, 1)[None]  # [1, 4, N, h, w]
        sides = [side * low.factor for side in small.shape[3:]]
        # the two seeds differ by the size of what they are for, as those of upsamplers of pictures
        noise = _same(small[:, :, :1], stage_seed(seed, STAGE, -max(sides)))
        x = _same(small.new_empty(1, 4, 1, *sides), stage_seed(seed, STAGE, max(sides)))
        told = told_numbers(torch.tensor([told_rate(rate)]), torch.tensor([-1.0 if motion is None else motion]),
                            torch.tensor([loop and len(frames) <= self.window]))  # fmt: skip
        parts: list[tuple[slice | Tensor, Denoise]] = [
            (places, self._denoise(small[:, :, places], noise, told)) for places in self.windows(len(frames), loop)
        ]
        sampling, schedule = recipe.sampling, recipe.schedule
        ts = time_grid(sampling.steps, shift=sampling.shift, kind=sampling.grid, schedule=schedule)
        begin = (x * float(schedule(ts[:1])[1])).expand(-1, -1, len(frames), -1, -1).contiguous()
        made = SAMPLERS[sampling.sampler](merged(parts), begin, ts, schedule)
        return made[0].transpose(0, 1)

    def windows(self, total: int, loop: bool) -> list[slice | Tensor]:
        """Which frames are seen at once; of a loop that is longer than a window, around its circle."""
        if loop and total > self.window:
            return [*circular_windows(total, self.window)]
        return [*windows(total, self.window)]

    def _denoise(self, small: Tensor, noise: Tensor, told: Tensor) -> Denoise:
        low = self.recipe.low_resolution
        level = torch.full((1,), low.sampling_noise, device=small.device)
        return clamped(self.denoiser.denoise(clip_condition(small, level, noise, told, low.factor)))


def _same(like: Tensor, seed: int) -> Tensor:
    """Standard normal numbers from a seed of their own."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)
