"""Tiny guides with random weights that are nowhere zero, in folders as a training run leaves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from text2x.config import to_dict
from text2x.files import save_tensors, write_json
from text2x.networks.classifier import Classifier, ClassifierConfig
from text2x.networks.clip import CLIPConfig
from text2x.recipe import ContrastiveConfig, GuideRecipe, build_guide
from text2x.recipes.guides import debug_classifier, debug_clip
from text2x.text_conditioner import MiniLMText, TextConditioner

CLASSES = ("red circle", "blue square", "dog face", "slice of pizza")


def classifier_recipe() -> GuideRecipe:
    recipe = debug_classifier()
    assert isinstance(recipe.network, ClassifierConfig)
    network = replace(recipe.network, num_classes=len(CLASSES), num_groups=2)
    return replace(recipe, name="classifier", network=network, classes=CLASSES, groups=("shape", "thing"))


def clip_recipe() -> GuideRecipe:
    return replace(debug_clip(), name="clip")


def judge_recipe() -> GuideRecipe:
    recipe = debug_clip()
    assert isinstance(recipe.network, CLIPConfig)
    network = replace(recipe.network, image=replace(recipe.network.image, timestep=False))
    return replace(recipe, name="judge", kind="judge", network=network, objective=ContrastiveConfig(times=None))


def write_guide_run(folder: Path, recipe: GuideRecipe) -> Path:
    """The folder of a run of one average."""
    torch.manual_seed(len(recipe.name))
    network = build_guide(recipe)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    if isinstance(network, Classifier):
        vectors = TextConditioner(recipe.conditioner, MiniLMText(recipe.conditioner))(recipe.classes).vector
        assert vectors is not None
        network.class_vectors.copy_(vectors)
    save_tensors(folder / "averages" / f"{recipe.training.averages[0]}.safetensors", network.state_dict())
    write_json(folder / "recipe.json", to_dict(recipe))
    return folder
