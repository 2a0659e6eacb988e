"""Where the weights of a CLIP's encoder of pictures are in ours: CLIPVisionModelWithProjection of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.clip_vision import CLIPVision, CLIPVisionConfig
from text2x.published.settings import number
from text2x.published.tensors import Origin, Origins, layer, translated

KIND = "CLIPVisionModelWithProjection"
ACTIVATIONS: dict[str, Literal["gelu", "quick_gelu"]] = {"gelu": "gelu", "quick_gelu": "quick_gelu"}
UNREAD = "vision_model.embeddings.position_ids"  # 0, 1, 2, ...: older files have it


def clip_vision_config(values: Mapping[str, Any]) -> CLIPVisionConfig:
    """The shape that a config.json describes; what is missing has transformers' defaults."""
    activation = values.get("hidden_act", "quick_gelu")
    if activation not in ACTIVATIONS:
        raise InputError(f"hidden_act of this {KIND} is {activation!r}; text2x has {', '.join(ACTIVATIONS)}")
    if values.get("num_channels", 3) != 3:
        raise InputError(f"num_channels of this {KIND} is {values['num_channels']!r}; pictures have 3")
    epsilon = values.get("layer_norm_eps", 1e-5)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise InputError(f"layer_norm_eps of this {KIND} is {epsilon!r}; it must be a number between 0 and 1")
    return CLIPVisionConfig(
        size=number(values, "image_size", KIND, 224),
        patch=number(values, "patch_size", KIND, 32),
        width=number(values, "hidden_size", KIND, 768),
        depth=number(values, "num_hidden_layers", KIND, 12),
        num_heads=number(values, "num_attention_heads", KIND, 12),
        hidden=number(values, "intermediate_size", KIND, 3072),
        embedding=number(values, "projection_dim", KIND, 512),
        activation=ACTIVATIONS[activation],
        epsilon=epsilon,
    )


def clip_vision_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path
) -> tuple[CLIPVisionConfig, dict[str, Tensor]]:
    """Shape and weights of the encoder that a config.json describes."""
    config = clip_vision_config(values)
    with torch.device("meta"):
        network = CLIPVision(config)
    given = {name: value for name, value in tensors.items() if name != UNREAD}
    return config, translated(network, given, clip_vision_origins(config), where)


def clip_vision_origins(config: CLIPVisionConfig) -> Origins:
    """Origins of a CLIPVision's weights."""
    model, embeddings = "vision_model", "vision_model.embeddings"
    origins: Origins = {
        "token": Origin((f"{embeddings}.class_embedding",)),
        "positions": Origin((f"{embeddings}.position_embedding.weight",)),
        **layer("patches", f"{embeddings}.patch_embedding", bias=False),
        **layer("norm_in", f"{model}.pre_layrnorm"),
        **layer("norm_out", f"{model}.post_layernorm"),
        **layer("project", "visual_projection", bias=False),
    }
    for index in range(config.depth):
        ours, theirs = f"blocks.{index}", f"{model}.encoder.layers.{index}"
        for own, other in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "out_proj")):
            origins |= layer(f"{ours}.{own}", f"{theirs}.self_attn.{other}")
        origins |= layer(f"{ours}.norm_attention", f"{theirs}.layer_norm1")
        origins |= layer(f"{ours}.norm_feed_forward", f"{theirs}.layer_norm2")
        origins |= layer(f"{ours}.feed_in", f"{theirs}.mlp.fc1") | layer(f"{ours}.feed_out", f"{theirs}.mlp.fc2")
    return origins
