"""One denoising step of our UNet and DiT against diffusers' modules of the same shape: a Markdown table of ratios.

python benchmarks/denoising_step.py [--compile] [--rounds 15] [--threads 2]

Float32, two items (a prompt and the null condition), random weights; both sides of a row run in turns in one process.
Ours gets the text keys and values that `prepare` computed before; diffusers has no such call and computes them again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that wait do not take turns from the others

import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.config import from_dict
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.unet import UNet, UNetConfig

BATCH, TOKENS, TEXT, VECTOR = 2, 32, 384, 384
SECONDS_A_TURN = 0.25
HEADER = ("network", "parameters ours / theirs", "ours, ms", "diffusers, ms", "ratio", "lowest to highest")


@dataclass(frozen=True)
class Pair:
    """The same step by both sides."""

    name: str
    ours: nn.Module
    theirs: nn.Module
    call_ours: Callable[[nn.Module], Tensor]
    call_theirs: Callable[[nn.Module], Tensor]


def unet_pair(name: str, size: int, config: UNetConfig) -> Pair:
    """A UNet with text joined to its attention, and diffusers' blocks of the same kind (those of its unCLIP models)."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    levels = range(len(config.multipliers))

    def kinds(direction: str) -> tuple[str, ...]:
        order = levels if direction == "Down" else reversed(levels)
        names = {True: f"SimpleCrossAttn{direction}Block2D", False: f"Resnet{direction}sampleBlock2D"}
        return tuple(names[level in config.attention_levels] for level in order)

    theirs = UNet2DConditionModel(
        in_channels=config.in_channels + config.extra_channels,
        out_channels=config.out_channels,
        block_out_channels=tuple(config.width * multiplier for multiplier in config.multipliers),
        down_block_types=kinds("Down"),
        up_block_types=kinds("Up"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        layers_per_block=config.blocks_per_level,
        attention_head_dim=config.head_width,
        cross_attention_dim=config.context_width,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        projection_class_embeddings_input_dim=config.vector_width,
    )
    x, t = torch.randn(BATCH, config.in_channels, size, size), torch.full((BATCH,), 0.5)
    conditioning = Conditioning(
        context=torch.randn(BATCH, TOKENS, TEXT),
        vector=torch.randn(BATCH, VECTOR),
        channels=torch.randn(BATCH, config.extra_channels, size, size),
    )
    ours = UNet(config)
    prepared = ours.prepare(conditioning)

    def call_theirs(network: Any) -> Tensor:
        both = torch.cat([x, conditioning.channels], dim=1)  # type: ignore[list-item]
        return network(both, 1000 * t, conditioning.context, class_labels=conditioning.vector).sample

    return Pair(name, ours.eval(), theirs.eval(), lambda network: network(x, t, prepared), call_theirs)


def dit_pair(name: str, size: int, config: DiTConfig) -> Pair:
    """A DiT and diffusers' of the same width, depth and patch; theirs has an embedding of time in each block."""
    from diffusers.models.transformers.dit_transformer_2d import DiTTransformer2DModel

    theirs = DiTTransformer2DModel(
        num_attention_heads=config.num_heads,
        attention_head_dim=config.width // config.num_heads,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        num_layers=config.depth,
        sample_size=size,
        patch_size=config.patch,
        num_embeds_ada_norm=1,
    )
    x, t = torch.randn(BATCH, config.in_channels, size, size), torch.full((BATCH,), 0.5)
    labels = torch.zeros(BATCH, dtype=torch.int64)
    ours = DiT(config)
    context = torch.randn(BATCH, TOKENS, TEXT) if config.context_width else None
    prepared = ours.prepare(Conditioning(context=context, vector=torch.randn(BATCH, VECTOR)))
    return Pair(
        name,
        ours.eval(),
        theirs.eval(),
        lambda network: network(x, t, prepared),
        lambda network: network(x, timestep=1000 * t, class_labels=labels).sample,
    )


def pairs() -> Iterator[Pair]:
    """The rows of the table, built one at a time."""
    told = {"context_width": TEXT, "vector_width": VECTOR}
    # The default model's UNet: pixels of 32 px in patches of 2 are 16 px with four times the channels.
    shape = {"in_channels": 16, "extra_channels": 20, "out_channels": 16, "width": 96, "head_width": 48}
    levels = {"multipliers": (1, 2, 2), "attention_levels": (1, 2)}
    yield unet_pair("UNet 96, 16 px", 16, from_dict(UNetConfig, {**shape, **levels, **told}))
    yield unet_pair("UNet 64, 64 px", 64, from_dict(UNetConfig, {"extra_channels": 5, **told}))
    published = DiTConfig(feed_forward="gelu", positions="sines", qk_norm=False, vector_width=VECTOR)
    yield dit_pair("DiT-S/4, 64 px, as published", 64, published)
    yield dit_pair("DiT-S/4, 64 px, ours: rope, QK-norm, SwiGLU, 32 text tokens", 64, from_dict(DiTConfig, told))


def parameters(network: nn.Module) -> int:
    """How many numbers the network has learnt."""
    return sum(parameter.numel() for parameter in network.parameters())


def seconds_a_call(call: Callable[[], object], times: int) -> float:
    """Mean over a turn."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def measure(pair: Pair, rounds: int, compiled: bool) -> list[str]:
    """One row: medians of both sides, and of the ratio of neighbouring turns."""
    ours, theirs = pair.ours, pair.theirs
    if compiled:
        ours.compile()
        theirs.compile()
    sides = (lambda: pair.call_ours(ours), lambda: pair.call_theirs(theirs))
    for side in sides:  # compiles; the second call is the first of its real speed
        side()
    counts = [max(1, round(SECONDS_A_TURN / seconds_a_call(side, 1))) for side in sides]
    turns = [[seconds_a_call(side, count) for side, count in zip(sides, counts, strict=True)] for _ in range(rounds)]
    ratios = [mine / other for mine, other in turns]
    mine, other = (1000 * statistics.median(column) for column in zip(*turns, strict=True))
    millions = [parameters(network) / 1e6 for network in (pair.ours, pair.theirs)]
    return [
        pair.name,
        f"{millions[0]:.1f} M / {millions[1]:.1f} M ({100 * (millions[0] / millions[1] - 1):+.0f} %)",
        f"{mine:.1f}",
        f"{other:.1f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="torch.compile both sides first, which takes minutes")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    way = "compiled" if arguments.compile else "eager"
    print(f"{way}, {arguments.threads} threads, batch {BATCH}, float32, {arguments.rounds} turns each\n")
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    with torch.inference_mode():
        for pair in pairs():
            if arguments.only in pair.name:
                print(f"| {' | '.join(measure(pair, arguments.rounds, arguments.compile))} |", flush=True)


if __name__ == "__main__":
    main()
