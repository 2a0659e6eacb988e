"""The loss of a denoiser on latents of captioned sounds: captions left out, frames known, loops around a circle.

Latents are [B, Z, S], masks [B, 1, S], 1 = known. Everything random is drawn on the CPU from the generator that is
given, so that a step depends on its batch and seed alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from text2x.conditioning import Conditioner, Conditioning
from text2x.data.latent_batches import LatentBatch
from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, draw_times
from text2x.diffusion.schedules import expand
from text2x.networks.dit import DiT
from text2x.sound_diffusion import SoundDiffusionRecipe, denoiser_of, told_frames, told_numbers

KINDS = 4  # of known parts: the beginning, the end, all but a hole, one stretch


def draw_known(count: int, frames: int, rng: torch.Generator) -> Tensor:
    """Masks [count, 1, frames] of a beginning, an end, all but a hole, or a stretch, 1 = known."""
    kinds = torch.randint(KINDS, (count,), generator=rng)
    ends = torch.rand(count, 2, generator=rng).sort(1).values * frames
    place = torch.arange(frames)
    inside = (place >= ends[:, :1]) & (place < ends[:, 1:])
    choices = torch.stack([place < ends[:, :1], place >= ends[:, 1:], ~inside, inside])  # [KINDS, count, frames]
    return choices[kinds, torch.arange(count)][:, None].float()


def known_frames(latents: Tensor, keep: Tensor) -> Tensor:
    """What the network is told of known frames: these and the mask, [B, Z + 1, S]."""
    return torch.cat([latents * keep, keep], dim=1)


class SoundDenoising:
    """The mean loss over a batch of sounds at random times."""

    def __init__(
        self, network: DiT, text: Conditioner, recipe: SoundDiffusionRecipe, device: torch.device | str = "cpu"
    ) -> None:
        self.text, self.recipe, self.config, self.device = text, recipe, recipe.objective, torch.device(device)
        self.longest = recipe.data.seconds
        self.denoisers: dict[bool, Denoiser] = {loop: denoiser_of(recipe, network, loop) for loop in (False, True)}
        self.weighting = WEIGHTINGS[recipe.objective.weighting]

    def __call__(self, batch: LatentBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times."""
        x_0 = batch.latents
        kept = torch.rand(len(x_0), generator=rng) >= self.config.drop
        keep = None
        if float(torch.rand((), generator=rng)) < self.config.known:
            keep = draw_known(len(x_0), x_0.shape[2], rng)
        conditioning = self.condition(batch, kept, keep)
        t = draw_times(len(x_0), rng, self.config.times)
        noise = torch.randn(x_0.shape, generator=rng)
        x_0, t, noise = (each.to(self.device) for each in (x_0, t, noise))
        loss = self.denoisers[batch.loop].loss(x_0, t, noise, conditioning.to(self.device), self.weighting)
        return {"loss": loss.mean()}

    def condition(self, batch: LatentBatch, kept: Tensor, keep: Tensor | None = None) -> Conditioning:
        """What the network is told of a batch; `kept` [B] says whose caption, `keep` [B, 1, S] which frames."""
        captions = [caption if told else "" for caption, told in zip(batch.captions, kept.tolist(), strict=True)]
        words = self.text(captions).with_vector(told_numbers(batch.seconds, self.longest, batch.loop))
        known = None if keep is None else known_frames(batch.latents, keep)
        around = None if batch.loop else (batch.since, batch.left)
        return words.with_channels(told_frames(self.recipe, known, around, batch.latents.shape[2]))

    @torch.no_grad()
    def held_out(self, batches: Iterable[LatentBatch], seed: int) -> dict[str, float]:
        """The unweighted error in x_0 at each evaluation time, their mean as "held_out", and that without captions."""
        times = self.config.evaluation_times
        sums, untold, count = torch.zeros(len(times), dtype=torch.float64), 0.0, 0
        for index, batch in enumerate(batches):
            rng = torch.Generator().manual_seed(seed + index)
            every = torch.ones(len(batch.latents), dtype=torch.bool)
            told, none = (self.condition(batch, each).to(self.device) for each in (every, ~every))
            x_0, noise = batch.latents.to(self.device), torch.randn(batch.latents.shape, generator=rng).to(self.device)
            for place, time in enumerate(times):
                sums[place] += self._error(batch.loop, x_0, noise, time, told)
                untold += float(self._error(batch.loop, x_0, noise, time, none)) / len(times)
            count += len(x_0)
        means = (sums / max(count, 1)).tolist()
        named = {f"held_out/t={time:g}": mean for time, mean in zip(times, means, strict=True)}
        return {"held_out": sum(means) / len(means), **named, "held_out/untold": untold / max(count, 1)}

    def _error(self, loop: bool, x_0: Tensor, noise: Tensor, time: float, conditioning: Conditioning) -> Tensor:
        """Sum over the items of their mean squared error in x_0, on the CPU."""
        t = torch.full((len(x_0),), time, device=self.device)
        denoiser = self.denoisers[loop]
        alpha, sigma = (expand(value, x_0) for value in denoiser.schedule(t))
        estimate, _ = denoiser.estimate(alpha * x_0 + sigma * noise, t, conditioning)
        return (estimate - x_0).square().flatten(1).mean(1).double().sum().cpu()
