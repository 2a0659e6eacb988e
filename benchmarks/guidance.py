"""Text agreement, diversity and fidelity under every form of guidance, at several scales: the trade-off curves.

Names of concepts by the hash of their slug, half of them trained and half held out, a few seeds each, at the base's
size. Agreement: R-precision at 1 of 100 by the judge, which guided nothing. Diversity: mean distance between pictures
of one prompt in the judge's space. Fidelity: kernel distance to real pictures of the same styles, in the space of
published ImageNet features. Needs the data set. Prints Markdown; --json FILE keeps every figure; --plot FILE draws the
curves; --forms FILE draws one prompt under each form.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import text2x
from text2x.data import load as load_data
from text2x.data.batches import select
from text2x.data.imageset import ImageSet
from text2x.errors import InputError
from text2x.generators import DiffusionGenerator
from text2x.guides import Judge, load_judge
from text2x.library import shipped_folder
from text2x.media import contact_sheet
from text2x.metrics.agreement import Distractors, r_precision
from text2x.metrics.distances import kernel_distance
from text2x.metrics.diversity import diversity
from text2x.metrics.features import FeatureSpace, efficientnet_lite0, pixels
from text2x.metrics.metric import Metric, to_json

FORMS = {  # name -> how a scale is written
    "cfg": "cfg:{}",
    "cfg, t 0.1 to 0.8": "cfg:{},interval=0.1-0.8",
    "cfg, rescale 0.7": "cfg:{},rescale=0.7",
    "apg": "apg:{}",
    "auto": "auto:{}",
    "classifier": "classifier:{}",
    "clip": "clip:{}",
    "classifier, no words": "cfg:0+classifier:{}",
    "clip, no words": "cfg:0+clip:{}",
}
SCALES = (1, 2, 4, 8)
OFF_AT_1 = ("cfg", "cfg, t 0.1 to 0.8", "cfg, rescale 0.7", "apg", "auto")  # 1 is the prompt's own estimate
EXAMPLE = "a slice of pizza"


@dataclass(frozen=True)
class Asked:
    """Prompts and the concepts that they name; trained says which were trained on."""

    prompts: tuple[str, ...]
    concepts: tuple[str, ...]
    trained: tuple[bool, ...]


def asked_of(images: ImageSet, styles: tuple[str, ...], count: int) -> Asked:
    """`count` names, half trained and half held out, in the order of their hashes."""
    chosen: list[tuple[str, str, bool]] = []
    for split in ("train", "unseen-concepts"):
        names = {}
        for index in select(images, split, styles, ("flags",)):
            item = images.items[index]
            names.setdefault(item.concept, item.captions[0])
        order = sorted(names, key=lambda concept: hashlib.sha256(concept.encode()).hexdigest())
        chosen += [(names[concept], concept, split == "train") for concept in order[: count // 2]]
    prompts, concepts, trained = zip(*chosen, strict=True)
    return Asked(prompts, concepts, trained)


def settings() -> Iterator[tuple[str, float, str]]:
    """Form, scale and what is written for it."""
    yield "none", 1, "none"
    for name, written in FORMS.items():
        for scale in SCALES:
            if scale != 1 or name not in OFF_AT_1:
                yield name, scale, written.format(scale)


def made(generator: DiffusionGenerator, asked: Asked, guidance: str, seeds: int, bfloat16: bool) -> Tensor:
    """[prompts * seeds, 4, S, S], the pictures of one prompt together."""
    size = generator.stages[0].recipe.size
    pictures = []
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for number, prompt in enumerate(asked.prompts):
            request = text2x.ImageRequest(prompt, count=seeds, seed=100 * number, size=size, guidance=guidance)
            pictures += [result.media.tensor() for result in generator.generate(request)]
    return torch.stack(pictures)


def space_of() -> FeatureSpace:
    """Published ImageNet features if they are installed, else pixels."""
    try:
        return efficientnet_lite0()
    except InputError as error:
        print(f"fidelity is measured in pixels: {error}")
        return pixels()


@dataclass(frozen=True)
class Measures:
    """What pictures are measured by."""

    judge: Judge
    others: Distractors
    space: FeatureSpace
    real: np.ndarray  # [N, D] features of real pictures

    def of(self, pictures: Tensor, asked: Asked, seeds: int) -> dict[str, Metric]:
        """All figures of the pictures of one setting."""
        texts = self.judge.text_embeddings(asked.prompts).repeat_interleave(seeds, 0)
        embedded = self.judge.image_embeddings(pictures)
        concepts = [concept for concept in asked.concepts for _ in range(seeds)]
        trained = torch.tensor(asked.trained).repeat_interleave(seeds)
        figures = {}
        for part, rows in (("trained", trained), ("held out", ~trained)):
            own = [concept for concept, chosen in zip(concepts, rows.tolist(), strict=True) if chosen]
            figures[f"agreement, {part}"] = r_precision(embedded[rows], texts[rows], own, self.judge.space, self.others)
        figures["diversity"] = diversity(embedded, concepts, self.judge.space)
        figures["fidelity"] = kernel_distance(self.space(pictures), self.real, self.space.name)
        return figures


def measures_of(images: ImageSet, styles: tuple[str, ...], judge: Judge, size: int) -> Measures:
    """The judge, all concepts' names to tell a prompt from, and features of 1,000 real pictures."""
    names = {item.concept: item.captions[0] for item in images.items if item.group != "flags"}
    space = space_of()
    real = real_pixels(images, [int(i) for i in select(images, "train", styles, ("flags",))[::3]], size)
    return Measures(judge, Distractors(judge.text_embeddings(list(names.values())), list(names)), space, space(real))


def real_pixels(images: ImageSet, indexes: list[int], size: int) -> Tensor:
    """[N, 4, size, size] in [-1, 1], averaged down."""
    stored = torch.from_numpy(np.stack([images.images[i] for i in indexes])).float() / 127.5 - 1
    return torch.nn.functional.avg_pool2d(stored, stored.shape[-1] // size)


def companions(images: ImageSet, styles: tuple[str, ...], asked: Asked, measures: Measures, size: int) -> dict:
    """The ceiling: real pictures of the same concepts, two each; the floor: noise."""
    wanted = dict.fromkeys(asked.concepts, ())
    found: dict[str, list[int]] = {concept: [] for concept in wanted}
    for index, item in enumerate(images.items):
        if item.concept in found and item.style in styles and len(found[item.concept]) < 2:
            found[item.concept].append(index)
    both = [number for number, concept in enumerate(asked.concepts) if len(found[concept]) == 2]
    part = Asked(*(tuple(each[number] for number in both) for each in (asked.prompts, asked.concepts, asked.trained)))
    real = real_pixels(images, [index for concept in part.concepts for index in found[concept]], size)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    return {"real pictures": measures.of(real, part, 2), "noise": measures.of(noise, part, 2)}


def draw(found: dict[str, dict[float, dict[str, Metric]]], path: Path) -> None:
    """Agreement against diversity and against fidelity, a curve a form."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for axis, other in zip(axes, ("diversity", "fidelity"), strict=True):
        for name, by_scale in found.items():
            if name in ("real pictures", "noise"):
                continue
            across = [each[other].value for each in by_scale.values()]
            along = [each["agreement, trained"].value for each in by_scale.values()]
            axis.plot(across, along, "o-" if len(across) > 1 else "k*", markersize=4, linewidth=1, label=name)
            for scale, x, y in zip(by_scale, across, along, strict=True):
                axis.annotate(f"{scale:g}", (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
        axis.set_xlabel("diversity (more is better)" if other == "diversity" else "kernel distance (less is better)")
        axis.set_ylabel("text agreement, 1 of 100, trained names")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=90)


def draw_forms(generator: DiffusionGenerator, path: Path) -> None:
    """One prompt and three seeds under each form at a usual scale."""
    usual = [
        "none", "cfg:3", "cfg:3,interval=0.1-0.8", "cfg:6,rescale=0.7", "apg:5", "auto:2", "classifier:4", "clip:4",
        "cfg:0+classifier:8", "cfg:0+clip:8",
    ]  # fmt: skip
    tiles, labels = [], []
    for seed in range(3):
        for guidance in usual:
            tiles.append(generator.generate(text2x.ImageRequest(EXAMPLE, seed=seed, guidance=guidance))[0].media)
            labels.append(guidance)
    contact_sheet(tiles, columns=len(usual), labels=labels).save(path)


def row(name: str, scale: float, figures: dict[str, Metric], seconds: float | None) -> str:
    """A line of the table."""
    cells = [f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})" for each in figures.values()]
    return f"| {name} | {scale:g} | {' | '.join(cells)} | {'' if seconds is None else f'{seconds:.2f}'} |"


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--judge", type=Path, default=shipped_folder() / "emoji-judge")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--forms", type=Path)
    arguments = parser.parse_args()
    model = text2x.load(arguments.model)
    assert isinstance(model, DiffusionGenerator)
    generator = DiffusionGenerator(model.model, model.stages, "cpu", model.leaders, together=arguments.seeds)
    size, images = generator.stages[0].recipe.size, load_data("emoji")
    asked = asked_of(images, generator.styles, arguments.prompts)
    measures = measures_of(images, generator.styles, load_judge(arguments.judge), size)
    found: dict[str, dict[float, dict[str, Metric]]] = {}
    for name, figures in companions(images, generator.styles, asked, measures, size).items():
        found[name] = {1: figures}
        print(row(name, 1, figures, None), flush=True)
    for name, scale, guidance in settings():
        begin = time.perf_counter()
        pictures = made(generator, asked, guidance, arguments.seeds, arguments.bfloat16)
        seconds = (time.perf_counter() - begin) / len(pictures)
        found.setdefault(name, {})[scale] = measures.of(pictures, asked, arguments.seeds)
        print(row(name, scale, found[name][scale], seconds), flush=True)
        if arguments.json:
            named = {form: {str(scale): each for scale, each in runs.items()} for form, runs in found.items()}
            arguments.json.write_text(json.dumps(to_json(named), indent=1) + "\n")
    if arguments.plot:
        draw(found, arguments.plot)
    if arguments.forms:
        draw_forms(model, arguments.forms)


if __name__ == "__main__":
    main()
