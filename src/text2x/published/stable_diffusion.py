"""Where the weights of Stable Diffusion's networks are in ours: UNet2DConditionModel and AutoencoderKL of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.networks.cross_unet import CrossUNet, CrossUNetConfig
from text2x.published.settings import NUM_STEPS, VECTORS, autoencoder_config, unet_config
from text2x.published.tensors import Origins, layer, matrix, translated

OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


def unet_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path, num_steps: int = NUM_STEPS
) -> tuple[CrossUNetConfig, dict[str, Tensor]]:
    """Shape and weights of the UNet that a config.json describes; told steps of `num_steps`: t = (k + 1) / N."""
    config = unet_config(values, num_steps)
    entries = (values.get("class_embed_type"), values.get("addition_embed_type"))
    vector = next((VECTORS[each] for each in entries if each is not None), "")
    with torch.device("meta"):
        network = CrossUNet(config)
    return config, translated(network, tensors, unet_origins(config, vector), where)


def autoencoder_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path
) -> tuple[AutoencoderConfig, dict[str, Tensor]]:
    """Shape and weights of the autoencoder that a config.json describes; weights of its older names too."""
    config = autoencoder_config(values)
    with torch.device("meta"):
        network = Autoencoder(config)
    renamed = {_renamed(name): value for name, value in tensors.items()}
    return config, translated(network, renamed, autoencoder_origins(config), where)


def _renamed(name: str) -> str:
    if ".attentions." in name:
        for old, new in OLD_ATTENTION.items():
            name = name.replace(old, new)
    return name


def unet_origins(config: CrossUNetConfig, vector: str = "add_embedding") -> Origins:
    """Origins of a CrossUNet's weights; `vector` names the layers that project the vector, if there is one."""
    levels = len(config.multipliers)
    origins = {
        **layer("embedding.mlp.0", "time_embedding.linear_1"),
        **layer("embedding.mlp.2", "time_embedding.linear_2"),
        **layer("conv_in", "conv_in"),
        **layer("norm_out", "conv_norm_out"),
        **layer("conv_out", "conv_out"),
    }
    if config.vector_width:
        origins |= layer("embedding.vector.0", f"{vector}.linear_1") | layer("embedding.vector.2", f"{vector}.linear_2")
    channels = [config.width * multiplier for multiplier in config.multipliers]
    skips, current = [channels[0]], channels[0]
    for index, width in enumerate(channels):
        befores = [current] + [width] * (config.blocks_per_level - 1)
        origins |= _level_origins(config, ("down", index), index, [before != width for before in befores])
        skips += [width] * (config.blocks_per_level + (index < levels - 1))
        current = width
    for place, index in enumerate(reversed(range(levels))):
        width = channels[index]
        befores = [current] + [width] * config.blocks_per_level
        changed = [before + skips.pop() != width for before in befores]
        origins |= _level_origins(config, ("up", place), index, changed)
        current = width
    for index in range(2):
        origins |= _residual_origins(f"middle.blocks.{index}", f"mid_block.resnets.{index}", False, timed=True)
    if config.middle_attention:
        origins |= _transformer_origins(config, levels - 1, "middle.transformers.0", "mid_block.attentions.0")
    return origins


def _level_origins(config: CrossUNetConfig, place: tuple[str, int], level: int, changed: list[bool]) -> Origins:
    """`place` is the way and the position on it; `changed` says of each block whether it changes the channels."""
    way, position = place
    ours, theirs = f"{way}.{position}", f"{way}_blocks.{position}"
    origins: Origins = {}
    for index, changes in enumerate(changed):
        origins |= _residual_origins(f"{ours}.blocks.{index}", f"{theirs}.resnets.{index}", changes, timed=True)
        if level in config.attention_levels:
            names = (f"{ours}.transformers.{index}", f"{theirs}.attentions.{index}")
            origins |= _transformer_origins(config, level, *names)
    if level < len(config.multipliers) - 1 if way == "down" else level > 0:
        origins |= layer(f"{ours}.resample.conv", f"{theirs}.{way}samplers.0.conv")
    return origins


def _residual_origins(ours: str, theirs: str, changes: bool, timed: bool) -> Origins:
    pairs = {"norm_in": "norm1", "conv_in": "conv1", "norm_out": "norm2", "conv_out": "conv2"}
    if timed:
        pairs["shift"] = "time_emb_proj"
    if changes:
        pairs["skip"] = "conv_shortcut"
    return {
        name: origin
        for own, other in pairs.items()
        for name, origin in layer(f"{ours}.{own}", f"{theirs}.{other}").items()
    }


def _transformer_origins(config: CrossUNetConfig, level: int, ours: str, theirs: str) -> Origins:
    origins = layer(f"{ours}.norm", f"{theirs}.norm")
    origins |= layer(f"{ours}.into", f"{theirs}.proj_in", make=matrix)
    origins |= layer(f"{ours}.out", f"{theirs}.proj_out", make=matrix)
    for index in range(config.depths[level] if config.depths else config.depth):
        own, other = f"{ours}.blocks.{index}", f"{theirs}.transformer_blocks.{index}"
        origins |= layer(f"{own}.norm_attention", f"{other}.norm1")
        origins |= attention_origins(f"{own}.attention", f"{other}.attn1", bias=False)
        if config.context_width:
            origins |= layer(f"{own}.norm_cross", f"{other}.norm2")
            origins |= attention_origins(f"{own}.cross", f"{other}.attn2", "text_key_value", bias=False)
        origins |= layer(f"{own}.norm_feed_forward", f"{other}.norm3")
        origins |= layer(f"{own}.feed_forward.into", f"{other}.ff.net.0.proj")
        origins |= layer(f"{own}.feed_forward.out", f"{other}.ff.net.2")
    return origins


def attention_origins(ours: str, theirs: str, key_value: str = "key_value", bias: bool = True) -> Origins:
    """Origins of an attention of diffusers; keys and values are one layer with us."""
    return {
        **layer(f"{ours}.query", f"{theirs}.to_q", make=matrix, bias=bias),
        **layer(f"{ours}.{key_value}", f"{theirs}.to_k", f"{theirs}.to_v", make=matrix, bias=bias),
        **layer(f"{ours}.out", f"{theirs}.to_out.0", make=matrix),
    }


def autoencoder_origins(config: AutoencoderConfig) -> Origins:
    """Origins of an Autoencoder's weights."""
    channels = [config.width * multiplier for multiplier in config.multipliers]
    last = len(channels) - 1
    origins: Origins = {}
    for side in ("encoder", "decoder"):
        for own, other in (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")):
            origins |= layer(f"{side}.{own}", f"{side}.{other}")
        for index in range(2):
            names = (f"{side}.middle.blocks.{index}", f"{side}.mid_block.resnets.{index}")
            origins |= _residual_origins(*names, False, timed=False)
        if config.attention:
            other = f"{side}.mid_block.attentions.0"
            origins |= layer(f"{side}.middle.attention.norm", f"{other}.group_norm")
            origins |= attention_origins(f"{side}.middle.attention.attention", other)
    for place in range(len(channels)):
        down = (channels[max(0, place - 1)], channels[place], config.blocks_per_level)
        up = (channels[min(last, last - place + 1)], channels[last - place], config.blocks_per_level + 1)
        for side, way, (before, after, count) in (("encoder", "down", down), ("decoder", "up", up)):
            ours, theirs = f"{side}.levels.{place}", f"{side}.{way}_blocks.{place}"
            for index in range(count):
                names = (f"{ours}.blocks.{index}", f"{theirs}.resnets.{index}")
                origins |= _residual_origins(*names, index == 0 and before != after, timed=False)
            if place < last:
                origins |= layer(f"{ours}.resample.conv", f"{theirs}.{way}samplers.0.conv")
    if config.quantization:
        origins |= layer("to_moments", "quant_conv") | layer("from_latents", "post_quant_conv")
    return origins
