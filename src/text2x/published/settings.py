"""Settings of published networks, read strictly: what we have not is an error that names the setting, never skipped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from text2x.errors import InputError
from text2x.networks.autoencoder import AutoencoderConfig
from text2x.networks.cross_unet import CrossUNetConfig

NUM_STEPS = 1000  # of every published model we know; the scheduler's settings may say another number


def check_settings(values: Any, read: Collection[str], fixed: Mapping[str, Any], kind: str) -> None:
    """Raise InputError for a setting that is neither read nor at the value we have; one that is off says nothing.

    Names that begin with an underscore are notes of the program that wrote the file.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"the settings of a {kind} must be an object, got {str(values)[:60]!r}")
    for name, value in values.items():
        if name.startswith("_") or name in read:
            continue
        plain = list(value) if isinstance(value, tuple) else value
        if name in fixed and (plain == fixed[name] or plain is None):
            continue
        if name in fixed:
            raise InputError(f"{name} of this {kind} is {plain!r}; text2x has only {fixed[name]!r}")
        if value not in (None, False):
            raise InputError(f"{name} of this {kind} is {plain!r}; text2x has no such setting")


def number(values: Mapping[str, Any], name: str, kind: str, default: int | None = None) -> int:
    """A setting that is a whole number of at least 1."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} of this {kind} is {value!r}; it must be a whole number of at least 1")
    return value


def numbers(values: Mapping[str, Any], name: str, kind: str, count: int, default: int | None = None) -> tuple[int, ...]:
    """A setting that is a number a level, or one for all of them."""
    value = values.get(name, default)
    many = [value] * count if isinstance(value, int) else value
    plain = isinstance(many, list | tuple) and all(isinstance(each, int) and each > 0 for each in many)
    if not isinstance(many, list | tuple) or not plain or len(many) != count:
        raise InputError(f"{name} of this {kind} is {value!r}; it must be a number, or {count} of them")
    return tuple(many)


def widths(values: Mapping[str, Any], kind: str) -> tuple[int, tuple[int, ...]]:
    """Channels of the levels as a width and its multiples."""
    given = values.get("block_out_channels")
    if not isinstance(given, list | tuple) or not given:
        raise InputError(f"block_out_channels of this {kind} is {given!r}; it must be a list of numbers")
    channels = numbers(values, "block_out_channels", kind, len(given))
    if any(each % channels[0] for each in channels):
        raise InputError(f"block_out_channels of this {kind} is {list(channels)}; each must be a multiple of the first")
    return channels[0], tuple(each // channels[0] for each in channels)


UNET_READ = {
    "sample_size", "in_channels", "out_channels", "block_out_channels", "layers_per_block", "norm_num_groups",
    "dropout", "down_block_types", "up_block_types", "mid_block_type", "cross_attention_dim", "attention_head_dim",
    "transformer_layers_per_block", "use_linear_projection", "upcast_attention", "class_embed_type",
    "addition_embed_type", "projection_class_embeddings_input_dim", "addition_time_embed_dim",
    "addition_embed_type_num_heads",
}  # fmt: skip
UNET_FIXED = {
    "center_input_sample": False, "flip_sin_to_cos": True, "freq_shift": 0, "only_cross_attention": False,
    "downsample_padding": 1, "mid_block_scale_factor": 1, "act_fn": "silu", "norm_eps": 1e-5,
    "dual_cross_attention": False, "resnet_time_scale_shift": "default", "resnet_out_scale_factor": 1.0,
    "time_embedding_type": "positional", "conv_in_kernel": 3, "conv_out_kernel": 3, "attention_type": "default",
}  # fmt: skip
ATTENDING = {"CrossAttnDownBlock2D": True, "DownBlock2D": False, "CrossAttnUpBlock2D": True, "UpBlock2D": False}
VECTORS = {"projection": "class_embedding", "text_time": "add_embedding"}  # how a vector enters -> the layers' name


def unet_config(values: Mapping[str, Any], num_steps: int = NUM_STEPS) -> CrossUNetConfig:
    """The shape of a UNet2DConditionModel: Stable Diffusion 1.x and 2.x, their inpainting forms, SDXL."""
    kind = "UNet2DConditionModel"
    check_settings(values, UNET_READ, UNET_FIXED, kind)
    width, multipliers = widths(values, kind)
    levels = len(multipliers)
    attends = _attending(values, "down_block_types", levels)
    if attends != _attending(values, "up_block_types", levels)[::-1]:
        raise InputError(f"up_block_types of this {kind} are not its down_block_types backwards; text2x has only those")
    middle = values.get("mid_block_type", "UNetMidBlock2DCrossAttn")
    if middle not in ("UNetMidBlock2DCrossAttn", None):
        raise InputError(f"mid_block_type of this {kind} is {middle!r}; text2x has only 'UNetMidBlock2DCrossAttn'")
    blocks = numbers(values, "layers_per_block", kind, levels, 2)
    contexts = numbers(values, "cross_attention_dim", kind, levels, 1280)
    for name, given in (("layers_per_block", blocks), ("cross_attention_dim", contexts)):
        if len(set(given)) > 1:
            raise InputError(f"{name} of this {kind} is {list(given)}; text2x has the same at every level")
    given, made = number(values, "in_channels", kind, 4), number(values, "out_channels", kind, 4)
    return CrossUNetConfig(
        in_channels=min(given, made),
        extra_channels=max(0, given - made),
        out_channels=made,
        width=width,
        multipliers=multipliers,
        blocks_per_level=blocks[0],
        attention_levels=tuple(index for index, attending in enumerate(attends) if attending),
        depths=numbers(values, "transformer_layers_per_block", kind, levels, 1),
        heads=numbers(values, "attention_head_dim", kind, levels, 8),  # named by mistake: the number of heads
        middle_attention=middle is not None,
        context_width=contexts[0],
        vector_width=_vector_width(values, kind),
        num_steps=num_steps,
        groups=number(values, "norm_num_groups", kind, 32),
        dropout=float(values.get("dropout", 0.0)),
    )


def _attending(values: Mapping[str, Any], name: str, levels: int) -> list[bool]:
    down = [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"]
    default = down if name.startswith("down") else [each.replace("Down", "Up") for each in down[::-1]]
    given = values.get(name, default)
    if not isinstance(given, list | tuple) or len(given) != levels or any(each not in ATTENDING for each in given):
        raise InputError(f"{name} is {given!r}; text2x has {levels} of {', '.join(ATTENDING)}")
    return [ATTENDING[each] for each in given]


def _vector_width(values: Mapping[str, Any], kind: str) -> int:
    entries = [values.get(name) for name in ("class_embed_type", "addition_embed_type")]
    given = [each for each in entries if each is not None]
    if not given:
        return 0
    if len(given) > 1 or given[0] not in VECTORS:
        raise InputError(f"this {kind} embeds {given}; text2x has one of {', '.join(VECTORS)}")
    return number(values, "projection_class_embeddings_input_dim", kind)


AUTOENCODER_READ = {
    "sample_size", "in_channels", "out_channels", "latent_channels", "block_out_channels", "layers_per_block",
    "norm_num_groups", "mid_block_add_attention", "use_quant_conv", "use_post_quant_conv", "scaling_factor",
    "shift_factor", "latents_mean", "latents_std", "down_block_types", "up_block_types", "force_upcast",
}  # fmt: skip


def autoencoder_config(values: Mapping[str, Any]) -> AutoencoderConfig:
    """The shape of an AutoencoderKL."""
    kind = "AutoencoderKL"
    check_settings(values, AUTOENCODER_READ, {"act_fn": "silu"}, kind)
    width, multipliers = widths(values, kind)
    for name, block in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        given = values.get(name, [block])
        if list(given) != [block] * len(multipliers):
            raise InputError(f"{name} of this {kind} is {list(given)}; text2x has {block} at each level")
    before, behind = (values.get(name, True) for name in ("use_quant_conv", "use_post_quant_conv"))
    if before != behind:
        raise InputError(f"this {kind} has one of use_quant_conv and use_post_quant_conv; text2x has both or none")
    return AutoencoderConfig(
        in_channels=number(values, "in_channels", kind, 3),
        out_channels=number(values, "out_channels", kind, 3),
        latent_channels=number(values, "latent_channels", kind, 4),
        width=width,
        multipliers=multipliers,
        blocks_per_level=number(values, "layers_per_block", kind, 1),
        attention=bool(values.get("mid_block_add_attention", True)),
        quantization=bool(before),
        groups=number(values, "norm_num_groups", kind, 32),
    )
