"""Every recipe can be built; the debug ones really train, are saved, read again and asked for pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.building import build_generator
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import read_json
from text2x.generators import DiffusionGenerator
from text2x.recipe import Recipe, build_network, image_embedding_width, recipe_from_dict, trained_from_dict
from text2x.recipes import RECIPES
from text2x.recipes.running import prepare_run, recipe_for, train
from text2x.requests import ImageRequest

MADE = {name: make() for name, make in RECIPES.items()}
DENOISERS = [name for name, recipe in MADE.items() if isinstance(recipe, Recipe)]
DEBUG = [
    name
    for name in DENOISERS
    if name.startswith("debug")
    and MADE[name].low_resolution is None
    and MADE[name].image_embedding is None
    and MADE[name].codec is None  # test_latent_recipes.py: these need an autoencoder first
]
QUICK = ("training.steps=40", "training.evaluate_every=40", "training.sample_every=40", "training.log_every=10")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_same_after_saving(name):
    recipe = MADE[name]
    assert from_dict(type(recipe), to_dict(recipe)) == recipe


def test_the_recipe_of_a_run_is_told_apart_by_its_type():
    for name in ("debug", "debug-classifier", "judge"):
        assert trained_from_dict(to_dict(MADE[name])) == MADE[name]
    with pytest.raises(InputError, match="GuideRecipe"):
        recipe_from_dict(to_dict(MADE["judge"]))


@pytest.mark.parametrize("name", DENOISERS)
def test_the_network_takes_what_the_conditioner_gives(name):
    recipe = MADE[name]
    assert isinstance(recipe, Recipe)
    text = recipe.conditioner
    if text is None:
        assert recipe.network.context_width == 0
        return
    width = getattr(text, "width", 384)
    assert recipe.network.context_width == (width if text.context else 0)
    level = recipe.low_resolution is not None and recipe.low_resolution.largest_noise > 0  # of noise, told beside
    told = width * text.vector + len(text.styles) + text.augmentations + level + image_embedding_width(recipe)
    assert recipe.network.vector_width == told


def generator_of(folder: Path) -> DiffusionGenerator:
    return build_generator(read_json(folder / "recipe.json"), folder)


@pytest.mark.medium
@pytest.mark.parametrize("name", DEBUG)
def test_a_debug_recipe_trains_is_saved_and_makes_pictures(name, tmp_path):
    outcome = train(name, settings=QUICK, folder=tmp_path / "run")
    lines = [line for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines() if '"loss"' in line]
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in lines]
    assert outcome.reason == "finished" and len(losses) == 4
    assert losses[-1] < 0.8 * losses[0]
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 1
    generator = generator_of(tmp_path / "run")
    pictures = [each.media.pixels for each in generator.generate(ImageRequest("a red circle", seed=7, count=2))]
    alone = generator.generate(ImageRequest("a red circle", seed=8))[0].media.pixels
    assert np.array_equal(pictures[1], alone)
    assert pictures[0].shape == (4, 16, 16)


@pytest.mark.medium
def test_debug_learns_colours(tmp_path):
    """After the whole recipe, a minute at most, the colour that is asked for is the one that is drawn."""
    train("debug", folder=tmp_path / "run")
    generator = generator_of(tmp_path / "run")
    right = 0
    for place, (colour, channel) in enumerate([("red", 0), ("green", 1), ("blue", 2)] * 4):
        shape = ("circle", "square", "diamond", "triangle")[place // 3]
        picture = generator.generate(ImageRequest(f"a {colour} {shape}", seed=place))[0].media.to_uint8()
        shown = picture[picture[..., 3] > 127][:, :3].mean(0)
        right += int(shown.argmax() == channel)
    assert right >= 10


def test_settings_reach_the_recipe_and_unknown_ones_are_refused():
    recipe = recipe_for("debug", ["training.steps=7", "training.batch_size=4", "sampling.sampler=heun"])
    assert (recipe.training.steps, recipe.data.batch_size, recipe.sampling.sampler) == (7, 4, "heun")
    with pytest.raises(InputError, match="trainin"):
        recipe_for("debug", ["trainin.steps=7"])
    with pytest.raises(InputError, match="did you mean debug"):
        recipe_for("debg")


@pytest.mark.parametrize("name", ["emoji", "debug"])
def test_another_data_set_brings_its_own_styles(name, tmp_path):
    from text2x.data.shapes import shapes

    made = shapes(16)
    made.items = tuple(replace(item, style="picture") for item in made.items)
    made.styles = ("picture",)
    made.save(tmp_path / "mine")
    recipe = recipe_for(name, ["size=16", "data.size=16"], data=str(tmp_path / "mine"))
    assert isinstance(recipe, Recipe)
    run = prepare_run(recipe)
    assert run.recipe.data.styles == ()
    assert run.recipe.conditioner is not None and run.recipe.conditioner.styles == ("picture",)
    assert run.batches.batch_at(0).images.shape[1:] == (4, 16, 16)
    assert build_network(run.recipe).config.vector_width == 384 + 1 + run.recipe.conditioner.augmentations


def test_two_runs_begin_with_the_same_weights():
    recipe = recipe_for("debug")
    assert isinstance(recipe, Recipe)
    first, second = (prepare_run(recipe).trainable.state_dict() for _ in range(2))
    assert all(bool((first[name] == second[name]).all()) for name in first)
