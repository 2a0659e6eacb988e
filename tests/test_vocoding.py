"""Vocoders as they are used and trained: Griffin-Lim, the objective, a small real run, shipping and loading."""

import dataclasses
from pathlib import Path

import pytest
import torch

from text2x import library
from text2x.audio import Audio
from text2x.config import from_dict, to_dict
from text2x.data.audioset import AudioBatch
from text2x.data.tones import tones
from text2x.errors import InputError
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.running import recipe_for, train
from text2x.recipes.vocoder import debug_vocoder, load_clips, prepare_vocoder_run, ship_vocoder
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram
from text2x.training_log import read_log
from text2x.vocoder_training import VocoderGAN, VocoderObjective
from text2x.vocoding import GriffinLim, VocoderRecipe, load_vocoder

TINY = [
    "training.steps=6", "training.batch_size=4", "training.warmup_steps=2", "training.evaluate_every=3",
    "training.sample_every=6", "objective.adversarial_from=3", "training.precision=float32",
]  # fmt: skip


def test_sets_are_joined_by_their_names_and_each_must_be_there(tmp_path: Path) -> None:
    twice = load_clips("tones+tones", 8000, tmp_path)
    assert len(twice) == 2 * len(tones(rate=8000)) and len(twice.stored) == len(tones(rate=8000).stored)
    with pytest.raises(InputError, match="no data set at .*none; make it with: text2x data prepare none"):
        load_clips("tones+none", 8000, tmp_path)


def test_griffin_lim_gives_back_the_mel_it_heard() -> None:
    clip = torch.from_numpy(tones(1).samples(0))[None]
    vocoder = GriffinLim(iterations=20)
    mel = mel_spectrogram(clip, vocoder.mel)
    made = vocoder(mel)
    assert made.shape == (1, mel.shape[2] * 160) and (vocoder.rate, vocoder.hop) == (16_000, 160)
    loud = mel > mel.max() - 6
    assert (mel_spectrogram(made, vocoder.mel) - mel)[loud].abs().mean() < 0.25
    assert torch.equal(torch.cat(list(vocoder.stream(mel[0].split(30, dim=-1)))), made[0])
    both = vocoder(torch.cat([mel, mel - 1]))
    assert torch.equal(both[0], made[0])


def test_griffin_lim_of_centred_frames_is_as_long_as_they_are() -> None:
    config = MelConfig(8000, STFTConfig(256, 256, 64, centred=True), 20, high=4000.0)
    mel = mel_spectrogram(torch.randn(1, 64 * 20) * 0.1, config)
    assert GriffinLim(config, 2)(mel).shape == (1, mel.shape[2] * 64)


@pytest.mark.parametrize("name", ["vocoder", "hifigan", "debug-vocoder"])
def test_recipes_survive_being_saved(name: str) -> None:
    recipe = RECIPES[name]()
    assert from_dict(VocoderRecipe, to_dict(recipe)) == recipe


def test_a_network_that_does_not_fit_its_mel_is_refused() -> None:
    with pytest.raises(InputError, match="40 bands, hop 64, mel 80 and 160"):
        dataclasses.replace(debug_vocoder(), mel=MelConfig())


# The objective


def batch(step: int) -> AudioBatch:
    clips = tones(2, 8000, 0.256)
    samples = torch.stack([torch.from_numpy(clips.samples(k)) for k in range(2)])
    return AudioBatch(samples, torch.arange(2), step)


def objective_of(recipe: VocoderRecipe) -> VocoderObjective:
    torch.manual_seed(0)
    return VocoderObjective(VocoderGAN(recipe), recipe.mel, recipe.objective)


def test_spectra_alone_count_before_the_discriminators_join() -> None:
    objective = objective_of(debug_vocoder())
    losses = objective(batch(179), torch.Generator())
    assert set(losses) == {"loss", "mel", "spectral"}
    told = {name: float(value.detach()) for name, value in losses.items()}
    assert told["loss"] == pytest.approx(45 * told["mel"] + told["spectral"], rel=1e-5)
    losses["loss"].backward()
    assert all(each.grad is None for each in objective.trainable.discriminator.parameters())
    assert all(each.grad is not None for each in objective.trainable.generator.parameters())


def test_afterwards_both_networks_learn_and_the_loss_is_the_sum_that_is_told() -> None:
    objective = objective_of(debug_vocoder())
    losses = objective(batch(180), torch.Generator())
    told = {name: float(value.detach()) for name, value in losses.items()}
    expected = told["discriminator"] + 45 * told["mel"] + told["adversarial"] + 2 * told["matching"]
    assert told["loss"] == pytest.approx(expected, rel=1e-5)
    losses["loss"].backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in objective.trainable.parameters())


def test_predicted_mels_are_heard_in_place_of_the_sounds_own() -> None:
    objective = objective_of(debug_vocoder())
    plain = batch(0)
    own = mel_spectrogram(plain.samples, objective.mel)
    same = dataclasses.replace(plain, mel=own)
    other = dataclasses.replace(plain, mel=own - 2)
    losses = [float(objective(each, torch.Generator())["mel"]) for each in (plain, same, other)]
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(InputError, match="predicted mels have 80 bands; this vocoder reads 40"):
        objective(dataclasses.replace(plain, mel=torch.zeros(2, 80, 32)), torch.Generator())


# Training


@pytest.mark.medium
def test_a_run_that_is_stopped_goes_on_bit_for_bit_across_the_joining(tmp_path: Path) -> None:
    constant = [*TINY, "training.decay=constant"]  # else the rate depends on how long the run is to be
    train("debug-vocoder", settings=constant, folder=tmp_path / "whole")
    for steps in (2, 4, 6):
        train("debug-vocoder", settings=[*constant, f"training.steps={steps}"], folder=tmp_path / "parts")
    parts, whole = (tmp_path / name / "averages" / "0.98.safetensors" for name in ("parts", "whole"))
    assert parts.read_bytes() == whole.read_bytes()
    assert (tmp_path / "whole" / "samples" / "step-0000006.wav").is_file()


@pytest.mark.medium
def test_a_run_is_packed_loaded_and_heard(tmp_path: Path) -> None:
    train("debug-vocoder", settings=TINY, folder=tmp_path / "run")
    model = ship_vocoder(
        tmp_path / "run", tmp_path / "tone-vocoder", Labels("tone-vocoder", "CC0-1.0", packing="float32")
    )
    of_run, packed = load_vocoder(tmp_path / "run"), load_vocoder(tmp_path / "tone-vocoder")
    mel = mel_spectrogram(torch.from_numpy(tones(1, 8000).samples(0))[None], packed.mel)
    made = packed(mel)
    assert torch.equal(of_run(mel), made)
    assert Audio(made[0].numpy(), packed.rate).seconds == pytest.approx(1, abs=0.01)
    assert not any("discriminator" in name for name in packed.network.state_dict())
    assert model.weights[model.file].parameters == sum(each.numel() for each in packed.network.parameters())
    found = library.info(tmp_path / "tone-vocoder")
    assert found.kind == library.info(tmp_path / "run").kind == "vocoder"
    with pytest.raises(InputError, match="tone-vocoder is a vocoder"):
        library.load(tmp_path / "tone-vocoder")


def test_folders_that_hold_no_vocoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no vocoder"):
        load_vocoder(library.info("emoji").folder)
    with pytest.raises(InputError, match="is not the folder of a training run"):
        ship_vocoder(tmp_path, tmp_path / "x", Labels("x", "CC0-1.0"))


def test_data_of_another_rate_or_unknown_data_is_refused(tmp_path: Path) -> None:
    from text2x.data.audioset import save_audio_set

    recipe = debug_vocoder()
    with pytest.raises(InputError, match="text2x data prepare nothing"):
        prepare_vocoder_run(dataclasses.replace(recipe, data_set="nothing"), data_root=tmp_path)
    clips = tones(2, 16_000, 0.1)
    save_audio_set(tmp_path / "fast", "fast", 16_000, ((clip, clips.audio(k)) for k, clip in enumerate(clips.clips)))
    with pytest.raises(InputError, match="has 16000 Hz and the recipe's mel 8000 Hz"):
        prepare_vocoder_run(dataclasses.replace(recipe, data_set="fast"), data_root=tmp_path)


@pytest.mark.medium
def test_the_debug_recipe_comes_near_to_mels_it_has_not_heard(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = prepare_vocoder_run(recipe_for("debug-vocoder"))  # type: ignore[arg-type]
    before = run.evaluate(run.trainable)
    train("debug-vocoder", folder=tmp_path)
    vocoder = load_vocoder(tmp_path)
    clip = torch.from_numpy(run.clips.samples(int(run.clips.split("held-out")[0])))[None]
    mel = mel_spectrogram(clip, vocoder.mel)
    made = vocoder(mel)
    error = float((mel_spectrogram(made, vocoder.mel) - mel).abs().mean())
    assert error < 0.35 * before["held_out"], (error, before)
    lines = read_log(tmp_path / "log.jsonl")
    assert "spectral" in next(line for line in lines if "loss" in line)
    assert "discriminator" in [line for line in lines if "loss" in line][-1]
