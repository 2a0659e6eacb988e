"""Denoiser = network + schedule + parameterisation: its estimate of x_0, its loss, and where in time it is trained.

t is [B] in [0, 1], 0 is data and 1 is noise; x is [B, C, *]; x_t = alpha x_0 + sigma noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from text2x.diffusion.parameterizations import Parameterization
from text2x.diffusion.schedules import NoiseSchedule, expand
from text2x.diffusion.variance import VLB_WEIGHT, variational_bound

Denoise = Callable[[Tensor, Tensor], Tensor]  # (x_t [B, C, *], t [B]) -> x_0 [B, C, *]


class Network(Protocol):
    """A network over x_t: `prepare` does once a prompt what does not depend on x_t and t."""

    def __call__(self, x: Tensor, t: Tensor, conditioning: Any) -> Tensor: ...  # noqa: D102

    def prepare(self, conditioning: Any) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class TimeDistribution:
    """How training times are drawn, from uniform u in (0, 1).

    "uniform" is t = u; "logit_normal" is t = sigmoid(mean + std z) (Esser et al. 2024, Eq. 19). `shift` then moves t
    towards noise, t <- shift t / (1 + (shift - 1) t), their Eq. 23.
    """

    kind: Literal["uniform", "logit_normal"] = "uniform"
    mean: float = 0.0
    std: float = 1.0
    shift: float = 1.0

    def __call__(self, uniform: Tensor) -> Tensor:  # noqa: D102
        t = uniform
        if self.kind == "logit_normal":
            normal = math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-0.999999, 0.999999))
            t = torch.sigmoid(self.mean + self.std * normal)
        return shift_time(t, self.shift)


def shift_time(t: Tensor, shift: float) -> Tensor:
    """Move times towards noise (shift > 1) or data (shift < 1) with the ends fixed (Esser et al. 2024, Eq. 23)."""
    return shift * t / (1 + (shift - 1) * t)


def draw_times(num: int, rng: torch.Generator, distribution: TimeDistribution) -> Tensor:
    """[num] training times, one in each of `num` equal strata of u, in random order (Kingma et al. 2021, App. I.1)."""
    uniform = (torch.randperm(num, generator=rng) + torch.rand(num, generator=rng)) / num
    return distribution(uniform)


@dataclass(frozen=True)
class Denoiser:
    """A network read as an estimate of x_0 on a noise schedule.

    A network with twice the channels of x predicts a variance as well (Nichol and Dhariwal 2021, Eq. 15): the second
    half is v, the place of the log-variance of a step between its bounds at -1 and 1 (variance.py). Its loss is that
    of `num_steps` steps.
    """

    network: Network
    schedule: NoiseSchedule
    parameterization: Parameterization
    num_steps: int = 1000

    def estimate(self, x_t: Tensor, t: Tensor, conditioning: Any) -> tuple[Tensor, Tensor | None]:
        """x_0 [B, C, *] and, if the network learned a variance, its v [B, C, *]; computed in float32 or better."""
        output, v = self._output(x_t, t, conditioning)
        alpha, sigma = (expand(value, x_t) for value in self.schedule(t))
        return self.parameterization.to_x_0(x_t, output, alpha, sigma), v

    def _output(self, x_t: Tensor, t: Tensor, conditioning: Any) -> tuple[Tensor, Tensor | None]:
        output = self.network(x_t, t, conditioning).to(x_t.dtype)
        channels = x_t.shape[1]
        if output.shape[1] == 2 * channels:
            return output[:, :channels], output[:, channels:]
        return output, None

    def denoise(self, conditioning: Any, on_variance: Callable[[Tensor], None] | None = None) -> Denoise:
        """The function (x_t, t) -> x_0 for one batch of conditions, with everything prepared that does not change.

        `on_variance` is told v of each call, if the network learned a variance: a `LastVariance` for the sampler ddpm.
        """
        prepared = self.network.prepare(conditioning)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            x_0, v = self.estimate(x_t, t, prepared)
            if on_variance is not None and v is not None:
                on_variance(v)
            return x_0

        return denoise

    def loss(
        self,
        x_0: Tensor,  # [B, C, *]
        t: Tensor,  # [B]
        noise: Tensor,  # [B, C, *]
        conditioning: Any,
        weighting: Weighting,
    ) -> Tensor:
        """Weighted mean squared error of each item, [B].

        A learned variance adds the variational bound, which teaches v alone (Nichol and Dhariwal 2021, Eq. 16).
        """
        alpha, sigma = (expand(value, x_0) for value in self.schedule(t))
        x_t = alpha * x_0 + sigma * noise
        output, v = self._output(x_t, t, conditioning)
        error = output - self.parameterization.target(x_0, noise, alpha, sigma)
        loss = weighting(alpha, sigma).reshape(-1) * error.square().flatten(1).mean(1)
        if v is None:
            return loss
        estimate = self.parameterization.to_x_0(x_t, output.detach(), alpha, sigma)
        bound = variational_bound(self.schedule, self.num_steps, x_0, t, estimate, v)
        return loss + VLB_WEIGHT * self.num_steps * bound


class Weighting(Protocol):
    """The weight of the squared error at a noise level; alpha and sigma are [B, 1, ...]."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor: ...  # noqa: D102


def uniform_weight(alpha: Tensor, sigma: Tensor) -> Tensor:
    """1: the plain error of what the network predicts (Ho et al. 2020, Eq. 14)."""
    return torch.ones_like(sigma)


def velocity_weight(alpha: Tensor, sigma: Tensor) -> Tensor:
    """Makes an error in x_0 count as one in velocity, sigma at least 0.05 (Li and He 2025: x_0 output, v loss)."""
    return ((alpha + sigma) / sigma.clamp_min(0.05)).square()


def min_snr_weight(alpha: Tensor, sigma: Tensor) -> Tensor:
    """min(SNR, 5) on an error in x_0 (Hang et al. 2023, Eq. 7 with gamma = 5)."""
    return (alpha / sigma.clamp_min(1e-6)).square().clamp_max(5.0)


WEIGHTINGS: dict[str, Weighting] = {
    "uniform": uniform_weight,
    "velocity": velocity_weight,
    "min_snr": min_snr_weight,
}
