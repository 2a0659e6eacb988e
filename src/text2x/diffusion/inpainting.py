"""Known regions for any Denoise, schedule and sampler, without training: keep, RePaint, Langevin, differential.

Masks are [B, 1, *] in [0, 1], 1 = known. Every method takes a sampler and a `Known` and returns a sampler: `METHODS`.
A walk that ends at t = 0 returns each pixel with mask 1 bit for bit. A mask between 0 and 1 is soft: in `differential`
it says when a pixel is freed; elsewhere the pixel is sampled, and each estimate of it is pulled towards the image,
x_0 + mask (image - x_0), so that the result is a blend of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.samplers import Sampler
from text2x.diffusion.schedules import NoiseSchedule, expand
from text2x.diffusion.steps import Level, NoiseLike, OnStep, Step, drawing, estimate, read_levels
from text2x.errors import InputError


@dataclass(frozen=True)
class Known:
    """What is known of x_0, and the noise that a run starts from: x = alpha image + sigma noise in its known part.

    Raises InputError for shapes that do not fit, a mask outside [0, 1] and an image that is not finite, in holes too.
    """

    image: Tensor  # [B, C, *] x_0; what it is where nothing is known is ignored
    mask: Tensor  # [B, 1, *] in [0, 1], 1 = known
    noise: Tensor  # [B, C, *] standard normal

    def __post_init__(self) -> None:
        wanted = (self.image.shape[0], 1, *self.image.shape[2:])
        if self.image.ndim < 3 or tuple(self.mask.shape) != wanted:
            shapes = f"{list(self.mask.shape)} for an image of shape {list(self.image.shape)}"
            raise InputError(f"the mask has shape {shapes}; it must be [B, 1, *] for an image [B, C, *]")
        if self.noise.shape != self.image.shape:
            shapes = f"{list(self.noise.shape)} and the known image {list(self.image.shape)}"
            raise InputError(f"the noise has shape {shapes}; they must be equal")
        if not self.image.isfinite().all():
            raise InputError("the known image has values that are not finite; fill its holes with 0")
        if not ((self.mask >= 0) & (self.mask <= 1)).all():
            low, high = self.mask.min().item(), self.mask.max().item()
            raise InputError(f"the mask has values of {low:g} to {high:g}; they must lie in [0, 1], where 1 = known")

    @property
    def held(self) -> Tensor:
        """[B, 1, *] True where a pixel is wholly known."""
        return self.mask == 1

    def noisy(self, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
        """alpha(t) image + sigma(t) noise in the dtype of x_t: the image on its way from the run's noise."""
        alpha, sigma = (expand(value, self.image) for value in schedule(t))
        return (alpha * self.image + sigma * self.noise).to(x_t.dtype)

    def begin(self, x: Tensor, level: Level) -> Tensor:
        """x at the first level with alpha image + sigma noise where anything is known; checks that x fits the image."""
        if x.shape != self.image.shape:
            shapes = f"{list(self.image.shape)}, but what is sampled {list(x.shape)}"
            raise InputError(f"the known image has shape {shapes}; they must be equal")
        started = level.alpha * self.image + level.sigma * self.noise
        return torch.where(self.mask > 0, started.to(x.dtype), x)

    def paste(self, x_0: Tensor) -> Tensor:
        """x_0 with the image where it is known, and pulled towards it where the mask is soft."""
        image = self.image.to(x_0.dtype)
        return torch.where(self.held, image, x_0 + self.mask.to(x_0.dtype) * (image - x_0))


class Method(Protocol):
    """A sampler that respects what is known, made of any sampler."""

    def __call__(self, sampler: Sampler, known: Known) -> Sampler: ...  # noqa: D102


class Replacement(Protocol):
    """A Denoise that respects what is known, made of any Denoise."""

    def __call__(self, denoise: Denoise, schedule: NoiseSchedule, known: Known) -> Denoise: ...  # noqa: D102


def start_from(image: Tensor, noise: Tensor, schedule: NoiseSchedule, t: float) -> Tensor:
    """alpha(t) image + sigma(t) noise [B, C, *]: where an image-to-image run starts; its grid is time_grid(start=t)."""
    if image.shape != noise.shape:
        raise InputError(f"the image has shape {list(image.shape)} and the noise {list(noise.shape)}; make them equal")
    if not 0 <= t <= 1:
        raise InputError(f"start is {t}, but it must lie between 0 (the image itself) and 1 (pure noise)")
    if t == 0:
        return image
    alpha, sigma = schedule(torch.tensor(t, dtype=torch.float64))
    return float(alpha) * image + float(sigma) * noise


def keep(denoise: Denoise, schedule: NoiseSchedule, known: Known) -> Denoise:
    """Replace the known part of x_t by alpha image + sigma noise, and that of x_0 by the image, in each call.

    Blended diffusion (Avrahami et al. 2022); GLIDE's denoised_fn (Nichol et al. 2021). The noise is the run's own, so
    that a deterministic sampler walks one path. It costs nothing. Its weakness: a step meets what is known with noise
    on it and never goes back, so that the hole is bound to the known part too loosely.
    """

    def kept(x_t: Tensor, t: Tensor) -> Tensor:
        return known.paste(denoise(torch.where(known.held, known.noisy(x_t, t, schedule), x_t), t))

    return kept


def differential(denoise: Denoise, schedule: NoiseSchedule, known: Known) -> Denoise:
    """Give each pixel its own start: it is held to the noisy image while t > 1 - mask and free from there on.

    Differential diffusion (Levin and Fried 2023, arXiv 2306.00950); 1 - mask is the change map, read as a time: change
    0 is never free, change 1 always, and 0.4 is what image-to-image from t = 0.4 does. A change below the last time of
    the grid that is not 0 leaves a pixel as it is. It costs nothing.
    """
    change = 1 - known.mask

    def freed(x_t: Tensor, t: Tensor) -> Tensor:
        held = expand(t, x_t) > change.to(t.dtype)
        x_0 = denoise(torch.where(held, known.noisy(x_t, t, schedule), x_t), t)
        return torch.where(held, known.image.to(x_0.dtype), x_0)

    return freed


def replacing(replacement: Replacement) -> Method:
    """The method that samples with a changed Denoise and is otherwise the sampler itself."""

    def method(sampler: Sampler, known: Known) -> Sampler:
        def sample(
            denoise: Denoise,
            x: Tensor,
            ts: Tensor,
            schedule: NoiseSchedule,
            noise_like: NoiseLike | None = None,
            on_step: OnStep | None = None,
        ) -> Tensor:
            x = known.begin(x, read_levels(ts, schedule)[0])
            return sampler(replacement(denoise, schedule, known), x, ts, schedule, noise_like, on_step)

        return sample

    return method


def repaint(sampler: Sampler, known: Known, jump: int = 1, resample: int = 4) -> Sampler:
    """`keep`, and each segment of `jump` steps walked `resample` times, with the way back by fresh noise between.

    RePaint (Lugmayr et al. 2022, Alg. 1). From time s the way back to t > s is the forward process,
    x_t = a x_s + sqrt(sigma_t^2 - a^2 sigma_s^2) z with a = alpha_t / alpha_s: it mixes what is known into the hole.
    Each walk of a segment draws the noise of the known part anew and holds it, so that solvers of higher order see one
    path. The first segment is walked once: all would be lost on the way back to pure noise, as in the authors' code.

    n steps cost n + (resample - 1) (n - jump) steps' estimates. The authors' segments are 10 of 250 steps, a length of
    0.04 in t, which one step of 16 to 50 has; they walk them 10 times. A sampler that remembers starts anew with each
    segment. `on_step` is told of the last walk of each segment.
    """
    if jump < 1:
        raise InputError(f"jump is {jump}, but RePaint goes back by at least 1 step")
    if resample < 1:
        raise InputError(f"resample is {resample}, but RePaint walks each segment at least once")

    def sample(
        denoise: Denoise,
        x: Tensor,
        ts: Tensor,
        schedule: NoiseSchedule,
        noise_like: NoiseLike | None = None,
        on_step: OnStep | None = None,
    ) -> Tensor:
        draw = drawing(noise_like, "repaint")
        assert draw is not None
        levels = read_levels(ts, schedule)
        x = known.begin(x, levels[0])
        last = len(levels) - 1
        for first in range(0, last, jump):
            end = min(first + jump, last)
            walks = 1 if first == 0 else resample
            for walk in range(walks):
                if walk > 0:
                    x = forward(x, levels[end], levels[first], draw)
                kept = keep(denoise, schedule, known if first == walk == 0 else replace(known, noise=draw(x)))
                told = numbered(on_step, first) if walk == walks - 1 else None
                x = sampler(kept, x, ts[first : end + 1], schedule, draw, told)
        return x

    return sample


def forward(x_s: Tensor, here: Level, there: Level, draw: NoiseLike) -> Tensor:
    """A draw from q(x_t | x_s) for t = `there` above s = `here`, on any schedule."""
    ratio = there.alpha / here.alpha
    std = math.sqrt(max(there.sigma**2 - (ratio * here.sigma) ** 2, 0.0))
    return ratio * x_s + std * draw(x_s)


def langevin(
    sampler: Sampler,
    known: Known,
    steps: int = 5,
    step_size: float = 0.5,
    strength: float = 8.0,
) -> Sampler:
    """`steps` steps of Langevin dynamics at each noise level, which settle the hole before the sampler goes on.

    After LanPaint (Zheng et al. 2025, arXiv 2502.03491), without its friction. With x the hole and y the known part of
    x_t, y_0 the image, and x_0^, y_0^ the estimates made from both, the scores times sigma^2 are

        F_x = alpha x_0^ - x
        F_y = (1 + lambda) (alpha y_0 - y) - lambda (alpha y_0^ - y) = alpha y_0 - y + lambda alpha (y_0 - y_0^)

    F_x is the model's own score. F_y is (1 + lambda) times the score of y given the image less lambda times the
    model's: it moves y until the model itself would restore the image from it. Then x_0^ is an estimate given y_0, not
    given the noisy y. For Gaussian data the hole's mean is exactly that of p(x_t | y_0) in the limit of large lambda
    (`strength`), and its variance would be if y followed x at once; y lags, and the variance is too large by up to 1/4.

    A step of size h, in units of sigma^2, is z += sqrt(a) sigma n_1, then z += h F(z) + sqrt(2 h - a) sigma n_2. The
    slope of -F is at most k at every noise level, k = 1 in x and 1 + lambda in y; with h = `step_size` in x and
    step_size / (1 + step_size lambda) in y, h k <= 1: no step overshoots. a = h / (2 - h k) makes the variance of a
    Gaussian right at slopes 0 and k and to second order in h between (a = 0 is Euler's method: first order).

    `strength` 4 to 10, `steps` 2 to 5, 10 for hard cases, and `step_size` 0.1 to 0.5 are what LanPaint's authors
    recommend. n steps cost n + steps (n - 1) estimates: at the first level x is noise as it should be. A sampler that
    remembers starts anew with each step and is of first order here; soft pixels count as hole.
    """
    if steps < 1:
        raise InputError(f"the Langevin steps a level are {steps}, but there must be at least 1; keep takes none")
    if not 0 < step_size <= 1:
        raise InputError(f"the Langevin step size is {step_size}, but it must be above 0 and at most 1")
    if not (math.isfinite(strength) and strength >= 0):
        raise InputError(f"the Langevin strength is {strength}, but it must be a number of at least 0")

    def sample(
        denoise: Denoise,
        x: Tensor,
        ts: Tensor,
        schedule: NoiseSchedule,
        noise_like: NoiseLike | None = None,
        on_step: OnStep | None = None,
    ) -> Tensor:
        draw = drawing(noise_like, "langevin")
        assert draw is not None
        levels = read_levels(ts, schedule)
        x = known.begin(x, levels[0])

        def pasted(x_t: Tensor, t: Tensor) -> Tensor:
            return known.paste(denoise(x_t, t))

        for index, (here, _) in enumerate(pairwise(levels)):
            for _ in range(steps if index > 0 else 0):
                x = _settle(denoise, x, here, known, draw, step_size, strength)
            x = sampler(pasted, x, ts[index : index + 2], schedule, draw, numbered(on_step, index))
        return x

    return sample


def _settle(
    denoise: Denoise, x: Tensor, level: Level, known: Known, draw: NoiseLike, step_size: float, strength: float
) -> Tensor:
    """One step of `langevin` at one level."""
    size = torch.where(known.held, step_size / (1 + step_size * strength), step_size).to(x.dtype)  # h [B, 1, *]
    steepest = torch.where(known.held, 1 + strength, 1.0).to(x.dtype)  # k
    early = size / (2 - size * steepest)  # a
    x = x + level.sigma * early.sqrt() * draw(x)
    x_0 = estimate(denoise, x, level).to(x.dtype)
    image = known.image.to(x.dtype)
    hole = level.alpha * known.paste(x_0) - x
    pull = level.alpha * image - x + strength * level.alpha * (image - x_0)
    return x + size * torch.where(known.held, pull, hole) + level.sigma * (2 * size - early).sqrt() * draw(x)


def numbered(on_step: OnStep | None, first: int) -> OnStep | None:
    """`on_step` told the step's place in the whole walk, of which this part begins with step `first`."""
    if on_step is None:
        return None

    def told(step: Step) -> None:
        on_step(replace(step, index=first + step.index))

    return told


METHODS: Mapping[str, Method] = {
    "keep": replacing(keep),
    "repaint": repaint,
    "langevin": langevin,
    "differential": replacing(differential),
}
FRESH = frozenset({"repaint", "langevin"})  # those that draw noise whatever the sampler, and cost more than it
