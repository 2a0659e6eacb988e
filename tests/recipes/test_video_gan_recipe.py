"""The recipe of the GAN of clips: saved and read back, a short training, a sample on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from text2x.config import from_dict, to_dict
from text2x.networks.video_gan import VideoGAN
from text2x.recipes.video_gan import debug_video_gan, prepare_video_gan_run, video_gan
from text2x.video_adversarial import VideoGANRecipe

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
