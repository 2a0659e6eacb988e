"""Runs what learns from a CLIP's embeddings: finds the CLIP, embeds a data set once, puts a prior's run together."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from text2x.data import load as load_data
from text2x.data.batches import Batch, ImageBatches, resized
from text2x.data.imageset import ImageSet
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, save_tensors
from text2x.library import info
from text2x.objectives import ToldEmbeddings
from text2x.priors import PriorLoss, PriorNetwork, PriorRecipe, PriorText, build_prior, fit_prior
from text2x.recipe import Recipe, image_embedding_width
from text2x.recipes.guide_running import StoredText, sentences
from text2x.text_conditioner import MiniLMText, TextConditioner
from text2x.unclip import Embedder, embedder_of, find_embedder, told

HELD_OUT_ITEMS = 1024
RUNS = Path("runs")  # where training puts its folders, if none is named


@dataclass(frozen=True)
class PriorRun:
    """A prior's recipe with its data and its CLIP's embeddings; makes what a trainer needs."""

    recipe: PriorRecipe
    images: ImageSet
    text: PriorText
    embeddings: Tensor  # [N, D]
    trainable: nn.Module
    objective: PriorLoss
    batches: ImageBatches
    held_out: tuple[Batch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """Held-out figures, on concepts that are not trained on."""
        if not self.held_out:
            return {}
        assert isinstance(trainable, PriorNetwork)
        loss = PriorLoss(trainable, self.text, self.recipe, self.embeddings, self.device)
        return loss.held_out(self.held_out, seed=self.recipe.training.seed)


def prepare_prior_run(recipe: PriorRecipe, device: str = "cpu", data_root: Path | None = None) -> PriorRun:
    """Load the data, the CLIP and its embeddings, and make the network from the recipe's seed, fitted to them."""
    images = shapes() if recipe.data_set == "shapes" else load_data(recipe.data_set, root=data_root)
    groups = {item.group for item in images.items}
    if not set(recipe.data.exclude_groups) <= groups or not set(recipe.data.styles) <= set(images.styles):
        recipe = replace(recipe, data=replace(recipe.data, styles=(), exclude_groups=()))
    clip, path = clip_of(recipe.clip, images, device)
    if clip.width != recipe.network.embedding:
        raise InputError(
            f"network.embedding is {recipe.network.embedding}, and the CLIP {recipe.clip} makes embeddings of "
            f"{clip.width} numbers; set it to that"
        )
    embeddings = embedded(images, clip, path)
    text = PriorText(TextConditioner(recipe.conditioner, MiniLMText(recipe.conditioner)), clip.text_embeddings)
    torch.manual_seed(recipe.training.seed)
    network = build_prior(recipe)
    batches = ImageBatches(images, recipe.data)
    shown = [images.items[index] for index in batches.indexes]
    words = clip.text_embeddings([item.captions[0] for item in shown], [item.style for item in shown])
    fit_prior(network, recipe, embeddings[torch.from_numpy(batches.indexes)], words)
    network = network.to(device)
    loss = PriorLoss(network, text, recipe, embeddings, device)
    held_out = _held_out(images, recipe)
    return PriorRun(recipe, images, text, embeddings, network, loss, batches, held_out, device)


def _held_out(images: ImageSet, recipe: PriorRecipe) -> tuple[Batch, ...]:
    """Up to HELD_OUT_ITEMS pictures of concepts that are not trained on, by their plain names with the style named."""
    plain = replace(
        recipe.data, split="unseen-concepts", plain_caption=1.0, caption_drop=0.0, style_drop=0.0, mirror=False
    )
    try:
        batches = ImageBatches(images, plain)
    except InputError:
        return ()
    count = min(HELD_OUT_ITEMS, batches.epoch_size)
    size = min(plain.batch_size, count)
    batches = ImageBatches(images, replace(plain, batch_size=size))
    return tuple(batches.batch_at(step) for step in range(count // size))


def told_embeddings(recipe: Recipe, images: ImageSet, device: str = "cpu") -> ToldEmbeddings | None:
    """What a decoder is told of each picture of its data; None for a recipe that is told nothing."""
    if recipe.image_embedding is None:
        return None
    clip, path = clip_of(recipe.image_embedding.clip, images, device)
    width = image_embedding_width(recipe)
    if clip.width != width:
        raise InputError(
            f"network.image_embedding is {width}, and the CLIP {recipe.image_embedding.clip} makes embeddings of "
            f"{clip.width} numbers; set it to that, and network.vector_width to as many more or less"
        )
    return ToldEmbeddings(told(embedded(images, clip, path)), recipe.image_embedding.drop)


def clip_of(name: str, images: ImageSet, device: str = "cpu") -> tuple[Embedder, Path]:
    """The CLIP by its folder, the name of its training run or of a model, and its weight file.

    Sentence vectors of the data set's captions are taken from where they are kept.
    """
    folder = next((each for each in (Path(name), RUNS / name) if (each / "recipe.json").is_file()), None)
    if folder is None:
        try:
            folder = info(name).folder
        except InputError:
            train = f"train it first: text2x train {name if name.endswith('-clip') else 'dalle2-clip'}"
            raise InputError(f"there is no CLIP {name!r}, neither a folder nor in {RUNS}/; {train}") from None
    recipe, path, sha256 = find_embedder(folder)
    if not path.is_file():
        raise InputError(f"the CLIP in {folder} lacks {path.name}; train it first")
    text = StoredText(MiniLMText(recipe.conditioner), sentences(images, recipe))
    return embedder_of(recipe, path, sha256, device, text), path


def embedded(images: ImageSet, clip: Embedder, weights: Path) -> Tensor:
    """Embeddings [N, D] of every picture of a set, kept in the set's folder if it has one.

    They are those of the pictures as they are: a batch that shifts or mirrors one tells the network so beside.
    """
    keys = "\n".join([file_hash(weights), str(clip.recipe.size), *(item.key for item in images.items)])
    name = hashlib.sha256(keys.encode()).hexdigest()
    place = None if images.folder is None else images.folder / f"embeddings-{name[:16]}.safetensors"
    if place is not None:
        with contextlib.suppress(InputError, KeyError):
            return load_tensors(place)[name]
    print(f"embedding {len(images):,} pictures, once for this data set and CLIP", flush=True)
    indexes = np.arange(len(images))
    small = resized(images, indexes, clip.recipe.size)
    made = []
    for part in np.array_split(indexes, max(1, len(indexes) // 64)):
        pixels = images.images[part] if small is None else small[part]
        made.append(clip.image_embeddings(torch.from_numpy(np.array(pixels)).float().div_(127.5).sub_(1)))
    table = torch.cat(made)
    if place is not None:
        with contextlib.suppress(InputError):  # a folder that cannot be written: embedded again next time
            save_tensors(place, {name: table})
    return table
