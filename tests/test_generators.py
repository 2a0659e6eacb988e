"""Generators: one seed is one picture, defaults, warnings, errors, upsampling, and a model written and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.building import build_generator
from text2x.config import to_dict
from text2x.diffusion.samplers import SAMPLERS
from text2x.errors import InputError
from text2x.files import save_tensors
from text2x.generators import DiffusionGenerator, stage_seed
from text2x.recipe import (
    build_network,
    model_from_dict,
)
from text2x.requests import ImageRequest
from text2x.training_config import TrainingConfig
from text2x.weights import pack
from tiny_models import base_recipe, upsampler_recipe, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "random"
    write_model(path, (base_recipe(), upsampler_recipe()), size=32)
    return path


@pytest.fixture(scope="module")
def generator(folder: Path) -> DiffusionGenerator:
    return build_generator(to_dict(model_from_dict(_read(folder))), folder)


def _read(folder: Path) -> dict:
    import json

    return json.loads((folder / "recipe.json").read_text())


def pixels(generator: DiffusionGenerator, **fields: object) -> list[np.ndarray]:
    request = ImageRequest(**{"prompt": "a red apple", "seed": 7, **fields})  # type: ignore[arg-type]
    return [result.media.pixels for result in generator.generate(request)]


def test_seed_8_alone_is_item_1_of_a_batch_from_seed_7(generator):
    batch = pixels(generator, count=3)
    for item, alone in enumerate(pixels(generator, seed=7 + item)[0] for item in range(3)):
        assert np.array_equal(batch[item], alone)
    assert not np.array_equal(batch[0], batch[1])


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_keeps_to_the_seed(generator, sampler):
    batch = pixels(generator, count=2, sampler=sampler, steps=4)
    assert np.array_equal(batch[1], pixels(generator, seed=8, sampler=sampler, steps=4)[0])
    assert np.isfinite(batch[0]).all()


def test_an_earlier_request_and_the_number_of_threads_change_nothing(generator):
    first = pixels(generator)[0]
    pixels(generator, prompt="something else", style="line", negative="noise")
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert np.array_equal(pixels(generator)[0], first)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a blue car"},
        {"style": "line"},
        {"guidance": 5.0},
        {"negative": "a dog"},
        {"guidance_interval": (0.2, 0.6)},
        {"steps": 5},
        {"seed": 9},
    ],
)
def test_every_field_has_its_influence(generator, change):
    assert not np.array_equal(pixels(generator)[0], pixels(generator, **change)[0])


def test_a_request_without_a_seed_says_which_one_was_drawn(generator):
    result = generator.generate(ImageRequest("a dog"))[0]
    assert np.array_equal(result.media.pixels, pixels(generator, prompt="a dog", seed=result.seed)[0])


@pytest.mark.parametrize("size", [None, 16, 32, 24, 64, 8])
def test_sizes_are_made_by_upsampling_and_then_exactly(generator, size):
    result = generator.generate(ImageRequest("a dog", seed=1, size=size))[0]
    assert (result.media.width, result.media.height) == (size or 32, size or 32)
    assert set(result.timings) >= {"text", "base"}


def test_the_large_picture_follows_the_small_one(folder):
    """The upsampler reads no words: another prompt reaches it through the small picture alone."""
    model = model_from_dict(_read(folder))
    generator = build_generator(to_dict(model), folder)
    small, large = pixels(generator, size=16)[0], pixels(generator, size=32)[0]
    other = pixels(generator, size=32, prompt="a blue car")[0]
    assert small.shape == (4, 16, 16) and large.shape == (4, 32, 32)
    assert not np.array_equal(large, other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "eulr"}, "euler"),
        ({"style": "flt"}, "flat"),
        ({"size": 1000}, "at most 256"),
    ],
)
def test_what_the_model_cannot_do_is_said_with_the_way_out(generator, fields, message):
    with pytest.raises(InputError, match=message):
        pixels(generator, **fields)


def test_a_prompt_that_does_not_fit_is_warned_of_with_what_is_dropped(generator):
    prompt = "a very long list of red apples and green pears and yellow bananas under a tree"
    result = generator.generate(ImageRequest(prompt, seed=1))[0]
    assert len(result.warnings) == 1
    assert "under a tree" in result.warnings[0]


def test_a_negative_prompt_without_guidance_is_warned_of(generator):
    result = generator.generate(ImageRequest("a dog", seed=1, negative="a cat", guidance=1.0))[0]
    assert any("a cat" in warning for warning in result.warnings)
    assert np.array_equal(result.media.pixels, pixels(generator, prompt="a dog", seed=1, guidance=1.0)[0])


def test_a_field_that_only_gans_use_is_warned_of(generator):
    result = generator.generate(ImageRequest("a dog", seed=1, truncation=0.5))[0]
    assert any("truncation" in warning for warning in result.warnings)


def test_progress_counts_every_step_of_every_stage(generator):
    seen = []
    generator.generate(ImageRequest("a dog", seed=1, size=64), on_step=seen.append)
    assert [(each.stage, each.step, each.steps) for each in seen] == [
        *(("base", step, 3) for step in (1, 2, 3)),
        *(("upsampler to 32", step, 2) for step in (1, 2)),
        *(("upsampler to 64", step, 2) for step in (1, 2)),
    ]
    assert seen[0].estimate()[0].width == 64


def test_settings_tell_what_was_used(generator):
    result = generator.generate(ImageRequest("a dog", seed=1))[0]
    assert result.settings["steps"] == 3
    assert result.settings["style"] == "flat"
    assert result.settings["model"] == "random"


def test_a_run_folder_is_a_model(tmp_path):
    recipe = replace(base_recipe(), training=TrainingConfig(steps=1, averages=(0.9,)))
    (tmp_path / "averages").mkdir()
    save_tensors(tmp_path / "averages" / "0.9.safetensors", pack(build_network(recipe).state_dict(), "float32"))
    made = build_generator(to_dict(recipe), tmp_path)
    assert made.generate(ImageRequest("a dog", seed=1))[0].media.width == 16


def test_an_upsampler_alone_makes_nothing_from_words(tmp_path):
    model = write_model(tmp_path / "up", (upsampler_recipe(),), size=32)
    with pytest.raises(InputError, match="reads a prompt"):
        build_generator(to_dict(model), tmp_path / "up").generate(ImageRequest("a dog", seed=1))


def test_a_stage_behind_the_base_must_be_an_upsampler(tmp_path):
    model = write_model(tmp_path / "two", (base_recipe(), replace(base_recipe(), name="other")), size=16)
    with pytest.raises(InputError, match="'other' is no upsampler"):
        build_generator(to_dict(model), tmp_path / "two")


def test_the_seed_of_a_stage_is_its_own():
    assert stage_seed(7, 0, 32) == 7
    assert len({stage_seed(7, 1, 64), stage_seed(8, 1, 64), stage_seed(7, 1, 128), stage_seed(7, 1, -64)}) == 4
