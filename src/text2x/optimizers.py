"""Optimisers as functions of a module and its config, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from text2x.muon import Muon
from text2x.training_config import TrainingConfig

SHARE = "share"  # of the learning rate, in an optimiser's group
SEPARATOR = "/"  # between a parameter's name and the name of its state; neither contains it


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The rate of the update that leads from `step` to `step` + 1."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    through = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    through = min(1.0, through)
    falls = {"constant": 0.0, "linear": through, "cosine": (1 - math.cos(math.pi * through)) / 2}
    return config.learning_rate * (1 - (1 - config.final_learning_rate) * falls[config.decay])


def build_optimizers(module: nn.Module, config: TrainingConfig) -> list[Optimizer]:
    """AdamW for everything, or Muon for the matrices and kernels of repeated blocks and AdamW for the rest.

    Muon with updates scaled to AdamW's size takes the same learning rate and weight decay (Liu et al. 2025, "Muon is
    Scalable for LLM Training", Sec. 2.2).
    """
    matrices, decayed, plain = group_parameters(module)
    if config.optimizer == "adamw":
        matrices, decayed = [], [*matrices, *decayed]
    groups = [
        *_by_share(module, decayed, config, config.weight_decay),
        *_by_share(module, plain, config, 0.0),
    ]
    rate = config.learning_rate
    optimizers: list[Optimizer] = []
    if groups:
        optimizers.append(AdamW(groups, lr=rate, betas=config.betas, fused=_has_fused(module)))
    if matrices:
        decay = config.weight_decay
        optimizers.append(Muon(_by_share(module, matrices, config, decay), lr=rate, weight_decay=decay))
    return optimizers


def _by_share(
    module: nn.Module, parameters: Sequence[nn.Parameter], config: TrainingConfig, weight_decay: float
) -> list[Any]:
    """One group, as optimisers take them, for each share of the learning rate, in the order of the parameters."""
    names = {id(value): name for name, value in module.named_parameters()}
    groups: dict[float, list[nn.Parameter]] = {}
    for value in parameters:
        name = names[id(value)]
        share = next((share for beginning, share in config.rates if name.startswith(beginning)), 1.0)
        groups.setdefault(share, []).append(value)
    return [{"params": each, "weight_decay": weight_decay, SHARE: share} for share, each in groups.items()]


def group_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Trained parameters: matrices and kernels of numbered blocks; those outside; biases, gains, embeddings."""
    embeddings = {id(each.weight) for each in module.modules() if isinstance(each, nn.Embedding)}
    matrices: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, value in module.named_parameters():
        if not value.requires_grad:
            continue
        if value.ndim < 2 or id(value) in embeddings:
            plain.append(value)
        elif any(part.isdigit() for part in name.split(".")):
            matrices.append(value)
        else:
            decayed.append(value)
    return matrices, decayed, plain


def set_learning_rate(optimizers: Sequence[Optimizer], rate: float) -> None:
    """Give every group its share of the rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(SHARE, 1.0)


@torch.no_grad()
def clip_gradients(parameters: Sequence[Tensor], most: float) -> float:
    """Scale the gradients so that their norm together is at most `most`; returns the norm that they had."""
    gradients = [value.grad for value in parameters if value.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients, foreach=True))
    if norm > most:
        torch._foreach_mul_(gradients, most / norm)  # pyright: ignore[reportPrivateImportUsage]
    return norm


def optimizer_state(module: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Everything that the optimisers remember, as "parameter/name" -> tensor."""
    names: dict[Tensor, str] = {value: name for name, value in module.named_parameters()}
    return {
        f"{names[parameter]}{SEPARATOR}{key}": value
        for optimizer in optimizers
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def load_optimizer_state(module: nn.Module, optimizers: Sequence[Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Give the optimisers back what `optimizer_state` took from them."""
    names = {value: name for name, value in module.named_parameters()}
    states: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        parameter, _, key = name.rpartition(SEPARATOR)
        states.setdefault(parameter, {})[key] = value
    for optimizer in optimizers:
        ordered = [value for group in optimizer.param_groups for value in group["params"]]
        known = {index: states[names[value]] for index, value in enumerate(ordered) if names[value] in states}
        optimizer.load_state_dict({"state": known, "param_groups": optimizer.state_dict()["param_groups"]})


def _has_fused(module: nn.Module) -> bool:
    return all(value.device.type in ("cpu", "cuda") for value in module.parameters())
