"""What diffusion costs on pixels and on latents, at 64, 128 and 256 px: training, sampling, multiply-adds.

python benchmarks/latents.py [--sizes 64 128 256] [--batch 4] [--threads 1]

Pixels: the UNet of `emoji`, a level more each time the size doubles, attention where a side is 16 or less. Latents: the
UNet of `ldm` on a quarter of the side, with the autoencoder of `autoencoder`. Fresh weights and random pictures: cost
does not depend on either. A training step is loss, gradient and AdamW as `text2x train` takes them, with masks as often
as the recipe says; on latents it encodes what has to be encoded: masked pictures, and those that are not the same each
time. Sampling is a recipe's 25 steps of guidance, two rows a step, and the decoder. Both sides are timed by turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from text2x.codecs import LatentCodec, LatentCodecConfig
from text2x.conditioning import Conditioning
from text2x.data.batches import NUM_AUGMENTATIONS, Batch
from text2x.latents import latents_of
from text2x.networks.autoencoder import Autoencoder
from text2x.networks.unet import UNetConfig
from text2x.objectives import Denoising
from text2x.optimizers import build_optimizers
from text2x.recipe import Recipe, build_denoiser, build_network
from text2x.recipes.latent import LATENTS, autoencoder, ldm
from text2x.training_environment import has_fast_bfloat16

TOKENS, STEPS, ROWS = 12, 25, 2  # text tokens; of sampling; prompt and null
TURNS = 3
HEADER = (
    "size", "on", "parameters", "multiply-adds a call", "of encoder / decoder", "training, s a picture",
    "sampling, s a picture",
)  # fmt: skip


class Words:
    """Random text of the right shape, so that no encoder is timed."""

    def __init__(self, recipe: Recipe) -> None:
        self.context, self.vector = recipe.network.context_width, recipe.network.vector_width

    def __call__(
        self,
        prompts: Sequence[str],
        styles: Sequence[str | None] | None = None,
        augmentations: Tensor | None = None,
    ) -> Conditioning:
        """[B, TOKENS, D] and [B, V]."""
        count = len(prompts)
        mask = torch.ones(count, TOKENS, dtype=torch.bool)
        return Conditioning(torch.randn(count, TOKENS, self.context), mask, torch.randn(count, self.vector))

    def truncated(self, prompt: str) -> str | None:
        """Nothing is."""
        return None


@dataclass(frozen=True)
class Side:
    """One row of the table before it is measured."""

    name: str
    size: int
    recipe: Recipe
    codec: LatentCodec | None


def latents(size: int) -> Side:
    """`ldm` at this size."""
    shape = autoencoder().network
    config = LatentCodecConfig(shape, (0.0,) * LATENTS, (1.0,) * LATENTS)
    codec = LatentCodec(config, Autoencoder(shape).eval().requires_grad_(False))
    recipe = ldm()
    data = replace(recipe.data, size=size)
    return Side("latents", size, replace(recipe, size=size, data=data, codec=config), codec)


def pixels(size: int) -> Side:
    """The UNet of `emoji` at this size, in `ldm`'s place."""
    recipe, sides = ldm(), [size // 2]
    while sides[-1] > 8:
        sides.append(sides[-1] // 2)
    network = UNetConfig(
        width=96,
        multipliers=(1, *[2] * (len(sides) - 1)),
        attention_levels=tuple(level for level, side in enumerate(sides) if side <= 16),
        head_width=48,
        patch=2,
        extra_channels=5,
        context_width=recipe.network.context_width,
        vector_width=recipe.network.vector_width,
    )
    data = replace(recipe.data, size=size)
    return Side("pixels", size, replace(recipe, size=size, data=data, network=network, codec=None), None)


def batch_of(side: Side, count: int, augmented: bool) -> Batch:
    """Random pictures; their labels say whether they are augmented."""
    images = torch.rand(count, 4, side.size, side.size) * 2 - 1
    labels = torch.full((count, NUM_AUGMENTATIONS), float(augmented))
    return Batch(images, ("a",) * count, (None,) * count, labels, torch.arange(count))


def steps_of(side: Side, count: int) -> list[tuple[float, Callable[[], object]]]:
    """Kinds of training step, each with its share of all."""
    network = build_network(side.recipe)
    given = side.recipe.objective
    made = None if side.codec is None else latents_of(side.recipe, side.codec)
    optimizers = build_optimizers(network, replace(side.recipe.training, optimizer="adamw"))
    precision = torch.bfloat16 if has_fast_bfloat16(torch.device("cpu")) else torch.float32

    def step(masks: float, placed: float, augmented: bool) -> Callable[[], object]:
        config = replace(given, mask_probability=masks, placed_probability=placed)
        objective = Denoising(build_denoiser(side.recipe, network), Words(side.recipe), config, latents=made)
        batch = batch_of(side, count, augmented)

        def run() -> None:
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                loss = objective(batch, torch.Generator().manual_seed(0))["loss"]
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

        return run

    masks, placed = given.mask_probability, given.placed_probability
    untouched = (1 - side.recipe.data.augment_probability) ** NUM_AUGMENTATIONS
    return [
        ((1 - masks) * untouched, step(0, 0, augmented=False)),
        ((1 - masks) * (1 - untouched), step(0, 0, augmented=True)),
        (masks * (1 - placed) * untouched, step(1, 0, augmented=False)),
        (masks * (1 - (1 - placed) * untouched), step(1, 1, augmented=True)),
    ]


def operations(call: Callable[[], object]) -> float:
    """Multiply-adds of convolutions, products and attention, which torch counts only where it is made of products."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of one call, all threads together: a busy machine changes them less than the clock's."""
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times


def sampling_of(side: Side) -> list[tuple[float, Callable[[], object]]]:
    """What a picture takes, each with how often."""
    network = build_network(side.recipe).eval()
    inner = side.size // (1 if side.codec is None else side.codec.factor)
    told = network.prepare(Words(side.recipe)(("a",) * ROWS))
    x, t = torch.randn(ROWS, side.recipe.network.in_channels, inner, inner), torch.full((ROWS,), 0.5)

    def call() -> object:
        with torch.inference_mode():
            return network(x, t, told)

    parts: list[tuple[float, Callable[[], object]]] = [(float(STEPS), call)]
    codec = side.codec
    if codec is not None:

        def decode() -> object:
            with torch.inference_mode():
                return codec.decode(x[:1])

        parts.append((1.0, decode))
    return parts


def measure(sides: Sequence[Side], count: int) -> list[list[str]]:
    """Rows of the table, the sides timed by turns."""
    work = [(steps_of(side, count), sampling_of(side)) for side in sides]
    for steps, sampling in work:
        for _, call in (*steps, *sampling):
            call()
    turns = [
        [(weighted(steps) / count, weighted(sampling)) for steps, sampling in work] for _ in range(TURNS)
    ]  # [turn][side]
    rows = []
    for place, side in enumerate(sides):
        training, sampling = (statistics.median(turn[place][kind] for turn in turns) for kind in (0, 1))
        rows.append([*about(side, work[place][1][0][1]), f"{training:.3f}", f"{sampling:.2f}"])
    return rows


def weighted(parts: Sequence[tuple[float, Callable[[], object]]]) -> float:
    """The sum of what each takes, times how often."""
    return sum(share * seconds(call) for share, call in parts if share > 0)


def about(side: Side, call: Callable[[], object]) -> list[str]:
    """What is counted and not timed."""
    network = build_network(side.recipe)
    numbers = sum(value.numel() for value in network.parameters()) / 1e6
    extra = "none"
    codec = side.codec
    if codec is not None:
        x = torch.zeros(1, 4, side.size, side.size)
        z = codec.encode(x)
        encoder, decoder = (operations(lambda: codec.encode(x)), operations(lambda: codec.decode(z)))
        extra = f"{encoder / 1e9:.2f} G / {decoder / 1e9:.2f} G"
    return [f"{side.size} px", side.name, f"{numbers:.1f} M", f"{operations(call) / ROWS / 1e9:.2f} G", extra]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(f"batches of {chosen.batch}, {chosen.threads} threads, CPU seconds, medians of {TURNS} turns\n")
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    for size in chosen.sizes:
        for row in measure([pixels(size), latents(size)], chosen.batch):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
