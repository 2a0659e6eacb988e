"""The upsampler of clips: trained, grown out of a base's, packed with a model of clips, and used by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from text2x.cli import app
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.library import load
from text2x.networks.video_unet import IMAGE
from text2x.packaging import Labels
from text2x.recipes.lumiere_upsampler import debug_lumiere_upsampler, lumiere_upsampler, prepare_video_upsampler_run
from text2x.recipes.running import train
from text2x.recipes.video_packing import ship_video
from text2x.video_library import load_video
from text2x.video_recipe import VideoUpsamplerRecipe
from text2x.video_requests import VideoRequest
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium
QUIET = ["training.steps=1", "training.batch_size=2", "training.evaluate_every=0", "training.sample_every=0"]


def test_recipes_are_saved_and_read_back() -> None:
    for recipe in (lumiere_upsampler(), debug_lumiere_upsampler()):
        assert from_dict(VideoUpsamplerRecipe, to_dict(recipe), where="recipe.json") == recipe
        assert recipe.size == recipe.data.size and recipe.size % recipe.low_resolution.factor == 0


def test_steps_on_moving_shapes_lower_the_held_out_loss_and_a_sample_is_written(tmp_path: Path) -> None:
    run = prepare_video_upsampler_run(debug_lumiere_upsampler())
    before = run.evaluate(run.trainable)["held_out"]
    optimizer = torch.optim.AdamW(run.trainable.parameters(), lr=2e-3)
    rng = torch.Generator().manual_seed(0)
    for step in range(25):
        optimizer.zero_grad()
        run.objective(run.batches.batch_at(step), rng)["loss"].backward()
        optimizer.step()
    after = run.evaluate(run.trainable)["held_out"]
    assert after < 0.8 * before, (before, after)
    run.sample(run.trainable, 25, tmp_path)
    assert (tmp_path / "step-0000025.webp").stat().st_size > 500


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of 16 px with an upsampler to 32 px, a run of clips that grew out of it, and one of their upsampler."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "small", (replace(base_recipe(), size=16), upsampler_recipe()), size=32)
    base = f"base={folder}/small"
    train("debug-make-a-video", settings=[*QUIET, base, "trained=temporal", "sampling.steps=2"], folder=folder / "run")
    larger = [*QUIET, base, "trained=temporal", "size=32", "data.size=16"]
    train("debug-lumiere-upsampler", settings=larger, folder=folder / "larger")
    return folder


def test_it_is_packed_beside_a_model_of_clips_without_the_weights_of_the_base(models: Path) -> None:
    command = ["models", "pack", str(models / "run"), str(models / "larger"), "-o", str(models / "moved")]
    done = CliRunner().invoke(app, [*command, "--packing", "float32"])
    assert done.exit_code == 0 and "a model of moving pictures" in done.output, done.output
    kept = load_tensors(models / "moved" / "upsampler.safetensors")
    assert kept and not any(name.startswith(IMAGE) for name in kept)
    generator = load_video("moved", "cpu", models)
    assert generator.largest >= 32 and generator.upsampler is not None
    request = VideoRequest("a red circle", seed=1, frames=12, size=32)
    made = generator.generate(request)[0].media
    assert made.frames.shape == (12, 4, 32, 32)  # windows of 8 frames, merged
    assert np.array_equal(made.frames, generator.generate(request)[0].media.frames)
    assert generator.estimate(request).seconds > generator.estimate(replace(request, size=16)).seconds
    ship_video(models / "run", models / "plain", Labels("plain", "MIT", packing="float32"))
    plain = load_video("plain", "cpu", models).generate(request)[0].media
    assert plain.frames.shape == made.frames.shape and not np.array_equal(plain.frames, made.frames)


def test_what_does_not_fit_is_said(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger makes clips larger; pack it: text2x models pack runs/lumiere"):
        load(models / "larger", "cpu")
    with pytest.raises(InputError, match="is no run of an upsampler of clips; train lumiere-upsampler"):
        ship_video(models / "run", tmp_path / "x", Labels("x", "MIT"), upsampler=models / "run")
    train("debug-make-a-video", settings=QUIET, folder=tmp_path / "other")
    with pytest.raises(InputError, match="grew out of .*small, and debug-make-a-video out of None: take one base"):
        ship_video(tmp_path / "other", tmp_path / "x", Labels("x", "MIT"), upsampler=models / "larger")
