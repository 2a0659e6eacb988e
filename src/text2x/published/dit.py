"""Where the weights of published diffusion transformers are in our DiT: DiTTransformer2DModel of diffusers.

Peebles and Xie 2023. Shapes: D width, C channels, P patch, K classes and one for none. A class is told by a one-hot
vector of K + 1 places, the last for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.dit import DiT, DiTConfig
from text2x.nn.initialization import no_initialization
from text2x.published.settings import check_settings, number
from text2x.published.stable_diffusion import attention_origins
from text2x.published.tensors import Make, Origin, Origins, layer, translated

KIND = "DiTTransformer2DModel"
READ = {
    "num_attention_heads", "attention_head_dim", "in_channels", "out_channels", "num_layers", "dropout",
    "norm_num_groups", "sample_size", "patch_size", "num_embeds_ada_norm", "upcast_attention", "norm_eps",
}  # fmt: skip
FIXED = {
    "attention_bias": True, "activation_fn": "gelu-approximate", "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
}  # fmt: skip
EMBEDDING = "norm1.emb."  # of each block; the same in all of them


def dit_config(values: Mapping[str, Any]) -> DiTConfig:
    """The shape of a DiTTransformer2DModel. Its second norm's epsilon is 1e-6 with us, as its authors have it."""
    check_settings(values, READ, FIXED, KIND)
    heads = number(values, "num_attention_heads", KIND, 16)
    steps = number(values, "num_embeds_ada_norm", KIND, 1000)
    channels = number(values, "in_channels", KIND, 4)
    return DiTConfig(
        in_channels=channels,
        out_channels=channels if values.get("out_channels") is None else number(values, "out_channels", KIND),
        patch=number(values, "patch_size", KIND, 2),
        width=heads * number(values, "attention_head_dim", KIND, 72),
        depth=number(values, "num_layers", KIND, 28),
        num_heads=heads,
        feed_forward="gelu",
        positions="axis_sines",
        qk_norm=False,
        vector_width=steps + 1,  # the number of classes, by its name that of steps: 1000 of both
        linear_vector=True,
        num_steps=1000,
        last_frequency=True,
        dropout=float(values.get("dropout", 0.0)),
    )


def dit_weights(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path
) -> tuple[DiTConfig, dict[str, Tensor]]:
    """Shape and weights of the transformer that a config.json describes."""
    config = dit_config(values)
    with no_initialization():
        network = DiT(config)
    return config, translated(network, _with_one_embedding(tensors, where), dit_origins(config), where)


def _with_one_embedding(tensors: Mapping[str, Tensor], where: Path) -> dict[str, Tensor]:
    """The tensors without the copies of the first block's embedding that the others have."""
    kept = {}
    for name, value in tensors.items():
        head, found, tail = name.partition(EMBEDDING)
        first = f"transformer_blocks.0.{EMBEDDING}{tail}"
        if not found or name == first:
            kept[name] = value
        elif first not in tensors or not torch.equal(value, tensors[first]):
            raise InputError(f"{where}: {name} is not that of the first block; text2x has one embedding for all blocks")
    return kept


def dit_origins(config: DiTConfig) -> Origins:
    """Origins of a DiT's weights."""
    embedding = f"transformer_blocks.0.{EMBEDDING}"
    width = config.width

    def none(parts: Sequence[Tensor]) -> Tensor:
        return torch.zeros(width)

    def table(parts: Sequence[Tensor]) -> Tensor:
        return parts[0].T

    origins = {
        **layer("embedding.mlp.0", f"{embedding}timestep_embedder.linear_1"),
        **layer("embedding.mlp.2", f"{embedding}timestep_embedder.linear_2"),
        "embedding.vector.weight": Origin((f"{embedding}class_embedder.embedding_table.weight",), table),
        "embedding.vector.bias": Origin((), none),
        **layer("patch_in", "pos_embed.proj", make=_flat),
        **layer("modulation", "proj_out_1"),
        **layer("patch_out", "proj_out_2", make=_channels_first(config.out_channels)),
    }
    for index in range(config.depth):
        ours, theirs = f"blocks.{index}", f"transformer_blocks.{index}"
        origins |= layer(f"{ours}.modulation", f"{theirs}.norm1.linear")
        origins |= attention_origins(f"{ours}.attention", f"{theirs}.attn1")
        origins |= layer(f"{ours}.feed_forward.into", f"{theirs}.ff.net.0.proj")
        origins |= layer(f"{ours}.feed_forward.out", f"{theirs}.ff.net.2")
    return origins


def _flat(parts: Sequence[Tensor]) -> Tensor:
    """A convolution over patches as a linear layer: [D, C, P, P] -> [D, C P P]; a bias as it is."""
    return parts[0].flatten(1) if parts[0].ndim > 1 else parts[0]


def _channels_first(channels: int) -> Make:
    """Outputs [P P C, ...], channels fastest, to [C P P, ...]."""

    def make(parts: Sequence[Tensor]) -> Tensor:
        return parts[0].unflatten(0, (-1, channels)).transpose(0, 1).flatten(0, 1)

    return make
