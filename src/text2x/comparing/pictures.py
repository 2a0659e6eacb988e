"""Comparing methods that make pictures: what `running` and `report` ask of a medium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from text2x.adversarial import GANRecipe
from text2x.comparing.budgets import AnyRecipe
from text2x.comparing.claims import ComparisonSet, Method
from text2x.comparing.measuring import Yardstick, measured, paired_kernel_difference
from text2x.comparing.medium import Made, Medium
from text2x.comparing.systems import assembled
from text2x.comparing.verdicts import Values
from text2x.data.imageset import ImageSet
from text2x.errors import InputError
from text2x.evaluating import Subject, asked_of, data_set, drawn, instruments_of, real_parts, subject_of
from text2x.files import read_json
from text2x.gan_generator import build_gan_generator, is_gan
from text2x.media import Image, contact_sheet
from text2x.metrics.companions import mean_picture, noise, retrieved
from text2x.metrics.metric import Metric
from text2x.metrics.pictures import Pictures
from text2x.recipe import GuideRecipe, Recipe
from text2x.requests import Generator

SHEET_PROMPTS = 12
INTRODUCTION = """\
Each training had the same data and the same budget; methods with one training differ in how they sample. A guide is
trained with a budget of its own, which its method's training time includes. Agreement: the judge, a network that guided
nothing, finds the own prompt among 100. Fidelity: kernel distance to real pictures in the space named. Likeness:
distance to the nearest real picture of the same concept and style. Brackets hold 95 % intervals over prompts; verdicts
are on differences prompt by prompt, and no correction is made for there being several. Rows in italics are not methods:
other real pictures, the training picture of the nearest caption, the mean picture and noise.
"""


def _check(method: Method, recipes: Sequence[AnyRecipe]) -> None:
    own, *others = recipes
    if not isinstance(own, (Recipe, GANRecipe)):
        raise InputError(f"the recipe {method.recipe!r} makes no pictures, so it cannot be compared; name another")
    if not isinstance(own, GANRecipe) and own.low_resolution is not None:
        raise InputError(f"the recipe {method.recipe!r} reads no prompt, so it cannot be compared; name another")
    for guide in others[:1] if method.guide is not None else ():
        if not isinstance(guide, GuideRecipe) or guide.kind == "judge":
            raise InputError(f"the recipe {method.guide!r} guides nothing; the method {method.name!r} needs a guide")


def _generator(own: Path, others: Sequence[Path], device: str) -> Generator:
    values = read_json(own / "recipe.json")
    return build_gan_generator(values, own, device) if is_gan(values) else assembled(own, others, device)


def _yardstick(
    chosen: ComparisonSet, images: ImageSet, generators: Mapping[str, Any], judge: Path | None, device: str
) -> Yardstick:
    """By what all methods are measured: at the smallest size that all make, in the styles that all know."""
    subject = _common([subject_of(name, each, images) for name, each in generators.items()])
    asked = asked_of(images, subject, chosen.prompts)
    instruments = instruments_of(images, judge, device)
    real = real_parts(images, subject, subject.size)
    accuracy = "accuracy of a classifier"  # is not asked here
    left_out = (*(each for each in instruments.left_out if not each.startswith(accuracy)), *asked.missing)
    return Yardstick(asked, chosen.seeds, subject, real, instruments, left_out, chosen.fast)


def _common(subjects: list[Subject]) -> Subject:
    """What all methods were trained on, at the smallest of their sizes."""
    styles = tuple(each for each in subjects[0].styles if all(each in other.styles for other in subjects))
    groups = tuple(dict.fromkeys(group for each in subjects for group in each.groups))
    return replace(subjects[0], styles=styles, groups=groups, size=min(each.size for each in subjects))


def _draw(yard: Yardstick, name: str, generator: Generator, options: Mapping[str, Any]) -> Made:
    subject = replace(yard.subject, name=name, generator=generator)
    made = drawn(subject, yard.asked, yard.seeds, subject.size, yard.fast, options)
    levels = ((made.pictures.images + 1) * 127.5).round().to(torch.uint8)
    return Made(levels, made.seconds, made.settings)


def _pictures(levels: torch.Tensor) -> torch.Tensor:
    """[N, 4, S, S] in [-1, 1]."""
    return levels.float() / 127.5 - 1


def _measure(yard: Yardstick, levels: torch.Tensor) -> Values:
    return measured(yard, yard.empty().show(_pictures(levels)))


def _companions(yard: Yardstick) -> dict[str, Values]:
    """Real pictures, the retrieval, the mean picture and noise, measured as the methods are."""
    train = yard.real["train"]
    empty = yard.empty()
    sources: dict[str, Pictures] = {"real": yard.others()}
    if yard.instruments.sentences is not None:
        sources["retrieval"] = retrieved(empty, train, yard.instruments.sentences)
    sources |= {"mean picture": mean_picture(empty, train), "noise": noise(empty, 0)}
    return {name: measured(yard, pictures) for name, pictures in sources.items()}


def _difference(yard: Yardstick, measure: str, first: torch.Tensor, second: torch.Tensor) -> Metric:
    if measure != "fidelity":
        raise InputError(f"pictures have no {measure}; claim fidelity, likeness or agreement")
    return paired_kernel_difference(yard, _pictures(first), _pictures(second))


def _sheet(yard: Yardstick, levels: Mapping[str, torch.Tensor]) -> Image:
    """A row a prompt, a column a method, the first seed of each; prompts of every part in turn."""
    pictures = {name: _pictures(each) for name, each in levels.items()}
    asked = yard.asked
    by_part = [[row for row, each in enumerate(asked.parts) if each == part] for part in dict.fromkeys(asked.parts)]
    rows = [part[place] for place in range(SHEET_PROMPTS) for part in by_part if place < len(part)][:SHEET_PROMPTS]
    tiles = [Image(pictures[name][row * yard.seeds].numpy()) for row in rows for name in pictures]
    labels = [f"{name}: {asked.prompts[row]}" for row in rows for name in pictures]
    return contact_sheet(tiles, columns=len(pictures), labels=labels, scale=max(1, 96 // tiles[0].width))


PICTURES = Medium(
    noun="picture",
    file="pictures.safetensors",
    introduction=INTRODUCTION,
    figures={
        "agreement": "agreement: R-precision at 1 of 100 (more is better)",
        "fidelity": "fidelity: kernel distance (less is better)",
        "likeness": "likeness: distance to a real picture (less is better)",
        "diversity": "diversity: distance between seeds",
        "copies": "copies",
    },
    curves=("agreement", "likeness", "fidelity"),
    columns=lambda yard: f"fidelity, diversity and copies in {yard.instruments.spaces[0].name}",
    data_set=data_set,
    check=_check,
    generator=_generator,
    one_step=is_gan,
    yardstick=_yardstick,
    draw=_draw,
    measure=_measure,
    companions=_companions,
    difference=_difference,
    sheet=_sheet,
)
