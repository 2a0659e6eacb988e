"""Objectives: a batch and a generator of random numbers to losses; "loss" is minimised, the rest is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioner, Conditioning
from text2x.data.batches import Batch
from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, draw_times
from text2x.masks import known_channels, random_masks, unknown_channels
from text2x.recipe import DenoisingConfig, LowResolution


class Denoising:
    """The loss of a denoiser on captioned pictures, with known regions and, for an upsampler, a low resolution.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        conditioner: Conditioner | None,
        config: DenoisingConfig,
        low_resolution: LowResolution | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.denoiser, self.conditioner, self.config = denoiser, conditioner, config
        self.low_resolution = low_resolution
        self.device = torch.device(device)
        self.weighting = WEIGHTINGS[config.weighting]

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times."""
        conditioning = self.condition(batch, rng, with_masks=True)
        t = draw_times(len(batch.images), rng, self.config.times)
        return {"loss": self._losses(batch.images, t, rng, conditioning).mean()}

    def condition(self, batch: Batch, rng: torch.Generator, with_masks: bool) -> Conditioning:
        """What the network is told of a batch: text, and the channels of known regions and low resolution."""
        if self.conditioner is None:
            conditioning = Conditioning()
        else:
            conditioning = self.conditioner(batch.captions, batch.styles, batch.augmentations)
        masked = with_masks and float(torch.rand((), generator=rng)) < self.config.mask_probability
        if masked:
            known = known_channels(batch.images, random_masks(len(batch.images), batch.images.shape[-1], rng))
        else:
            known = unknown_channels(batch.images)
        if self.low_resolution is None:
            return conditioning.with_channels(known)
        small = shrink(batch.images, self.low_resolution.factor)
        level = torch.rand(len(small), generator=rng) * self.low_resolution.largest_noise
        noise = torch.randn(small.shape, generator=rng)
        return upsampling_condition(small, level, noise, known, self.low_resolution.factor)

    @torch.no_grad()
    def held_out(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """The unweighted error in x_0 at each evaluation time, and their mean as "held_out"; nothing known."""
        times = self.config.evaluation_times
        sums, count = torch.zeros(len(times), dtype=torch.float64), 0
        for index, batch in enumerate(batches):
            rng = torch.Generator().manual_seed(seed + index)
            conditioning = self.condition(batch, rng, with_masks=False)
            noise = torch.randn(batch.images.shape, generator=rng)
            for place, time in enumerate(times):
                t = torch.full((len(batch.images),), time)
                losses = self._errors(batch.images, t, noise, conditioning)
                sums[place] += losses.double().sum().cpu()
            count += len(batch.images)
        means = (sums / max(count, 1)).tolist()
        named = {f"held_out/t={time:g}": mean for time, mean in zip(times, means, strict=True)}
        return {"held_out": sum(means) / len(means), **named}

    def _losses(self, images: Tensor, t: Tensor, rng: torch.Generator, conditioning: Conditioning) -> Tensor:
        noise = torch.randn(images.shape, generator=rng)
        x_0, t, noise = (each.to(self.device) for each in (images, t, noise))
        return self.denoiser.loss(x_0, t, noise, conditioning.to(self.device), self.weighting)

    def _errors(self, images: Tensor, t: Tensor, noise: Tensor, conditioning: Conditioning) -> Tensor:
        x_0, t, noise = (each.to(self.device) for each in (images, t, noise))
        alpha, sigma = (each.reshape(-1, 1, 1, 1) for each in self.denoiser.schedule(t))
        estimate, _ = self.denoiser.estimate(alpha * x_0 + sigma * noise, t, conditioning.to(self.device))
        return (estimate - x_0).square().flatten(1).mean(1)


def shrink(images: Tensor, factor: int) -> Tensor:
    """Area-average by a whole factor."""
    return F.avg_pool2d(images, factor)


def upsampling_condition(small: Tensor, level: Tensor, noise: Tensor, known: Tensor, factor: int) -> Conditioning:
    """What an upsampler is told: the noised low resolution at full size, known channels, and the noise level [B]."""
    spread = level[:, None, None, None]
    noised = (1 - spread**2).sqrt() * small + spread * noise
    large = F.interpolate(noised, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return Conditioning(vector=level[:, None], channels=torch.cat([large, known], dim=1))


Evaluate = Callable[[], dict[str, float]]
