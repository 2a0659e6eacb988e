"""The loss of a denoiser on captioned clips: frames that are known, noise that frames share, what is told of a clip.

Videos are [B, C, T, H, W] in [-1, 1], masks [B, 1, T, H, W], 1 = known. Everything random is drawn on the CPU from the
generator that is given, so that a step depends on its batch and seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from text2x.clip_conditioning import told_numbers
from text2x.codecs import Codec, Identity
from text2x.conditioning import Conditioner, Conditioning
from text2x.data.clip_batches import ClipBatch
from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, draw_times
from text2x.diffusion.schedules import expand
from text2x.errors import InputError
from text2x.masks import random_masks
from text2x.video_recipe import VideoDenoisingConfig


def _first(frames: int, rng: torch.Generator) -> Tensor:
    return torch.arange(frames) == 0


def _last(frames: int, rng: torch.Generator) -> Tensor:
    return torch.arange(frames) == frames - 1


def _ends(frames: int, rng: torch.Generator) -> Tensor:
    return _first(frames, rng) | _last(frames, rng)


def _begin(frames: int, rng: torch.Generator) -> Tensor:
    count = int(torch.randint(1, max(2, frames // 2 + 1), (1,), generator=rng))
    return torch.arange(frames) < count


def _end(frames: int, rng: torch.Generator) -> Tensor:
    return _begin(frames, rng).flip(0)


def _every(frames: int, rng: torch.Generator) -> Tensor:
    every, start = torch.randint(2, 5, (2,), generator=rng).tolist()
    return torch.arange(frames) % every == start % every


KNOWN: Mapping[str, Callable[[int, torch.Generator], Tensor]] = {  # (frames, rng) -> [T] True = known
    "first": _first,  # a picture that comes alive
    "last": _last,
    "ends": _ends,  # what is between two pictures
    "begin": _begin,  # how a clip goes on
    "end": _end,  # what was before it
    "every": _every,  # more frames a second
}
REGION = "region"  # a part of each frame, the same in all
DECODED_TOGETHER = 8  # frames of a codec of pictures, so that memory does not grow with the clip


def draw_known(config: VideoDenoisingConfig, shape: Sequence[int], rng: torch.Generator) -> Tensor | None:
    """Masks [B, 1, T, H, W] for a batch of clips, one way of knowing for all of them; None: all unknown.

    `shape` is B, T, H, W, or B, T and the side of squares.
    """
    count, frames, height, width = (*shape, *shape[-1:])[:4]
    place = float(torch.rand((), generator=rng))
    for name, share in config.known:
        place -= share
        if place >= 0:
            continue
        if name == REGION:
            masks = random_masks(count, max(height, width), rng)[:, :, None, :height, :width]
            return masks.expand(-1, -1, frames, -1, -1)
        rows = torch.stack([KNOWN[name](frames, rng) for _ in range(count)]).float()  # [B, T]
        return rows[:, None, :, None, None].expand(-1, -1, -1, height, width)
    return None


def known_frames(videos: Tensor, keep: Tensor | None) -> Tensor:
    """The known part, 0 elsewhere, and the mask: [B, C + 1, T, H, W]."""
    if keep is None:
        return videos.new_zeros(videos.shape[0], videos.shape[1] + 1, *videos.shape[2:])
    return torch.cat([videos * keep, keep], dim=1)


def first_frames(videos: Tensor, given: Tensor, noise: Tensor | float = 0.0) -> Tensor:
    """The first frame beside each one, noise added, and 1 where it is given [B]: [B, C + 1, T, H, W]."""
    first = (videos[:, :, :1] + noise).expand_as(videos)
    flags = expand(given.to(videos), videos)
    return torch.cat([first * flags, flags.expand(-1, 1, *videos.shape[2:])], dim=1)


def clip_noise(like: Tensor, rngs: Iterable[torch.Generator], shared: float = 0.0) -> Tensor:
    """Standard normal noise [B, C, T, H, W], each item from its own generator; `shared` of its variance in all frames.

    (Ge et al. 2023, PYoCo, Sec. 3.2: mixed noise.) A clip of one frame has plain noise.
    """
    rows = []
    for rng in rngs:
        own = torch.randn(like.shape[1:], generator=rng)
        if shared > 0 and like.shape[2] > 1:
            common = torch.randn((like.shape[1], 1, *like.shape[3:]), generator=rng)
            own = own * (1 - shared) ** 0.5 + common * shared**0.5
        rows.append(own)
    return torch.stack(rows).to(like.device, like.dtype)


class VideoDenoising:
    """The mean loss over a batch of clips at random times."""

    def __init__(
        self,
        denoiser: Denoiser,
        conditioner: Conditioner,
        config: VideoDenoisingConfig,
        styles: tuple[str, ...] = (),  # that the conditioner knows; others are not told
        device: torch.device | str = "cpu",
        codec: Codec | None = None,
    ) -> None:
        for name, _ in config.known:
            if name != REGION and name not in KNOWN:
                raise InputError(f"objective.known names {name!r}; there are {', '.join([*KNOWN, REGION])}")
        self.denoiser, self.conditioner, self.config, self.styles = denoiser, conditioner, config, styles
        self.device, self.codec = torch.device(device), codec or Identity()
        self.weighting = WEIGHTINGS[config.weighting]

    def __call__(self, batch: ClipBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times."""
        x_0 = self.encoded(batch.videos)
        shape = (len(x_0), *x_0.shape[2:])
        keep = None if batch.pictures else draw_known(self.config, shape, rng)
        conditioning = self.condition(batch, x_0, keep, rng)
        t = draw_times(len(x_0), rng, self.config.times)
        noise = clip_noise(x_0, [rng] * len(x_0), self.config.shared_noise)
        x_0, t, noise = (each.to(self.device) for each in (x_0, t, noise))
        loss = self.denoiser.loss(x_0, t, noise, conditioning.to(self.device), self.weighting).mean()
        return {"loss": loss}

    def encoded(self, videos: Tensor) -> Tensor:
        """What is noised: pixels, or latents of each frame."""
        if isinstance(self.codec, Identity):
            return videos
        return encoded_frames(self.codec, videos)

    def condition(
        self, batch: ClipBatch, x_0: Tensor, keep: Tensor | None, rng: torch.Generator | None
    ) -> Conditioning:
        """What the network is told of a batch; without a generator nothing of it is dropped and no noise is added."""
        named = [style if style in self.styles else None for style in batch.styles]
        words = self.conditioner(batch.captions, named)
        rates, motion = batch.rates, batch.motion
        if rng is not None:
            dropped = torch.rand(2, len(rates), generator=rng) < self.config.told_drop
            rates, motion = torch.where(dropped[0], 0.0, rates), torch.where(dropped[1], -1.0, motion)
        words = words.with_vector(told_numbers(rates, motion, batch.loops, batch.pictures))
        if not self.config.first_frame:
            return words.with_channels(known_frames(x_0, keep))
        given, noise = torch.zeros(len(x_0)), torch.zeros(())
        if rng is not None and not batch.pictures:
            given = (torch.rand(len(x_0), generator=rng) < 0.5).float()
            level = torch.rand(len(x_0), generator=rng) * self.config.first_noise
            noise = expand(level, x_0) * torch.randn(x_0[:, :, :1].shape, generator=rng)
        return words.with_channels(first_frames(x_0, given.to(x_0.device), noise.to(x_0.device)))

    @torch.no_grad()
    def held_out(self, batches: Iterable[ClipBatch], seed: int) -> dict[str, float]:
        """The unweighted error in x_0 at each evaluation time, and their mean as "held_out"; nothing known."""

        def rows() -> Iterator[tuple[Tensor, Tensor, Conditioning]]:
            for index, batch in enumerate(batches):
                rng = torch.Generator().manual_seed(seed + index)
                x_0 = self.encoded(batch.videos)
                conditioning = self.condition(batch, x_0, None, None).to(self.device)
                noise = clip_noise(x_0, [rng] * len(x_0), self.config.shared_noise)
                yield x_0.to(self.device), noise.to(self.device), conditioning

        return errors_by_time(self.denoiser, self.config.evaluation_times, rows())


def errors_by_time(
    denoiser: Denoiser, times: Sequence[float], rows: Iterable[tuple[Tensor, Tensor, Conditioning]]
) -> dict[str, float]:
    """The mean squared error in x_0 at each time, as "held_out/t=...", and their mean as "held_out".

    Rows are batches: x_0 [B, C, T, H, W], noise of that shape, and what the network is told.
    """
    sums, count = torch.zeros(len(times), dtype=torch.float64), 0
    for x_0, noise, conditioning in rows:
        for place, time in enumerate(times):
            t = torch.full((len(x_0),), time, device=x_0.device)
            alpha, sigma = (expand(value, x_0) for value in denoiser.schedule(t))
            estimate, _ = denoiser.estimate(alpha * x_0 + sigma * noise, t, conditioning)
            sums[place] += (estimate - x_0).square().flatten(1).mean(1).double().sum().cpu()
        count += len(x_0)
    means = (sums / max(count, 1)).tolist()
    named = {f"held_out/t={time:g}": mean for time, mean in zip(times, means, strict=True)}
    return {"held_out": sum(means) / len(means), **named}


def encoded_frames(codec: Codec, videos: Tensor, together: int = DECODED_TOGETHER) -> Tensor:
    """Latents of each frame alone, [B, 4, T, H, W] -> [B, Z, T, h, w], so many frames at once."""
    frames = videos.transpose(1, 2).flatten(0, 1)
    made = torch.cat([codec.encode(part) for part in frames.split(together)])
    return made.unflatten(0, (len(videos), -1)).transpose(1, 2)


def decoded_frames(codec: Codec, latents: Tensor, together: int = DECODED_TOGETHER) -> Tensor:
    """[B, Z, T, h, w] -> [B, 4, T, H, W], so many frames at once that memory does not grow with the clip."""
    if isinstance(codec, Identity):
        return latents
    frames = latents.transpose(1, 2).flatten(0, 1)
    made: Tensor | None = None
    for begin in range(0, len(frames), together):
        part = codec.decode(frames[begin : begin + together])
        made = part.new_empty(len(frames), *part.shape[1:]) if made is None else made
        made[begin : begin + together] = part
    assert made is not None
    return made.unflatten(0, (len(latents), -1)).transpose(1, 2)
