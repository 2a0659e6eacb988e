"""From runs to a model folder, and from the folder to pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.generators import DiffusionGenerator
from text2x.library import load
from text2x.packaging import packed_as
from text2x.recipe import Guides, Model, Recipe, build_network, guides_from_dict, model_from_dict
from text2x.requests import ImageRequest
from text2x.shipping import About, Part, ship
from text2x.training_config import TrainingConfig
from text2x.weights import pack
from tiny_guides import classifier_recipe, clip_recipe, judge_recipe, write_guide_run
from tiny_models import base_recipe, upsampler_recipe

pytestmark = pytest.mark.medium

GUIDES = {"classifier": classifier_recipe(), "clip": clip_recipe(), "judge": judge_recipe()}
ABOUT = About("tiny", None, "CC0-1.0")


def write_run(folder: Path, recipe: Recipe) -> Path:
    recipe = replace(recipe, training=TrainingConfig(steps=1, averages=(0.9, 0.99)))
    for place, average in enumerate(("0.9", "0.99")):
        torch.manual_seed(place)
        network = build_network(recipe)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        save_tensors(folder / "averages" / f"{average}.safetensors", pack(network.state_dict(), "float32"))
    write_json(folder / "recipe.json", to_dict(recipe))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    recipes = (base_recipe(), upsampler_recipe())
    for recipe in recipes:
        (tmp_path / recipe.name / "averages").mkdir(parents=True)
    return [write_run(tmp_path / recipe.name, recipe) for recipe in recipes]


def picture(model: Path) -> np.ndarray:
    generator = load(str(model))
    return generator.generate(ImageRequest("a dog", seed=1))[0].media.pixels


@pytest.mark.parametrize("packing", ["int8", "float16", "float32"])
def test_a_shipped_model_makes_about_the_pictures_of_its_runs(runs, tmp_path, packing):
    model = ship([Part(run) for run in runs], ABOUT, tmp_path / "model", packing)
    assert model.size == 32 and model.summary == "Noise with a meaning."
    made = picture(tmp_path / "model")
    exact = ship([Part(run) for run in runs], ABOUT, tmp_path / "exact", "float32")
    assert exact.weights["base.safetensors"].dtype == "float32"
    allowed = {"float32": 0.0, "float16": 0.02, "int8": 0.2}[packing]
    assert np.abs(made - picture(tmp_path / "exact")).mean() <= allowed


def test_the_average_that_is_named_is_the_one_that_is_shipped(runs, tmp_path):
    ship([Part(run) for run in runs], ABOUT, tmp_path / "first")
    ship([Part(run, "0.99") for run in runs], ABOUT, tmp_path / "second")
    assert not np.array_equal(picture(tmp_path / "first"), picture(tmp_path / "second"))


def test_weights_that_are_not_the_ones_shipped_are_refused(runs, tmp_path):
    ship([Part(run) for run in runs], ABOUT, tmp_path / "model")
    path = tmp_path / "model" / "base.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="SHA-256"):
        load(str(tmp_path / "model"))


def test_what_cannot_be_shipped_is_said(runs, tmp_path):
    with pytest.raises(InputError, match="at least one"):
        ship([], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="each name once"):
        ship([Part(runs[0]), Part(runs[0])], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="recipe.json is missing"):
        ship([Part(tmp_path)], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="0.9, 0.99"):
        ship([Part(runs[0], "0.5")], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="int8"):
        packed_as("int4")
    assert not (tmp_path / "model").exists()


def test_a_run_with_an_upsampler_only_is_refused_when_it_is_asked_for_a_picture(runs, tmp_path):
    ship([Part(runs[1])], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="reads a prompt"):
        load(str(tmp_path / "model")).generate(ImageRequest("a dog", seed=1))


def test_the_loaded_model_is_a_diffusion_generator(runs, tmp_path):
    ship([Part(run) for run in runs], ABOUT, tmp_path / "model")
    generator = load(str(tmp_path / "model"))
    assert isinstance(generator, DiffusionGenerator)
    assert generator.styles == ("flat", "line")


def test_guides_are_packed_into_a_folder_of_their_own(tmp_path):
    runs = {name: write_guide_run(tmp_path / name, recipe) for name, recipe in GUIDES.items()}
    made = ship([Part(runs["classifier"]), Part(runs["clip"])], ABOUT, tmp_path / "guides")
    assert isinstance(made, Guides) and [each.recipe.kind for each in made.guides] == ["classifier", "clip"]
    assert guides_from_dict(read_json(tmp_path / "guides" / "recipe.json")) == made
    for file, about in made.weights.items():
        assert file_hash(tmp_path / "guides" / file) == about.sha256 and about.dtype == "int8"


def test_guides_a_judge_and_models_are_not_mixed(runs, tmp_path):
    others = {name: write_guide_run(tmp_path / name, recipe) for name, recipe in GUIDES.items()}
    with pytest.raises(InputError, match="'clip' is a guide and 'base' a model"):
        ship([Part(runs[0]), Part(others["clip"])], ABOUT, tmp_path / "model")
    with pytest.raises(InputError, match="must not guide what it judges"):
        ship([Part(others["clip"]), Part(others["judge"])], ABOUT, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_model_says_what_it_is_guided_by(runs, tmp_path):
    about = replace(ABOUT, guides={"classifier": "emoji-guides", "auto": "weak"})
    made = ship([Part(runs[0])], about, tmp_path / "model")
    assert isinstance(made, Model) and made.guides == {"classifier": "emoji-guides", "auto": "weak"}
    assert model_from_dict(read_json(tmp_path / "model" / "recipe.json")) == made
