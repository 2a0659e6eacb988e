"""What is asked of a model: names of concepts drawn by hash from each part of the data, the same for every model.

Item j of a prompt has the seed of the prompt plus j, so that two models that know the same styles are asked the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from text2x.data import load as load_data
from text2x.data.batches import BatchConfig, select
from text2x.data.imageset import SPLITS, ImageSet, Split, hash_unit
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.gan_generator import GANGenerator
from text2x.generators import DiffusionGenerator
from text2x.media import Image
from text2x.metrics.pictures import Pictures
from text2x.requests import Generator, ImageRequest

SEEDS_APART = 100  # between the first seeds of two prompts, and most pictures a prompt
MOST_TOGETHER = 16  # pictures of one prompt that go through a network at once on a CPU

Tell = Callable[[str, int, int], None]  # what is being done, how much of it is ready, how much there is


@dataclass(frozen=True)
class Subject:
    """A model that is evaluated: its generator, and the part of the data that it was made for."""

    name: str
    generator: Generator
    size: int  # pixels a side, unless another is asked for
    styles: tuple[str, ...]  # of the data, that it was trained on and can be asked for; () for none
    groups: tuple[str, ...]  # of the data, that it was not trained on
    data: BatchConfig | None  # of its training


@dataclass(frozen=True)
class Asked:
    """One request each: the prompt, the concept that it names, its part of the data, and the style, if one is named."""

    prompts: tuple[str, ...]
    concepts: tuple[str, ...]
    parts: tuple[Split, ...]
    styles: tuple[str | None, ...]
    missing: tuple[str, ...] = ()  # parts that are not there, or smaller than was asked for, with the reason

    def __len__(self) -> int:
        return len(self.prompts)


def data_set(name: str, root: Path | None = None) -> ImageSet:
    """A prepared data set by its name or folder, or the drawn `shapes`; an unknown one raises InputError."""
    if name == "moving-shapes":
        raise InputError(f"the data set {name!r} holds clips and no pictures; give one that does, as --data shapes")
    return shapes() if name == "shapes" else load_data(name, root)


def subject_of(name: str, generator: Generator, images: ImageSet) -> Subject:
    """What a generator was trained for, as far as the data set has it."""
    data, size, known = None, None, ()
    if isinstance(generator, DiffusionGenerator):
        data, size, known = generator.stages[0].recipe.data, generator.model.size, generator.styles
    elif isinstance(generator, GANGenerator):
        data, size, known = generator.model.recipe.data, generator.model.size, generator.styles
    wanted = (data.styles if data is not None else ()) or known
    styles = tuple(each for each in images.styles if each in wanted and each in known)
    groups = {item.group for item in images.items}
    excluded = () if data is None else tuple(each for each in data.exclude_groups if each in groups)
    return Subject(name, generator, min(size or images.size, images.size), styles, excluded, data)


def asked_of(images: ImageSet, subject: Subject, count: int) -> Asked:
    """Up to `count` concepts of each part in the order of their hashes, each by the plain name of one drawing.

    A part that is empty or has fewer is told in `missing`; a data set with no part at all raises InputError.
    """
    rows: list[tuple[str, str, Split, str | None]] = []
    missing = []
    for part in SPLITS:
        try:
            found = select(images, part, subject.styles, subject.groups)
        except InputError as reason:
            missing.append(f"{part}: {reason}")
            continue
        first: dict[str, int] = {}
        for index in sorted(found, key=lambda each: hash_unit(f"asked:{images.items[each].key}")):
            first.setdefault(images.items[index].concept, int(index))
        order = sorted(first, key=lambda concept: hash_unit(f"asked:{concept}"))
        if len(order) < count:
            missing.append(f"{part}: {count} concepts were asked for, it has {len(order)}")
        for concept in order[:count]:
            item = images.items[first[concept]]
            rows.append((item.captions[0], concept, part, item.style if subject.styles else None))
    if not rows:
        raise InputError(f"the data set {images.name!r} has no part to evaluate on: {'; '.join(missing)}")
    return Asked(*(tuple(column) for column in zip(*rows, strict=True)), tuple(missing))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a model drew, a prompt's pictures one after the other, with the seconds a picture and the warnings."""

    pictures: Pictures
    seconds: float
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]


def drawn(
    subject: Subject,
    asked: Asked,
    seeds: int,
    size: int | None = None,
    fast: bool = False,
    options: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Drawn:
    """`seeds` pictures of each prompt; `fast` computes in bfloat16, `options` are further fields of the requests."""
    if not 1 <= seeds <= SEEDS_APART:
        raise InputError(f"seeds is {seeds}; take 1 to {SEEDS_APART} pictures a prompt")
    size = size or subject.size
    generator = _together(subject.generator, seeds)
    images, warnings, settings = [], {}, {}
    begin = time.perf_counter()
    with precision(generator, fast):
        for place, (prompt, style) in enumerate(zip(asked.prompts, asked.styles, strict=True)):
            seed = SEEDS_APART * place
            request = ImageRequest(prompt, count=seeds, seed=seed, size=size, style=style, **(options or {}))
            for result in generator.generate(request):
                images.append(_pixels(result.media, size, subject.name))
                warnings.update(dict.fromkeys(result.warnings))
                settings = settings or dict(result.settings)
            if tell is not None:
                tell(f"pictures by {subject.name}", place + 1, len(asked))
    seconds = (time.perf_counter() - begin) / max(1, len(images))
    texts = ([each for each in column for _ in range(seeds)] for column in (asked.prompts, asked.concepts, asked.parts))
    styles = tuple(each for each in asked.styles for _ in range(seeds))
    pictures = Pictures(torch.stack(images), *(tuple(column) for column in texts), styles)  # type: ignore[arg-type]
    used = {name: value for name, value in settings.items() if name not in ("prompt", "style", "size", "model")}
    return Drawn(pictures, seconds, tuple(warnings), used)


def _pixels(media: Any, size: int, name: str) -> torch.Tensor:
    """[4, size, size]."""
    if not isinstance(media, Image):
        raise InputError(
            f"{name} makes {type(media).__name__.lower()} and no pictures; give a model that makes pictures"
        )
    return (media if (media.width, media.height) == (size, size) else media.resize(size)).tensor()


def _together(generator: Generator, seeds: int) -> Generator:
    """The same model, with a prompt's pictures going through it together: faster on a CPU, equal but for last bits."""
    if not isinstance(generator, DiffusionGenerator) or generator.device.type != "cpu":
        return generator
    count = min(seeds, MOST_TOGETHER)
    return DiffusionGenerator(generator.model, generator.stages, "cpu", generator.leaders, count, generator.unclip)


def precision(generator: Any, fast: bool) -> AbstractContextManager[Any]:
    """Computing in bfloat16 where that is asked for and the device can, otherwise as it is."""
    kind = getattr(getattr(generator, "device", None), "type", "cpu")
    return torch.autocast(kind, torch.bfloat16) if fast and kind in ("cpu", "cuda") else nullcontext()


def training_batches(images: ImageSet, subject: Subject, part: Split, size: int, batch_size: int) -> BatchConfig:
    """Batches of a part as the model was trained on it, unchanged: plain names, no augmentation, nothing dropped."""
    data = subject.data or BatchConfig()
    return replace(
        data,
        split=part,
        batch_size=batch_size,
        size=size,
        seed=0,
        crop=None,
        styles=subject.styles,
        exclude_groups=subject.groups,
        plain_caption=1.0,
        caption_drop=0.0,
        style_drop=0.0 if subject.styles else 1.0,
        augment_probability=0.0,
        mirror=False,
    )
