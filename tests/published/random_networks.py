"""Networks of diffusers with random weights, and their settings as a config.json holds them."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.networks.cross_unet import CrossUNet, CrossUNetConfig
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.prior import DiffusionPrior, PriorConfig

NETWORKS: dict[type, Any] = {
    AutoencoderConfig: Autoencoder,
    CrossUNetConfig: CrossUNet,
    DiTConfig: DiT,
    PriorConfig: DiffusionPrior,
}


def shaken(network: Any) -> Any:
    """The network with random numbers in every parameter, so that none is hidden by a zero or a one."""
    for parameter in network.parameters():
        scale = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        parameter.data.add_(torch.randn_like(parameter), alpha=scale)
    return network.eval()


def saved(network: Any) -> dict[str, Any]:
    """The settings as a config.json holds them."""
    return json.loads(network.to_json_string())


def filled(parts: tuple[Any, dict[str, Tensor]]) -> Any:
    """The network of a shape with these weights, each of its own from them."""
    config, weights = parts
    network: nn.Module = NETWORKS[type(config)](config)
    network.load_state_dict(weights)
    return network.eval()
