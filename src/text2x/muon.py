"""Muon for matrices and convolution kernels: momentum made orthogonal (Jordan et al. 2024), scaled to AdamW's size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration (Jordan et al. 2024)
ITERATIONS = 5
MATCHED_RMS = 0.2  # root mean square of an AdamW update (Liu et al. 2025, "Muon is Scalable for LLM Training", Eq. 4)


class Muon(Optimizer):
    """Muon with Nesterov momentum; a kernel [O, I, ...] is taken as the matrix [O, I ...] that it multiplies by.

    The same learning rate and weight decay as for AdamW fit, since updates are scaled to its root mean square.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float = 1e-3, weight_decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim < 2:
                    raise ValueError(f"Muon takes matrices and kernels, not shape {list(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer, momentum = state["momentum_buffer"], group["momentum"]
        assert parameter.grad is not None
        buffer.lerp_(parameter.grad, 1 - momentum)
        update = parameter.grad.lerp(buffer, momentum).flatten(1)  # [O, I ...]
        scale = MATCHED_RMS * max(update.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        direction = orthogonal(update).to(parameter.dtype).view_as(parameter)
        parameter.add_(direction, alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """About U V^T of the singular value decomposition: singular values brought near 1, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
