"""Every form of guidance through a model folder that names its guides: influence, seeds, classes, what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.config import to_dict
from text2x.diffusion.samplers import SAMPLERS
from text2x.edits import Inpainting
from text2x.errors import InputError
from text2x.files import write_json
from text2x.generators import DiffusionGenerator
from text2x.library import load
from text2x.media import Image
from text2x.requests import ImageRequest
from text2x.shipping import About, Part, ship
from tiny_guides import CLASSES, classifier_recipe, clip_recipe, write_guide_run
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium

FORMS = (
    "none", "cfg:3", "cfg:3,interval=0.1-0.8", "cfg:3,rescale=0.7", "cfg:3,threshold=0.95", "apg:4", "auto:3",
    "classifier:20", "clip:5", "cfg:0+classifier:20", "cfg:3+auto:2+classifier:20+clip:5",
)  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a weaker one, and the guides that the first names."""
    root = tmp_path_factory.mktemp("models")
    runs = [write_guide_run(root / "runs" / name, make()) for name, make in
            (("classifier", classifier_recipe), ("clip", clip_recipe))]  # fmt: skip
    ship([Part(run) for run in runs], About("guides", "Steers.", "CC0-1.0"), root / "guides")
    weak = base_recipe()
    write_model(root / "weak", (replace(weak, network=replace(weak.network, width=8)),), 16)
    model = write_model(root / "painter", (base_recipe(), upsampler_recipe()), 32)
    named = {"classifier": "guides", "clip": "guides", "auto": "weak"}
    write_json(root / "painter" / "recipe.json", to_dict(replace(model, guides=named)))
    write_model(root / "alone", (base_recipe(),), 16)
    return root


@pytest.fixture(scope="module")
def generator(models: Path) -> DiffusionGenerator:
    made = load(models / "painter")
    assert isinstance(made, DiffusionGenerator)
    return made


def pixels(generator: DiffusionGenerator, **fields: object) -> np.ndarray:
    request = ImageRequest(**{"prompt": "a dog", "seed": 7, "size": 16, "steps": 4, **fields})  # type: ignore[arg-type]
    return generator.generate(request)[0].media.pixels


def test_every_form_makes_another_picture(generator: DiffusionGenerator) -> None:
    made = [pixels(generator, guidance=form) for form in FORMS]
    for place, first in enumerate(made):
        assert np.isfinite(first).all() and np.abs(first).max() <= 1
        assert not any(np.array_equal(first, other) for other in made[place + 1 :]), FORMS[place]


@pytest.mark.parametrize("form", FORMS)
def test_a_seed_gives_the_same_bytes_alone_and_in_a_batch_under_every_form(
    generator: DiffusionGenerator, form: str
) -> None:
    batch = generator.generate(ImageRequest("a dog", seed=6, count=2, size=16, steps=4, guidance=form))
    assert np.array_equal(batch[1].media.pixels, pixels(generator, guidance=form))


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_gradients_work_with_every_sampler(generator: DiffusionGenerator, sampler: str) -> None:
    plain, led = (
        pixels(generator, guidance=form, sampler=sampler) for form in ("none", "classifier:30,interval=0.2-0.9")
    )
    assert np.isfinite(led).all() and not np.array_equal(plain, led)


def test_the_result_says_which_class_the_words_chose(generator: DiffusionGenerator) -> None:
    request = ImageRequest("a puppy", seed=1, size=16, guidance="classifier:2")
    assert generator.generate(request)[0].settings["class"] == "dog face"
    assert "dog face" in CLASSES
    assert "class" not in generator.generate(replace(request, guidance="cfg:2"))[0].settings


def test_scales_that_are_off_change_nothing_and_need_no_guide(models: Path, generator: DiffusionGenerator) -> None:
    plain = pixels(generator, guidance="none")
    for off in ("cfg:1", "1", "auto:1", "classifier:0", "clip:0", "apg:1"):
        assert np.array_equal(plain, pixels(generator, guidance=off)), off
    alone = load(models / "alone")
    assert alone.generate(ImageRequest("a dog", seed=1, guidance="classifier:0"))[0].media.width == 16


def test_a_model_without_words_is_led_by_the_class_that_the_words_choose(models: Path) -> None:
    base = base_recipe()
    recipe = replace(
        base,
        conditioner=None,
        network=replace(base.network, context_width=0, vector_width=0),
        sampling=replace(base.sampling, style=None),
    )
    model = write_model(models / "wordless", (recipe,), 16)
    write_json(models / "wordless" / "recipe.json", to_dict(replace(model, guides={"classifier": "guides"})))
    wordless = load(models / "wordless")
    assert isinstance(wordless, DiffusionGenerator)
    plain, other = (pixels(wordless, prompt=prompt, guidance="cfg:3") for prompt in ("a dog", "pizza"))
    assert np.array_equal(plain, other)
    dog, pizza = (pixels(wordless, prompt=prompt, guidance="classifier:30") for prompt in ("a dog", "pizza"))
    assert not np.array_equal(plain, dog) and not np.array_equal(dog, pizza)


def test_further_prompts_pull_and_push(generator: DiffusionGenerator) -> None:
    plain = pixels(generator)
    made = [pixels(generator, also=also) for also in (("a cat::0.5",), ("a cat::-0.5",), ("a cat::0.5", "snow"))]
    assert not any(np.array_equal(plain, other) for other in made)
    assert np.allclose(plain, pixels(generator, also=("a cat::0",)), atol=1e-3)


def test_guidance_reaches_a_hole_and_leaves_what_is_known(generator: DiffusionGenerator) -> None:
    image = Image(np.random.default_rng(0).uniform(-1, 1, (4, 16, 16)).astype(np.float32)).resize(16)
    edit = Inpainting(image, "4,4,8,8")
    made = [pixels(generator, size=None, edit=edit, guidance=form) for form in ("none", "classifier:20", "auto:3")]
    assert not np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    for each in made:
        assert np.array_equal(each[:, :4], image.pixels[:, :4])


@pytest.mark.parametrize("form", ["classifier:2", "clip:2", "auto:2"])
def test_a_guide_that_the_model_does_not_come_with_is_said_with_what_it_takes(models: Path, form: str) -> None:
    with pytest.raises(
        InputError, match=f"random comes with no network for guidance {form.split(':')[0]}; it takes cfg"
    ):
        load(models / "alone").generate(ImageRequest("a dog", seed=1, guidance=form))


def test_a_guide_whose_folder_is_gone_is_named(models: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "lonely", (base_recipe(),), 16)
    write_json(tmp_path / "lonely" / "recipe.json", to_dict(replace(model, guides={"clip": "nowhere"})))
    with pytest.raises(InputError, match="nowhere"):
        load(tmp_path / "lonely").generate(ImageRequest("a dog", seed=1, guidance="clip:2"))
