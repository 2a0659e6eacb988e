"""One sound from noise: guidance, known frames, windows over any length and around a loop; and holes put into sound.

x is latents [B, Z, S]; masks are 1 = known. Sound longer than what the network was trained on is seen in windows that
overlap, whose estimates are averaged at each step (Bar-Tal et al. 2023, MultiDiffusion, Eq. 5; estimates of x_0 are
linear in velocities, so that either may be averaged).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.guidance import Sources, compose
from text2x.diffusion.inpainting import METHODS, Known, start_from
from text2x.diffusion.samplers import SAMPLERS, Sampler, Step, time_grid
from text2x.guidance_terms import GuidanceTerm
from text2x.sound_diffusion import LatentPart, SoundDiffusionRecipe, told_frames
from text2x.sound_places import FAR

ALONE = torch.tensor([0])  # the row of the prompt


@dataclass(frozen=True)
class Layout:
    """The windows over a sound: `frames` in all, `window` of them seen at once, `overlap` of these by the next too."""

    frames: int
    window: int
    overlap: int
    loop: bool = False

    def places(self) -> list[Tensor]:
        """The frames of each window, [S] each; those of a loop go on at its beginning."""
        frames, window, stride = self.frames, self.window, self.window - self.overlap
        if frames <= window:
            return [torch.arange(frames)]
        if self.loop:
            count = math.ceil(frames / stride)
            return [(torch.arange(window) + round(at * frames / count)) % frames for at in range(count)]
        count = math.ceil((frames - window) / stride) + 1
        return [torch.arange(window) + round(at * (frames - window) / (count - 1)) for at in range(count)]

    def weights(self) -> Tensor:
        """How much a window's frames count, [window]: less towards its ends."""
        rising = ((torch.arange(self.window) + 0.5) / self.overlap).clamp_max(1)
        return torch.minimum(rising, rising.flip(0))


def over_windows(
    denoiser: Denoiser, conditioning: Conditioning, layout: Layout, told: Callable[[Tensor], Tensor | None]
) -> Denoise:
    """The denoise of a whole sound [B, Z, S] for B rows of conditions.

    `told` gives the channels [1, C, window] beside x of the frames of a window, the same for all rows.
    """
    prepared = denoiser.network.prepare(conditioning)
    places = [(place, told(place)) for place in layout.places()]

    def seen(x_t: Tensor, t: Tensor, place: Tensor, beside: Tensor | None) -> Tensor:
        channels = None if beside is None else beside.expand(len(x_t), -1, -1)
        return denoiser.estimate(x_t[..., place], t, replace(prepared, channels=channels))[0]

    if len(places) == 1:
        return lambda x_t, t: seen(x_t, t, *places[0])
    weights = layout.weights()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        total, counted = torch.zeros_like(x_t), x_t.new_zeros(x_t.shape[2])
        weight = weights.to(x_t)
        for place, beside in places:
            total[..., place] += weight * seen(x_t, t, place, beside)
            counted[place] += weight
        return total / counted

    return denoise


@dataclass(frozen=True)
class Passage:
    """How one sound is sampled."""

    layout: Layout
    seed: int
    sampler: str
    steps: int
    begin: Tensor | None = None  # [1, Z, S] latents of a sound that is known, or begun from
    keep: Tensor | None = None  # [1, 1, S] 1 = known
    strength: float = 1.0  # 1: from noise alone
    seconds: float = FAR  # of the sound; what comes after it is silence


def guided(
    recipe: SoundDiffusionRecipe,
    denoiser: Denoiser,
    conditioning: Conditioning,
    terms: tuple[GuidanceTerm, ...],
    passage: Passage,
) -> Denoise:
    """The denoise of one sound [1, Z, S]: `conditioning` has the row of the prompt and, for guidance, of the null."""
    known = None
    if recipe.objective.known > 0 and passage.keep is not None and passage.begin is not None:
        known = torch.cat([passage.begin * passage.keep, passage.keep], dim=1)

    def told(place: Tensor) -> Tensor | None:
        here = None if known is None else known[..., place]
        return told_frames(recipe, here, _around(recipe, passage, place, device), len(place))

    device = _device(conditioning)
    alone = over_windows(denoiser, conditioning[ALONE.to(device)], passage.layout, told)
    joined = over_windows(denoiser, conditioning, passage.layout, told) if null_counts(terms) else None
    return compose(Sources(alone, joined), terms, recipe.schedule, pixels=False)


def _around(
    recipe: SoundDiffusionRecipe, passage: Passage, place: Tensor, device: torch.device
) -> tuple[Tensor, Tensor] | None:
    """Seconds of sound before a window and from its beginning on, [1] each; nothing on a circle."""
    layout = passage.layout
    if layout.loop:
        far = torch.full((1,), FAR, device=device)
        return None if layout.frames <= layout.window else (far, far)
    assert isinstance(recipe.codec, LatentPart)
    since = float(place[0]) * recipe.codec.network.hop / recipe.codec.rate
    return torch.tensor([since], device=device), torch.tensor([passage.seconds - since], device=device)


def null_counts(terms: tuple[GuidanceTerm, ...]) -> bool:
    """Whether guidance leads away from anything that is seen without the words, or with the negative ones."""
    return any(term.form in ("cfg", "apg") and not term.off for term in terms)


def _device(conditioning: Conditioning) -> torch.device:
    assert conditioning.vector is not None
    return conditioning.vector.device


def sampled(
    recipe: SoundDiffusionRecipe,
    denoise: Denoise,
    passage: Passage,
    device: torch.device,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """From the item's own noise, or a noised sound, to latents [1, Z, S]."""
    rng = torch.Generator().manual_seed(passage.seed)

    def noise_like(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=rng).to(x.device, x.dtype)

    defaults, schedule, start = recipe.sampling, recipe.schedule, passage.strength
    steps = steps_of(passage.steps, start)
    ts = time_grid(steps, shift=defaults.shift, kind=defaults.grid, schedule=schedule, start=start)
    noise = noise_like(torch.empty(1, recipe.network.in_channels, passage.layout.frames, device=device))
    if passage.begin is None or start == 1:
        x = noise * float(schedule(ts[:1])[1])
    else:
        x = start_from(passage.begin, noise, schedule, start)
    sampler: Sampler = SAMPLERS[passage.sampler]
    if passage.keep is not None and passage.begin is not None:
        sampler = METHODS["keep"](sampler, Known(passage.begin, passage.keep, noise))
    return sampler(denoise, x, ts, schedule, noise_like=noise_like, on_step=on_step)


def steps_of(steps: int, strength: float) -> int:
    """Steps that are walked of those from noise."""
    return max(1, round(steps * strength))


# Samples


def mended(
    made: NDArray[np.float32], known: NDArray[np.float32], keep: NDArray[np.bool_], fade: int, loop: bool = False
) -> NDArray[np.float32]:
    """The known samples where `keep` [T] is True, bit for bit, and those made [C, T] elsewhere.

    At each edge of a hole what the known samples differ by from those made is mirrored into the hole, where it fades
    out within `fade` samples. With `loop` the last sample leads into the first.
    """
    residual = np.where(keep, known - made, 0).astype(np.float32)
    change = _faded(residual, keep, fade, loop)
    change += _faded(residual[:, ::-1], keep[::-1], fade, loop)[:, ::-1]
    return np.where(keep, known, np.clip(made + change, -1, 1)).astype(np.float32)


def _faded(residual: NDArray[np.float32], keep: NDArray[np.bool_], fade: int, loop: bool) -> NDArray[np.float32]:
    """What is mirrored over the left edge of each hole."""
    change, length = np.zeros_like(residual), len(keep)
    if keep.all() or not keep.any():
        return change
    for edge in np.flatnonzero(keep & ~np.roll(keep, -1)):
        if edge == length - 1 and not loop:
            continue
        ahead, behind = (edge + 1 + np.arange(fade)) % length, (edge - np.arange(fade)) % length
        count = min(_run(~keep[ahead]), _run(keep[behind]), fade if loop else min(length - 1 - edge, edge + 1))
        weight = 1 - (np.arange(count) + 0.5) / count
        change[:, ahead[:count]] += residual[:, behind[:count]] * weight.astype(np.float32)
    return change


def _run(values: NDArray[np.bool_]) -> int:
    """How many are True from the first on."""
    return len(values) if values.all() else int(np.argmin(values))
