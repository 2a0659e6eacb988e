"""Recipes on latents: how a codec is found and kept, what a changed one does; training, going on, pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.autoencoding import autoencoder_weights
from text2x.building import build_generator
from text2x.codecs import LatentCodec, LatentCodecConfig
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, write_json
from text2x.latents import CODEC_FILE
from text2x.library import load
from text2x.recipe import Recipe, build_network
from text2x.recipes.latent import SCALED_LINEAR, autoencoder, debug_autoencoder, debug_ldm, latent_dit, ldm, ldm_v
from text2x.recipes.latent_running import AutoencoderRun, find_autoencoder, prepare_autoencoder_run
from text2x.recipes.running import Run, prepare_run, train
from text2x.requests import ImageRequest
from text2x.training import Trainer
from text2x.training_log import read_log
from tiny_latents import latent_recipe, write_autoencoder_run, write_latent_model, write_latent_run

pytestmark = pytest.mark.medium

QUICK = {"evaluate_every": 0, "sample_every": 0, "log_every": 10, "precision": "float32"}


@pytest.mark.parametrize("make", [ldm, ldm_v, latent_dit, debug_ldm])
def test_a_recipe_on_latents_has_nine_channels_and_the_size_of_its_latents(make) -> None:
    recipe: Recipe = make()
    network = recipe.network
    assert (network.in_channels, network.extra_channels, network.out_channels) == (4, 5, 4)
    factor = {64: autoencoder(), 16: debug_autoencoder()}[recipe.size].network.factor
    assert recipe.size == recipe.data.size == 4 * factor * (recipe.size // 16)
    side = recipe.size // factor
    x = torch.zeros(1, 9, side, side)
    built = build_network(recipe)
    from text2x.conditioning import Conditioning

    made = built(x[:, :4], torch.ones(1), Conditioning(channels=x[:, 4:]))
    assert made.shape == (1, 4, side, side)


def test_the_published_settings_are_those_of_stable_diffusion() -> None:
    log_alpha = SCALED_LINEAR.log_alpha_squared()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    assert float(log_alpha[-1]) == pytest.approx(float(torch.log(1 - betas).sum()))
    assert ldm().schedule == SCALED_LINEAR and ldm().parameterization == "epsilon"
    assert ldm().objective.mask_probability == 0.75
    assert ldm_v() == replace(ldm(), name="ldm-v", summary=ldm_v().summary, parameterization="v")
    weight = build_network(ldm()).conv_in.weight  # type: ignore[union-attr]
    assert weight[:, 4:].abs().max() == 0 and weight[:, :4].abs().min() > 0  # type: ignore[index]


def test_an_autoencoder_is_found_by_its_folder_by_a_file_and_by_what_was_trained_on_it(tmp_path: Path) -> None:
    recipe = write_autoencoder_run(tmp_path / "ae")
    of_folder = find_autoencoder(str(tmp_path / "ae"))
    average = recipe.training.averages[0]
    of_file = find_autoencoder(str(tmp_path / "ae" / "averages" / f"{average}.safetensors"))
    own = autoencoder_weights(load_tensors(tmp_path / "ae" / "averages" / f"{average}.safetensors"))
    for found in (of_folder, of_file):
        assert found.network == recipe.network and found.config is None
        assert found.tensors.keys() == own.keys()
        assert all(torch.equal(found.tensors[name], own[name]) for name in own)
    write_latent_model(tmp_path / "model", latent_recipe())
    write_latent_run(tmp_path / "run", latent_recipe())
    of_model, of_run = (find_autoencoder(str(tmp_path / name)) for name in ("model", "run"))
    assert of_model.config is not None and of_run.config is not None
    assert of_model.config.scale == of_run.config.scale == (2.0,) * 4
    assert all(torch.equal(of_model.tensors[name], of_run.tensors[name]) for name in of_run.tensors)


def test_what_is_no_autoencoder_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="codec is 'nowhere', where there is no trained autoencoder; train one by"):
        find_autoencoder("nowhere")
    write_json(tmp_path / "recipe.json", to_dict(replace(latent_recipe(), codec=None)))
    with pytest.raises(InputError, match="no autoencoder and no model on latents"):
        find_autoencoder(str(tmp_path))
    write_json(tmp_path / "recipe.json", to_dict(debug_autoencoder()))
    with pytest.raises(InputError, match="has no weights yet"):
        find_autoencoder(str(tmp_path))
    with pytest.raises(InputError, match="makes no pictures from words itself"):
        load(str(tmp_path))


def prepared(folder: Path | None, codec: Path, **fields: object) -> Run:
    recipe = replace(debug_ldm(), codec=str(codec), **fields)  # type: ignore[arg-type]
    training = replace(recipe.training, batch_size=8, **QUICK)  # type: ignore[arg-type]
    return prepare_run(replace(recipe, training=training, data=replace(recipe.data, batch_size=8)), folder=folder)


def test_the_codec_is_measured_and_put_into_the_runs_folder(tmp_path: Path) -> None:
    write_autoencoder_run(tmp_path / "ae")
    run = prepared(tmp_path / "run", tmp_path / "ae")
    codec = run.recipe.codec
    assert isinstance(codec, LatentCodecConfig) and isinstance(run.codec, LatentCodec)
    assert (tmp_path / "run" / CODEC_FILE).is_file() and codec.sha256
    images = torch.cat([run.batches.batch_at(step).images for step in range(len(run.batches.indexes) // 8)])
    values = run.codec.encode(images).transpose(0, 1).flatten(1)
    assert (values.mean(1).abs() < 0.05).all() and (values.std(1) - 1).abs().max() < 0.05
    alone = prepared(None, tmp_path / "ae")
    assert isinstance(alone.recipe.codec, LatentCodecConfig)
    assert replace(codec, sha256="") == alone.recipe.codec


def test_a_run_goes_on_with_its_own_codec_and_refuses_another(tmp_path: Path) -> None:
    write_autoencoder_run(tmp_path / "ae")
    first = prepared(tmp_path / "run", tmp_path / "ae").recipe
    write_json(tmp_path / "run" / "recipe.json", to_dict(first))
    assert prepared(tmp_path / "run", tmp_path / "ae").recipe == first
    write_autoencoder_run(tmp_path / "ae", seed=1)
    with pytest.raises(InputError, match="begun with another codec than .* train into another folder"):
        prepared(tmp_path / "run", tmp_path / "ae")
    (tmp_path / "ae").rename(tmp_path / "gone")
    assert prepared(tmp_path / "run", tmp_path / "ae").recipe == first


def test_a_codec_of_other_channels_changes_the_network(tmp_path: Path) -> None:
    write_autoencoder_run(tmp_path / "ae")
    recipe = replace(debug_ldm(), network=replace(debug_ldm().network, in_channels=8, extra_channels=9))
    run = prepared(None, tmp_path / "ae", network=recipe.network)
    assert run.recipe.network.in_channels == 4 and run.recipe.network.extra_channels == 5


def trainer(run: Run | AutoencoderRun, folder: Path, **training: object) -> Trainer:
    settings = replace(run.recipe.training, **{**QUICK, **training})  # type: ignore[arg-type]
    recipe = replace(run.recipe, training=settings)
    return Trainer(
        run.trainable, run.objective, run.batches.batch_at, settings, folder, run.evaluate, run.sample, recipe
    )


def same_weights(one: Path, other: Path, step: int, average: str) -> bool:
    for file in ("model", "optimizer", f"average-{average}"):
        path = Path("checkpoints") / f"step-{step:07d}" / f"{file}.safetensors"
        first, second = load_tensors(one / path), load_tensors(other / path)
        if first.keys() != second.keys() or not all(torch.equal(first[name], second[name]) for name in first):
            return False
    return True


def stopped_after(made: Trainer, last: int) -> None:
    batch_at = made.batch_at

    def stopping(step: int) -> object:
        made.stopping = step == last
        return batch_at(step)

    made.batch_at = stopping
    assert made.fit().step == last + 1


@pytest.mark.medium
def test_an_autoencoder_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """The discriminator begins at step 4, after the stop."""
    recipe = debug_autoencoder()
    recipe = replace(
        recipe, objective=replace(recipe.objective, adversarial_from=4), data=replace(recipe.data, batch_size=8)
    )
    trainer(prepare_autoencoder_run(recipe), tmp_path / "whole", steps=6, batch_size=8).fit()
    stopped_after(trainer(prepare_autoencoder_run(recipe), tmp_path / "parts", steps=6, batch_size=8), 2)
    trainer(prepare_autoencoder_run(recipe), tmp_path / "parts", steps=6, batch_size=8).fit()
    assert same_weights(tmp_path / "whole", tmp_path / "parts", 6, "0.98")


@pytest.mark.medium
def test_a_run_on_latents_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """Latents that were kept before the stop are made anew behind it, in the second epoch."""
    write_autoencoder_run(tmp_path / "ae")
    data = replace(debug_ldm().data, styles=("large",), augment_probability=0.2)

    def again(name: str) -> Trainer:
        run = prepared(tmp_path / name, tmp_path / "ae", data=data)
        return trainer(run, tmp_path / name, steps=14, batch_size=8)

    again("whole").fit()
    stopped_after(again("parts"), 8)
    again("parts").fit()
    assert same_weights(tmp_path / "whole", tmp_path / "parts", 14, "0.98")


@pytest.mark.medium
def test_debug_recipes_train_one_after_the_other_and_make_pictures(tmp_path: Path) -> None:
    quick = ("training.log_every=10", "training.precision=float32")
    steps = ("training.steps=40", "training.evaluate_every=40", "training.sample_every=40")
    train("debug-autoencoder", settings=(*quick, *steps), folder=tmp_path / "ae")
    lines = read_log(tmp_path / "ae" / "log.jsonl")
    errors = [line["reconstruction"] for line in lines if "reconstruction" in line]
    assert errors[-1] < 0.6 * errors[0]
    assert next(line["held_out/psnr"] for line in lines if "held_out" in line) > 10
    train(
        "debug-ldm", settings=(*quick, *steps, "sampling.steps=3", f"codec={tmp_path / 'ae'}"), folder=tmp_path / "run"
    )
    losses = [line["loss"] for line in read_log(tmp_path / "run" / "log.jsonl") if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    for name in ("ae", "run"):
        assert len(list((tmp_path / name / "samples").glob("*.png"))) == 1
    generator = build_generator(read_json(tmp_path / "run" / "recipe.json"), tmp_path / "run")
    together = [each.media.pixels for each in generator.generate(ImageRequest("a red circle", seed=7, count=2))]
    alone = generator.generate(ImageRequest("a red circle", seed=8))[0].media.pixels
    assert together[1].shape == (4, 16, 16) and np.array_equal(together[1], alone)
