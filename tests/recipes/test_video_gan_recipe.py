"""The recipe of the GAN of clips: saved and read back, a short training, a sample on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from text2x.cli import app
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.library import info
from text2x.networks.video_gan import VideoGAN
from text2x.packaging import Labels
from text2x.recipes.running import train
from text2x.recipes.video_gan import debug_video_gan, prepare_video_gan_run, video_gan
from text2x.recipes.video_packing import ship_video_gan
from text2x.video_adversarial import VideoGANRecipe
from text2x.video_gan_generator import PART
from text2x.video_library import load_video
from text2x.video_requests import VideoRequest

pytestmark = pytest.mark.medium  # loads the text encoder


def test_recipes_are_saved_and_read_back() -> None:
    for recipe in (video_gan(), debug_video_gan()):
        assert from_dict(VideoGANRecipe, to_dict(recipe), where="recipe.json") == recipe
        assert recipe.network.image.size == recipe.size == recipe.data.size
        with torch.device("meta"):
            VideoGAN(recipe.network)


def test_steps_on_moving_shapes_lower_the_held_out_score_and_a_sample_is_written(tmp_path: Path) -> None:
    run = prepare_video_gan_run(debug_video_gan())
    before = run.evaluate(run.trainable)["held_out"]
    optimizer = torch.optim.AdamW(run.trainable.parameters(), lr=1e-3, betas=(0.0, 0.99), weight_decay=0.0)
    rng = torch.Generator().manual_seed(0)
    for step in range(60):
        optimizer.zero_grad()
        run.objective(run.batches.batch_at(step), rng)["loss"].backward()
        optimizer.step()
    after = run.evaluate(run.trainable)["held_out"]
    assert after < 0.9 * before, (before, after)
    run.sample(run.trainable, 60, tmp_path)
    assert (tmp_path / "step-0000060.webp").stat().st_size > 500


def test_a_packed_run_makes_the_clips_of_the_run_and_holds_the_generator_alone(tmp_path: Path) -> None:
    settings = ["training.steps=1", "training.batch_size=2", "training.sample_every=0", "training.evaluate_every=0"]
    train("debug-video-gan", settings=settings, folder=tmp_path / "run")
    models = ["models", "pack", str(tmp_path / "run"), "-o", str(tmp_path / "flick"), "--packing", "float32"]
    labels = ["--licence", "MIT", "--summary", "Shapes that flicker.", "--attribution", "Drawn by us."]
    assert CliRunner().invoke(app, [*models, *labels]).output.count("a GAN of moving pictures") == 1
    found = info("flick", tmp_path)
    assert (found.kind, found.licence, found.summary) == ("video", "MIT", "Shapes that flicker.")
    assert found.recipe["attribution"] == ["Drawn by us."]
    guided = CliRunner().invoke(app, [*models, "--guide", "clip=emoji-guides"])
    assert "--guide is clip=emoji-guides" in str(guided.exception)
    kept = load_tensors(tmp_path / "flick" / "video.safetensors")
    assert kept and all(name.startswith(PART) for name in kept)
    request = VideoRequest("a red circle", seed=1)
    packed, run = (load_video(folder, "cpu", tmp_path).generate(request)[0] for folder in ("flick", tmp_path / "run"))
    assert np.array_equal(packed.media.frames, run.media.frames) and packed.settings["model"] == "flick"
    ship_video_gan(tmp_path / "run", tmp_path / "small", Labels("small", "MIT"))
    size = [(tmp_path / name / "video.safetensors").stat().st_size for name in ("small", "flick")]
    assert size[0] < 0.5 * size[1] and load_video("small", "cpu", tmp_path).generate(request)[0].media.frames.any()
    with pytest.raises(InputError, match=r"is not the folder of a training run: recipe.json is missing"):
        ship_video_gan(tmp_path, tmp_path / "none", Labels("none", "MIT"))
