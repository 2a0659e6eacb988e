"""Every system under every law: seeds, guidance, editing, enlarging, previews, metadata and errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import text2x.cli.image
from systems import DIFFUSION, SYSTEMS, write_systems
from text2x import (
    Blending,
    Generator,
    Image,
    ImageRequest,
    Inpainting,
    InputError,
    Outpainting,
    Result,
    Shifting,
    Upscaling,
    Variation,
    load,
)
from text2x.cli import main
from text2x.diffusion.samplers import SAMPLERS
from text2x.edits import METHODS, Edit
from text2x.media import read_metadata
from text2x.requests import Progress

pytestmark = pytest.mark.medium

every = pytest.mark.parametrize("name", SYSTEMS)
every_diffusion = pytest.mark.parametrize("name", DIFFUSION)
LATENT = ("ldm", "latent-dit")
SIDE = 24  # pixels of the picture that is edited: no system was made for it
FORMS = ("none", "cfg:3", "cfg:3,interval=0.1-0.8,rescale=0.7,threshold=0.99", "apg:5", "auto:2", "classifier:2",
         "clip:3", "cfg:3+clip:2")  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_systems(tmp_path_factory.mktemp("systems"))


@pytest.fixture(scope="module")
def system(root: Path) -> Callable[[str], Generator]:
    """A system's generator by its name, loaded once."""
    known: dict[str, Generator] = {}

    def get(name: str) -> Generator:
        if name not in known:
            known[name] = load(name, "cpu", root)
        return known[name]

    return get


def picture(seed: int = 0, side: int = SIDE) -> Image:
    """Smooth colours, the lower corner transparent."""
    rng = np.random.default_rng(seed)
    levels = np.kron(rng.integers(0, 256, (side // 4, side // 4, 4), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    levels[..., 3] = 255
    levels[-4:, -4:, 3] = 0
    return Image.from_uint8(levels)


def made(generator: Generator, prompt: str = "a dog", seed: int = 7, **fields: object) -> list[Result]:
    return generator.generate(ImageRequest(prompt, seed=seed, **fields))  # type: ignore[arg-type]


def one(generator: Generator, prompt: str = "a dog", seed: int = 7, **fields: object) -> np.ndarray:
    return made(generator, prompt, seed, **fields)[0].media.pixels


def edited(generator: Generator, edit: Edit, prompt: str = "a dog", seed: int = 7, **fields: object) -> np.ndarray:
    return one(generator, prompt, seed, edit=edit, steps=2, **fields)


# Pictures from words


@every
def test_an_item_of_a_batch_is_the_picture_of_its_own_seed(system: Callable[[str], Generator], name: str) -> None:
    batch = made(system(name), count=3)
    assert [each.seed for each in batch] == [7, 8, 9]
    alone = one(system(name), seed=8)
    assert np.array_equal(batch[1].media.pixels, alone)
    assert not np.array_equal(batch[0].media.pixels, alone)
    size = SYSTEMS[name].size
    assert alone.shape == (4, size, size) and np.isfinite(alone).all() and np.abs(alone).max() <= 1
    assert alone.std() > 0.01


@every
def test_words_and_style_change_the_picture_and_an_earlier_request_does_not(
    system: Callable[[str], Generator], name: str
) -> None:
    first, generator = one(system(name)), system(name)
    styles = SYSTEMS[name].styles
    others = [one(generator, "a red car"), *(one(generator, style=style) for style in styles)]
    for left, right in itertools.combinations([first, *others], 2):
        same = np.array_equal(left, right)
        assert same == (left is first and right is others[1])  # the first style is the one that is meant
    assert np.array_equal(one(generator), first)


@every
def test_a_negative_prompt_counts_or_is_said_not_to(system: Callable[[str], Generator], name: str) -> None:
    plain, negative = made(system(name)), made(system(name), negative="a cat")
    same = np.array_equal(plain[0].media.pixels, negative[0].media.pixels)
    assert same == (not SYSTEMS[name].diffusion) == bool(negative[0].warnings)
    if SYSTEMS[name].diffusion:
        off = made(system(name), negative="a cat", guidance=1)[0]
        assert any("negative prompt is ignored" in each for each in off.warnings)


@every_diffusion
def test_a_further_prompt_changes_the_picture(system: Callable[[str], Generator], name: str) -> None:
    size = SYSTEMS[name].base
    assert not np.array_equal(one(system(name), size=size), one(system(name), size=size, also=("snow::0.5",)))


@pytest.mark.parametrize("guidance", FORMS)
@every
def test_each_form_of_guidance_is_taken_or_refused_by_its_name(
    system: Callable[[str], Generator], name: str, guidance: str
) -> None:
    generator, about = system(name), SYSTEMS[name]
    if not about.diffusion:
        told = made(generator, guidance=guidance)[0].warnings
        assert any("unguided" in each for each in told)
        return
    form = next((each for each in ("auto", "classifier", "clip") if each in guidance), None)
    if form is not None and not about.led:
        reason = f"no network for guidance {form}; it takes cfg, apg"
        if name in LATENT and form != "auto":
            reason = f"{name} works on latents; take cfg, apg or auto"
        with pytest.raises(InputError, match=reason):
            made(generator, guidance=guidance, size=about.base)
        return
    if "threshold" in guidance and name in LATENT:
        with pytest.raises(InputError, match="estimates are latents without a range; leave it out"):
            made(generator, guidance=guidance)
        return
    prompt = "a red circle"  # a class of the classifier
    result, plain = (
        made(generator, prompt, guidance=each, size=about.base)[0] for each in (guidance, "cfg:2.5")
    )  # fmt: skip
    assert result.settings["guidance"].startswith("none" if guidance == "none" else guidance.split(",")[0][:3])
    assert np.isfinite(result.media.pixels).all()
    assert not np.array_equal(result.media.pixels, plain.media.pixels)


@pytest.mark.medium
@pytest.mark.parametrize("sampler", SAMPLERS)
@every_diffusion
def test_every_sampler_keeps_to_the_seed(system: Callable[[str], Generator], name: str, sampler: str) -> None:
    fields = {"sampler": sampler, "steps": 3, "size": SYSTEMS[name].base}
    batch, alone = made(system(name), count=2, **fields), one(system(name), seed=8, **fields)
    assert np.array_equal(batch[1].media.pixels, alone) and np.isfinite(alone).all()
    assert batch[0].settings["sampler"] == sampler


@every
def test_sizes_are_those_asked_for_and_a_larger_one_is_refused_with_the_largest(
    system: Callable[[str], Generator], name: str
) -> None:
    generator, about = system(name), SYSTEMS[name]
    assert one(generator, size=12).shape == (4, 12, 12)
    largest = 16 * about.base if about.upsamples else about.size
    with pytest.raises(InputError, match=f"size is {largest + 1}; the model {name} makes .* at most {largest} pixels"):
        made(generator, size=largest + 1)
    if about.upsamples:
        assert one(generator, size=64).shape == (4, 64, 64)


@every
def test_previews_come_step_by_step_with_pictures_of_the_final_size(
    system: Callable[[str], Generator], name: str
) -> None:
    told: list[tuple[Progress, Image]] = []
    request = ImageRequest("a dog", seed=7, count=2)
    results = system(name).generate(request, lambda progress: told.append((progress, progress.estimate()[0])))
    about = SYSTEMS[name]
    stages = list(dict.fromkeys(progress.stage for progress, _ in told))
    assert stages == (["base", "upsampler to 32"] if about.upsamples else ["base" if about.diffusion else "generator"])
    assert {item for progress, _ in told for item in progress.items} == {0, 1}
    for stage in stages:
        steps = [progress.step for progress, _ in told if progress.stage == stage and 0 in progress.items]
        assert steps == list(range(1, told[0][0].steps + 1)) or stage != "base"
        assert steps == sorted(steps) and steps[0] == 1
    assert all(shown.width == about.size for _, shown in told)
    last = [shown for progress, shown in told if 1 in progress.items][-1]
    assert np.allclose(last.pixels, results[1].media.pixels, atol=1e-4)


# Pictures from pictures


@every_diffusion
def test_what_is_known_comes_back_bit_for_bit_from_inpainting(system: Callable[[str], Generator], name: str) -> None:
    source = picture()
    given = Inpainting(source, "5,6,10,9")
    result = made(system(name), edit=given)[0]
    hole = np.zeros((SIDE, SIDE), dtype=bool)
    hole[6:15, 5:15] = True
    assert np.array_equal(result.media.pixels[:, ~hole], source.pixels[:, ~hole])
    assert not np.array_equal(result.media.pixels[:, hole], source.pixels[:, hole])
    assert result.settings["method"] == ("channels" if SYSTEMS[name].masks else "repaint")
    assert np.array_equal(result.media.pixels, one(system(name), edit=given))
    assert not np.array_equal(result.media.pixels, one(system(name), seed=8, edit=given))


@pytest.mark.medium
@pytest.mark.parametrize("method", METHODS)
@every_diffusion
def test_every_method_keeps_what_is_known_and_channels_needs_masks(
    system: Callable[[str], Generator], name: str, method: str
) -> None:
    source = picture()
    given = Inpainting(source, "0,0,12,24", method=method, rounds=2)
    if method == "channels" and not SYSTEMS[name].masks:
        with pytest.raises(InputError, match=f"{name} was not trained with masks.*take keep, repaint"):
            edited(system(name), given)
        return
    pixels = edited(system(name), given)
    assert np.array_equal(pixels[:, :, 12:], source.pixels[:, :, 12:])
    assert np.isfinite(pixels).all() and not np.array_equal(pixels[:, :, :12], source.pixels[:, :, :12])


@every_diffusion
def test_the_picture_lies_bit_for_bit_in_what_is_painted_around_it(
    system: Callable[[str], Generator], name: str
) -> None:
    source = picture()
    pixels = edited(system(name), Outpainting(source, left=8, bottom=5))
    assert pixels.shape == (4, SIDE + 5, SIDE + 8)
    assert np.array_equal(pixels[:, :SIDE, 8:], source.pixels)


@every_diffusion
def test_a_variation_keeps_to_its_seed_and_size_and_goes_further_with_strength(
    system: Callable[[str], Generator], name: str
) -> None:
    source, generator = picture(), system(name)
    near, far = (edited(generator, Variation(source, each)) for each in (0.3, 1.0))
    assert near.shape == far.shape == source.pixels.shape
    assert np.array_equal(near, edited(generator, Variation(source, 0.3)))
    assert not np.array_equal(near, far)
    assert not np.array_equal(near, edited(generator, Variation(source, 0.3), seed=8))
    assert not np.array_equal(near, edited(generator, Variation(picture(1), 0.3)))


@every_diffusion
def test_pictures_are_enlarged_by_systems_with_an_upsampler_alone(
    system: Callable[[str], Generator], name: str
) -> None:
    source = picture(side=16)
    if not SYSTEMS[name].upsamples:
        with pytest.raises(InputError, match=f"{name} has no upsampler; take one that has"):
            one(system(name), "", edit=Upscaling(source, by=2))
        return
    pixels = one(system(name), "", edit=Upscaling(source, by=2))
    assert pixels.shape == (4, 32, 32) and np.isfinite(pixels).all()
    assert np.array_equal(pixels, one(system(name), "", edit=Upscaling(source, by=2)))


@every_diffusion
def test_blends_and_shifts_are_for_systems_with_a_clip(system: Callable[[str], Generator], name: str) -> None:
    given = (Blending(picture(), picture(1), 0.4), Shifting(picture(), after="a cat", before="a dog"))
    for edit in given:
        if SYSTEMS[name].sees:
            assert edited(system(name), edit, "").shape == (4, SIDE, SIDE)
            continue
        with pytest.raises(InputError, match=f"the model {name} has no CLIP that sees pictures"):
            edited(system(name), edit, "")


def test_a_gan_refuses_every_edit_in_one_line(system: Callable[[str], Generator]) -> None:
    for edit in (Inpainting(picture(), "0,0,4,4"), Variation(picture()), Upscaling(picture(), by=2)):
        with pytest.raises(InputError, match="edit is .*the model gan is a GAN and cannot do that"):
            made(system("gan"), edit=edit)


@every
def test_an_unknown_style_or_sampler_is_refused_with_the_known_ones(
    system: Callable[[str], Generator], name: str
) -> None:
    about = SYSTEMS[name]
    with pytest.raises(InputError, match=f"unknown style 'oil'.*{about.styles[0]}"):
        made(system(name), style="oil")
    if about.diffusion:
        with pytest.raises(InputError, match="unknown sampler 'eular'.*euler"):
            made(system(name), sampler="eular")


# Files


@every
def test_a_file_says_all_that_makes_the_same_picture_again(
    system: Callable[[str], Generator], root: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXT2X_MODELS", str(root))
    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: system(name))  # loaded above
    style = SYSTEMS[name].styles[1]
    assert main(["image", "a dog", "--seed", "5", "-n", "2", "--style", style, "--model", name, "-o", "dogs.png"]) == 0
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 2
    about = read_metadata(files[1])
    expected = {"prompt": "a dog", "seed": 6, "style": style, "model": name, "size": SYSTEMS[name].size}
    assert {key: about[key] for key in expected} == expected and about["version"]
    if SYSTEMS[name].diffusion:
        assert about["sampler"] in SAMPLERS and about["steps"] >= 1 and about["guidance"].startswith("cfg:")
    fields = {key: about[key] for key in ("sampler", "steps", "guidance", "truncation") if key in about}
    again = Image(one(system(name), "a dog", 6, style=style, size=about["size"], **fields))
    assert np.array_equal(Image.read(files[1]).to_uint8(), again.to_uint8())
