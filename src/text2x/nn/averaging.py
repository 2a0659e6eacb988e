"""Exponentially averaged weights, kept in float32 beside the trained ones; several decays at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def warmed_decay(decay: float, step: int) -> float:
    """min(decay, (1 + step) / (10 + step)): the average forgets the first weights quickly.

    The rule of tf.train.ExponentialMovingAverage with `num_updates`.
    """
    return min(decay, (1 + step) / (10 + step))


class Averages:
    """Averages of a module's trained parameters; what is not trained is taken from the module as it is."""

    def __init__(self, module: nn.Module, decays: Sequence[float]) -> None:
        self.module = module
        self.names = [name for name, value in module.named_parameters() if value.requires_grad]
        self.parameters = [value.detach() for value in module.parameters() if value.requires_grad]
        self.values = {decay: [value.float().clone() for value in self.parameters] for decay in decays}

    @torch.no_grad()
    def update(self, step: int, steps: int = 1) -> None:
        """Take in the weights after `step`, for as many `steps` as have passed since the last update."""
        for decay, values in self.values.items():
            kept = warmed_decay(decay, step) ** steps
            weights = [value.float() for value in self.parameters]
            torch._foreach_lerp_(values, weights, 1 - kept)  # pyright: ignore[reportPrivateImportUsage]

    def state(self, decay: float) -> dict[str, Tensor]:
        """A state dict of the module with averaged weights; its tensors change with the next update."""
        return {**self.module.state_dict(), **dict(zip(self.names, self.values[decay], strict=True))}

    @torch.no_grad()
    def load(self, decay: float, state: Mapping[str, Tensor]) -> None:
        """Go on from averages that `state` gave."""
        for name, value in zip(self.names, self.values[decay], strict=True):
            value.copy_(state[name])
