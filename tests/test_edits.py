"""Edits of a picture through a real model: known pixels, seeds, methods, sizes, and what cannot be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from text2x.building import build_generator
from text2x.config import to_dict
from text2x.edits import METHODS, Inpainting, Outpainting, Variation, described
from text2x.errors import InputError
from text2x.generators import DiffusionGenerator
from text2x.media import Image
from text2x.requests import ImageRequest, Progress
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    folder = tmp_path_factory.mktemp("models") / "random"
    return build_generator(to_dict(write_model(folder, (base_recipe(), upsampler_recipe()), size=32)), folder)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    """A model of one stage whose network has no mask channels."""
    base = base_recipe()
    folder = tmp_path_factory.mktemp("models") / "blind"
    recipe = replace(base, network=replace(base.network, extra_channels=0))
    return build_generator(to_dict(write_model(folder, (recipe,), size=16)), folder)


def picture(width: int, height: int, seed: int = 0) -> Image:
    return Image.from_uint8(np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8))


def random_mask(width: int, height: int, seed: int) -> Image:
    """White where it is to be painted: a box or blots, never nothing and never all."""
    rng = np.random.default_rng(seed)
    holes = np.zeros((height, width), dtype=bool)
    if seed % 2:
        top, left = rng.integers(0, height - 1), rng.integers(0, width - 1)
        holes[top : rng.integers(top + 1, height), left : rng.integers(left + 1, width)] = True
    else:
        holes |= rng.random((height, width)) < 0.3
        holes[0, 0], holes[-1, -1] = True, False
    return Image.from_uint8(np.where(holes, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2))


def edited(generator: DiffusionGenerator, edit: object, **fields: object) -> Image:
    request = ImageRequest(**{"prompt": "a dog", "seed": 7, "steps": 2, "edit": edit, **fields})  # type: ignore[arg-type]
    return generator.generate(request)[0].media


@pytest.mark.parametrize("method", METHODS)
def test_known_pixels_come_back_to_the_byte_with_every_method(generator: DiffusionGenerator, method: str) -> None:
    for seed in range(8):
        width, height = [(32, 32), (21, 33), (70, 24), (8, 8)][seed % 4]
        image, mask = picture(width, height, seed), random_mask(width, height, seed)
        known = mask.to_uint8()[..., 0] == 0
        made = edited(generator, Inpainting(image, mask, method=method, rounds=None if seed % 3 else 1), seed=seed)
        assert np.array_equal(made.pixels[:, known], image.pixels[:, known])
        assert np.array_equal(made.to_uint8()[known], image.to_uint8()[known])
        assert not np.array_equal(made.pixels[:, ~known], image.pixels[:, ~known])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_known_pixels_come_back_to_the_byte_from_files_of_every_mode(
    generator: DiffusionGenerator, mode: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        given = PIL.Image.fromarray(rng.integers(0, 65536, (20, 20), dtype=np.uint16))
    else:
        colours = rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)
        colours[:5, :, 3] = 0  # colours that are hidden
        given = PIL.Image.fromarray(colours).convert(mode)
    given.save(tmp_path / "given.png")
    edit = Inpainting(tmp_path / "given.png", "5,0,8,20")
    edited(generator, edit).save(tmp_path / "made.png")
    before, after = (np.asarray(PIL.Image.open(tmp_path / name).convert("RGBA")) for name in ("given.png", "made.png"))
    if mode == "I;16":
        before = Image.read(tmp_path / "given.png").to_uint8()
    known = np.ones((20, 20), dtype=bool)
    known[:, 5:13] = False
    assert np.array_equal(before[known], after[known])


@pytest.mark.parametrize("edit", [{"left": 9}, {"right": 40, "top": 3}, {"to": "50x40"}, {"zoom": 2.0}], ids=str)
def test_outpainting_returns_the_picture_inside_a_larger_one(generator: DiffusionGenerator, edit: dict) -> None:
    image = picture(24, 20)
    asked = Outpainting(image, **edit)
    made = edited(generator, asked)
    left, top = asked.left, asked.top
    width, height = 24 + asked.left + asked.right, 20 + asked.top + asked.bottom
    if asked.to:
        (width, height), left, top = (50, 40), 13, 10
    if asked.zoom:
        (width, height), left, top = (48, 40), 12, 10
    assert (made.width, made.height) == (width, height)
    assert np.array_equal(made.pixels[:, top : top + 20, left : left + 24], image.pixels)
    assert np.isfinite(made.pixels).all()


def test_a_seed_gives_the_same_edit_alone_and_among_others(generator: DiffusionGenerator) -> None:
    for edit in (
        Inpainting(picture(20, 20), "0,0,10,20"),
        Outpainting(picture(20, 20), left=30),
        Variation(picture(9, 9)),
    ):
        together = generator.generate(ImageRequest("a dog", seed=7, count=2, steps=2, edit=edit))
        assert np.array_equal(together[1].media.pixels, edited(generator, edit, seed=8).pixels)
        assert not np.array_equal(together[0].media.pixels, together[1].media.pixels)


def test_the_prompt_and_the_style_reach_the_hole(generator: DiffusionGenerator) -> None:
    edit = Inpainting(picture(32, 32), "4,4,20,20")
    plain = edited(generator, edit)
    for change in ({"prompt": "a blue car"}, {"style": "line"}, {"guidance": "none"}, {"negative": "a cat"}):
        assert not np.array_equal(plain.pixels, edited(generator, edit, **change).pixels), change
    assert edited(generator, edit, prompt="").width == 32


def test_the_hole_depends_on_what_surrounds_it(generator: DiffusionGenerator) -> None:
    first, other = (edited(generator, Inpainting(picture(32, 32, seed), "8,8,16,16")).pixels for seed in (0, 1))
    assert not np.array_equal(first[:, 8:24, 8:24], other[:, 8:24, 8:24])


def test_a_variation_has_the_size_of_its_picture_and_takes_its_share_of_the_steps(
    generator: DiffusionGenerator,
) -> None:
    made = edited(generator, Variation(picture(50, 20)))
    assert (made.width, made.height) == (50, 20)
    seen: list[Progress] = []
    request = ImageRequest("a dog", seed=1, steps=20, edit=Variation(picture(16, 16), 0.3))
    generator.generate(request, seen.append)
    assert [each.step for each in seen if each.stage == "base"] == [1, 2, 3, 4, 5, 6]


def test_full_strength_leaves_nothing_of_the_picture(generator: DiffusionGenerator) -> None:
    first, other = (edited(generator, Variation(picture(32, 32, seed), 1.0)).pixels for seed in (0, 1))
    assert np.array_equal(first, other)


def test_a_feathered_edge_changes_the_hole_alone(generator: DiffusionGenerator) -> None:
    image = picture(32, 32)
    sharp, soft = (edited(generator, Inpainting(image, "8,8,16,16", feather=width)).pixels for width in (0, 4))
    differs = (sharp != soft).any(axis=0)
    assert differs[8:24, 8:24].any() and not differs[14:18, 14:18].any()
    differs[8:24, 8:24] = False
    assert not differs.any()


def test_differential_keeps_more_where_the_mask_is_darker(generator: DiffusionGenerator) -> None:
    image = picture(32, 32)
    grey = np.zeros((32, 32, 3), dtype=np.uint8)
    grey[:, 8:20], grey[:, 20:] = 64, 255
    made = edited(generator, Inpainting(image, Image.from_uint8(grey), method="differential"), steps=20).pixels
    change = np.abs(made - image.pixels)
    assert change[..., :8].max() == 0 < change[..., 8:20].mean() < change[..., 20:].mean()


def test_a_network_without_mask_channels_says_so_and_edits_in_another_way(blind: DiffusionGenerator) -> None:
    image = picture(16, 16)
    with pytest.raises(InputError, match="keep, repaint, langevin or differential"):
        edited(blind, Inpainting(image, "0,0,8,8", method="channels"))
    result = blind.generate(ImageRequest("a dog", seed=1, edit=Inpainting(image, "0,0,8,8")))[0]
    assert result.settings["method"] == "repaint"
    assert np.array_equal(result.media.pixels[:, 8:], image.pixels[:, 8:])


def test_a_window_that_is_painted_smaller_than_it_is_is_warned_of(generator: DiffusionGenerator) -> None:
    request = ImageRequest("a dog", seed=1, steps=1, edit=Inpainting(picture(300, 20), "0,0,290,20"))
    assert generator.generate(request)[0].warnings == (
        "300 pixels a side are painted at 256 and enlarged, which is not sharp",
    )
    small = ImageRequest("a dog", seed=1, steps=1, edit=Inpainting(picture(30, 20), "0,0,9,20"))
    assert generator.generate(small)[0].warnings == ()


def test_steps_of_an_edit_are_told(generator: DiffusionGenerator) -> None:
    seen: list[Progress] = []
    request = ImageRequest("a dog", seed=1, steps=2, edit=Inpainting(picture(40, 40), "0,0,9,9"))
    generator.generate(request, seen.append)
    assert [each.step for each in seen if each.stage == "base"] == [1, 2]
    assert seen[-1].estimate()[0].width >= 32


def test_an_edit_is_described_in_plain_words() -> None:
    about = described(Inpainting("folder/photo.png", "1,2,3,4", feather=2))
    assert about == {
        "edit": "inpainting", "image": "photo.png", "mask": "1,2,3,4", "repaint": "white", "feather": 2,
    }  # fmt: skip
    assert described(Variation(picture(3, 4)))["image"] == "a picture of 3x4 pixels"
    assert described(None) == {}


BAD = [
    (lambda image: Inpainting(image, "0,0,0,5"), "0"),
    (lambda image: Inpainting(image, "0,0,5"), "box"),
    (lambda image: Inpainting(image, picture(9, 9)), "9"),
    (lambda image: Inpainting(image, "0,0,5,5", method="chanels"), "channels"),
    (lambda image: Inpainting(image, "0,0,5,5", repaint="grey"), "white"),
    (lambda image: Inpainting(image, "0,0,5,5", feather=-1), "0 to 256"),
    (lambda image: Inpainting(image, "0,0,5,5", rounds=0), "1 to 100"),
    (lambda image: Outpainting(image), "nothing to add"),
    (lambda image: Outpainting(image, left=5, zoom=2.0), "not two"),
    (lambda image: Outpainting(image, left=5000), "4096"),
    (lambda image: Outpainting(image, left=-1), "-1"),
    (lambda image: Outpainting(image, to="20"), "128x128"),
    (lambda image: Outpainting(image, to="10x10"), "10"),
    (lambda image: Outpainting(image, zoom=0.5), "1 to 8"),
    (lambda image: Outpainting(image, zoom=1.0), "1"),
    (lambda image: Variation(image, 0.0), "strength is 0"),
    (lambda image: Variation(image, 1.5), "0 to 1"),
    (lambda image: Variation("none.png"), "none.png"),
]


@pytest.mark.parametrize(("make", "named"), BAD, ids=[named for _, named in BAD])
def test_an_edit_that_cannot_be_done_is_one_line_that_names_the_value(generator, make, named: str) -> None:
    with pytest.raises(InputError) as caught:
        edited(generator, make(picture(20, 20)))
    assert named in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 250
