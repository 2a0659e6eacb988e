"""Codecs of sound as they are trained: the objective, small real runs, packing and loading."""

from pathlib import Path

import pytest
import torch

from text2x import library
from text2x.audio_codecs import AudioLatentCodec, NeuralTokenCodec
from text2x.coding import CodecGAN, CodecObjective, CodecRecipe, load_audio_codec, share_of_codes
from text2x.config import from_dict, to_dict
from text2x.data.audioset import AudioBatch
from text2x.data.tones import tones
from text2x.errors import InputError
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.codec import codec_kl, debug_codec, prepare_codec_run, ship_codec
from text2x.recipes.running import recipe_for, train

TINY = [
    "training.steps=6", "training.batch_size=4", "training.warmup_steps=2", "training.evaluate_every=3",
    "training.sample_every=6", "objective.adversarial_from=3", "training.precision=float32",
]  # fmt: skip
KL = ["network.bottleneck=GaussianConfig", "network.bottleneck.channels=4"]


@pytest.mark.parametrize("name", ["codec", "codec-kl", "debug-codec"])
def test_recipes_survive_being_saved(name: str) -> None:
    recipe = RECIPES[name]()
    assert isinstance(recipe, CodecRecipe)
    assert from_dict(CodecRecipe, to_dict(recipe)) == recipe
    assert recipe.rate / recipe.network.hop in (50, 250)


def batch(step: int) -> AudioBatch:
    clips = tones(2, 8000, 0.256)
    samples = torch.stack([torch.from_numpy(clips.samples(k)) for k in range(2)])
    return AudioBatch(samples, torch.arange(2), step)


def objective_of(settings: list[str]) -> CodecObjective:
    recipe = recipe_for("debug-codec", settings)
    assert isinstance(recipe, CodecRecipe)
    torch.manual_seed(0)
    return CodecObjective(CodecGAN(recipe), recipe)


@pytest.mark.parametrize("settings", [[], KL], ids=["codes", "kl"])
def test_the_loss_is_the_weighted_sum_that_is_told_and_both_networks_learn(settings: list[str]) -> None:
    objective = objective_of(settings)
    early = objective(batch(159), torch.Generator().manual_seed(0))
    assert "discriminator" not in early
    losses = objective(batch(160), torch.Generator().manual_seed(0))
    told = {name: float(value.detach()) for name, value in losses.items()}
    own = 1e-4 * told["kl"] if settings else 0.25 * told["commitment"] + told["codebook"]
    wanted = told["discriminator"] + 15 * told["mel"] + told["spectral"] + told["adversarial"] + 2 * told["matching"]
    assert told["loss"] == pytest.approx(wanted + own, rel=1e-5)
    assert told["mel"] == pytest.approx(float(early["mel"]), rel=1e-5)  # what is drawn comes from the generator alone
    losses["loss"].backward()
    without = [name for name, each in objective.trainable.named_parameters() if each.grad is None]
    assert not without and all(
        each.grad.isfinite().all() for each in objective.trainable.parameters() if each.grad is not None
    )


def test_the_share_of_codes_is_one_if_all_are_as_frequent() -> None:
    assert float(share_of_codes(torch.arange(8).reshape(2, 1, 4), 8)) == pytest.approx(1)
    assert float(share_of_codes(torch.zeros(2, 3, 4, dtype=torch.int64), 8)) == pytest.approx(1 / 8)


@pytest.mark.medium
def test_a_run_that_is_stopped_goes_on_bit_for_bit_across_the_joining(tmp_path: Path) -> None:
    constant = [*TINY, "training.decay=constant"]  # else the rate depends on how long the run is to be
    train("debug-codec", settings=constant, folder=tmp_path / "whole")
    for steps in (2, 4, 6):
        train("debug-codec", settings=[*constant, f"training.steps={steps}"], folder=tmp_path / "parts")
    parts, whole = (tmp_path / name / "averages" / "0.98.safetensors" for name in ("parts", "whole"))
    assert parts.read_bytes() == whole.read_bytes()
    assert (tmp_path / "whole" / "samples" / "step-0000006.wav").is_file()


@pytest.mark.medium
def test_a_run_is_packed_loaded_and_heard(tmp_path: Path) -> None:
    train("debug-codec", settings=TINY, folder=tmp_path / "run")
    of_run = load_audio_codec(tmp_path / "run")
    assert isinstance(of_run, NeuralTokenCodec)
    sound = torch.from_numpy(tones(1, 8000).samples(0))[None, None]
    codes = of_run.encode(sound)
    for packing, error in (("float32", 0.0), ("float16", 0.02), ("int8", 0.2)):
        model = ship_codec(tmp_path / "run", tmp_path / packing, Labels("tone-codec", "CC0-1.0", packing=packing))  # type: ignore[arg-type]
        packed = load_audio_codec(tmp_path / packing)
        assert isinstance(packed, NeuralTokenCodec) and packed.rate == 8000
        made, wanted = packed.decode(codes), of_run.decode(codes)
        assert float((made - wanted).norm() / wanted.norm()) <= error
        assert not any("discriminator" in name for name in packed.network.state_dict())  # type: ignore[attr-defined]
        assert model.weights[model.file].parameters == sum(each.numel() for each in packed.network.parameters())  # type: ignore[attr-defined]
    assert library.info(tmp_path / "int8").kind == library.info(tmp_path / "run").kind == "audio-codec"
    with pytest.raises(InputError, match="int8 is a codec of sound"):
        library.load(tmp_path / "int8")


@pytest.mark.medium
def test_packed_latents_have_mean_0_and_variance_1(tmp_path: Path) -> None:
    train("debug-codec", settings=[*TINY, *KL], folder=tmp_path / "run")
    ship_codec(tmp_path / "run", tmp_path / "packed", Labels("tone-latents", "CC0-1.0"))
    codec = load_audio_codec(tmp_path / "packed")
    assert isinstance(codec, AudioLatentCodec) and codec.latent_channels == 4
    clips = tones(24, 8000)
    latents = codec.encode(torch.stack([torch.from_numpy(clips.samples(k)) for k in range(24)])[:, None])
    assert latents.mean((0, 2)).abs().max() < 0.4 and 0.6 < latents.std((0, 2)).min() < latents.std((0, 2)).max() < 1.6


@pytest.mark.slow
def test_the_debug_recipe_comes_near_to_sound_it_has_not_heard(tmp_path: Path) -> None:
    run = prepare_codec_run(recipe_for("debug-codec"))  # type: ignore[arg-type]
    before = run.evaluate(run.trainable)
    train("debug-codec", folder=tmp_path)
    codec = load_audio_codec(tmp_path)
    assert isinstance(codec, NeuralTokenCodec)
    run.trainable.codec.load_state_dict(codec.network.state_dict())  # type: ignore[attr-defined]
    after = run.evaluate(run.trainable)
    assert after["held_out"] < 0.4 * before["held_out"], (before, after)
    assert after["held_out/convergence"] < 0.2 * before["held_out/convergence"]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no codec of sound"):
        load_audio_codec(library.info("emoji").folder)
    with pytest.raises(InputError, match="is not the folder of a training run"):
        ship_codec(tmp_path, tmp_path / "x", Labels("x", "CC0-1.0"))
    with pytest.raises(InputError, match="16001 must be a multiple of the network's hop 320"):
        recipe_for("codec", ["data.frames=16001"])
    with pytest.raises(InputError, match="objective.kl is -1"):
        recipe_for("codec-kl", ["objective.kl=-1.0"])
    assert codec_kl().network.channels == 32 and debug_codec().network.hop == 32
