"""Where the weights of the published GLIDE models are in ours: base, upsampler, and both for inpainting.

Nichol et al. 2021; names and settings of the released code (model_creation.py, text2im_model.py, unet.py, xf.py).
Shapes: O outputs, I inputs, N heads, d head width, D text width. The released files are pickles, which are not read
here: these functions take the tensors, from a safetensors file that was made of one elsewhere.
Channels beside x_t: for inpainting the masked picture [3] and the mask [1], 1 = known; for upsampling the small picture
[3], made large bilinearly, behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from text2x.diffusion.schedules import Betas
from text2x.networks.text_encoder import TextTransformer, TextTransformerConfig
from text2x.networks.unet import UNet, UNetConfig
from text2x.published.tensors import Make, Origin, Origins, layer, matrix, translated

Form = Literal["base", "upsampler", "base-inpaint", "upsampler-inpaint"]
EXTRA = {"base": 0, "upsampler": 3, "base-inpaint": 4, "upsampler-inpaint": 7}  # channels beside x_t
VOCABULARY = 50_257  # byte-pair tokens of GPT-2 and the end of text, which GLIDE's tokenizer has


@dataclass(frozen=True)
class GlideConfig:
    """A UNet and its text transformer, in the released sizes where nothing else is said."""

    network: UNetConfig
    text: TextTransformerConfig
    schedule: Betas


def glide_config(form: Form, width: int = 192, text_width: int = 512, text_layers: int = 16) -> GlideConfig:
    """The released configuration of a form; other widths are for tests. Heads are 64 wide, 8 in the text."""
    large = form.startswith("upsampler")
    network = UNetConfig(
        in_channels=3,
        extra_channels=EXTRA[form],
        out_channels=6,
        width=width,
        multipliers=(1, 1, 2, 2, 4, 4) if large else (1, 2, 3, 4),
        blocks_per_level=2 if large else 3,
        attention_levels=(3, 4, 5) if large else (1, 2, 3),  # at 32, 16 and 8 pixels of 256 or 64
        context_width=text_width,
        vector_width=text_width,
        head_width=64,
        qk_norm=False,
        dropout=0.1,
        frequencies=width,
        num_steps=1000,
        linear_vector=True,
        context_norm=False,
        padding_seen=True,
    )
    text = TextTransformerConfig(VOCABULARY, 128, text_width, text_layers, heads=8, pooling="last")
    return GlideConfig(network, text, Betas("linear") if large else Betas("cosine"))


def glide_weights(
    config: GlideConfig, tensors: Mapping[str, Tensor], where: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of the UNet and of the text transformer from those of one published file, each of which is used once."""
    ours, of_text = network_origins(config.network), text_origins(config.text)
    read = {name for origin in of_text.values() for name in origin.names}
    with torch.device("meta"):
        network, text = UNet(config.network), TextTransformer(config.text)
    words = translated(text, {name: value for name, value in tensors.items() if name in read}, of_text, where)
    rest = {name: value for name, value in tensors.items() if name not in read}
    return translated(network, rest, ours, where), words


def text_origins(config: TextTransformerConfig) -> Origins:
    """Origins of the text transformer's weights."""
    origins = {
        "words.weight": Origin(("token_embedding.weight",)),
        "positions": Origin(("positional_embedding",)),
        "padding": Origin(("padding_embedding",)),
        **layer("norm", "final_ln"),
    }
    for index in range(config.layers):
        ours, theirs = f"layers.{index}", f"transformer.resblocks.{index}"
        origins |= layer(f"{ours}.attention_norm", f"{theirs}.ln_1")
        origins |= layer(f"{ours}.attention.query", f"{theirs}.attn.c_qkv", make=parts_of_heads(config.heads, 3, (0,)))
        rest = parts_of_heads(config.heads, 3, (1, 2))
        origins |= layer(f"{ours}.attention.key_value", f"{theirs}.attn.c_qkv", make=rest)
        origins |= layer(f"{ours}.attention.out", f"{theirs}.attn.c_proj")
        origins |= layer(f"{ours}.norm", f"{theirs}.ln_2")
        origins |= layer(f"{ours}.hidden", f"{theirs}.mlp.c_fc")
        origins |= layer(f"{ours}.out", f"{theirs}.mlp.c_proj")
    return origins


def network_origins(config: UNetConfig) -> Origins:
    """Origins of the UNet's weights. A released block holds a residual block, then attention, then a resampling one."""
    origins = {
        **layer("embedding.mlp.0", "time_embed.0"),
        **layer("embedding.mlp.2", "time_embed.2"),
        **layer("embedding.vector", "transformer_proj"),
        **layer("conv_in", "input_blocks.0.0"),
        **_residual("middle.blocks.0", "middle_block.0", False),
        **_attention(config, config.multipliers[-1], "middle.attentions.0", "middle_block.1"),
        **_residual("middle.blocks.1", "middle_block.2", False),
        **layer("norm_out", "out.0"),
        **layer("conv_out", "out.2"),
    }
    levels = list(enumerate(config.multipliers))
    skips, current, place = [config.multipliers[0]], config.multipliers[0], 1
    for level, multiplier in levels:
        for index in range(config.blocks_per_level):
            theirs = f"input_blocks.{place}"
            origins |= _residual(f"down.{level}.blocks.{index}", f"{theirs}.0", current != multiplier)
            if level in config.attention_levels:
                origins |= _attention(config, multiplier, f"down.{level}.attentions.{index}", f"{theirs}.1")
            current, place = multiplier, place + 1
            skips.append(multiplier)
        if level < len(levels) - 1:
            origins |= _residual(f"down.{level}.resample", f"input_blocks.{place}.0", False)
            place += 1
            skips.append(multiplier)
    place = 0
    for step, (level, multiplier) in enumerate(reversed(levels)):
        attends = level in config.attention_levels
        for index in range(config.blocks_per_level + 1):
            theirs = f"output_blocks.{place}"
            origins |= _residual(f"up.{step}.blocks.{index}", f"{theirs}.0", current + skips.pop() != multiplier)
            if attends:
                origins |= _attention(config, multiplier, f"up.{step}.attentions.{index}", f"{theirs}.1")
            current, place = multiplier, place + 1
        if level > 0:
            origins |= _residual(f"up.{step}.resample", f"output_blocks.{place - 1}.{2 if attends else 1}", False)
    return origins


def _residual(ours: str, theirs: str, changes: bool) -> Origins:
    pairs = {
        "norm_in": "in_layers.0",
        "conv_in": "in_layers.2",
        "modulation": "emb_layers.1",
        "norm_out": "out_layers.0",
        "conv_out": "out_layers.3",
    }
    if changes:
        pairs["skip"] = "skip_connection"
    return {
        name: origin
        for own, other in pairs.items()
        for name, origin in layer(f"{ours}.{own}", f"{theirs}.{other}").items()
    }


def _attention(config: UNetConfig, multiplier: int, ours: str, theirs: str) -> Origins:
    heads = max(1, config.width * multiplier // config.head_width)
    return {
        **layer(f"{ours}.norm", f"{theirs}.norm"),
        **layer(f"{ours}.attention.query", f"{theirs}.qkv", make=parts_of_heads(heads, 3, (0,))),
        **layer(f"{ours}.attention.key_value", f"{theirs}.qkv", make=parts_of_heads(heads, 3, (1, 2))),
        **layer(f"{ours}.attention.text_key_value", f"{theirs}.encoder_kv", make=parts_of_heads(heads, 2, (0, 1))),
        **layer(f"{ours}.attention.out", f"{theirs}.proj_out", make=matrix),
    }


def parts_of_heads(heads: int, kinds: int, chosen: Sequence[int]) -> Make:
    """Of outputs [N kinds d, ...], head by head query, key and value, the chosen kinds one after another, all heads."""

    def make(parts: Sequence[Tensor]) -> Tensor:
        by_head = matrix(parts).unflatten(0, (heads, kinds, -1))
        return by_head[:, list(chosen)].transpose(0, 1).flatten(0, 2)

    return make
