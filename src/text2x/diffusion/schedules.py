"""How much signal and how much noise there is at a time: alpha(t) and sigma(t), x_t = alpha x_0 + sigma noise.

t is [B] (any shape) in [0, 1]: 0 is data, 1 is noise. The log-SNR, log(alpha^2 / sigma^2), falls strictly with t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from text2x.errors import InputError

SMALLEST = 1e-12  # keeps logarithms and quotients finite at the two ends


class NoiseSchedule(Protocol):
    """alpha(t) and sigma(t), each with the shape, dtype and device of t."""

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The time t at which log(alpha^2 / sigma^2) has this value, clamped to [0, 1]."""
        ...


def log_snr(schedule: NoiseSchedule, t: Tensor) -> Tensor:
    """log(alpha^2 / sigma^2) at t; clamped where alpha or sigma is zero."""
    alpha, sigma = schedule(t)
    return 2 * (alpha.clamp_min(SMALLEST).log() - sigma.clamp_min(SMALLEST).log())


def expand(value: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ...] with as many axes as `like`, so that it multiplies it item by item."""
    return value.reshape(value.shape[0], *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class Linear:
    """Rectified flow: alpha = 1 - t, sigma = t (Liu et al. 2022; Lipman et al. 2022)."""

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        return 1 - t, t

    def time_of(self, log_snr: Tensor) -> Tensor:  # noqa: D102
        return torch.sigmoid(-log_snr / 2)


@dataclass(frozen=True)
class Cosine:
    """alpha = cos(u), sigma = sin(u), u linear in t (Nichol and Dhariwal 2021, Eq. 17; continuous form of Kingma 2021).

    `offset` is their s: it keeps sigma above zero at t = 0. The angle stops where alpha reaches `smallest_alpha`.
    """

    offset: float = 0.0
    smallest_alpha: float = 0.0

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        quarter = (math.pi / 2) / (1 + self.offset)
        from_data, from_noise = (t + self.offset) * quarter, (1 - t) * quarter
        if self.smallest_alpha > 0:
            from_data = from_data.clamp_max(math.acos(self.smallest_alpha))
            from_noise = from_noise.clamp_min(math.asin(self.smallest_alpha))
        return from_noise.sin(), from_data.sin()  # cos(u) as a sine is exactly 0 at t = 1, also in float32

    def time_of(self, log_snr: Tensor) -> Tensor:  # noqa: D102
        angle = torch.atan(torch.exp(-log_snr / 2))
        return (angle * (2 / math.pi) * (1 + self.offset) - self.offset).clamp(0, 1)


@dataclass(frozen=True)
class Betas:
    """A table of betas on N discrete steps: log(alpha^2) between its entries is linear in t.

    Step k of 0..N-1 lies at t = (k + 1) / N, and t = 0 is clean data: alpha_k^2 = prod_{i<=k} (1 - beta_i)
    (Ho et al. 2020, Eq. 4). `kind` is "linear" (betas linear, Ho et al. 2020), "scaled_linear" (their square roots
    linear: latent diffusion, Rombach et al. 2022), "cosine" (Nichol and Dhariwal 2021, betas at most 0.999)
    or "table" (a checkpoint's own `betas`).
    """

    kind: Literal["linear", "scaled_linear", "cosine", "table"] = "linear"
    num_steps: int = 1000
    first: float = 1e-4
    last: float = 0.02
    betas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = self.betas if self.kind == "table" else (self.first, self.last)
        if not values or not all(0 < value < 1 for value in values):
            raise InputError(f"betas {self.kind!r} must lie between 0 and 1, got {values[:8] or 'none'}")
        if self.num_steps < 1:
            raise InputError(f"num_steps is {self.num_steps}, but a table of betas has at least 1")

    def table(self) -> Tensor:
        """The betas in float64, [N]."""
        if self.kind == "table":
            return torch.tensor(self.betas, dtype=torch.float64)
        if self.kind == "linear":
            return torch.linspace(self.first, self.last, self.num_steps, dtype=torch.float64)
        if self.kind == "scaled_linear":
            return torch.linspace(self.first**0.5, self.last**0.5, self.num_steps, dtype=torch.float64) ** 2
        edges = torch.linspace(0, 1, self.num_steps + 1, dtype=torch.float64)
        alpha_squared = torch.cos((edges + 0.008) / 1.008 * (math.pi / 2)) ** 2  # Eq. 17 with s = 0.008
        return (1 - alpha_squared[1:] / alpha_squared[:-1]).clamp_max(0.999)

    def log_alpha_squared(self) -> Tensor:
        """log alpha^2 at t = 0, 1/N, ..., 1, in float64, [N + 1]."""
        steps = torch.log1p(-self.table()).cumsum(0)
        return torch.cat([steps.new_zeros(1), steps])

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        knots = self.log_alpha_squared().to(t.device)
        place = t.double() * (len(knots) - 1)
        below = place.floor().clamp(0, len(knots) - 2)
        index = below.long()
        value = torch.lerp(knots[index], knots[index + 1], place - below)
        return (value / 2).exp().to(t.dtype), (-torch.expm1(value)).clamp_min(0).sqrt().to(t.dtype)

    def time_of(self, log_snr: Tensor) -> Tensor:  # noqa: D102
        knots = self.log_alpha_squared().to(log_snr.device)
        wanted = torch.nn.functional.logsigmoid(log_snr.double())  # alpha^2 = sigmoid(log SNR)
        index = torch.searchsorted(-knots, -wanted).clamp(1, len(knots) - 1)
        left, right = knots[index - 1], knots[index]
        part = ((left - wanted) / (left - right)).clamp(0, 1)
        return ((index - 1 + part) / (len(knots) - 1)).to(log_snr.dtype)


@dataclass(frozen=True)
class Karras:
    """Noise levels s = sigma / alpha with s(t)^(1/rho) linear (Karras et al. 2022, Eq. 5), made variance preserving.

    alpha = 1 / sqrt(1 + s^2), sigma = s / sqrt(1 + s^2), so that x_t stays of unit variance for data of unit variance.
    """

    smallest: float = 0.002
    largest: float = 80.0
    rho: float = 7.0

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        low, high = self.smallest ** (1 / self.rho), self.largest ** (1 / self.rho)
        level = (low + t * (high - low)) ** self.rho
        scale = (1 + level**2).rsqrt()
        return scale, level * scale

    def time_of(self, log_snr: Tensor) -> Tensor:  # noqa: D102
        low, high = self.smallest ** (1 / self.rho), self.largest ** (1 / self.rho)
        root = torch.exp(-log_snr / (2 * self.rho))
        return ((root - low) / (high - low)).clamp(0, 1)


Schedule = Linear | Cosine | Betas | Karras
SCHEDULES: dict[str, Schedule] = {
    "linear": Linear(),
    "cosine": Cosine(),
    "ddpm": Betas(),
    "scaled-linear": Betas("scaled_linear", first=0.00085, last=0.012),  # latent diffusion, Rombach et al. 2022
    "karras": Karras(),
}
