"""GLIDE's and Imagen's recipes: their upsamplers train, upscale on their own, and stand behind a base by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.data.shapes import shapes
from text2x.edits import Upscaling
from text2x.generators import DiffusionGenerator
from text2x.library import load
from text2x.media import Image
from text2x.networks.unet import UNetConfig
from text2x.recipe import Model, Recipe
from text2x.recipes import RECIPES
from text2x.recipes.running import prepare_run, recipe_for, train, with_vocabulary
from text2x.requests import ImageRequest
from text2x.shipping import About, Part, ship
from text2x.text_conditioner import TrainableTextConfig

QUICK = ("training.steps=40", "training.evaluate_every=40", "training.sample_every=40", "training.log_every=10")
SHORT = ("training.steps=2", "training.batch_size=4", "training.evaluate_every=0", "training.sample_every=0")
UPSAMPLERS = [
    name
    for name in RECIPES
    if name.startswith("debug") and isinstance(made := RECIPES[name](), Recipe) and made.low_resolution is not None
]


def recipe(name: str) -> Recipe:
    made = RECIPES[name]()
    assert isinstance(made, Recipe)
    return made


def test_the_structure_is_as_published() -> None:
    glide, upsampler = recipe("glide"), recipe("glide-upsampler")
    for each in (glide, upsampler):
        assert isinstance(each.conditioner, TrainableTextConfig) and each.conditioner.pooling == "last"
        assert isinstance(each.network, UNetConfig) and each.network.text == "joint" and each.network.padding_seen
        assert each.network.out_channels == 2 * each.network.in_channels
    assert (glide.schedule.kind, upsampler.schedule.kind) == ("cosine", "linear")  # type: ignore[union-attr]
    assert glide.parameterization == recipe("imagen").parameterization == "epsilon"
    imagen, first, second = (recipe(f"imagen{end}") for end in ("", "-upsampler", "-upsampler-2"))
    assert all(each.network.pooled_context and each.sampling.threshold == 0.995 for each in (imagen, first, second))  # type: ignore[union-attr]
    assert [type(each.schedule).__name__ for each in (imagen, first, second)] == ["Cosine", "Cosine", "Betas"]
    assert (first.network.self_attention, second.network.self_attention) == (True, False)  # type: ignore[union-attr]
    assert second.data.crop is not None and second.data.crop < second.size


def test_a_vocabulary_is_learned_from_the_captions_of_the_training_part_once() -> None:
    images, glide = shapes(16), recipe("debug-glide")
    first, again = (with_vocabulary(glide, images) for _ in range(2))
    assert first == again and isinstance(first.conditioner, TrainableTextConfig)
    assert 0 < len(first.conditioner.merges) <= glide.vocabulary - 259
    assert with_vocabulary(first, images) is first
    assert with_vocabulary(recipe("debug-imagen"), images) == recipe("debug-imagen")
    run = prepare_run(glide)
    words = [run.text.tokenizer.encode(text) for text in ("circle", "square")]  # type: ignore[union-attr]
    assert max(map(len, words)) <= 3  # a word of the data is a token or two


def drawn(size: int, colour: tuple[int, int, int]) -> Image:
    """A disc on nothing."""
    place = (np.arange(size) + 0.5) / size * 2 - 1
    disc = (place[:, None] ** 2 + place[None, :] ** 2 < 0.5)[..., None]
    return Image.from_uint8((disc * np.array([*colour, 255])).astype(np.uint8))


@pytest.mark.medium
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_a_debug_upsampler_trains_and_upscales_on_its_own(name: str, tmp_path: Path) -> None:
    outcome = train(name, settings=QUICK, folder=tmp_path / "run")
    assert outcome.reason == "finished"
    losses = [
        float(line.split('"loss": ')[1].split(",")[0])
        for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
        if '"loss"' in line
    ]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0]
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 1
    generator = load(tmp_path / "run", "cpu")
    edit = Upscaling(drawn(16, (200, 40, 40)), by=2)
    both = generator.generate(ImageRequest("a red circle", seed=7, count=2, edit=edit))
    alone = generator.generate(ImageRequest("a red circle", seed=8, edit=edit))[0]
    assert np.array_equal(both[1].media.pixels, alone.media.pixels)
    assert both[0].media.pixels.shape == (4, 32, 32) and both[0].warnings == ()


@pytest.mark.medium
@pytest.mark.parametrize("system", ["glide", "imagen"])
def test_a_base_and_its_upsampler_become_one_model(system: str, tmp_path: Path) -> None:
    for name in (f"debug-{system}", f"debug-{system}-upsampler"):
        train(name, settings=SHORT, folder=tmp_path / name)
    base, upsampler = tmp_path / f"debug-{system}", tmp_path / f"debug-{system}-upsampler"
    ship([Part(base), Part(upsampler)], About("both", None, "CC0-1.0"), tmp_path / "both", packing="float32")
    parts = [Part(base), Part(tmp_path / "both")]  # a packed model: its upsampler is named, not copied
    model = ship(parts, About("one", None, "CC0-1.0"), tmp_path / "one", packing="float32")
    assert isinstance(model, Model) and model.size == 32 and list(model.weights) == [f"debug-{system}.safetensors"]
    made = [
        load(*arguments[:1], "cpu", tmp_path, *arguments[1:]).generate(ImageRequest("a red circle", seed=3, size=32))[0]
        for arguments in ((tmp_path / "both",), (tmp_path / "one",), (base, (upsampler,)))
    ]
    assert made[0].media.pixels.shape == (4, 32, 32)
    assert all(np.array_equal(each.media.pixels, made[0].media.pixels) for each in made[1:])
    assert made[0].settings["guidance"].startswith("cfg:2") and made[2].settings["stage 1"] == upsampler.name


@pytest.mark.medium
def test_imagens_threshold_stays_when_the_scale_is_changed(tmp_path: Path) -> None:
    train("debug-imagen", settings=SHORT, folder=tmp_path / "run")
    generator = load(tmp_path / "run", "cpu")
    assert isinstance(generator, DiffusionGenerator)
    told = {
        asked: generator.settings(ImageRequest("a dog", guidance=asked))[0].guidance
        for asked in (None, 5, "apg:4", "cfg:5,threshold=1", "none")
    }
    assert told == {
        None: "cfg:2,threshold=0.995", 5: "cfg:5,threshold=0.995", "apg:4": "apg:4,threshold=0.995",
        "cfg:5,threshold=1": "cfg:5,threshold=1", "none": "none",
    }  # fmt: skip


@pytest.mark.slow
def test_debug_glide_learns_colours_with_words_of_its_own(tmp_path: Path) -> None:
    train("debug-glide", settings=("training.steps=1200",), folder=tmp_path / "run")
    generator = load(tmp_path / "run", "cpu")
    right = 0
    for place, (colour, channel) in enumerate([("red", 0), ("green", 1), ("blue", 2)] * 4):
        shape = ("circle", "square", "diamond", "triangle")[place // 3]
        picture = generator.generate(ImageRequest(f"a {colour} {shape}", seed=place))[0].media.to_uint8()
        shown = picture[picture[..., 3] > 127][:, :3].mean(0)
        right += int(shown.argmax() == channel)
    assert right >= 8  # 4 by chance


def test_other_factors_are_a_setting() -> None:
    made = recipe_for("glide-upsampler", ["low_resolution.factor=4", "size=128", "data.size=128", "data.crop=64"])
    assert isinstance(made, Recipe) and made.low_resolution == replace(
        recipe("glide-upsampler").low_resolution,
        factor=4,  # type: ignore[type-var]
    )
