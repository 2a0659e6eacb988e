"""Pictures made larger: every size and shape, transparency, seeds, tiles, what is ignored and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import text2x.upscaling
from text2x.building import build_generator
from text2x.config import to_dict
from text2x.editing.windows import bounded
from text2x.edits import Upscaling, described
from text2x.errors import InputError
from text2x.generators import DiffusionGenerator
from text2x.media import Image
from text2x.recipe import Recipe
from text2x.requests import ImageRequest, Progress, Result
from text2x.upscaling import steps_to
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium

Make = Callable[..., DiffusionGenerator]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Generators of tiny models with these stages."""

    def made(*recipes: Recipe) -> DiffusionGenerator:
        folder = tmp_path_factory.mktemp("models") / "random"
        return build_generator(to_dict(write_model(folder, recipes, 32)), folder)

    return made


@pytest.fixture(scope="module")
def alone(make: Make) -> DiffusionGenerator:
    """An upsampler without a base."""
    return make(upsampler_recipe())


def reading_upsampler() -> Recipe:
    recipe, base = upsampler_recipe(), base_recipe()
    network = replace(
        recipe.network,
        attention_levels=(1,),
        head_width=16,
        context_width=384,
        vector_width=base.network.vector_width + 1,
    )
    return replace(recipe, name="reads", network=network, conditioner=base.conditioner)


@pytest.fixture(scope="module")
def reading(make: Make) -> DiffusionGenerator:
    return make(reading_upsampler())


def picture(width: int, height: int, seed: int = 0, opaque: bool = False) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] |= 255 if opaque else 0
    return Image.from_uint8(pixels)


def upscaled(generator: DiffusionGenerator, image: Image, **fields: object) -> Result:
    own = {name: fields.pop(name) for name in ("to", "by") if name in fields}
    edit = Upscaling(image, **own)  # type: ignore[arg-type]
    request = ImageRequest(**{"prompt": "", "seed": 7, "edit": edit, **fields})  # type: ignore[arg-type]
    return generator.generate(request)[0]


# Sizes


@pytest.mark.parametrize(
    ("asked", "size", "expected"),
    [
        ({"to": "64x64"}, (32, 32), (64, 64)),
        ({"to": " 64 X 32 "}, (30, 15), (64, 32)),
        ({"to": "90"}, (30, 20), (90, 60)),
        ({"to": "90"}, (20, 30), (60, 90)),
        ({"by": 2.5}, (10, 7), (25, 18)),
        ({"by": 16}, (1, 1), (16, 16)),
        ({"to": "100x33"}, (50, 17), (100, 33)),  # a pixel off is rounding
    ],
)
def test_the_new_size_is_one_of_three_forms(asked: dict, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert Upscaling("photo.png", **asked).size_of(*size) == expected


@pytest.mark.parametrize(
    ("asked", "size", "message"),
    [
        ({}, (32, 32), "one of them"),
        ({"to": "64", "by": 2}, (32, 32), "not both"),
        ({"to": "64x"}, (32, 32), "'64x'"),
        ({"to": "0x9"}, (32, 32), "'0x9'"),
        ({"to": "5000"}, (32, 32), "4096"),
        ({"by": 17}, (32, 32), "1 to 16"),
        ({"by": 1}, (32, 32), "give the picture back"),
        ({"to": "64x64"}, (32, 16), "64x32"),
        ({"to": "32x32"}, (32, 32), "already"),
        ({"to": "16"}, (32, 32), "already"),
        ({"by": 16}, (300, 10), "at most 4096"),
    ],
    ids=str,
)
def test_other_sizes_are_refused_in_one_line(asked: dict, size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        Upscaling("photo.png", **asked).size_of(*size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (3, 40), (37, 21), (64, 8)])
def test_pictures_of_any_size_and_shape_are_doubled(alone: DiffusionGenerator, size: tuple[int, int]) -> None:
    result = upscaled(alone, picture(*size), by=2)
    assert (result.media.width, result.media.height) == (2 * size[0], 2 * size[1])
    assert np.isfinite(result.media.pixels).all() and np.abs(result.media.pixels).max() <= 1
    assert (result.media.pixels[:3] <= result.media.pixels[3]).all()  # premultiplied: no colour above alpha
    assert result.warnings == ()


def test_what_is_not_reached_exactly_is_resampled_and_said(alone: DiffusionGenerator) -> None:
    result = upscaled(alone, picture(20, 10), to="50x25")
    assert (result.media.width, result.media.height) == (50, 25)
    assert result.warnings == ("the upsampler makes 80 x 40 pixels, which are brought to 50 x 25 by resampling",)


def test_passes_take_the_first_stage_made_for_larger_pictures(make: Make) -> None:
    first, second = upsampler_recipe(), replace(upsampler_recipe(), name="larger", size=64)
    stages = make(base_recipe(), first, second).stages
    assert steps_to(stages, (16, 16), (128, 128)) == [1, 2, 2]
    assert steps_to(stages, (40, 10), (80, 20)) == [2]
    assert steps_to(stages, (300, 300), (600, 600)) == [2]
    with pytest.raises(InputError, match="8000 x 8000 pixels"):
        steps_to(stages, (4000, 4000), (4001, 4001))


# Transparency


def test_an_opaque_picture_stays_opaque_and_a_transparent_one_is_drawn_with_alpha(alone: DiffusionGenerator) -> None:
    assert (upscaled(alone, picture(9, 9, opaque=True), by=3).media.pixels[3] == 1).all()
    assert len(np.unique(upscaled(alone, picture(9, 9), by=2).media.pixels[3])) > 10


# Seeds


def test_an_item_depends_on_its_own_seed_alone(reading: DiffusionGenerator) -> None:
    edit = Upscaling(picture(20, 12), by=2)
    together = reading.generate(ImageRequest("a dog", seed=7, count=3, edit=edit))
    for item, result in enumerate(together):
        single = reading.generate(ImageRequest("a dog", seed=7 + item, edit=edit))[0]
        assert result.seed == 7 + item and np.array_equal(result.media.pixels, single.media.pixels)
    assert not np.array_equal(together[0].media.pixels, together[1].media.pixels)


def test_a_model_upscales_its_own_small_picture_as_it_makes_the_large_one(make: Make) -> None:
    """To the bit, once no colour is above alpha."""
    generator = make(base_recipe(), upsampler_recipe())
    small, large = (generator.generate(ImageRequest("a dog", seed=7, size=size))[0].media for size in (16, 32))
    assert np.array_equal(upscaled(generator, small, by=2).media.pixels, bounded(large.pixels))


# Tiles


def test_large_pictures_are_made_in_tiles_without_a_seam(
    reading: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(np.zeros((4, 24, 40), np.float32))  # nothing in it changes, so what is made changes little as well
    whole = upscaled(reading, image, by=2, sampler="ddim", steps=2).media.pixels
    monkeypatch.setattr(text2x.upscaling, "TILE", 32)
    tiled = upscaled(reading, image, by=2, sampler="ddim", steps=2).media.pixels
    assert tiled.shape == whole.shape == (4, 48, 80)
    steps = np.abs(np.diff(tiled, axis=2)).mean((0, 1))  # between columns
    assert steps.max() < 3 * np.median(steps)
    assert np.array_equal(tiled, upscaled(reading, image, by=2, sampler="ddim", steps=2).media.pixels)


def test_a_learned_variance_is_put_together_from_the_tiles(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = reading_upsampler()
    network = replace(recipe.network, out_channels=8)
    generator = make(replace(recipe, network=network, sampling=replace(recipe.sampling, sampler="ddpm", guidance=2.0)))
    monkeypatch.setattr(text2x.upscaling, "TILE", 32)
    made = upscaled(generator, picture(24, 16), by=2).media.pixels
    assert made.shape == (4, 32, 48) and np.isfinite(made).all()


# What is asked for beside the size


def test_the_words_reach_an_upsampler_that_reads_them(reading: DiffusionGenerator) -> None:
    image = picture(16, 16)
    first = upscaled(reading, image, by=2, prompt="a dog", guidance=2.0)
    assert first.warnings == () and first.settings["guidance"] == "cfg:2"
    for change in ({"prompt": "a cat"}, {"guidance": 4.0}, {"negative": "a cat"}, {"style": "line"}, {"steps": 3}):
        asked = {"prompt": "a dog", "guidance": 2.0, **change}
        assert not np.array_equal(first.media.pixels, upscaled(reading, image, by=2, **asked).media.pixels), change


def test_words_are_ignored_by_one_that_reads_none_and_that_is_said(alone: DiffusionGenerator) -> None:
    result = upscaled(alone, picture(16, 16), by=2, prompt="a dog", guidance=4.0, style="flat", truncation=0.5)
    named = [each for each in result.warnings if "reads no words" in each]
    assert [each.split(", so ")[1].split(" is")[0] for each in named] == ["prompt", "guidance", "style"]
    assert any("truncation" in each for each in result.warnings)
    assert np.array_equal(result.media.pixels, upscaled(alone, picture(16, 16), by=2).media.pixels)


def test_the_end_of_a_prompt_that_does_not_fit_is_said(reading: DiffusionGenerator) -> None:
    long = "a very long list of red apples and green pears and yellow bananas under a tree"
    assert any("under a tree" in each for each in upscaled(reading, picture(8, 8), by=2, prompt=long).warnings)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"guidance": "clip:3"}, "guidance clip leads a base only"),
        ({"sampler": "eulr"}, "euler"),
        ({"style": "flt"}, "flat"),
    ],
)
def test_what_an_upsampler_cannot_do_is_said(reading: DiffusionGenerator, fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        upscaled(reading, picture(8, 8), by=2, **fields)


def test_a_model_without_an_upsampler_says_so(make: Make) -> None:
    with pytest.raises(InputError, match="has no upsampler"):
        upscaled(make(base_recipe()), picture(8, 8), by=2)


def test_steps_are_told_with_pictures_in_the_proportions(alone: DiffusionGenerator) -> None:
    seen: list[Progress] = []
    edit = Upscaling(picture(32, 16), by=4)
    result = alone.generate(ImageRequest("", seed=1, edit=edit), seen.append)[0]
    assert [(each.stage, each.step, each.steps) for each in seen] == [
        ("upsampler to 64x32", 1, 2), ("upsampler to 64x32", 2, 2), ("upsampler to 128x64", 1, 2),
        ("upsampler to 128x64", 2, 2),
    ]  # fmt: skip
    shown = seen[0].estimate()[0]
    assert (shown.width, shown.height) == (128, 64)
    assert result.settings["model"] == "random" and result.timings["upsampler"] > 0


def test_an_upscaling_is_described_in_plain_words() -> None:
    about = described(Upscaling("folder/photo.png", to="64x64"))
    assert about == {"edit": "upscaling", "image": "photo.png", "to": "64x64"}
