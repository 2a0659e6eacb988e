"""Trained guides from a folder: a classifier and a CLIP that steer sampling, and a judge that only measures.

Shapes: B batch, D joint embedding. x_t [B, 4, size, size] and t [B] are on the linear schedule, x_t = (1 - t) x_0 +
t noise; a caller on another schedule converts. Results are differentiable in x_t; an item's depends on no other item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.files import read_json
from text2x.networks.classifier import Classifier
from text2x.networks.clip import CLIP
from text2x.nn.initialization import no_initialization
from text2x.recipe import GuideKind, GuideRecipe, Guides, build_guide, guides_from_dict, trained_from_dict
from text2x.requests import unknown
from text2x.text_conditioner import FrozenText, MiniLMText, TextConditioner
from text2x.weights import load_weights

LogProbability = Callable[[Tensor, Tensor], Tensor]  # (x_t [B, C, *], t [B]) -> [B], up to a constant
N = TypeVar("N", Classifier, CLIP)
JUDGED_TOGETHER = 64  # pictures


@dataclass(frozen=True)
class ClassifierGuide:
    """Concepts by name and the probability that a noised picture shows one (Dhariwal and Nichol 2021)."""

    recipe: GuideRecipe
    network: Classifier
    text: TextConditioner

    @property
    def classes(self) -> tuple[str, ...]:
        """The concepts' names."""
        return self.recipe.classes

    @property
    def groups(self) -> tuple[str, ...]:
        """The kinds of things, coarser than classes."""
        return self.recipe.groups

    def choose(self, prompt: str) -> tuple[str, float]:
        """The class whose name is most like the prompt, and the cosine of their sentence vectors, at most 1."""
        with torch.inference_mode(False), torch.no_grad():
            vector = self.text([prompt]).vector
            assert vector is not None
            names = F.normalize(self.network.class_vectors.float().cpu(), dim=1)
            cosines = names @ F.normalize(vector.clone().float(), dim=1)[0]
        best = int(cosines.argmax())
        return self.classes[best], min(1.0, float(cosines[best]))

    def log_probability(self, name: str) -> LogProbability:
        """log p(class | x_t) by a class's name."""
        if name not in self.classes:
            raise unknown("class", name, self.classes)
        place = self.classes.index(name)

        def log_probability(x_t: Tensor, t: Tensor) -> Tensor:
            return self.network(x_t, t)[0].float().log_softmax(1)[:, place]

        return log_probability

    def log_probabilities(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """log p of every class [B, K] and of every group [B, G]."""
        classes, groups = self.network(x_t, t)
        return classes.float().log_softmax(1), groups.float().log_softmax(1)


@dataclass(frozen=True)
class CLIPGuide:
    """How much a noised picture looks like a text (Nichol et al. 2021, Sec. 2.3)."""

    recipe: GuideRecipe
    network: CLIP
    text: TextConditioner

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that it knows by name."""
        return self.recipe.conditioner.styles

    def text_embeddings(self, prompts: Sequence[str], styles: Sequence[str | None]) -> Tensor:
        """Unit vectors [N, D] of prompts; a style that it does not know counts as not named."""
        return _text_embeddings(
            self.network, self.text, prompts, [each if each in self.styles else None for each in styles]
        )

    def similarity(self, prompt: str, style: str | None = None) -> LogProbability:
        """The scaled cosine of picture and text; a style that it does not know counts as not named."""
        text = self.text_embeddings([prompt], [style])[0]

        def similarity(x_t: Tensor, t: Tensor) -> Tensor:
            return self.network.scale() * (self.network.image_embedding(x_t, t) * text).sum(1)

        return similarity


@dataclass(frozen=True)
class Judge:
    """A clean CLIP by which pictures of any model are measured; it was never asked while one was made."""

    recipe: GuideRecipe
    network: CLIP
    text: TextConditioner

    @property
    def space(self) -> str:
        """What figures in its feature space are called by."""
        return f"{self.recipe.name} {self.recipe.size} px, {self.network.config.embedding} dimensions"

    @torch.no_grad()
    def image_embeddings(self, images: Tensor) -> Tensor:
        """Unit vectors [N, D] of pictures [N, 4, H, W], premultiplied RGBA in [-1, 1], brought to its size by area."""
        device = next(self.network.parameters()).device
        size = (self.recipe.size, self.recipe.size)
        made = [torch.zeros(0, self.network.config.embedding)]
        for part in torch.as_tensor(images).float().split(JUDGED_TOGETHER) if len(images) else ():
            small = part if part.shape[2:] == size else F.interpolate(part, size, mode="area")
            made.append(self.network.image_embedding(small.to(device)).cpu())
        return torch.cat(made)

    def text_embeddings(self, prompts: Sequence[str], styles: Sequence[str | None] | None = None) -> Tensor:
        """Unit vectors [N, D] of prompts, with styles by name or without."""
        return _text_embeddings(self.network, self.text, prompts, styles).cpu()


def load_classifier(folder: Path, device: str = "cpu", encoder: FrozenText | None = None) -> ClassifierGuide:
    """The classifier in a guides' folder or of a training run; `encoder` is a sentence encoder that is loaded already.

    A folder without one raises InputError, and so do weights that are not those that its recipe names.
    """
    return ClassifierGuide(*_load(Path(folder), "classifier", Classifier, device, encoder))


def load_clip(folder: Path, device: str = "cpu", encoder: FrozenText | None = None) -> CLIPGuide:
    """The CLIP that guides, as `load_classifier` reads it; a judge is refused."""
    return CLIPGuide(*_load(Path(folder), "clip", CLIP, device, encoder))


def load_judge(folder: Path, device: str = "cpu", encoder: FrozenText | None = None) -> Judge:
    """The judge, as `load_classifier` reads it; a guide is refused: it would praise what it steered itself."""
    return Judge(*_load(Path(folder), "judge", CLIP, device, encoder))


def _load(
    folder: Path, kind: GuideKind, network: type[N], device: str, encoder: FrozenText | None
) -> tuple[GuideRecipe, N, TextConditioner]:
    recipe, path, sha256 = _find(folder, kind)
    with torch.inference_mode(False):  # tensors made in inference mode could not be differentiated through
        with no_initialization():
            made = build_guide(recipe)
        if not isinstance(made, network):
            raise InputError(f"the {kind} in {folder} is a {type(made).__name__}; it should be a {network.__name__}")
        load_weights(made, path, sha256)
        made = made.to(device).eval().requires_grad_(False)
    return recipe, made, TextConditioner(recipe.conditioner, encoder or MiniLMText(recipe.conditioner))


def _find(folder: Path, kind: GuideKind) -> tuple[GuideRecipe, Path, str | None]:
    """The recipe of this kind in a folder, its weight file and, if it is known, the file's hash."""
    values = read_json(folder / "recipe.json")
    found = _guides(values, folder)
    for recipe, path, sha256 in found:
        if recipe.kind == kind:
            return recipe, path, sha256
    kinds = ", ".join(recipe.kind for recipe, _, _ in found) or f"a {_type(values)}"
    raise InputError(f"{folder} holds no {kind}; it holds {kinds}")


def _guides(values: Any, folder: Path) -> list[tuple[GuideRecipe, Path, str | None]]:
    kind = _type(values)
    if kind == Guides.__name__:
        guides = guides_from_dict(values)
        hashes = {name: file.sha256 or None for name, file in guides.weights.items()}
        return [(each.recipe, folder / each.weights, hashes.get(each.weights)) for each in guides.guides]
    if kind == GuideRecipe.__name__:
        recipe = trained_from_dict(values)
        assert isinstance(recipe, GuideRecipe)
        average = recipe.training.averages[0] if recipe.training.averages else 0.0
        best = folder / f"best-{average}.safetensors"
        return [(recipe, best if best.is_file() else folder / "averages" / f"{average}.safetensors", None)]
    return []


def _type(values: Any) -> str:
    return str(values.get("type")) if isinstance(values, dict) else type(values).__name__


def _text_embeddings(
    network: CLIP, text: TextConditioner, prompts: Sequence[str], styles: Sequence[str | None] | None
) -> Tensor:
    """[N, D] on the network's device, usable in a differentiated function even if made in inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        vector = text(prompts, styles).vector
        assert vector is not None
        return network.text_embedding(vector.clone().to(next(network.parameters()).device))
