"""Recipes of moving pictures: saved and read back, trained, resumed, grown out of a base, packed, found, and used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.library import info, load
from text2x.networks.video_dit import VideoDiT
from text2x.networks.video_unet import IMAGE, VideoUNet
from text2x.nn.initialization import no_initialization
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.running import AnyRecipe, train
from text2x.recipes.video_packing import ship_video
from text2x.video_files import losses
from text2x.video_library import load_video, video_model_for
from text2x.video_recipe import VideoRecipe, build_video_network, trained_names
from text2x.video_requests import VideoRequest
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium

NAMES = ("make-a-video", "lumiere", "stable-video-diffusion", "sora")
QUIET = (
    "training.evaluate_every=0",
    "training.sample_every=0",
    "training.decay=constant",
    "training.batch_size=2",
    "training.average_every=1",
)


def recipe_of(name: str) -> VideoRecipe:
    recipe: AnyRecipe = RECIPES[name]()
    assert isinstance(recipe, VideoRecipe)
    return recipe


def trained(folder: Path, name: str, steps: int, *settings: str) -> Path:
    train(name, settings=[*QUIET, f"training.steps={steps}", *settings], folder=folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    recipe: Any = read_json(folder / "recipe.json")
    return load_tensors(folder / "averages" / f"{recipe['training']['averages'][0]}.safetensors")


@pytest.mark.parametrize("name", [*NAMES, *(f"debug-{name}" for name in NAMES)])
def test_a_recipe_is_its_json_and_its_network_is_made(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.name == name and from_dict(VideoRecipe, to_dict(recipe)) == recipe
    assert recipe.size == recipe.data.size and recipe.data.frames % recipe.network.step == 0
    assert recipe.sampling.frames <= recipe.data.frames <= recipe.network.most_frames
    with no_initialization():
        network = build_video_network(recipe)
    assert isinstance(network, VideoDiT if "sora" in name else VideoUNet)
    assert trained_names(network, recipe.trained) <= {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("name", [f"debug-{name}" for name in (*NAMES, "video-gan")])
def test_three_steps_a_sample_and_a_clip_by_the_run(name: str, tmp_path: Path) -> None:
    settings = ["training.steps=3", "training.evaluate_every=3", "training.sample_every=3", "training.batch_size=2"]
    settings += [] if "gan" in name else ["sampling.steps=2"]
    assert train(name, settings=settings, folder=tmp_path / "run").step == 3
    assert (tmp_path / "run" / "samples" / "step-0000003.webp").is_file()
    assert '"held_out"' in (tmp_path / "run" / "log.jsonl").read_text()
    generator = load_video(tmp_path / "run", "cpu")
    made = generator.generate(VideoRequest("a red circle sliding", seed=1, loop=True))
    assert made[0].media.frames.shape == (8, 4, 16, 16) and made[0].media.loops
    assert generator.estimate(VideoRequest("a", frames=16)).seconds > 0


@pytest.mark.parametrize("name", ["debug-make-a-video", pytest.param("debug-sora", marks=pytest.mark.slow)])
def test_half_and_half_is_the_whole_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole = weights(trained(tmp_path / "whole", name, 4))
    trained(tmp_path / "half", name, 2)
    half = weights(trained(tmp_path / "half", name, 4))
    assert all(torch.equal(whole[key], half[key]) for key in whole)


# Grown out of a model of pictures


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base of 16 px, whose upsampler doubles its pictures."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "small", (replace(base_recipe(), size=16), upsampler_recipe()), size=32)
    return folder


@pytest.fixture(scope="module")
def grown(models: Path) -> Path:
    return trained(models / "run", "debug-make-a-video", 3, f"base={models}/small", "trained=temporal")


def test_before_training_a_run_has_the_weights_of_its_base_and_trains_the_rest(grown: Path, models: Path) -> None:
    run, base = weights(grown), load_tensors(models / "small" / "base.safetensors")
    assert set(base) == {name.removeprefix(IMAGE) for name in run if name.startswith(IMAGE)}
    assert all(torch.equal(run[IMAGE + name], value.float()) for name, value in base.items())
    recipe: Any = read_json(grown / "recipe.json")
    assert recipe["network"]["image"]["width"] == 16 and recipe["conditioner"]["styles"] == ["flat", "line"]
    assert any(value.any() for name, value in run.items() if name.endswith("second.weight"))


def test_a_packed_model_holds_only_what_its_base_has_not_and_makes_the_clips_of_the_run(
    grown: Path, models: Path
) -> None:
    model = ship_video(grown, models / "moved", Labels("moved", "CC0-1.0", packing="float32"))
    kept = load_tensors(models / "moved" / "video.safetensors")
    assert not any(name.startswith(IMAGE) for name in kept) and model.base_sha256 is not None and model.size == 32
    assert video_model_for(models) == "motion" and info("moved", models).kind == "video"
    request = VideoRequest("a red circle", seed=1)
    packed = load_video("moved", "cpu", models).generate(request)[0].media
    assert packed.frames.shape == (8, 4, 32, 32)  # by the base's upsampler
    small = [load_video(name, "cpu", models).generate(replace(request, size=16))[0].media for name in ("moved", grown)]
    assert np.array_equal(small[0].frames, small[1].frames)
    odd = load_video("moved", "cpu", models).generate(replace(request, size=25))[0]
    assert odd.media.width == 25 and odd.warnings == ("the model makes no 25 pixels: they are 32 made smaller",)
    assert losses(odd.media, "mp4")[-1].startswith("MP4 needs even sizes: 25 x 25 became 26 x 26")


def test_another_base_than_the_one_it_grew_out_of_is_refused(grown: Path, models: Path, tmp_path: Path) -> None:
    ship_video(grown, tmp_path / "motion", Labels("motion", "CC0-1.0"))
    recipe: Any = read_json(tmp_path / "motion" / "recipe.json")
    (tmp_path / "motion" / "recipe.json").write_text(_json({**recipe, "base": "small"}))
    with pytest.raises(InputError, match="names 'small' as a part of it, which lies neither beside it"):
        load(tmp_path / "motion", "cpu")
    write_model(tmp_path / "small", (replace(base_recipe(), size=16),), size=16)
    other = load_tensors(tmp_path / "small" / "base.safetensors")
    _save(tmp_path / "small" / "base.safetensors", {**other, next(iter(other)): next(iter(other.values())) + 1})
    with pytest.raises(InputError, match="is not the base that motion was made with"):
        load(tmp_path / "motion", "cpu")


def _json(values: Any) -> str:
    import json

    return json.dumps(values)


def _save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    from text2x.files import save_tensors

    save_tensors(path, tensors)


# On latents


@pytest.mark.slow
def test_a_model_on_latents_has_its_codec_in_its_folder(tmp_path: Path) -> None:
    train("debug-autoencoder", settings=["training.steps=2", "training.evaluate_every=0"], folder=tmp_path / "ae")
    recipe: Any = read_json(tmp_path / "ae" / "recipe.json")
    channels = recipe["network"]["latent_channels"]
    shape = [f"network.image.in_channels={channels}", f"network.image.out_channels={channels}"]
    shape += [f"network.frame_channels={channels + 1}", "network.image.patch=1", f"codec={tmp_path}/ae"]
    folder = trained(tmp_path / "run", "debug-stable-video-diffusion", 2, *shape)
    saved = from_dict(VideoRecipe, read_json(folder / "recipe.json"), where="recipe.json")
    assert isinstance(saved.codec, LatentCodecConfig) and (folder / "codec.safetensors").is_file()
    request = VideoRequest("a red circle", seed=1, size=16)
    made = load_video(folder, "cpu").generate(request)[0].media
    assert made.frames.shape == (8, 4, 16, 16) and made.frames.std() > 0.01
    trained(folder, "debug-stable-video-diffusion", 3, *shape)  # goes on with the codec that it has
    ship_video(folder, tmp_path / "alive", Labels("alive", "CC0-1.0"))
    assert load_video(tmp_path / "alive", "cpu").generate(request)[0].media.frames.shape == (8, 4, 16, 16)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("stable-video-diffusion", ["codec=nowhere", "data_set=moving-shapes", "size=16", "data.size=16",
          "data.image_share=0"], "codec is 'nowhere', where there is no trained autoencoder"),
        ("debug-sora", ["trained=temporal"], "trained is 'temporal'; a VideoDiT holds no UNet of pictures"),
        ("debug-sora", ["base=emoji"], "debug-sora is made of no UNet of pictures; leave out base"),
        ("debug-make-a-video", ["base=emoji"], "size is 16; the base emoji is of 32 pixels"),
        ("debug-make-a-video", ["base=emoji-guides"], "is no model of pictures"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(name: str, settings: Sequence[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        trained(tmp_path / "run", name, 1, *settings)


def test_where_there_is_no_model_the_way_to_one_is_named(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="emoji makes no moving pictures; take --model motion"):
        load_video("emoji", "cpu", tmp_path)
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "none")
    with pytest.raises(InputError, match="there is no model of moving pictures yet: `text2x train make-a-video`"):
        video_model_for(tmp_path)
    with pytest.raises(InputError, match="small makes no moving pictures; train one: text2x train make-a-video"):
        load_video(models / "small", "cpu", tmp_path)
