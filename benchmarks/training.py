"""How fast a recipe trains, and what share of the processor's measured matrix-product peak that is.

python benchmarks/training.py [RECIPE] [--steps 40]

The trainer of `text2x train` on random pixels, without evaluation, sheets or checkpoints; a matrix product is
timed after every few steps, so that both see the same machine. The operations of a sample are counted by torch over the
loss and its gradient: products, convolutions and attention. Captions are read once, so their encoder does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from text2x.data.imageset import ImageSet, Item
from text2x.recipe import Recipe
from text2x.recipes.running import Run, prepare_run, recipe_for
from text2x.training import Trainer
from text2x.training_environment import has_fast_bfloat16

ITEMS, CAPTIONS = 2000, ("a red apple", "a green frog", "a small house", "a shiny star")
EDGE = 2048  # of the matrices whose product is the peak
PRODUCT_EVERY, FIRST = 5, 5  # steps; the first ones fill caches


def random_set(recipe: Recipe, folder: Path) -> None:
    """Pictures of random pixels in the recipe's styles."""
    rng = np.random.default_rng(0)
    styles = recipe.data.styles or ("plain",)
    items = []
    for number in range(ITEMS):
        style, caption = styles[number % len(styles)], CAPTIONS[number % len(CAPTIONS)]
        group = dict(enumerate(recipe.data.exclude_groups)).get(number, "other")  # one item of each that is left out
        items.append(Item(f"{number}", f"{number // 2}", style, (caption,), group, (), "none", True))
    pixels = rng.integers(0, 256, (ITEMS, 4, recipe.data.size, recipe.data.size), dtype=np.uint8)
    ImageSet("random", items, pixels).save(folder)


def operations_per_sample(run: Run) -> float:
    """Of one sample's loss and gradient."""
    batch, rng = run.batches.batch_at(0), torch.Generator().manual_seed(0)
    run.objective(batch, rng)  # reads the captions
    with FlopCounterMode(display=False) as counter:
        run.objective(batch, rng)["loss"].backward()
    run.trainable.zero_grad()
    return counter.get_total_flops() / run.recipe.training.batch_size


@dataclass
class Stopwatch:
    """Hands out batches and notes when each was asked for; times a matrix product now and then."""

    run: Run
    dtype: torch.dtype
    marks: list[tuple[float, float]] = field(default_factory=list)  # (wall, CPU) when a step begins
    steps: list[tuple[float, float]] = field(default_factory=list)  # seconds of each step
    products: list[tuple[float, float]] = field(default_factory=list)  # seconds of each product

    def batch_at(self, step: int) -> Any:
        """The batch of a step."""
        if self.marks and step > FIRST:
            self.steps.append(tuple(b - a for a, b in zip(self.marks[-1], now(), strict=True)))  # type: ignore[arg-type]
        if step % PRODUCT_EVERY == 0:
            self.products.append(self._product())
        self.marks.append(now())
        return self.run.batches.batch_at(step)

    def _product(self) -> tuple[float, float]:
        left, right = (torch.ones(EDGE, EDGE, device=self.run.device).to(self.dtype) for _ in range(2))
        times = []
        for _ in range(4):
            wall, cpu = now()
            product = left @ right
            if product.is_cuda:
                torch.cuda.synchronize()
            after = now()
            times.append((after[0] - wall, after[1] - cpu))
        return min(times)


def now() -> tuple[float, float]:
    """Wall and CPU seconds, the latter of all threads."""
    return time.perf_counter(), time.process_time()


def report(watch: Stopwatch, operations: float) -> None:
    """Both ways of counting time, as Markdown."""
    recipe = watch.run.recipe
    count = sum(value.numel() for value in watch.run.trainable.parameters())
    batch = recipe.training.batch_size
    precision = str(watch.dtype).removeprefix("torch.")
    print(
        f"\n{recipe.name}: {count / 1e6:.1f} M parameters, {operations / 1e9:.2f} GFLOP a sample, batches of {batch},"
    )
    print(f"{precision}, {watch.run.device}; {os.cpu_count()} cores, {torch.get_num_threads()} threads, ", end="")
    print(f"{len(watch.steps)} steps.\n")
    print("| in | samples | GFLOP | GFLOP of a matrix product | share of the peak |")
    print("|---|---|---|---|---|")
    for index, name in enumerate(("a second", "a second of one core")):
        step = statistics.median(each[index] for each in watch.steps)
        peak = 2 * EDGE**3 / min(each[index] for each in watch.products)
        rate = batch / step
        share = f"{rate * operations / peak:.0%}"
        print(f"| {name} | {rate:.1f} | {rate * operations / 1e9:.0f} | {peak / 1e9:.0f} | {share} |")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe", nargs="?", default="emoji")
    options.add_argument("--steps", type=int, default=40)
    given = options.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if has_fast_bfloat16(torch.device(device)) else torch.float32
    off = [f"training.{name}=0" for name in ("evaluate_every", "sample_every")]
    settings = [*off, f"training.steps={given.steps}", "training.checkpoint_seconds=1e6"]
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "random"
        recipe = recipe_for(given.recipe, settings, f"{data}")
        random_set(recipe, data)
        run = prepare_run(recipe, device)
        operations = operations_per_sample(run)
        watch = Stopwatch(run, dtype)
        Trainer(run.trainable, run.objective, watch.batch_at, recipe.training, Path(scratch) / "run").fit()
    report(watch, operations)


if __name__ == "__main__":
    main()
