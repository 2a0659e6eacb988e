"""What pictures are measured by: feature spaces, the judge, a classifier, sentences; and why one is not there.

Sentence vectors of all texts are made once and shared by whatever reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from text2x.data.batches import select
from text2x.data.clipset import ClipSet
from text2x.data.imageset import SPLITS, ImageSet, Split
from text2x.errors import InputError
from text2x.evaluating.asking import Subject
from text2x.guides import ClassifierGuide, Judge, load_classifier, load_judge
from text2x.library import shipped_folder
from text2x.metrics.bench import bench
from text2x.metrics.companions import Sentences
from text2x.metrics.features import FeatureSpace, efficientnet_lite0, pixels
from text2x.metrics.pictures import Pictures, real_pictures
from text2x.recipe import GuideRecipe
from text2x.recipes.guide_running import StoredText
from text2x.text_conditioner import FrozenText, MiniLMConfig, MiniLMText

JUDGE, GUIDES = "emoji-judge", "emoji-guides"  # shipped
STILLS = {"animated-emoji": "emoji"}  # sets of clips, and of pictures of the same concepts that are parted alike
PIXELS = 32  # side at which pixels themselves are compared


@dataclass(frozen=True, eq=False)
class Instruments:
    """All that measures, and what is not there, with the reason. The first space is the best one there is."""

    spaces: tuple[FeatureSpace, ...]
    judge: Judge | None = None
    classifier: ClassifierGuide | None = None
    sentences: Sentences | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Texts:
    """Sentence vectors [D] by text, made where they are missing."""

    encoder: FrozenText
    table: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to [N, D]."""
        return torch.stack([pooled for _, pooled in self.reader().encode(list(prompts))])

    def reader(self) -> StoredText:
        """What a judge or a classifier reads prompts with."""
        return StoredText(self.encoder, self.table)

    def learn(self, texts: Sequence[str]) -> None:
        """Encode the texts that are not known yet."""
        missing = [each for each in dict.fromkeys(texts) if each not in self.table]
        made = self.encoder.encode(missing) if missing else []
        self.table.update(zip(missing, (pooled for _, pooled in made), strict=True))


def instruments_of(images: ImageSet, judge: Path | None = None, device: str = "cpu") -> Instruments:
    """Whatever there is to measure pictures of the data set by.

    `judge` is a folder, whose faults raise InputError; None: the shipped judge, if it was trained on this data set.
    """
    left_out: list[str] = []
    spaces: list[FeatureSpace] = []
    try:
        spaces.append(efficientnet_lite0(device=device))
    except InputError as reason:
        left_out.append(f"figures in EfficientNet-Lite0's space: {reason}")
    texts = _texts(images, left_out, benched=True)
    found_judge = _judge(images, judge, texts, device, left_out)
    if found_judge is not None:
        spaces.append(FeatureSpace(found_judge.space, found_judge.image_embeddings))
    spaces.append(pixels(PIXELS))
    classifier = _classifier(images, texts, device, left_out)
    remembered = tuple(_remembering(space) for space in spaces)
    return Instruments(remembered, found_judge, classifier, texts, tuple(left_out))


def clip_instruments(clips: ClipSet, judge: Path | None = None, device: str = "cpu") -> Instruments:
    """Whatever there is to measure frames of clips by, as `instruments_of`; nothing is asked of a classifier.

    The shipped judge of emoji judges animated ones too: what is held out of the one set is held out of the other.
    """
    left_out: list[str] = []
    try:
        space = efficientnet_lite0(device=device)
    except InputError as reason:
        left_out.append(f"pictures in EfficientNet-Lite0's space: {reason}")
        space = pixels(PIXELS)
    texts = _texts(clips, left_out)
    found_judge = _judge(clips, judge, texts, device, left_out)
    return Instruments((_remembering(space),), found_judge, None, texts, tuple(left_out))


def real_parts(images: ImageSet, subject: Subject, size: int) -> dict[Split, Pictures]:
    """Real pictures of each part that there is, of the model's styles and without groups that it was not trained on."""
    parts: dict[Split, Pictures] = {}
    for part in SPLITS:
        try:
            every = select(images, part, subject.styles)
            kept = np.flatnonzero(np.isin(every, select(images, part, subject.styles, subject.groups)))
        except InputError:
            continue
        parts[part] = real_pictures(images, part, size, subject.styles).take(kept)
    return parts


def _texts(images: ImageSet | ClipSet, left_out: list[str], benched: bool = False) -> _Texts | None:
    """Sentence vectors of the plain names, and of the bench."""
    try:
        texts = _Texts(MiniLMText(MiniLMConfig(context=False)))
    except InputError as reason:
        left_out.append(f"retrieval, the judge and the classifier: {reason}")
        return None
    texts.learn([item.captions[0] for item in images.items])
    if benched:
        texts.learn([text for each in bench() for text in (each.prompt, each.means, each.absent) if text])
    return texts


def _judge(
    images: ImageSet | ClipSet, folder: Path | None, texts: _Texts | None, device: str, left_out: list[str]
) -> Judge | None:
    if folder is not None:
        return load_judge(folder, device, texts.reader() if texts else None)
    place = shipped_folder() / JUDGE
    if texts is None:
        return None
    if not (place / "recipe.json").is_file():
        left_out.append("R-precision and figures in a judge's space: no judge is shipped; train one with `text2x train "
                        "judge` and give --judge runs/judge")  # fmt: skip
        return None
    judge = load_judge(place, device, texts.reader())
    return judge if _of(judge.recipe, images, "R-precision", "--judge DIR", left_out) else None


def _classifier(images: ImageSet, texts: _Texts | None, device: str, left_out: list[str]) -> ClassifierGuide | None:
    place = shipped_folder() / GUIDES
    if texts is None:
        return None
    if not (place / "recipe.json").is_file():
        left_out.append("accuracy of a classifier: no classifier is shipped")
        return None
    classifier = load_classifier(place, device, texts.reader())
    return classifier if _of(classifier.recipe, images, "accuracy of a classifier", "", left_out) else None


def _of(recipe: GuideRecipe, images: ImageSet | ClipSet, figure: str, option: str, left_out: list[str]) -> bool:
    """Whether a network was trained on this data set, or its pictures; if not, that is said."""
    if recipe.data_set in (images.name, STILLS.get(images.name)):
        return True
    way_out = f"; give one that was with {option}" if option else ""
    left_out.append(f"{figure}: {recipe.name} was trained on {recipe.data_set}, not on {images.name}{way_out}")
    return False


def _remembering(space: FeatureSpace) -> FeatureSpace:
    """The same space, which describes no part of the same pictures twice."""
    known: dict[bytes, Tensor] = {}

    def describe(images: Tensor) -> Tensor:
        key = hashlib.blake2b(images.contiguous().numpy().tobytes(), digest_size=16).digest()
        if key not in known:
            known[key] = space.describe(images).float().cpu()
        return known[key]

    return FeatureSpace(space.name, describe)
