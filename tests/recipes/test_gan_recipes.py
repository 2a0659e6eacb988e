"""The GAN's recipes: saved and read, fitted to other data, trained, gone on with bit for bit, packed, drawn from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.adversarial import GANRecipe
from text2x.config import from_dict, override, to_dict
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.gan_generator import GANGenerator, build_gan_generator
from text2x.networks.gan import GAN
from text2x.packaging import Labels
from text2x.recipes.gan import GANRun, debug_gan, emoji_gan, fitted, gan, prepare_gan_run, ship_gan
from text2x.requests import ImageRequest
from text2x.training import Trainer
from text2x.training_log import read_log

QUICK = {"evaluate_every": 0, "sample_every": 0, "log_every": 10}


@pytest.mark.parametrize("make", [gan, emoji_gan, debug_gan])
def test_a_recipe_is_the_same_after_saving_and_its_networks_can_be_built(make) -> None:
    recipe = make()
    assert from_dict(GANRecipe, to_dict(recipe)) == recipe
    assert recipe.network.size == recipe.size == recipe.data.size
    assert recipe.network.vector_width == 384 + len(recipe.conditioner.styles)
    assert recipe.training.batch_size == recipe.data.batch_size
    GAN(recipe.network)


@pytest.mark.parametrize("make", [gan, emoji_gan])
def test_the_generator_fits_in_eight_mebibytes_as_int8(make) -> None:
    network = GAN(make().network).generator
    assert sum(value.numel() for value in network.parameters()) <= 8 * 2**20


def test_a_recipe_is_fitted_to_a_foreign_set_and_left_alone_for_its_own() -> None:
    images = shapes(16)
    assert fitted(debug_gan(), images) == debug_gan()
    changed = fitted(gan(), images)
    assert changed.conditioner.styles == images.styles == ("large", "small")
    assert changed.network.vector_width == 384 + 2
    assert changed.data.exclude_groups == () and changed.sampling.style == "large"


def trainer(folder: Path, **training: object) -> tuple[GANRun, Trainer]:
    recipe = debug_gan()
    run = prepare_gan_run(replace(recipe, training=replace(recipe.training, **{**QUICK, **training})))
    settings = run.recipe.training
    made = Trainer(
        run.trainable, run.objective, run.batches.batch_at, settings, folder, run.evaluate, run.sample, run.recipe
    )
    return run, made


def generator_of(folder: Path) -> GANGenerator:
    return build_gan_generator(read_json(folder / "recipe.json"), folder)


@pytest.mark.medium
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", steps=6)[1].fit()
    _, first = trainer(tmp_path / "parts", steps=6)
    batch_at = first.batch_at

    def stopping(step: int) -> object:
        first.stopping = step == 2
        return batch_at(step)

    first.batch_at = stopping
    assert first.fit().step == 3
    trainer(tmp_path / "parts", steps=6)[1].fit()
    for file in ("model", "optimizer", "average-0.98"):
        path = Path("checkpoints") / "step-0000006" / f"{file}.safetensors"
        whole, parts = (load_tensors(tmp_path / run / path) for run in ("whole", "parts"))
        assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.medium
def test_a_short_run_is_packed_and_draws_from_both_folders(tmp_path: Path) -> None:
    _, made = trainer(tmp_path / "run", steps=20, evaluate_every=20, sample_every=20, precision="float32")
    made.fit()
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 1
    scores = [line for line in read_log(tmp_path / "run" / "log.jsonl") if "held_out" in line]
    assert scores and scores[0]["held_out"] > 0
    model = ship_gan(tmp_path / "run", tmp_path / "tiny", Labels("tiny", "CC0-1.0", packing="float32"))
    names = load_tensors(tmp_path / "tiny" / "generator.safetensors").keys()
    assert names and all(name.startswith("generator.") for name in names)
    assert model.weights["generator.safetensors"].parameters == sum(
        value.numel() for value in made.trainable.generator.parameters()
    )
    request = ImageRequest("a red circle", seed=7, count=2)
    of_run, of_model = (generator_of(tmp_path / name).generate(request) for name in ("run", "tiny"))
    for one, other in zip(of_run, of_model, strict=True):
        assert np.array_equal(one.media.pixels, other.media.pixels)
    best = ship_gan(tmp_path / "run", tmp_path / "best", Labels("best", "CC0-1.0", average="best-0.98", packing="int8"))
    assert best.weights["generator.safetensors"].dtype == "int8"
    close = generator_of(tmp_path / "best").generate(request)[0].media.pixels
    assert abs(close - of_run[0].media.pixels).mean() < 0.05
    with pytest.raises(InputError, match="recipe.json is missing"):
        ship_gan(tmp_path, tmp_path / "none", Labels("none", "none"))


@pytest.mark.slow
def test_debug_gan_learns_colours_and_shapes(tmp_path: Path) -> None:
    """After the whole recipe, half a minute, the colour that is asked for is the one drawn, and a ring has a hole."""
    trainer(tmp_path / "run")[1].fit()
    generator = generator_of(tmp_path / "run")
    right = 0
    for place, (colour, channel) in enumerate([("red", 0), ("green", 1), ("blue", 2)] * 4):
        shape = ("circle", "square", "diamond", "triangle")[place // 3]
        picture = generator.generate(ImageRequest(f"a {colour} {shape}", seed=place))[0].media.to_uint8()
        shown = picture[picture[..., 3] > 127][:, :3].mean(0)
        right += int(shown.argmax() == channel)
    assert right >= 10
    middle = {
        shape: np.mean([
            each.media.pixels[3, 7:9, 7:9].mean()
            for each in generator.generate(ImageRequest(f"a red {shape}", seed=1, count=8, style="large"))
        ])
        for shape in ("ring", "circle")
    }  # fmt: skip
    assert middle["circle"] > 0.5 and middle["ring"] < -0.5


def test_settings_reach_the_recipe_by_name() -> None:
    recipe = override(override(gan(), "objective.loss=hinge"), 'training.rates=[["discriminator.", 2.0]]')
    assert recipe.objective.loss == "hinge" and recipe.training.rates == (("discriminator.", 2.0),)
    with pytest.raises(InputError, match="wgan"):
        override(gan(), "objective.loss=wgan")
