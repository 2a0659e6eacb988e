"""Inpainting measured: known pixels, the error in the hole, the judge's score and the seam, for every method.

Held-out pictures at the base's size with boxes, half planes, strokes and frames as holes, against the same network
under diffusers' two rules (blend in each step; further channels alone), against filling the hole with the mean of
what is known and against copying it from the nearest training picture. Needs the data set (text2x data prepare emoji).
Prints Markdown; --json FILE keeps every figure; --sheet FILE shows the first pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import text2x
from text2x.conditioning import concatenate
from text2x.data import load as load_data
from text2x.data.batches import select
from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.guidance import Sources, compose
from text2x.diffusion.inpainting import Known, replacing
from text2x.diffusion.samplers import SAMPLERS, time_grid
from text2x.diffusion.schedules import NoiseSchedule
from text2x.generators import PAINTING_GUIDANCE, DiffusionGenerator
from text2x.guidance_terms import parse_guidance
from text2x.guides import Judge, load_judge
from text2x.library import shipped_folder
from text2x.masks import KINDS
from text2x.media import Image, contact_sheet
from text2x.metrics.agreement import Distractors, r_precision
from text2x.metrics.metric import Metric, to_json
from text2x.metrics.seams import hole_error, seam
from text2x.painting import met
from text2x.sampling import Region, TrainedStage, Walk, walk

TOGETHER = 25  # pictures that go through the network at once
COSTLY = ("repaint", "langevin")


@dataclass(frozen=True)
class Task:
    """Real held-out pictures, what they show, and what of them is known; all at one size."""

    images: Tensor  # [N, 4, S, S]
    captions: tuple[str, ...]
    styles: tuple[str, ...]
    concepts: tuple[str, ...]
    keep: Tensor  # [N, 1, S, S], 1 = known


def task_of(images, styles: tuple[str, ...], count: int, size: int, seed: int) -> Task:
    """`count` pictures of concepts that were not trained on, with holes of each kind in turn."""
    indexes = select(images, "unseen-concepts", styles, ("flags",))
    rng = torch.Generator().manual_seed(seed)
    chosen = [int(indexes[i]) for i in torch.randperm(len(indexes), generator=rng)[:count].sort().values]
    kinds = list(KINDS.values())
    keep = torch.stack([kinds[place % len(kinds)](size, rng) for place in range(len(chosen))])[:, None]
    items = [images.items[i] for i in chosen]
    return Task(
        pixels_of(images, chosen, size),
        tuple(item.captions[0] for item in items),
        tuple(item.style for item in items),
        tuple(item.concept for item in items),
        keep,
    )


def pixels_of(images, indexes: list[int], size: int) -> Tensor:
    """[N, 4, size, size] in [-1, 1], averaged down."""
    stored = torch.from_numpy(np.stack([images.images[i] for i in indexes])).float() / 127.5 - 1
    return torch.nn.functional.avg_pool2d(stored, stored.shape[-1] // size)


def blended_only(denoise: Denoise, schedule: NoiseSchedule, known: Known) -> Denoise:
    """diffusers' rule for a network without mask channels: the known part of x_t is the noised image, no more."""
    return lambda x_t, t: denoise(torch.where(known.held, known.noisy(x_t, t, schedule), x_t), t)


def denoiser_of(stage: TrainedStage, task: Task, guidance: float, channels: bool) -> Denoise:
    """The guided denoise of a batch whose items have prompts of their own."""
    text = stage.text
    assert text is not None
    given, null = text(task.captions, task.styles), text([""] * len(task.captions))
    if channels:
        told = Region(task.images, task.keep).channels(len(task.captions), torch.device("cpu"))
        given, null = given.with_channels(told), null.with_channels(told)
    denoise = stage.denoiser.denoise
    sources = Sources(denoise(given), denoise(concatenate([given, null])))
    return compose(sources, parse_guidance(guidance), stage.recipe.schedule)


def painted(generator: DiffusionGenerator, task: Task, method: str, seeds: tuple[int, ...], guidance: float) -> Tensor:
    """The pictures with their holes painted, known pixels pasted back, [N, 4, S, S]."""
    stage = generator.stages[0]
    recipe, size = stage.recipe, task.images.shape[-1]
    channels = method in ("channels", "channels alone")
    denoise = denoiser_of(stage, task, guidance, channels)
    if method in ("channels alone", "blend alone"):  # as diffusers does with and without mask channels
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = torch.stack([torch.randn(task.images.shape[1:], generator=rng) for rng in rngs])
        sampler = SAMPLERS[recipe.sampling.sampler]
        if method == "blend alone":
            sampler = replacing(blended_only)(sampler, Known(task.images, task.keep, noise))
        made = sampler(denoise, noise, time_grid(recipe.sampling.steps), recipe.schedule)
    else:
        region = Region(task.images, task.keep, method)
        plan = Walk(seeds, size, recipe.sampling.sampler, recipe.sampling.steps, region)
        made = walk(recipe, denoise, plan, torch.device("cpu"))
    made = made.float()
    if method not in ("channels alone", "blend alone"):  # the step at the border is taken away, as the product does
        windows = zip(made.numpy(), task.images.numpy(), task.keep[:, 0].numpy(), strict=True)
        made = torch.from_numpy(np.stack([met(*each) for each in windows]))
    return torch.where(task.keep == 1, task.images, made)


def part_of(task: Task, rows: slice) -> Task:
    """Some of the pictures."""
    return Task(task.images[rows], task.captions[rows], task.styles[rows], task.concepts[rows], task.keep[rows])


def mean_filled(task: Task) -> Tensor:
    """The hole in the mean colour of what is known."""
    total = (task.images * task.keep).sum((2, 3), keepdim=True)
    return torch.where(task.keep == 1, task.images, total / task.keep.sum((2, 3), keepdim=True).clamp_min(1))


def copied(task: Task, train: Tensor) -> Tensor:
    """The hole of the training picture that is nearest where the picture is known."""
    weights = task.keep.expand_as(task.images).flatten(1)
    flat, rows = task.images.flatten(1), train.flatten(1)
    far = (weights * flat.square()).sum(1)[:, None] - 2 * (weights * flat) @ rows.T + weights @ rows.square().T
    return torch.where(task.keep == 1, task.images, train[far.argmin(1)])


def figures(pictures: Tensor, task: Task, judge: Judge, others: Distractors, seed: int) -> dict[str, Metric]:
    """Everything that is measured of one method and one seed."""
    keep = task.keep[:, 0].numpy()
    embedded, texts = judge.image_embeddings(pictures), judge.text_embeddings(task.captions)
    return {
        "hole error": hole_error(pictures.numpy(), task.images.numpy(), keep, seed),
        "seam": seam(pictures.numpy(), task.images.numpy(), keep, seed),
        "judge": r_precision(embedded, texts, task.concepts, judge.space, others),
    }


def distractors(images, judge: Judge) -> Distractors:
    """The names of all concepts that were not trained on."""
    names = {images.items[i].concept: images.items[i].captions[0] for i in images.split("unseen-concepts")}
    return Distractors(judge.text_embeddings(list(names.values())), list(names))


def known_pixels(model: DiffusionGenerator, count: int) -> int:
    """How many bytes of known pixels differ, over so many random masks, every method and every mode of picture."""
    differing = 0
    for number in range(count):
        rng = np.random.default_rng(number)
        width, height = rng.integers(8, 80, 2)
        colours = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
        if number % 2:
            colours[..., 3] = 255
        holes = rng.random((height, width)) < rng.uniform(0.1, 0.9)
        holes[0, 0], holes[-1, -1] = True, False
        mask = Image.from_uint8(np.where(holes, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2))
        image = Image.from_uint8(colours)
        method = ("channels", "keep", "repaint", "langevin", "differential")[number % 5]
        edit = text2x.Inpainting(image, mask, method=method, rounds=1 if method in COSTLY else None)
        request = text2x.ImageRequest("a red apple", seed=number, steps=1, edit=edit)
        made = model.generate(request)[0].media
        differing += int((made.to_uint8()[~holes] != image.to_uint8()[~holes]).sum())
    return differing


def measured(
    arguments: argparse.Namespace,
) -> tuple[dict[str, list[dict[str, Metric]]], dict[str, float], list[Tensor]]:
    """Figures by method and seed, seconds a picture, and the first seed's pictures for a sheet."""
    images, generator = load_data("emoji"), text2x.load(arguments.model)
    assert isinstance(generator, DiffusionGenerator)
    judge = load_judge(arguments.judge)
    others = distractors(images, judge)
    size = generator.stages[0].recipe.size
    train = pixels_of(images, [int(i) for i in select(images, "train", generator.styles, ("flags",))], size)
    found: dict[str, list[dict[str, Metric]]] = {}
    seconds: dict[str, float] = {}
    shown: list[Tensor] = []
    for seed in range(arguments.seeds):
        task = task_of(images, generator.styles, arguments.pictures, size, seed)
        simple: dict[str, Callable[[], Tensor]] = {
            "real picture": lambda task=task: task.images,
            "mean of the known": partial(mean_filled, task),
            "nearest training picture": partial(copied, task, train),
        }
        for name, make in simple.items():
            found.setdefault(name, []).append(figures(make(), task, judge, others, seed))
        shown += [task.images, task.images * task.keep - (1 - task.keep)] if seed == 0 else []
        for method in arguments.methods:
            if method in COSTLY and seed >= arguments.costly_seeds:
                continue
            begin, made = time.perf_counter(), []
            for start in range(0, len(task.captions), TOGETHER):
                rows = slice(start, start + TOGETHER)
                part = part_of(task, rows)
                seeds = tuple(10_000 * seed + start + place for place in range(len(part.captions)))
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.bfloat16):
                    made.append(painted(generator, part, method, seeds, arguments.guidance))
            seconds[method] = (time.perf_counter() - begin) / len(task.captions)
            found.setdefault(method, []).append(figures(torch.cat(made), task, judge, others, seed))
            shown += [torch.cat(made)] if seed == 0 else []
            print(method, seed, {name: f"{each.value:.3f}" for name, each in found[method][-1].items()}, flush=True)
    return found, seconds, shown


def table(found: dict[str, list[dict[str, Metric]]], seconds: dict[str, float]) -> str:
    """Markdown: means over seeds, and from the lowest end of a seed's interval to the highest."""
    lines = [
        "| hole filled by | seeds | error in the hole | seam | judge, 1 of 100 | s a picture |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        cells = []
        for metric in ("hole error", "seam", "judge"):
            values = [run[metric].value for run in runs]
            low, high = min(run[metric].low for run in runs), max(run[metric].high for run in runs)
            cells.append(f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})")
        cost = f"{seconds[name]:.2f}" if name in seconds else ""
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {cost} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--judge", type=Path, default=shipped_folder() / "emoji-judge")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--costly-seeds", type=int, default=3, help="seeds for repaint and langevin")
    parser.add_argument("--masks", type=int, default=200, help="random masks of the test of known pixels")
    parser.add_argument("--guidance", type=float, default=PAINTING_GUIDANCE)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    # differential is keep where a mask is black and white
    methods = ["channels", "keep", "repaint", "langevin", "channels alone", "blend alone"]
    parser.add_argument("--methods", nargs="*", default=methods)
    arguments = parser.parse_args()
    model = text2x.load(arguments.model)
    assert isinstance(model, DiffusionGenerator)
    print(f"{known_pixels(model, arguments.masks)} bytes of known pixels differ over {arguments.masks} random masks")
    found, seconds, shown = measured(arguments)
    print(table(found, seconds))
    if arguments.json:
        figures_of = {name: {str(seed): run for seed, run in enumerate(runs)} for name, runs in found.items()}
        arguments.json.write_text(json.dumps({"figures": to_json(figures_of), "seconds": seconds}, indent=1) + "\n")
    if arguments.sheet:
        rows = [Image(each[place].numpy()) for place in range(0, min(48, arguments.pictures), 3) for each in shown]
        contact_sheet(rows, columns=len(shown), scale=2, background="checkerboard").save(arguments.sheet)


if __name__ == "__main__":
    main()
