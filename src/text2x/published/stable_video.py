"""Where the weights of Stable Video Diffusion's UNet and autoencoder are in ours.

They are UNetSpatioTemporalConditionModel and AutoencoderKLTemporalDecoder of diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet, SpatioTemporalUNetConfig
from text2x.networks.temporal_decoder import TemporalAutoencoder, TemporalAutoencoderConfig
from text2x.published.settings import AUTOENCODER_READ, NUM_STEPS, check_settings, number, numbers, widths
from text2x.published.stable_diffusion import attention_origins, autoencoder_origins
from text2x.published.tensors import Origin, Origins, layer, translated

UNET, AUTOENCODER = "UNetSpatioTemporalConditionModel", "AutoencoderKLTemporalDecoder"
UNET_READ = {
    "sample_size", "in_channels", "out_channels", "block_out_channels", "layers_per_block", "down_block_types",
    "up_block_types", "cross_attention_dim", "num_attention_heads", "transformer_layers_per_block", "num_frames",
    "addition_time_embed_dim", "projection_class_embeddings_input_dim",
}  # fmt: skip
ATTENDING = {"CrossAttnDownBlockSpatioTemporal": True, "DownBlockSpatioTemporal": False}
GROUPS = 32  # of every group norm; the classes have no setting for it


def video_unet_config(values: Mapping[str, Any]) -> SpatioTemporalUNetConfig:
    """The shape that a config.json describes; a setting that we have not is an InputError."""
    check_settings(values, UNET_READ, {}, UNET)
    width, multipliers = widths(values, UNET)
    levels = len(multipliers)
    attends = _attending(values, levels)
    blocks = numbers(values, "layers_per_block", UNET, levels, 2)
    contexts = numbers(values, "cross_attention_dim", UNET, levels, 1024)
    for name, given in (("layers_per_block", blocks), ("cross_attention_dim", contexts)):
        if len(set(given)) > 1:
            raise InputError(f"{name} of this {UNET} is {list(given)}; text2x has the same at every level")
    frequencies = number(values, "addition_time_embed_dim", UNET, 256)
    told = number(values, "projection_class_embeddings_input_dim", UNET, 768)
    if told % frequencies:
        raise InputError(
            f"projection_class_embeddings_input_dim of this {UNET} is {told}; it must be a multiple of {frequencies}"
        )
    given, made = number(values, "in_channels", UNET, 8), number(values, "out_channels", UNET, 4)
    return SpatioTemporalUNetConfig(
        in_channels=min(given, made),
        extra_channels=max(0, given - made),
        out_channels=made,
        width=width,
        multipliers=multipliers,
        blocks_per_level=blocks[0],
        attention_levels=tuple(index for index, attending in enumerate(attends) if attending),
        depths=numbers(values, "transformer_layers_per_block", UNET, levels, 1),
        heads=numbers(values, "num_attention_heads", UNET, levels, 8),
        context_width=contexts[0],
        told=told // frequencies,
        told_frequencies=frequencies,
        groups=GROUPS,
    )


def _attending(values: Mapping[str, Any], levels: int) -> list[bool]:
    """Which levels have transformers; the way up is the way down backwards."""
    names = list(values.get("down_block_types") or [])
    if len(names) != levels or any(name not in ATTENDING for name in names):
        raise InputError(f"down_block_types of this {UNET} is {names}; text2x has {levels} of {', '.join(ATTENDING)}")
    up = [name.replace("Down", "Up") for name in names[::-1]]
    if list(values.get("up_block_types") or []) != up:
        raise InputError(f"up_block_types of this {UNET} are not its down_block_types backwards; text2x has only those")
    return [ATTENDING[name] for name in names]


def video_unet_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path, num_steps: int = NUM_STEPS
) -> tuple[SpatioTemporalUNetConfig, dict[str, Tensor]]:
    """Shape and weights of the UNet that a config.json describes; it is told noise levels, not one of `num_steps`."""
    config = video_unet_config(values)
    with torch.device("meta"):
        network = SpatioTemporalUNet(config)
    return config, translated(network, tensors, video_unet_origins(config), where)


def video_autoencoder_config(values: Mapping[str, Any]) -> TemporalAutoencoderConfig:
    """The shape that a config.json describes; a setting that we have not is an InputError."""
    check_settings(values, AUTOENCODER_READ, {}, AUTOENCODER)
    width, multipliers = widths(values, AUTOENCODER)
    blocks = ["DownEncoderBlock2D"] * len(multipliers)
    if list(values.get("down_block_types", blocks)) != blocks:
        given = list(values["down_block_types"])
        raise InputError(f"down_block_types of this {AUTOENCODER} is {given}; text2x has {blocks[0]} at each level")
    count = number(values, "layers_per_block", AUTOENCODER, 1)
    return TemporalAutoencoderConfig(
        in_channels=number(values, "in_channels", AUTOENCODER, 3),
        out_channels=number(values, "out_channels", AUTOENCODER, 3),
        latent_channels=number(values, "latent_channels", AUTOENCODER, 4),
        width=width,
        multipliers=multipliers,
        blocks_per_level=count,
        groups=GROUPS,
    )


def video_autoencoder_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path
) -> tuple[TemporalAutoencoderConfig, dict[str, Tensor]]:
    """Shape and weights of the autoencoder that a config.json describes."""
    config = video_autoencoder_config(values)
    with torch.device("meta"):
        network = TemporalAutoencoder(config)
    return config, translated(network, tensors, video_autoencoder_origins(config), where)


# Origins


def _taps(parts: Sequence[Tensor]) -> Tensor:
    """A convolution over time as a matrix a tap: [O, I, 3, 1, 1] -> [3, O, I]."""
    return parts[0].flatten(2).permute(2, 0, 1)


def _time_conv(ours: str, theirs: str) -> Origins:
    return {f"{ours}.weight": Origin((f"{theirs}.weight",), _taps), f"{ours}.bias": Origin((f"{theirs}.bias",))}


def _residual_origins(ours: str, theirs: str, changes: bool, timed: bool) -> Origins:
    """Origins of a residual block over space and time; `changes` the channels, is `timed`."""
    space, time = f"{theirs}.spatial_res_block", f"{theirs}.temporal_res_block"
    origins: Origins = {f"{ours}.mix": Origin((f"{theirs}.time_mixer.mix_factor",))}
    for own, other in (("norm_in", "norm1"), ("norm_out", "norm2")):
        origins |= layer(f"{ours}.space.{own}", f"{space}.{other}") | layer(f"{ours}.time.{own}", f"{time}.{other}")
    for own, other in (("conv_in", "conv1"), ("conv_out", "conv2")):
        origins |= layer(f"{ours}.space.{own}", f"{space}.{other}")
        origins |= _time_conv(f"{ours}.time.{own}", f"{time}.{other}")
    if timed:
        for part, other in (("space", space), ("time", time)):
            origins |= layer(f"{ours}.{part}.shift", f"{other}.time_emb_proj")
    if changes:
        origins |= layer(f"{ours}.space.skip", f"{space}.conv_shortcut")
    return origins


def _block_origins(ours: str, theirs: str) -> Origins:
    """Origins of a transformer's block."""
    return {
        **layer(f"{ours}.norm_attention", f"{theirs}.norm1"),
        **attention_origins(f"{ours}.attention", f"{theirs}.attn1", bias=False),
        **layer(f"{ours}.norm_cross", f"{theirs}.norm2"),
        **attention_origins(f"{ours}.cross", f"{theirs}.attn2", "text_key_value", bias=False),
        **layer(f"{ours}.norm_feed_forward", f"{theirs}.norm3"),
        **layer(f"{ours}.feed_forward.into", f"{theirs}.ff.net.0.proj"),
        **layer(f"{ours}.feed_forward.out", f"{theirs}.ff.net.2"),
    }


def _transformer_origins(ours: str, theirs: str, depth: int) -> Origins:
    origins = layer(f"{ours}.norm", f"{theirs}.norm")
    origins |= layer(f"{ours}.into", f"{theirs}.proj_in") | layer(f"{ours}.out", f"{theirs}.proj_out")
    origins |= layer(f"{ours}.frame.0", f"{theirs}.time_pos_embed.linear_1")
    origins |= layer(f"{ours}.frame.2", f"{theirs}.time_pos_embed.linear_2")
    origins[f"{ours}.mix"] = Origin((f"{theirs}.time_mixer.mix_factor",))
    for index in range(depth):
        origins |= _block_origins(f"{ours}.blocks.{index}", f"{theirs}.transformer_blocks.{index}")
        own, other = f"{ours}.time_blocks.{index}", f"{theirs}.temporal_transformer_blocks.{index}"
        origins |= layer(f"{own}.norm_in", f"{other}.norm_in")
        origins |= layer(f"{own}.feed_in.into", f"{other}.ff_in.net.0.proj")
        origins |= layer(f"{own}.feed_in.out", f"{other}.ff_in.net.2")
        origins |= _block_origins(f"{own}.block", other)
    return origins


def video_unet_origins(config: SpatioTemporalUNetConfig) -> Origins:
    """Origins of a SpatioTemporalUNet's weights."""
    origins: Origins = {
        **layer("conv_in", "conv_in"),
        **layer("norm_out", "conv_norm_out"),
        **layer("conv_out", "conv_out"),
    }
    for own, other in (("embedding", "time_embedding"), ("told", "add_embedding")):
        origins |= layer(f"{own}.0", f"{other}.linear_1") | layer(f"{own}.2", f"{other}.linear_2")
    channels = [config.width * multiplier for multiplier in config.multipliers]
    last = len(channels) - 1
    for place in range(last + 1):
        changed = [place > 0 and channels[place] != channels[place - 1]] + [False] * (config.blocks_per_level - 1)
        origins |= _level_origins(config, ("down", place), place, changed, place < last)
        changed = [True] * (config.blocks_per_level + 1)  # each reads a skip beside what comes from below
        origins |= _level_origins(config, ("up", place), last - place, changed, place < last)
    for index in range(2):
        origins |= _residual_origins(f"middle.blocks.{index}", f"mid_block.resnets.{index}", False, timed=True)
    return origins | _transformer_origins("middle.transformers.0", "mid_block.attentions.0", config.depths[last])


def _level_origins(
    config: SpatioTemporalUNetConfig, place: tuple[str, int], level: int, changed: list[bool], resamples: bool
) -> Origins:
    """`place` is the way and the position on it; `changed` says of each block whether it changes the channels."""
    way, position = place
    ours, theirs = f"{way}.{position}", f"{way}_blocks.{position}"
    origins: Origins = {}
    for index, changes in enumerate(changed):
        origins |= _residual_origins(f"{ours}.blocks.{index}", f"{theirs}.resnets.{index}", changes, timed=True)
        if level in config.attention_levels:
            names = (f"{ours}.transformers.{index}", f"{theirs}.attentions.{index}")
            origins |= _transformer_origins(*names, config.depths[level])
    if resamples:
        origins |= layer(f"{ours}.resample.conv", f"{theirs}.{way}samplers.0.conv")
    return origins


def video_autoencoder_origins(config: TemporalAutoencoderConfig) -> Origins:
    """Origins of a TemporalAutoencoder's weights; its encoder is the one of pictures."""
    encoder = autoencoder_origins(config.pictures)
    origins: Origins = {
        name: origin for name, origin in encoder.items() if name.startswith(("encoder.", "to_moments."))
    }
    for own, other in (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")):
        origins |= layer(f"decoder.{own}", f"decoder.{other}")
    origins |= _time_conv("decoder.time_out", "decoder.time_conv_out")
    for index in range(config.blocks_per_level):
        names = (f"decoder.middle.blocks.{index}", f"decoder.mid_block.resnets.{index}")
        origins |= _residual_origins(*names, False, timed=False)
    attention = "decoder.mid_block.attentions.0"
    origins |= layer("decoder.middle.attention.norm", f"{attention}.group_norm")
    origins |= attention_origins("decoder.middle.attention.attention", attention)
    multipliers = config.multipliers[::-1]
    for place, multiplier in enumerate(multipliers):
        ours, theirs = f"decoder.levels.{place}", f"decoder.up_blocks.{place}"
        changes = place > 0 and multiplier != multipliers[place - 1]
        for index in range(config.blocks_per_level + 1):
            names = (f"{ours}.blocks.{index}", f"{theirs}.resnets.{index}")
            origins |= _residual_origins(*names, changes and index == 0, timed=False)
        if place < len(multipliers) - 1:
            origins |= layer(f"{ours}.resample.conv", f"{theirs}.upsamplers.0.conv")
    return origins
