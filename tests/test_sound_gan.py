"""A GAN of sounds: each network gets its own loss's gradient; it is trained, packed, found and heard."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from typer.testing import CliRunner

from text2x.adversarial import draw_noise
from text2x.cli import app
from text2x.config import from_dict, to_dict
from text2x.data.latent_batches import LatentBatch
from text2x.errors import InputError
from text2x.library import info, load
from text2x.networks.sound_gan import SoundGAN, SoundGANConfig
from text2x.recipes import RECIPES
from text2x.recipes.running import train
from text2x.recipes.sound_gan import debug_sound_gan
from text2x.sound_adversarial import SoundAdversarial, SoundAdversarialConfig, SoundGANRecipe, sound_vector
from text2x.sound_diffusion import TOLD, text_of
from text2x.sound_requests import SoundRequest
from tiny_sound_flow import CHANNELS, RECIPE
from tiny_sounds import tone

pytestmark = pytest.mark.medium

TINY = SoundGANConfig(CHANNELS, 50, 8, 384 + TOLD, 16, (16, 12, 8), (8, 12, 16))


def batch() -> LatentBatch:
    torch.manual_seed(0)
    captions = ("rain", "wind", "a door", "bees")
    latents, seconds = torch.randn(4, CHANNELS, 50), torch.full((4,), 0.2)
    return LatentBatch(latents, captions, seconds, torch.zeros(4), seconds, False, 0)


@pytest.mark.parametrize("name", ["sound-gan", "debug-sound-gan"])
def test_a_recipe_is_its_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert isinstance(recipe, SoundGANRecipe) and recipe.name == name
    assert from_dict(SoundGANRecipe, to_dict(recipe)) == recipe


def test_each_network_gets_the_gradient_of_its_own_loss() -> None:
    torch.manual_seed(1)
    gan, recipe, given = SoundGAN(TINY), debug_sound_gan(), batch()
    recipe = dataclasses.replace(recipe, objective=SoundAdversarialConfig(penalty_share=0.0, mismatch_weight=0.0))
    text = text_of(RECIPE)
    losses = SoundAdversarial(gan, text, recipe)(given, torch.Generator().manual_seed(2))
    losses["loss"].backward()
    found = {name: each.grad.clone() for name, each in gan.named_parameters() if each.grad is not None}
    gan.zero_grad()
    vector = sound_vector(text, given.captions, given.seconds, recipe.data.seconds)
    made = gan.generator(draw_noise(4, 8, torch.Generator().manual_seed(2)), vector)
    real, fake = gan.discriminator(given.latents, vector), gan.discriminator(made.detach(), vector)
    softplus(fake - real).mean().backward()
    expected = {name: each.grad.clone() for name, each in gan.named_parameters() if each.grad is not None}
    assert expected and all(name.startswith("discriminator.") for name in expected)
    gan.zero_grad()
    softplus(real.detach() - gan.discriminator(made, vector)).mean().backward()
    for name, each in gan.generator.named_parameters():
        assert each.grad is not None
        expected[f"generator.{name}"] = each.grad
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_penalties_are_taken_in_a_share_of_the_steps() -> None:
    gan, given = SoundGAN(TINY), batch()
    for share in (0.0, 1.0):
        recipe = dataclasses.replace(debug_sound_gan(), objective=SoundAdversarialConfig(penalty_share=share))
        losses = SoundAdversarial(gan, text_of(RECIPE), recipe)(given, torch.Generator().manual_seed(2))
        assert (losses["penalty"] > 0) == (share == 1)


@pytest.mark.parametrize("frames", [50, 1, 37])
def test_the_generator_makes_as_many_frames_as_it_should(frames: int) -> None:
    gan = SoundGAN(SoundGANConfig(CHANNELS, frames, 8, 10, 16, (16, 12, 8), (8, 12, 16)))
    made = gan.generator(torch.randn(2, 8), torch.randn(2, 10))
    assert made.shape == (2, CHANNELS, frames)
    assert gan.discriminator(made, torch.randn(2, 10)).shape == (2,)


def test_it_is_trained_packed_found_and_heard_the_same_alone_and_among_others(tmp_path: Path) -> None:
    train("debug-codec-kl", settings=["training.steps=4", "training.evaluate_every=0"], folder=tmp_path / "codec")
    settings = [f"codec={tmp_path}/codec", "training.steps=6", "training.evaluate_every=6", "training.sample_every=6"]
    train("debug-sound-gan", settings=settings, folder=tmp_path / "run")
    assert (tmp_path / "run" / "samples" / "step-0000006.wav").is_file()
    target = tmp_path / "models" / "quick"
    packed = CliRunner().invoke(
        app, ["models", "pack", str(tmp_path / "run"), "--output", str(target), "--licence", "CC0-1.0"]
    )
    assert packed.exit_code == 0, packed.output
    assert info("quick", tmp_path / "models").kind == "sound"
    for name, folder in ((tmp_path / "run", None), ("quick", tmp_path / "models")):
        generator = load(name, "cpu", folder)
        several = generator.generate(SoundRequest("a", seed=3, count=3))  # type: ignore[arg-type]
        alone = generator.generate(SoundRequest("a", seed=5))[0]  # type: ignore[arg-type]
        assert np.array_equal(alone.media.samples, several[2].media.samples) and alone.media.frames == 62 * 32
        assert not np.array_equal(several[0].media.samples, several[1].media.samples)
    short = generator.generate(SoundRequest("a", seed=5, seconds=0.1, steps=7, guidance=3))[0]  # type: ignore[arg-type]
    assert short.media.frames == 800
    assert [each.split(" is given")[0] for each in short.warnings] == ["guidance", "steps"]
    with pytest.raises(InputError, match=r"seconds is 2; quick is a GAN and makes at most 0\.248"):
        generator.generate(SoundRequest("a", seconds=2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="makes sound of words alone: leave init out"):
        generator.generate(SoundRequest("a", init=tone(0.2)))  # type: ignore[arg-type]


def test_a_gan_of_loops_and_shares_out_of_range_are_refused() -> None:
    from text2x.config import override

    with pytest.raises(InputError, match=r"data.loops is 0\.5; a GAN of sounds makes no loops"):
        override(debug_sound_gan(), "data.loops=0.5")
    with pytest.raises(InputError, match="penalty_share is 2"):
        override(debug_sound_gan(), "objective.penalty_share=2")
