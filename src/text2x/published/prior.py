"""Where the weights of a published diffusion prior are in ours: PriorTransformer of diffusers (Karlo's, Kandinsky's).

Ramesh et al. 2022, Sec. 2.2. Shapes: L text tokens, D CLIP embedding, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.prior import BEHIND, DiffusionPrior, PriorConfig
from text2x.published.settings import NUM_STEPS, check_settings, number
from text2x.published.tensors import Origin, Origins, layer, translated

KIND = "PriorTransformer"
READ = {
    "num_attention_heads", "attention_head_dim", "num_layers", "embedding_dim", "num_embeddings", "dropout",
    "norm_in_type", "time_embed_dim", "embedding_proj_dim", "clip_embed_dim",
}  # fmt: skip
FIXED = {
    "additional_embeddings": BEHIND, "time_embed_act_fn": "silu", "encoder_hid_proj_type": "linear",
    "added_emb_type": "prd",
}  # fmt: skip


def prior_config(values: Mapping[str, Any], num_steps: int = NUM_STEPS) -> PriorConfig:
    """The shape of a PriorTransformer whose widths of text and picture are one."""
    check_settings(values, READ, FIXED, KIND)
    for name in FIXED:  # here none is another network, not the default
        if name in values and values[name] is None:
            raise InputError(f"{name} of this {KIND} is None; text2x has only {FIXED[name]!r}")
    heads = number(values, "num_attention_heads", KIND, 32)
    width = heads * number(values, "attention_head_dim", KIND, 64)
    embedding = number(values, "embedding_dim", KIND, 768)
    same = {"time_embed_dim": width, "embedding_proj_dim": embedding, "clip_embed_dim": embedding}
    for name, expected in same.items():
        if values.get(name) not in (None, expected):
            raise InputError(f"{name} of this {KIND} is {values[name]!r}; text2x has only {expected} beside the others")
    if values.get("norm_in_type") not in (None, "layer"):
        raise InputError(f"norm_in_type of this {KIND} is {values['norm_in_type']!r}; text2x has 'layer' or none")
    return PriorConfig(
        embedding=embedding,
        context_width=embedding,
        tokens=number(values, "num_embeddings", KIND, 77),
        width=width,
        depth=number(values, "num_layers", KIND, 20),
        num_heads=heads,
        dropout=float(values.get("dropout", 0.0)),
        norm_in=values.get("norm_in_type") == "layer",
        num_steps=num_steps,
    )


def prior_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path, num_steps: int = NUM_STEPS
) -> tuple[PriorConfig, dict[str, Tensor]]:
    """Shape and weights of the prior that a config.json describes, with mean and deviation of its embeddings."""
    config = prior_config(values, num_steps)
    with torch.device("meta"):
        network = DiffusionPrior(config)
    return config, translated(network, tensors, prior_origins(config), where)


def prior_origins(config: PriorConfig) -> Origins:
    """Origins of a DiffusionPrior's weights."""
    origins = {
        **layer("time.0", "time_embedding.linear_1"),
        **layer("time.2", "time_embedding.linear_2"),
        **layer("image_in", "proj_in"),
        **layer("text_in", "embedding_proj"),
        **layer("tokens_in", "encoder_hidden_states_proj"),
        "positions": Origin(("positional_embedding",), _first),
        "query": Origin(("prd_embedding",), _first),
        **layer("norm_out", "norm_out"),
        **layer("image_out", "proj_to_clip_embeddings"),
        "mean": Origin(("clip_mean",), _first),
        "std": Origin(("clip_std",), _first),
    }
    if config.norm_in:
        origins |= layer("norm_in", "norm_in")
    for index in range(config.depth):
        ours, theirs = f"blocks.{index}", f"transformer_blocks.{index}"
        origins |= layer(f"{ours}.attention_norm", f"{theirs}.norm1")
        origins |= layer(f"{ours}.query_key_value", *(f"{theirs}.attn1.to_{kind}" for kind in "qkv"))
        origins |= layer(f"{ours}.attention_out", f"{theirs}.attn1.to_out.0")
        origins |= layer(f"{ours}.norm", f"{theirs}.norm3")
        origins |= layer(f"{ours}.hidden", f"{theirs}.ff.net.0.proj")
        origins |= layer(f"{ours}.out", f"{theirs}.ff.net.2")
    return origins


def _first(parts: Sequence[Tensor]) -> Tensor:
    """Without the first axis, which is 1."""
    return parts[0].squeeze(0)
