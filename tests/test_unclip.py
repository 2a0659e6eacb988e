"""A whole DALL-E 2 with random weights: what reaches the picture, seeds, edits, packing, and what cannot be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.building import build_generator
from text2x.config import to_dict
from text2x.edits import Blending, Inpainting, Outpainting, Shifting, Variation, described
from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.generators import DiffusionGenerator
from text2x.guiding import Asked
from text2x.library import check_sees, load
from text2x.media import Image
from text2x.recipe import model_from_dict
from text2x.requests import ImageRequest
from text2x.shipping import About, Part, ship
from text2x.unclip import load_embedder, told
from tiny_models import base_recipe, write_model
from tiny_unclip import D, clip_recipe, decoder_recipe, prior_recipe, random_network, write_run, write_unclip

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    made = load(write_unclip(tmp_path_factory.mktemp("models")))
    assert isinstance(made, DiffusionGenerator)
    return made


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    """With the autoregressive prior."""
    made = load(write_unclip(tmp_path_factory.mktemp("models"), autoregressive=True))
    assert isinstance(made, DiffusionGenerator)
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    """A model without a CLIP."""
    folder = tmp_path_factory.mktemp("models") / "blind"
    return build_generator(to_dict(write_model(folder, (base_recipe(),), size=16)), folder)


def picture(seed: int = 0, width: int = 16, height: int = 16) -> Image:
    return Image.from_uint8(np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8))


def pixels(generator: DiffusionGenerator, **fields: object) -> np.ndarray:
    request = ImageRequest(**{"prompt": "a dog", "seed": 7, "size": 16, "steps": 3, **fields})  # type: ignore[arg-type]
    return generator.generate(request)[0].media.pixels


def edited(generator: DiffusionGenerator, edit: object, **fields: object) -> np.ndarray:
    return pixels(generator, **{"prompt": "", "size": None, "edit": edit, **fields})


def test_a_seed_gives_the_same_bytes_alone_and_among_others(generator: DiffusionGenerator) -> None:
    for fields in ({"prompt": "a dog", "size": 32}, {"edit": Variation(picture(), 0.4)}):
        request = ImageRequest(**{"prompt": "", "seed": 6, "count": 3, "steps": 3, **fields})  # type: ignore[arg-type]
        batch = [each.media.pixels for each in generator.generate(request)]
        alone = generator.generate(replace(request, seed=8, count=1))[0].media.pixels
        assert np.array_equal(batch[2], alone) and not np.array_equal(batch[0], batch[1])


@pytest.mark.parametrize("kind", ["generator", "speaking"])
def test_each_item_has_an_embedding_of_its_own_that_depends_on_its_seed_alone(
    kind: str, request: pytest.FixtureRequest
) -> None:
    generator: DiffusionGenerator = request.getfixturevalue(kind)
    assert generator.unclip is not None
    asked = Asked("a dog", "", None, (("snow", 0.5),), ())
    together = generator.unclip.imagined(asked, [3, 4, 5]).images
    assert [each.shape for each in together] == [(3, D)] * 3
    alone = generator.unclip.imagined(asked, [4]).images
    assert torch.equal(together[0][1:2], alone[0]) and torch.equal(together[2][1:2], alone[2])
    assert not together[1].any() and not torch.equal(together[0], together[2])
    assert torch.allclose(together[0].square().mean(1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("kind", ["generator", "speaking"])
def test_words_reach_the_picture_through_the_prior_too(kind: str, request: pytest.FixtureRequest) -> None:
    generator: DiffusionGenerator = request.getfixturevalue(kind)
    assert generator.unclip is not None
    seeds = list(range(6))
    embeddings = generator.unclip.imagined(Asked("a dog", "", None, (), ()), seeds).images[0]
    others = generator.unclip.imagined(Asked("a cat", "", None, (), ()), seeds).images[0]
    assert not torch.equal(embeddings, others)
    assert not np.array_equal(pixels(generator), pixels(generator, prompt="a cat"))


@pytest.mark.parametrize(
    "change",
    [{"guidance": 5.0}, {"negative": "snow"}, {"also": ("snow::0.5",)}, {"style": "line"}, {"seed": 9}],
    ids=str,
)
def test_every_field_has_its_influence(generator: DiffusionGenerator, change: dict) -> None:
    assert not np.array_equal(pixels(generator), pixels(generator, **change))


def test_of_two_draws_the_one_nearer_to_the_text_is_kept(generator: DiffusionGenerator) -> None:
    assert generator.unclip is not None and generator.unclip.prior is not None
    prior = generator.unclip.prior
    single = replace(prior, recipe=replace(prior.recipe, sampling=replace(prior.recipe.sampling, candidates=1)))
    many = replace(prior, recipe=replace(prior.recipe, sampling=replace(prior.recipe.sampling, candidates=8)))
    text = generator.unclip.clip.text_embeddings(["a dog"])[0]
    seeds = list(range(8))
    one, best = (float((each.draw("a dog", None, seeds) @ text).mean()) for each in (single, many))
    assert best > one


def test_a_blend_ends_with_what_each_picture_becomes_by_itself(generator: DiffusionGenerator) -> None:
    one, other = picture(1), picture(2)
    first, last = (edited(generator, Blending(one, other, at)) for at in (0.0, 1.0))
    assert np.array_equal(first, edited(generator, Blending(one, picture(3), 0.0)))
    assert np.array_equal(last, edited(generator, Blending(picture(3), other, 1.0)))
    middle = edited(generator, Blending(one, other, 0.5))
    assert not np.array_equal(middle, first) and not np.array_equal(middle, last)


def test_a_shift_of_nothing_is_the_picture_and_further_ones_leave_it(generator: DiffusionGenerator) -> None:
    still = edited(generator, Shifting(picture(), "gold", "wood", 0.0))
    assert np.array_equal(still, edited(generator, Shifting(picture(), "silver", "stone", 0.0)))
    assert np.array_equal(still, edited(generator, Blending(picture(), picture(5), 0.0)))
    near, far = (edited(generator, Shifting(picture(), "gold", "wood", by)) for by in (0.05, 0.5))
    assert 0 < np.abs(near - still).mean() < np.abs(far - still).mean()


def test_a_variation_forgets_more_of_the_picture_the_stronger_it_is(generator: DiffusionGenerator) -> None:
    still = edited(generator, Blending(picture(), picture(5), 0.0))
    changes = [np.abs(edited(generator, Variation(picture(), s), steps=8) - still).mean() for s in (0.02, 0.5)]
    assert changes[0] < changes[1]
    strong = [edited(generator, Variation(picture(seed), 1.0)) for seed in (0, 1)]
    assert not np.array_equal(*strong)  # what it shows is kept, by its embedding


def test_edits_have_the_size_of_the_first_picture(generator: DiffusionGenerator) -> None:
    wide, tall = picture(0, 30, 20), picture(1, 10, 40)
    for edit in (Variation(wide, 0.5), Blending(wide, tall, 0.5), Shifting(wide, "gold")):
        assert edited(generator, edit).shape == (4, 20, 30)


def test_painting_into_and_around_a_picture_keeps_what_is_known(generator: DiffusionGenerator) -> None:
    image = picture()
    for prompt in ("a dog", ""):
        made = edited(generator, Inpainting(image, "4,4,8,8"), prompt=prompt)
        assert np.array_equal(made[:, :4], image.pixels[:, :4])
    assert np.array_equal(edited(generator, Outpainting(image, left=9))[:, :, 9:], image.pixels)


def test_a_prompt_style_and_guidance_change_an_edit_and_another_sampler_is_warned_of(
    generator: DiffusionGenerator,
) -> None:
    edit = Blending(picture(1), picture(2), 0.4)
    still = edited(generator, edit)
    for change in ({"prompt": "in winter"}, {"prompt": "in winter", "guidance": 3.0}, {"style": "line"}):
        assert not np.array_equal(edited(generator, edit, **change), still), change
    result = generator.generate(ImageRequest("", seed=1, steps=2, edit=edit, sampler="heun"))[0]
    assert result.warnings == ("this edit is sampled by ddim, so the sampler heun is ignored",)
    assert (result.settings["sampler"], result.settings["guidance"]) == ("ddim", "cfg:1")


def test_an_edit_is_described_with_both_pictures() -> None:
    about = described(Blending("a/one.png", picture(), 0.0))
    assert about == {"edit": "blending", "image": "one.png", "other": "a picture of 16x16 pixels", "at": 0.0}
    assert described(Shifting("a/one.png", "gold"))["after"] == "gold"


BAD = [
    (lambda: Blending(picture(), picture(), 1.5), "0 to 1"),
    (lambda: Shifting(picture(), "gold", by=0.7), "0 to 0.5"),
    (lambda: Shifting(picture(), ""), "after"),
    (lambda: Shifting(picture(), "gold", "gold"), "nothing would change"),
    (lambda: Blending(picture(), "none.png"), "none.png"),
]


@pytest.mark.parametrize(("make", "named"), BAD, ids=[named for _, named in BAD])
def test_an_edit_that_cannot_be_done_is_one_line(generator: DiffusionGenerator, make, named: str) -> None:
    with pytest.raises(InputError) as caught:
        edited(generator, make())
    assert named in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 250


def test_a_model_without_a_clip_says_so_and_names_one_that_has(plain: DiffusionGenerator, tmp_path: Path) -> None:
    for edit in (Blending(picture(), picture()), Shifting(picture(), "gold")):
        with pytest.raises(InputError, match="no CLIP that sees pictures"):
            edited(plain, edit)
    assert edited(plain, Variation(picture(), 0.5)).shape == (4, 16, 16)
    write_model(tmp_path / "blind", (base_recipe(),), 16)
    write_unclip(tmp_path)
    with pytest.raises(InputError, match="blind has no CLIP.*painter"):
        check_sees("blind", tmp_path)
    check_sees("painter", tmp_path)


def test_a_decoder_alone_draws_from_the_words(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", decoder_recipe())
    made = build_generator(read_json(run / "recipe.json"), run)
    assert made.unclip is None and pixels(made).shape == (4, 16, 16)


def test_a_clip_that_is_packed_already_is_named_and_found_beside(tmp_path: Path) -> None:
    own = load(write_unclip(tmp_path))
    ship([Part(tmp_path / "runs" / "clip")], About("shared", "Sees.", "CC0-1.0"), tmp_path / "shared", "float16")
    runs = [tmp_path / "runs" / name for name in ("decoder", "upsampler", "prior")]
    ship([Part(run) for run in (*runs, tmp_path / "shared")], About("two", "x", "CC0-1.0"), tmp_path / "two", "float16")
    assert not (tmp_path / "two" / "clip.safetensors").exists()
    model = model_from_dict(read_json(tmp_path / "two" / "recipe.json"))
    assert model.clip == "shared"
    write_json(tmp_path / "two" / "recipe.json", to_dict(replace(model, prior="painter")))
    other = load(tmp_path / "two")
    assert isinstance(own, DiffusionGenerator) and isinstance(other, DiffusionGenerator)
    assert np.array_equal(pixels(own), pixels(other))


def test_what_does_not_belong_together_is_not_packed(tmp_path: Path) -> None:
    parts = {recipe.name: Part(write_run(tmp_path / recipe.name, recipe))
             for recipe in (decoder_recipe(), base_recipe(), prior_recipe(), clip_recipe())}  # fmt: skip
    about = About("x", None, "CC0-1.0")
    for names, message in (
        (("prior",), "together with the run of its decoder"),
        (("decoder", "prior"), "its CLIP"),
        (("base", "clip"), "'base' is none"),
        (("decoder", "clip", "clip"), "one CLIP"),
    ):
        with pytest.raises(InputError, match=message):
            ship([parts[name] for name in names], about, tmp_path / "out")


def test_a_clip_of_another_width_is_refused(tmp_path: Path) -> None:
    folder = write_unclip(tmp_path)
    model = model_from_dict(read_json(folder / "recipe.json"))
    decoder = replace(decoder_recipe(), network=replace(decoder_recipe().network, image_embedding=16))
    write_run(tmp_path / "narrow", decoder)
    ship([Part(tmp_path / "narrow"), Part(tmp_path / "runs" / "clip")], About("n", "x", "CC0-1.0"), tmp_path / "n")
    assert model.prior is not None
    with pytest.raises(InputError, match="32 numbers, its base reads 16"):
        load(tmp_path / "n")


def test_embeddings_are_unit_vectors_and_a_folder_without_a_clip_is_named(tmp_path: Path) -> None:
    clip = load_embedder(write_run(tmp_path / "clip", clip_recipe()))
    images = torch.rand(3, 4, 40, 40) * 2 - 1
    made = clip.image_embeddings(images)
    assert torch.allclose(made.norm(dim=1), torch.ones(3)) and made.shape == (3, D)
    assert torch.allclose(clip.image_embeddings(images[1:2]), made[1:2], atol=1e-5)
    texts = clip.text_embeddings(["a dog", "a dog"], ["large", "a style it does not know"])
    assert torch.equal(texts[1:], clip.text_embeddings(["a dog"])) and not torch.equal(texts[0], texts[1])
    assert float(told(made).square().mean()) == pytest.approx(1)
    write_run(tmp_path / "prior", prior_recipe())
    with pytest.raises(InputError, match="holds no CLIP"):
        load_embedder(tmp_path / "prior")


def test_a_decoder_reads_its_embedding_by_vector_and_by_tokens() -> None:
    network = random_network(decoder_recipe())
    from text2x.conditioning import Conditioning

    given = Conditioning(torch.randn(1, 12, 384), torch.ones(1, 12) > 0, torch.randn(1, 386))
    first, second = (network.prepare(given.with_vector(torch.randn(1, D))) for _ in range(2))  # type: ignore[operator]
    assert first.mask.shape == (1, 16) and first.keys_values[0][0].shape[2] == 16
    assert not torch.equal(first.vector, second.vector)
    keys = first.keys_values[0][0], second.keys_values[0][0]
    assert not torch.equal(keys[0][:, :, :4], keys[1][:, :, :4]) and torch.equal(keys[0][:, :, 4:], keys[1][:, :, 4:])
