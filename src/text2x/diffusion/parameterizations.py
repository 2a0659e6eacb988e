"""What a network predicts: the training target and its inverse, given alpha and sigma broadcastable to x.

x_t = alpha x_0 + sigma noise. At alpha = 0 an epsilon prediction says nothing about x_0: start such a network on a
schedule that keeps some signal, or from a time below 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from text2x.diffusion.schedules import SMALLEST

SMALLEST_ALPHA = 1e-5  # what rounding leaves of x_t - sigma noise in float32, divided by it, stays below 0.01


class Parameterization(Protocol):
    """A network output: how it is made from data and noise, and how x_0 follows from it."""

    def target(self, x_0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the network is trained to output."""
        ...

    def to_x_0(self, x_t: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The estimate of x_0 that an output stands for."""
        ...


@dataclass(frozen=True)
class Epsilon:
    """The noise (Ho et al. 2020, Eq. 14)."""

    def target(self, x_0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return noise

    def to_x_0(self, x_t: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return (x_t - sigma * output) / alpha.clamp_min(SMALLEST_ALPHA)


@dataclass(frozen=True)
class XStart:
    """The data itself (Ramesh et al. 2022, Sec. 2.2, for the prior)."""

    def target(self, x_0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return x_0

    def to_x_0(self, x_t: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return output


@dataclass(frozen=True)
class V:
    """v = alpha noise - sigma x_0 (Salimans and Ho 2022, App. D), also where alpha^2 + sigma^2 is not 1."""

    def target(self, x_0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return alpha * noise - sigma * x_0

    def to_x_0(self, x_t: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return (alpha * x_t - sigma * output) / (alpha**2 + sigma**2)


@dataclass(frozen=True)
class Velocity:
    """noise - x_0, the time derivative of x_t under the linear schedule (Liu et al. 2022, Eq. 1)."""

    def target(self, x_0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return noise - x_0

    def to_x_0(self, x_t: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:  # noqa: D102
        return (x_t - sigma * output) / (alpha + sigma)


def to_noise(x_t: Tensor, x_0: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The noise that x_t holds if x_0 is its data."""
    return (x_t - alpha * x_0) / sigma.clamp_min(SMALLEST)


PARAMETERIZATIONS: dict[str, Parameterization] = {
    "epsilon": Epsilon(),
    "x_0": XStart(),
    "v": V(),
    "velocity": Velocity(),
}
