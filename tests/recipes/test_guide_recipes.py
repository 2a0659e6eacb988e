"""Recipes of guides: they fit the data, really learn, go on bit for bit, are packed, and answer as when trained."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.data.imageset import ImageSet
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.guides import load_classifier, load_clip
from text2x.networks.classifier import ClassifierConfig
from text2x.networks.clip import CLIPConfig
from text2x.recipe import GuideRecipe
from text2x.recipes import guides
from text2x.recipes.guide_running import SENTENCES, StoredText, figures, fitted, prepare_guide_run
from text2x.recipes.running import recipe_for, train
from text2x.shipping import About, Part, ship
from text2x.text_conditioner import MiniLMText

pytestmark = pytest.mark.medium

QUICK = ("training.evaluate_every=0", "training.log_every=5", "training.checkpoint_seconds=1000")


def guide_recipe(name: str, *settings: str) -> GuideRecipe:
    recipe = recipe_for(name, settings)
    assert isinstance(recipe, GuideRecipe)
    return recipe


def test_the_judge_shares_neither_network_nor_seed_nor_augmentation_with_the_guides() -> None:
    clip, judge = guides.clip(), guides.judge()
    assert judge.network != clip.network and judge.training.seed != clip.training.seed
    assert judge.data.augment_probability > clip.data.augment_probability
    assert not judge.network.image.timestep and clip.network.image.timestep  # type: ignore[union-attr]
    assert judge.objective.times is None and judge.objective.cutout > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["clip", "judge", "debug-clip"])
def test_the_head_takes_the_sentence_and_the_style(name: str) -> None:
    recipe = guide_recipe(name)
    assert isinstance(recipe.network, CLIPConfig)
    assert recipe.network.vector_width == 384 + len(recipe.conditioner.styles)


def test_a_classifier_finds_its_classes_among_the_trained_pictures_only() -> None:
    images = shapes(16)
    recipe = fitted(guide_recipe("debug-classifier"), images)
    assert isinstance(recipe.network, ClassifierConfig)
    trained = {images.items[i].captions[0] for i in images.split("train")}
    assert set(recipe.classes) == trained and len(trained) < 60
    assert recipe.network.num_classes == len(trained) and recipe.network.num_groups == len(recipe.groups) == 6


def saved(folder: Path, styles: tuple[str, ...]) -> ImageSet:
    """A small saved set with one picture a style of some shapes."""
    made = shapes(16)
    items = tuple(replace(item, style=styles[place % len(styles)]) for place, item in enumerate(made.items))
    ImageSet("mine", items, made.images).save(folder)
    return ImageSet.load(folder)


def test_another_data_set_brings_its_own_styles(tmp_path: Path) -> None:
    images = saved(tmp_path / "mine", ("ink", "chalk", "coal"))
    recipe = fitted(guide_recipe("clip"), images)
    assert recipe.conditioner.styles == ("ink", "chalk", "coal")
    assert recipe.network.vector_width == 384 + 3  # type: ignore[union-attr]
    assert recipe.data.exclude_groups == ()


def test_captions_are_encoded_once_for_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = saved(tmp_path / "mine", ("large", "small"))
    captions = list(dict.fromkeys(caption for item in images.items for caption in item.captions))
    recipe = replace(guide_recipe("debug-clip", "training.batch_size=4"), data_set=str(tmp_path / "mine"))
    prepare_guide_run(recipe)
    (vectors,) = load_tensors(tmp_path / "mine" / SENTENCES).values()
    assert vectors.shape == (len(captions), 384)
    alone = MiniLMText(recipe.conditioner).encode([captions[7]])[0][1]
    assert torch.equal(vectors[7], alone)  # bit for bit, so that a run goes on the same with and without the file

    def refused(self: object, prompts: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(MiniLMText, "encode", refused)
    run = prepare_guide_run(recipe)
    told = run.text([captions[7]]).vector
    assert told is not None and torch.equal(told[0, :384], alone)


def test_a_stored_text_asks_the_encoder_for_what_it_does_not_know() -> None:
    encoder = MiniLMText(guides.SENTENCE)
    known = {"a dog": torch.full((384,), 2.0)}
    first, second, again = StoredText(encoder, known).encode(["a dog", "a cat", "a dog"])
    assert torch.equal(first[1], known["a dog"]) and torch.equal(again[1], first[1])
    assert torch.equal(second[1], encoder.encode(["a cat"])[0][1])


def test_a_recipe_whose_network_and_objective_do_not_fit_is_refused() -> None:
    recipe = replace(guide_recipe("debug-clip"), objective=guides.classifier().objective)
    with pytest.raises(InputError, match="ClassificationConfig and CLIPConfig"):
        prepare_guide_run(recipe)


def values(folder: Path) -> dict[str, np.ndarray]:
    (path,) = (folder / "averages").glob("*.safetensors")
    return {name: value.numpy() for name, value in load_tensors(path).items()}


@pytest.mark.medium
@pytest.mark.parametrize("name", ["debug-classifier", "debug-clip"])
def test_a_guide_goes_on_bit_for_bit_from_where_it_was_stopped(name: str, tmp_path: Path) -> None:
    settings = (*QUICK, "training.decay=constant")
    train(name, settings=(*settings, "training.steps=12"), folder=tmp_path / "whole")
    train(name, settings=(*settings, "training.steps=5"), folder=tmp_path / "parts")
    train(name, settings=(*settings, "training.steps=12"), folder=tmp_path / "parts")
    whole, parts = values(tmp_path / "whole"), values(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(np.array_equal(whole[key], parts[key]) for key in whole)


@pytest.mark.medium
def test_the_debug_classifier_learns_and_guides_when_packed(tmp_path: Path) -> None:
    train("debug-classifier", folder=tmp_path / "run")
    ship([Part(tmp_path / "run")], About("guides", None, "CC0-1.0"), tmp_path / "guides")
    guide = load_classifier(tmp_path / "guides")
    images = shapes(16)
    trained = figures(guide, images, "train")
    assert trained["held_out/accuracy/t=0.1"] > 0.8 > 0.4 > trained["held_out/accuracy/t=0.9"]
    assert trained["held_out/group_accuracy/t=0.1"] > 0.8
    assert guide.choose("a red circle")[0] == "red circle"


@pytest.mark.medium
def test_the_debug_clip_finds_unseen_combinations_of_words(tmp_path: Path) -> None:
    train("debug-clip", folder=tmp_path / "run")
    held_out = figures(load_clip(tmp_path / "run"), shapes(16), "unseen-concepts")
    assert held_out["held_out/r_precision/t=0.1"] > 0.7  # by chance 1 in 6
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum("held_out" in line for line in lines) == 2
