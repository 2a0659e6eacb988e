"""Cascades: which stage makes what, stages that read the prompt, tiles, seeds, and stages taken from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import text2x.cascades
from text2x.building import build_generator
from text2x.cascades import Box, check_chain, largest, passes, step_of, tile_weights, tiles
from text2x.conditioning import Conditioning
from text2x.config import to_dict
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import XStart
from text2x.diffusion.schedules import Betas, Linear
from text2x.edits import Inpainting
from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.generators import DiffusionGenerator
from text2x.library import load
from text2x.media import Image
from text2x.networks.efficient_unet import EfficientUNetConfig
from text2x.objectives import Denoising, beside, quantized, upsampling_condition
from text2x.recipe import DenoisingConfig, LowResolution, Recipe, SamplingConfig
from text2x.requests import ImageRequest
from text2x.sampling import TrainedStage
from tiny_models import STYLES, base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium

Make = Callable[..., DiffusionGenerator]


def reading_upsampler(factor: int = 2, size: int = 32, **low: object) -> Recipe:
    """An upsampler that reads the prompt, learns its variance and is told the noise level."""
    recipe, base = upsampler_recipe(), base_recipe()
    return replace(
        recipe,
        name=f"reads-{size}",
        size=size,
        network=replace(
            recipe.network, attention_levels=(1,), head_width=16, out_channels=8, context_width=384,
            vector_width=384 + len(STYLES) + 1,
        ),
        conditioner=base.conditioner,
        parameterization="epsilon",
        schedule=Betas("linear"),
        sampling=SamplingConfig(sampler="ddpm", steps=2, guidance=2.0, grid="log_snr", temperature=0.9),
        low_resolution=LowResolution(factor=factor, quantized=True, **low),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Generators of tiny models with these stages."""

    def made(*recipes: Recipe, size: int = 32) -> DiffusionGenerator:
        folder = tmp_path_factory.mktemp("models") / "random"
        return build_generator(to_dict(write_model(folder, recipes, size)), folder)

    return made


@pytest.fixture(scope="module")
def reading(make: Make) -> DiffusionGenerator:
    return make(base_recipe(), reading_upsampler())


def pixels(generator: DiffusionGenerator, **fields: object) -> np.ndarray:
    request = ImageRequest(**{"prompt": "a red apple", "seed": 7, **fields})  # type: ignore[arg-type]
    return generator.generate(request)[0].media.pixels


# The chain


def stage(size: int, factor: int | None, repeats: bool = True) -> TrainedStage:
    low = None if factor is None else LowResolution(factor=factor, repeats=repeats)
    return TrainedStage(replace(base_recipe(), size=size, low_resolution=low), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factors", "repeats", "expected"),
    [
        ((2,), True, [(1, 32), (1, 64), (1, 128), (1, 256)]),
        ((4,), True, [(1, 64), (1, 256)]),
        ((4, 2), True, [(1, 64), (2, 128), (2, 256)]),
        ((2, 4), False, [(1, 32), (2, 128)]),
        ((4, 4, 2), True, [(1, 64), (2, 256), (3, 512)]),
        ((), True, []),
    ],
)
def test_each_upsampler_comes_once_and_the_last_again_if_it_repeats(
    factors: tuple[int, ...], repeats: bool, expected: list[tuple[int, int]]
) -> None:
    stages = [stage(16, None), *(stage(0, factor, repeats) for factor in factors)]
    assert [(each.place, each.size) for each in passes(stages)] == expected
    assert largest(stages) == max([16, *(size for _, size in expected)])


def test_a_stage_that_is_no_upsampler_cannot_follow() -> None:
    with pytest.raises(InputError, match="no upsampler"):
        check_chain([stage(16, None), stage(16, None)])


@pytest.mark.medium
def test_stages_of_two_factors_make_what_the_size_needs(make: Make) -> None:
    generator = make(base_recipe(), reading_upsampler(), upsampler_recipe(), size=64)
    seen = []
    generator.generate(ImageRequest("a dog", seed=1), on_step=seen.append)
    assert list(dict.fromkeys(each.stage for each in seen)) == ["base", "upsampler to 32", "upsampler to 64"]
    four = make(base_recipe(), reading_upsampler(4, 64), size=64)
    assert four.generate(ImageRequest("a dog", seed=1, size=50))[0].media.width == 50 and four.largest == 256


def test_what_the_last_stage_may_not_repeat_is_too_large(make: Make) -> None:
    generator = make(base_recipe(), reading_upsampler(repeats=False))
    with pytest.raises(InputError, match="at most 32 pixels"):
        pixels(generator, size=64)


# A stage that reads the prompt


def test_a_seed_is_a_picture_in_every_batch_with_a_stage_that_reads(reading: DiffusionGenerator) -> None:
    together = reading.generate(ImageRequest("a red apple", seed=7, count=2))
    assert np.array_equal(together[1].media.pixels, pixels(reading, seed=8))


def last_stage_alone(generator: DiffusionGenerator, **fields: object) -> np.ndarray:
    """What the last stage makes of the same small picture."""
    request = ImageRequest(**{"prompt": "a red apple", "seed": 7, **fields})  # type: ignore[arg-type]
    from text2x.settings import Run

    settings, _ = generator.settings(request)
    run = Run(settings, lambda name, steps: None)
    small = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cascade = text2x.cascades.Cascade(generator.stages, "random", run, (7,), torch.device("cpu"))
    with torch.inference_mode():
        return text2x.cascades.upsample(small, 1, cascade).numpy()


def test_the_words_reach_the_upsampler_itself(reading: DiffusionGenerator) -> None:
    first = last_stage_alone(reading)
    assert np.array_equal(first, last_stage_alone(reading, guidance=5.0, steps=9))  # those are for the base
    for change in ({"prompt": "a blue car"}, {"style": "line"}, {"negative": "a dog"}, {"also": ("snow::0.5",)}):
        assert not np.array_equal(first, last_stage_alone(reading, **change)), change


@pytest.mark.medium
def test_the_stage_has_guidance_and_temperature_of_its_own(make: Make) -> None:
    recipe = reading_upsampler()
    first = last_stage_alone(make(base_recipe(), recipe))
    for change in ({"guidance": 1.0}, {"temperature": 1.0}, {"guidance": 6.0, "threshold": 0.9}):
        other = replace(recipe, sampling=replace(recipe.sampling, **change))  # type: ignore[arg-type]
        assert not np.array_equal(first, last_stage_alone(make(base_recipe(), other))), change


@pytest.mark.medium
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_a_learned_variance_works_in_an_upsampler_with_each_sampler(make: Make, sampler: str) -> None:
    recipe = reading_upsampler()
    generator = make(base_recipe(), replace(recipe, sampling=replace(recipe.sampling, sampler=sampler, steps=3)))
    assert np.isfinite(pixels(generator)).all()
    inside = pixels(generator, edit=Inpainting(Image(np.zeros((4, 32, 32), np.float32)), "8,8,16,16"))
    assert not inside[:, :8].any() and inside[:, 10:20, 10:20].any()


def test_the_end_of_a_prompt_that_one_stage_cannot_take_is_warned_of_once(make: Make) -> None:
    recipe = reading_upsampler()
    assert recipe.conditioner is not None
    short = replace(recipe, conditioner=replace(recipe.conditioner, max_tokens=6))
    result = make(base_recipe(), short).generate(ImageRequest("a red apple on a table", seed=1))[0]
    assert [each for each in result.warnings if "does not fit" in each] == [
        "the end of the prompt does not fit and is ignored: 'a table'"
    ]


def test_each_stage_has_the_text_encoder_that_was_trained_with_it(tmp_path: Path) -> None:
    from text2x.building import build_stages
    from text2x.files import save_tensors
    from text2x.recipe import Model, Stage, build_network, build_text, trainable_of
    from text2x.text_conditioner import TrainableTextConfig
    from text2x.weights import pack

    text = TrainableTextConfig(16, width=16, layers=1, heads=2)
    network = replace(base_recipe().network, context_width=16, vector_width=16)
    recipe = replace(base_recipe(), conditioner=text, network=network)
    for place in range(2):
        torch.manual_seed(place)
        trainable = trainable_of(build_network(recipe), build_text(recipe))
        save_tensors(tmp_path / f"{place}.safetensors", pack(trainable.state_dict(), "float32"))
    stages = tuple(Stage(replace(recipe, name=str(place)), f"{place}.safetensors") for place in range(2))
    first, second = build_stages(Model("two", "", "", stages), tmp_path)
    assert first.text is not second.text
    words = [each.text(["a dog"]).vector for each in (first, second)]  # type: ignore[misc]
    assert not torch.equal(words[0], words[1])  # type: ignore[arg-type]


# What it is told


def test_the_level_is_the_vectors_last_number_unless_there_is_no_noise() -> None:
    small = torch.rand(2, 4, 4, 4) * 2 - 1
    told = upsampling_condition(small, torch.tensor([0.1, 0.3]), torch.zeros_like(small), torch.zeros(2, 5, 8, 8), 2)
    words = Conditioning(torch.ones(2, 3, 5), torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 6))
    both = beside(words, told, LowResolution())
    assert both.vector is not None and both.vector.shape == (2, 7)
    torch.testing.assert_close(both.vector[:, -1], torch.tensor([0.1, 0.3]))
    assert both.context is words.context and both.channels is told.channels
    silent = beside(words, told, LowResolution(largest_noise=0.0))
    assert torch.equal(silent.vector, words.vector)  # type: ignore[arg-type]
    assert torch.equal(beside(Conditioning(), told, LowResolution()).vector, told.vector)  # type: ignore[arg-type]


def test_the_small_picture_is_rounded_to_the_256_values_of_a_file() -> None:
    values = torch.linspace(-1, 1, 10_001)
    rounded = quantized(values, LowResolution(quantized=True))
    assert len(rounded.unique()) == 256
    assert (rounded - values).abs().max() <= 1 / 255 + 1e-6
    assert torch.equal(quantized(rounded, LowResolution(quantized=True)), rounded)
    assert quantized(values, LowResolution()) is values


def test_in_training_words_and_low_resolution_arrive_together() -> None:
    from text2x.data.batches import Batch

    class Words:
        def __call__(self, prompts: object, styles: object = None, augmentations: object = None) -> Conditioning:
            return Conditioning(torch.ones(3, 2, 5), torch.ones(3, 2, dtype=torch.bool), torch.zeros(3, 6))

        def truncated(self, prompt: str) -> None:
            return None

    class Network:
        def prepare(self, conditioning: Conditioning) -> Conditioning:
            return conditioning

        def __call__(self, x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
            self.told = conditioning
            return torch.zeros_like(x)

    network = Network()
    low = LowResolution(factor=4, largest_noise=0.5)
    denoising = Denoising(Denoiser(network, Linear(), XStart()), Words(), DenoisingConfig(), low)
    images = torch.rand(3, 4, 16, 16) * 2 - 1
    denoising(Batch(images, ("a",) * 3, (None,) * 3, None, torch.arange(3)), torch.Generator().manual_seed(0))
    told = network.told
    assert told.channels is not None and told.channels.shape == (3, 9, 16, 16)
    assert told.context is not None and told.vector is not None and told.vector.shape == (3, 7)
    assert 0 < told.vector[:, -1].max() <= 0.5


# Tiles


@pytest.mark.parametrize(("height", "width", "side"), [(64, 64, 32), (40, 96, 32), (24, 200, 32), (72, 64, 64)])
def test_tiles_cover_everything_overlap_and_keep_to_the_grid(height: int, width: int, side: int) -> None:
    boxes = tiles(Box(0, 0, height, width), side, 8)
    covered = torch.zeros(height, width)
    for box in boxes:
        assert box.top % 8 == box.left % 8 == 0 and box.height <= side and box.width <= side
        weights = tile_weights(box)
        assert weights.shape == (box.height, box.width) and (weights > 0).all() and weights.max() == 1
        box.of(covered).add_(weights)
    assert (covered > 0).all()
    lefts = sorted({box.left for box in boxes})
    assert all(right - left <= side - side // 4 for left, right in zip(lefts, lefts[1:], strict=False))


def test_with_a_network_that_looks_at_one_pixel_tiles_make_what_the_whole_makes(
    reading: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a network cannot tell a tile's border; the noise of the whole picture is the same with and without tiles."""
    from text2x.guiding import Led
    from text2x.settings import Run

    def pointwise(*arguments: object) -> Led:
        low = arguments[-1]
        assert isinstance(low, Conditioning) and low.channels is not None
        level = low.channels[:, :4].mean((2, 3), keepdim=True) * 0
        return Led(lambda x_t, t: torch.tanh(x_t * 0.5 + level + 0.1 * t[:, None, None, None]))

    monkeypatch.setattr(text2x.cascades, "led", pointwise)
    settings, _ = reading.settings(ImageRequest("a dog", seed=1))
    cascade = text2x.cascades.Cascade(
        reading.stages, "random", Run(settings, lambda name, steps: None), (7,), torch.device("cpu"), sampler="euler",
        steps=3,
    )  # fmt: skip
    small = torch.rand(1, 4, 32, 20) * 2 - 1
    whole, tiled = (text2x.cascades.upsample(small, 1, cascade, tile) for tile in (None, 16))
    assert whole.shape == (1, 4, 64, 40)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_sides_are_multiples_of_what_the_network_halves() -> None:
    recipe = upsampler_recipe()
    assert step_of(recipe) == 2
    assert step_of(replace(recipe, network=replace(recipe.network, patch=2, multipliers=(1, 2, 2)))) == 8
    assert step_of(replace(recipe, network=EfficientUNetConfig(multipliers=(1, 2, 2), blocks=(1, 1, 1)))) == 8
    assert step_of(replace(recipe, low_resolution=LowResolution(factor=4))) == 4


# Stages from elsewhere


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models called first and second, an upsampler alone, and a model that refers to another's upsampler."""
    root = tmp_path_factory.mktemp("swapped")
    write_model(root / "first", (base_recipe(), upsampler_recipe()), size=32)
    write_model(root / "second", (base_recipe(), reading_upsampler()), size=32)
    write_model(root / "alone", (reading_upsampler(4, 64),), size=64)
    write_model(root / "refers", (base_recipe(),), size=32)
    values = {**read_json(root / "refers" / "recipe.json"), "upsampler": "first"}
    write_json(root / "refers" / "recipe.json", values)
    return root


def loaded(folders: Path, name: str, **options: object) -> DiffusionGenerator:
    generator = load(folders / name, "cpu", folders, **options)  # type: ignore[arg-type]
    assert isinstance(generator, DiffusionGenerator)
    return generator


@pytest.mark.medium
def test_a_model_may_refer_to_the_upsampler_of_another(folders: Path) -> None:
    own, other = (pixels(loaded(folders, name)) for name in ("first", "refers"))
    assert np.array_equal(own, other) and own.shape == (4, 32, 32)


@pytest.mark.medium
def test_upsamplers_are_swapped_by_name_and_by_folder_and_the_result_says_so(folders: Path) -> None:
    swapped = loaded(folders, "first", upsamplers=["second"])
    assert np.array_equal(pixels(swapped), pixels(loaded(folders, "second")))
    assert not np.array_equal(pixels(swapped), pixels(loaded(folders, "first")))
    assert swapped.generate(ImageRequest("a dog", seed=1))[0].settings["stage 1"] == "second"
    chain = loaded(folders, "first", upsamplers=["second", folders / "alone"])
    assert [each.recipe.name for each in chain.stages] == ["base", "reads-32", "reads-64"]
    assert chain.largest == 16 * 2 * 4


@pytest.mark.medium
def test_a_single_stage_is_swapped_by_its_place(folders: Path) -> None:
    swapped = loaded(folders, "first", stages={1: folders / "alone"})
    assert [each.recipe.name for each in swapped.stages] == ["base", "reads-64"]
    assert np.array_equal(pixels(loaded(folders, "first", stages={0: "second"})), pixels(loaded(folders, "first")))
    with pytest.raises(InputError, match="has 0 to 1"):
        loaded(folders, "first", stages={2: "alone"})


def test_what_has_no_upsampler_to_give_is_said(folders: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "small", (base_recipe(),), size=16)
    with pytest.raises(InputError, match="has no upsampler"):
        loaded(folders, "first", upsamplers=[tmp_path / "small"])
    with pytest.raises(InputError, match="there is no model folder"):
        loaded(folders, "first", upsamplers=["./nowhere"])
