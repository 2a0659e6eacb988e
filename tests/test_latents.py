"""Latents: what is known of them, what a network is told, what is kept; and a model on latents asked for everything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.building import build_generator
from text2x.codecs import LatentCodec
from text2x.data.batches import Batch, BatchConfig
from text2x.edits import METHODS, Inpainting, Outpainting, Variation
from text2x.errors import InputError
from text2x.files import read_json, save_tensors
from text2x.generators import DiffusionGenerator
from text2x.latents import (
    Latents,
    fitted_to_codec,
    latents_of,
    least,
    load_codec,
    measured,
    region_in_latents,
    repeats,
    told_of_masks,
)
from text2x.library import check_weights, load, read_recipe
from text2x.masks import random_masks
from text2x.media import Image
from text2x.networks.dit import DiTConfig
from text2x.objectives import Denoising
from text2x.recipe import DenoisingConfig, LowResolution, Recipe, build_denoiser, build_network
from text2x.requests import ImageRequest, Progress
from text2x.sampling import Region
from text2x.shipping import About, Part, ship
from tiny_latents import latent_recipe, tiny_codec, write_latent_model, write_latent_run

pytestmark = pytest.mark.medium


def pictures(count: int = 2, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 4, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_latent_is_known_as_far_as_the_least_of_its_pixels() -> None:
    keep = torch.ones(1, 1, 8, 8)
    keep[0, 0, 2, 5] = 0.25
    assert least(keep, 4).tolist() == [[[[1.0, 0.25], [1.0, 1.0]]]]


@pytest.mark.parametrize("method", METHODS)
def test_known_latents_and_what_is_told_hold_nothing_of_the_hole(method: str) -> None:
    codec, image = tiny_codec(), pictures(1)
    keep = torch.ones(1, 1, 32, 32)
    keep[..., 9:20, 7:30] = 0
    one = region_in_latents(codec, Region(image, keep, method))
    other = region_in_latents(codec, Region(torch.where(keep == 1, image, 0.7), keep, method))
    assert torch.equal(one.image, other.image) and one.told is not None and other.told is not None
    assert torch.equal(one.told, other.told)
    assert one.keep.shape == (1, 1, 8, 8) and torch.equal(one.keep, least(keep, 4))
    assert one.image.shape == (1, 4, 8, 8) and one.method == method


def test_a_network_is_told_the_mask_and_then_the_latents_of_the_picture_with_its_holes_zero() -> None:
    image, keep = pictures(), random_masks(2, 32, torch.Generator().manual_seed(3))
    told = told_of_masks(tiny_codec(), image, keep)
    torch.testing.assert_close(told[:, 1:], tiny_codec().encode(image * keep))
    assert torch.equal(told[:, :1], least(keep, 4)) and told.shape == (2, 5, 8, 8)
    published = told_of_masks(tiny_codec(hole_mask=True), image, keep)
    assert torch.equal(published[:, :1], 1 - told[:, :1])
    nothing = Latents(tiny_codec(), masks=True, repeats=False).told(image, None)
    assert nothing is None  # zeros to a network
    said = Latents(tiny_codec(hole_mask=True), masks=True, repeats=False).told(image, None)
    assert said is not None and (said[:, 0] == 1).all()


def batch(items: list[int], augmented: tuple[int, ...] = ()) -> Batch:
    images = torch.stack([pictures(8)[item] for item in items])
    labels = torch.zeros(len(items), 5)
    labels[list(augmented), 1] = 0.5
    return Batch(images, ("a dog",) * len(items), (None,) * len(items), labels, torch.tensor(items))


def test_latents_that_are_kept_do_not_depend_on_the_batch_that_they_were_made_in() -> None:
    first, second = (Latents(tiny_codec(), masks=False, repeats=True) for _ in range(2))
    first.of(batch([3, 5]))
    later = first.of(batch([1, 3, 4, 5]))
    assert torch.equal(later, second.of(batch([1, 3, 4, 5])))
    assert torch.equal(later[1], tiny_codec().encode(pictures(8)[3:4])[0])
    assert sorted(first.kept) == [1, 3, 4, 5]


def test_what_is_augmented_or_changed_is_encoded_anew_and_not_kept() -> None:
    latents = Latents(tiny_codec(), masks=False, repeats=True)
    made = latents.of(batch([0, 1, 2], augmented=(1,)))
    torch.testing.assert_close(made, tiny_codec().encode(batch([0, 1, 2]).images), atol=1e-5, rtol=1e-4)
    assert sorted(latents.kept) == [0, 2]
    other = replace(batch([0, 2]), images=-batch([0, 2]).images)
    changed = latents.of(other, changed=True)
    torch.testing.assert_close(changed, tiny_codec().encode(other.images), atol=1e-5, rtol=1e-4)
    assert repeats(BatchConfig()) and not repeats(BatchConfig(mirror=True)) and not repeats(BatchConfig(crop=8))


def test_measured_shift_and_scale_give_latents_of_mean_0_and_variance_1() -> None:
    network = tiny_codec().network
    given = [batch([0, 1, 2, 3]), batch([4, 5, 6, 7])]
    codec = LatentCodec(measured(network, given), network)
    values = torch.cat([codec.encode(each.images) for each in given]).transpose(0, 1).flatten(1)
    assert values.mean(1).abs().max() < 1e-4
    torch.testing.assert_close(values.std(1), torch.ones(4), atol=1e-4, rtol=0)


def test_a_recipe_takes_the_channels_of_its_codec() -> None:
    codec = tiny_codec(replace(tiny_codec().config.network, latent_channels=6))
    fitted = fitted_to_codec(latent_recipe(), codec).network
    assert (fitted.in_channels, fitted.out_channels, fitted.extra_channels) == (6, 6, 7)
    plain = fitted_to_codec(latent_recipe(masks=False), codec).network
    assert plain.extra_channels == 0
    learns = replace(latent_recipe(), network=DiTConfig(out_channels=8, extra_channels=5))
    assert fitted_to_codec(learns, codec).network.out_channels == 12
    with pytest.raises(InputError, match="multiples of 4"):
        fitted_to_codec(replace(latent_recipe(), size=30), codec)
    with pytest.raises(InputError, match="an upsampler, which works on pixels"):
        fitted_to_codec(replace(latent_recipe(), low_resolution=LowResolution()), codec)


class Wordless:
    """A conditioner that says nothing."""

    def __call__(self, prompts, styles=None, augmentations=None):
        from text2x.conditioning import Conditioning

        return Conditioning()

    def truncated(self, prompt: str) -> str | None:
        return None


def objective(recipe: Recipe, **fields: float) -> Denoising:
    torch.manual_seed(1)
    network = build_network(recipe)
    torch.nn.init.normal_(network.conv_out.weight, std=0.05)  # type: ignore[union-attr,arg-type]
    latents = latents_of(recipe, tiny_codec())
    denoiser = build_denoiser(recipe, network)
    return Denoising(denoiser, Wordless(), DenoisingConfig(**fields), latents=latents)  # type: ignore[arg-type]


def test_the_loss_is_that_of_the_latents() -> None:
    made = objective(latent_recipe())
    rng = torch.Generator().manual_seed(2)
    loss = made(batch([0, 1, 2, 3]), rng)["loss"]
    again = torch.Generator().manual_seed(2)
    torch.rand((), generator=again)  # whether there are masks
    x_0 = tiny_codec().encode(batch([0, 1, 2, 3]).images)
    t = (torch.randperm(4, generator=again) + torch.rand(4, generator=again)) / 4
    noise = torch.randn(x_0.shape, generator=again)
    conditioning = Wordless()(())
    by_hand = made.denoiser.loss(x_0, t, noise, conditioning, made.weighting).mean()
    torch.testing.assert_close(loss, by_hand, atol=1e-5, rtol=1e-5)


def test_masks_reach_the_network_in_latents_and_the_held_out_error_is_taken_there() -> None:
    made = objective(latent_recipe(), mask_probability=1.0, placed_probability=0.5)
    told = made.condition(batch([0, 1]), torch.Generator(), random_masks(2, 32, torch.Generator())).channels
    assert told is not None and told.shape == (2, 5, 8, 8)
    torch.nn.init.normal_(made.denoiser.network.conv_in.weight, std=0.2)  # type: ignore[attr-defined]
    losses = [float(made(batch([0, 1]), torch.Generator().manual_seed(seed))["loss"].detach()) for seed in (2, 2, 3)]
    assert losses[0] == losses[1] != losses[2]
    figures = made.held_out([batch([0, 1])], seed=0)
    assert figures["held_out"] > 0 and set(made.latents.kept) == {0, 1}  # type: ignore[union-attr]


# A model on latents, asked for what others are asked for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "latent"
    write_latent_model(path, latent_recipe())
    return path


@pytest.fixture(scope="module")
def generator(folder: Path) -> DiffusionGenerator:
    return build_generator(read_json(folder / "recipe.json"), folder)


def pixels(generator: DiffusionGenerator, **fields: object) -> list[np.ndarray]:
    request = ImageRequest(**{"prompt": "a dog", "seed": 7, **fields})  # type: ignore[arg-type]
    return [result.media.pixels for result in generator.generate(request)]


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddpm", "euler"])
def test_one_seed_is_one_picture_in_any_batch_and_with_any_number_of_threads(generator, sampler: str) -> None:
    together = pixels(generator, count=2, sampler=sampler)
    assert together[0].shape == (4, 32, 32) and not np.array_equal(together[0], together[1])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert np.array_equal(pixels(generator, seed=8, sampler=sampler)[0], together[1])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "change", [{"prompt": "a car"}, {"style": "line"}, {"guidance": 5.0}, {"negative": "a cat"}, {"guidance": "apg:4"}]
)
def test_every_field_has_its_influence(generator, change: dict) -> None:
    assert not np.array_equal(pixels(generator)[0], pixels(generator, **change)[0])


def test_previews_are_pictures_and_the_last_one_is_the_result(generator) -> None:
    seen: list[Progress] = []
    made = generator.generate(ImageRequest("a dog", seed=7, sampler="euler"), seen.append)[0]
    assert [each.step for each in seen] == [1, 2, 3]
    shown = [each.estimate()[0].pixels for each in seen]
    assert shown[0].shape == (4, 32, 32) and not np.array_equal(shown[0], shown[2])
    assert np.array_equal(shown[2], made.media.pixels)


@pytest.mark.parametrize("method", METHODS)
def test_known_pixels_come_back_to_the_byte_with_every_method(generator, method: str) -> None:
    image = Image.from_uint8(np.random.default_rng(0).integers(0, 256, (40, 29, 4), dtype=np.uint8))
    made = generator.generate(
        ImageRequest("a dog", seed=7, steps=2, edit=Inpainting(image, "3,5,9,14", method=method))
    )[0].media
    known = np.ones((40, 29), dtype=bool)
    known[5:19, 3:12] = False
    assert np.array_equal(made.pixels[:, known], image.pixels[:, known])
    assert not np.array_equal(made.pixels[:, ~known], image.pixels[:, ~known])


def test_pictures_are_painted_around_and_varied(generator) -> None:
    image = Image.from_uint8(np.random.default_rng(0).integers(0, 256, (24, 24, 4), dtype=np.uint8))
    wide = generator.generate(ImageRequest("a dog", seed=7, steps=2, edit=Outpainting(image, left=20)))[0].media
    assert (wide.width, wide.height) == (44, 24) and np.array_equal(wide.pixels[:, :, 20:], image.pixels)
    near, far = (
        generator.generate(ImageRequest("a dog", seed=7, steps=4, edit=Variation(image, strength)))[0].media.pixels
        for strength in (0.25, 1.0)
    )
    start = np.asarray(generator.stages[0].codec.decode(generator.stages[0].codec.encode(large(image)))[0])
    assert np.abs(near - shrunk(start, 24)).mean() < np.abs(far - shrunk(start, 24)).mean()


def large(image: Image) -> torch.Tensor:
    return torch.from_numpy(image.resize(32).pixels.copy())[None]


def shrunk(pixels: np.ndarray, size: int) -> np.ndarray:
    return Image(pixels.astype(np.float32)).resize(size).pixels


def test_the_known_part_reaches_a_network_that_is_told_of_it(generator) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    other = image.copy()
    other[:8] = 255 - other[:8]
    edits = [Inpainting(Image.from_uint8(each), "0,16,32,16", method="channels") for each in (image, other)]
    made = [pixels(generator, edit=edit)[0][:, 24:] for edit in edits]
    assert not np.array_equal(*made)


@pytest.mark.parametrize(
    ("guidance", "message"),
    [("clip:2", "works on latents; take cfg"), ("cfg:3,threshold=0.99", "latents without a range")],
)
def test_guidance_that_looks_at_pixels_is_refused_with_the_way_out(generator, guidance: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pixels(generator, guidance=guidance)


def test_a_model_whose_codec_is_damaged_or_missing_is_refused(tmp_path: Path) -> None:
    write_latent_model(tmp_path / "latent", latent_recipe())
    file = tmp_path / "latent" / "codec.safetensors"
    changed = {name: value + 1 for name, value in tiny_codec().network.state_dict().items()}
    save_tensors(file, changed)
    with pytest.raises(InputError, match="SHA-256"):
        load(str(tmp_path / "latent"))
    file.unlink()
    with pytest.raises(InputError, match=r"lacks the file codec\.safetensors"):
        load(str(tmp_path / "latent"))


def test_a_run_makes_pictures_and_is_packed_with_its_codec(tmp_path: Path) -> None:
    run = write_latent_run(tmp_path / "run", latent_recipe())
    check_weights(run, read_recipe(run))
    model = ship([Part(run)], About("small", None, "CC0-1.0"), tmp_path / "small", "float32")
    assert set(model.weights) == {"latent.safetensors", "codec.safetensors"}
    of_run, of_model = (pixels(load(str(tmp_path / name), "cpu"))[0] for name in ("run", "small"))  # type: ignore[arg-type]
    assert np.array_equal(of_run, of_model)
    packed = ship([Part(run)], About("tiny", None, "CC0-1.0"), tmp_path / "tiny", "int8")
    assert packed.weights["codec.safetensors"].dtype == "float16"
    assert np.abs(pixels(load(str(tmp_path / "tiny"), "cpu"))[0] - of_run).mean() < 0.1  # type: ignore[arg-type]
    save_tensors(run / "codec.safetensors", {n: v + 1 for n, v in tiny_codec().network.state_dict().items()})
    with pytest.raises(InputError, match="not the file it should be"):
        load(str(run))


def test_a_codec_that_was_never_read_is_no_codec(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names the codec 'runs/autoencoder', which was never read"):
        load_codec(replace(latent_recipe(), codec="runs/autoencoder"), tmp_path / "codec.safetensors")
