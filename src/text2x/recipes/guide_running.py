"""Runs a guide's recipe: data and labels, sentence vectors made once, network and objective, held-out figures."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioner
from text2x.data import load as load_data
from text2x.data.batches import Batch, ImageBatches, select
from text2x.data.imageset import ImageSet, Split
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import load_tensors, save_tensors
from text2x.guides import ClassifierGuide, CLIPGuide, Judge
from text2x.networks.classifier import Classifier, ClassifierConfig
from text2x.networks.clip import CLIP
from text2x.networks.sentence_encoder import MINILM_SHA256
from text2x.objectives import Classification, Contrastive, Labels
from text2x.recipe import ClassificationConfig, ContrastiveConfig, GuideRecipe, build_guide
from text2x.text_conditioner import Encoded, FrozenText, MiniLMText, TextConditioner

HELD_OUT_ITEMS = 512
SENTENCES = "sentences.safetensors"  # in the data set's folder


@dataclass(frozen=True)
class GuideRun:
    """A guide's recipe with its data; makes what a trainer needs."""

    recipe: GuideRecipe
    images: ImageSet
    text: Conditioner
    labels: Labels
    trainable: nn.Module
    objective: Classification | Contrastive
    batches: ImageBatches
    held_out: tuple[Batch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """Held-out figures: of a classifier on unseen pairs of concept and style, of a CLIP on unseen concepts."""
        if not self.held_out:
            return {}
        objective = _objective(self.recipe, trainable, self.text, self.labels, self.device)
        return objective.held_out(self.held_out, seed=self.recipe.training.seed)


def prepare_guide_run(recipe: GuideRecipe, device: str = "cpu", data_root: Path | None = None) -> GuideRun:
    """Load the data, find the classes, encode the captions, and make the network from the recipe's seed."""
    images = shapes() if recipe.data_set == "shapes" else load_data(recipe.data_set, root=data_root)
    recipe = fitted(recipe, images)
    labels = labels_of(recipe, images)
    text = TextConditioner(recipe.conditioner, StoredText(MiniLMText(recipe.conditioner), sentences(images, recipe)))
    torch.manual_seed(recipe.training.seed)
    trainable = build_guide(recipe)
    if isinstance(trainable, Classifier):
        vectors = text(recipe.classes).vector
        assert vectors is not None
        trainable.class_vectors.copy_(vectors)
    trainable = trainable.to(device)
    objective = _objective(recipe, trainable, text, labels, device)
    batches = ImageBatches(images, recipe.data)
    held_out = _held_out(recipe, images, labels)
    return GuideRun(recipe, images, text, labels, trainable, objective, batches, held_out, device)


def fitted(recipe: GuideRecipe, images: ImageSet) -> GuideRecipe:
    """The recipe with the data's classes and styles."""
    groups = {item.group for item in images.items}
    data = recipe.data
    if not set(data.styles) <= set(images.styles) or not set(data.exclude_groups) <= groups:
        data = replace(data, styles=(), exclude_groups=())
    network, conditioner = recipe.network, recipe.conditioner
    if isinstance(network, ClassifierConfig):
        shown = [images.items[i] for i in select(images, data.split, data.styles, data.exclude_groups)]
        classes = tuple(dict.fromkeys(item.captions[0] for item in shown))
        kinds = tuple(dict.fromkeys(item.group for item in shown))
        network = replace(network, num_classes=len(classes), num_groups=len(kinds))
        return replace(recipe, data=data, network=network, classes=classes, groups=kinds)
    if not set(data.styles or images.styles) <= set(conditioner.styles):
        more = len(images.styles) - len(conditioner.styles)
        network = replace(network, vector_width=network.vector_width + more)
        conditioner = replace(conditioner, styles=images.styles)
    return replace(recipe, data=data, network=network, conditioner=conditioner)


def labels_of(recipe: GuideRecipe, images: ImageSet) -> Labels:
    """A classifier's own classes, or else the concepts."""
    names = tuple(item.captions[0] for item in images.items)
    keys = names if recipe.classes else tuple(item.concept for item in images.items)
    known = recipe.classes or tuple(dict.fromkeys(keys))
    groups = recipe.groups or tuple(dict.fromkeys(item.group for item in images.items))
    return Labels(
        _places(keys, known),
        _places([item.group for item in images.items], groups),
        tuple(item.style for item in images.items),
        names,
    )


def _places(keys: Sequence[str], known: Sequence[str]) -> Tensor:
    place = {key: at for at, key in enumerate(known)}
    return torch.tensor([place.get(key, -1) for key in keys])


def _objective(
    recipe: GuideRecipe, network: nn.Module, text: Conditioner, labels: Labels, device: str
) -> Classification | Contrastive:
    if isinstance(network, Classifier) and isinstance(recipe.objective, ClassificationConfig):
        return Classification(network, labels, recipe.objective, device)
    if isinstance(network, CLIP) and isinstance(recipe.objective, ContrastiveConfig):
        return Contrastive(network, text, labels, recipe.objective, device)
    names = f"{type(recipe.objective).__name__} and {type(recipe.network).__name__}"
    raise InputError(f"the recipe {recipe.name!r} has {names}, which do not fit; a classifier needs classification")


def _held_out(
    recipe: GuideRecipe, images: ImageSet, labels: Labels, split: Split | None = None, most: int = HELD_OUT_ITEMS
) -> tuple[Batch, ...]:
    """Up to `most` held-out pictures, each once, unchanged; none where the set has none."""
    split = split or ("unseen-pairs" if recipe.classes else "unseen-concepts")
    try:
        found = len(select(images, split, recipe.data.styles, recipe.data.exclude_groups))
    except InputError:
        return ()
    size = min(recipe.data.batch_size, found)
    plain = replace(
        recipe.data, split=split, batch_size=size, plain_caption=1.0, caption_drop=0.0, style_drop=0.0,
        augment_probability=0.0, mirror=False,
    )  # fmt: skip
    batches = ImageBatches(images, plain)
    made = (batches.batch_at(step) for step in range(min(found, most) // size))
    known = (_chosen(batch, labels.classes[batch.items] >= 0) for batch in made)
    return tuple(batch for batch in known if len(batch.images))


def figures(guide: ClassifierGuide | CLIPGuide | Judge, images: ImageSet, split: Split) -> dict[str, float]:
    """A trained guide's figures by noise level on a whole held-out part but the rest of a batch, and "count" pictures.

    Accuracies of a classifier, of its own classes; R-precision of a CLIP or judge. A part without pictures gives {}.
    """
    recipe = guide.recipe
    labels = labels_of(recipe, images)
    batches = _held_out(recipe, images, labels, split, most=len(images))
    if not batches:
        return {}
    objective = _objective(recipe, guide.network, guide.text, labels, "cpu")
    count = sum(len(batch.images) for batch in batches)
    return {"count": count, **objective.held_out(batches, seed=recipe.training.seed)}


def _chosen(batch: Batch, rows: Tensor) -> Batch:
    places = rows.nonzero()[:, 0].tolist()
    return Batch(
        batch.images[rows],
        tuple(batch.captions[place] for place in places),
        tuple(batch.styles[place] for place in places),
        None if batch.augmentations is None else batch.augmentations[rows],
        batch.items[rows],
    )


class StoredText:
    """A frozen encoder whose sentence vectors of known captions are taken from a table; token states are left out."""

    def __init__(self, encoder: FrozenText, table: dict[str, Tensor]) -> None:
        self.encoder, self.table, self.width = encoder, table, encoder.width

    def encode(self, prompts: Sequence[str]) -> list[Encoded]:
        """Known ones from the table, the others by the encoder."""
        missing = [prompt for prompt in prompts if prompt not in self.table]
        made = dict(zip(missing, self.encoder.encode(missing), strict=True)) if missing else {}
        none = torch.zeros(0, self.width)
        return [made[prompt] if prompt in made else (none, self.table[prompt]) for prompt in prompts]

    def truncated(self, prompt: str) -> str | None:
        """As the encoder."""
        return self.encoder.truncated(prompt)


def sentences(images: ImageSet, recipe: GuideRecipe) -> dict[str, Tensor]:
    """Sentence vectors of all captions, kept in the set's folder; a set that was never saved has none."""
    if images.folder is None:
        return {}
    captions = list(dict.fromkeys(caption for item in images.items for caption in item.captions))
    about = "\n".join([MINILM_SHA256["model.safetensors"], str(recipe.conditioner.max_tokens), *captions])
    key = hashlib.sha256(about.encode()).hexdigest()
    path = images.folder / SENTENCES
    try:
        vectors = load_tensors(path)[key]
    except (InputError, KeyError):
        print(f"encoding {len(captions):,} captions, once for this data set", flush=True)
        encoder = MiniLMText(recipe.conditioner)
        vectors = torch.stack([pooled for _, pooled in encoder.encode(captions)])
        with contextlib.suppress(InputError):  # a folder that cannot be written: encoded again next time
            save_tensors(path, {key: vectors})
    return dict(zip(captions, vectors, strict=True))
