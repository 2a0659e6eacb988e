"""Comparing systems of several trainings: shares of a budget, what comes first, one generator of all the weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from text2x.autoencoding import AutoencoderRecipe
from text2x.comparing import SETS, Budget, Method, budget_of, chosen, compare, rendered, write_comparison
from text2x.comparing.budgets import fitted_to, prepared, recipe_of
from text2x.comparing.running import generator_at, in_order, point_folder, trainings_of
from text2x.comparing.systems import told_of
from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.generators import DiffusionGenerator
from text2x.recipe import Recipe
from text2x.requests import ImageRequest

SYSTEMS = [name for name in SETS if name.endswith("systems")]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_shares_of_a_system_are_its_whole_budget_and_equal_parts_are_one_training(name: str) -> None:
    for method in SETS[name].methods:
        shares = [each.share for each in trainings_of(method)]
        assert sum(shares) == pytest.approx(1) and min(shares) > 0 and shares[0] == max(shares)
    made = SETS["image-systems"]
    codecs = {each for name in ("ldm", "latent-dit") for each in trainings_of(made.method(name))[1:]}
    assert len(codecs) == 1
    assert Budget(seconds=1200).part(0.25) == Budget(seconds=300)
    assert Budget(operations=8e9).part(0.5) == Budget(operations=4e9)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_others_learn_from_is_trained_before_them(name: str) -> None:
    order = in_order(SETS[name].methods)
    assert len(set(order)) == len(order) and len({each.name for each in order}) == len(order)
    for each in order:
        assert all(order.index(need) < order.index(each) for need in each.needs)
    needs = {each.recipe.removeprefix("debug-"): [need.recipe for need in each.needs] for each in order}
    prefix = "debug-" if name.startswith("debug") else ""
    assert needs["ldm"] == [f"{prefix}autoencoder"]
    assert needs["dalle2"] == needs["dalle2-prior"] == [f"{prefix}dalle2-clip"]
    assert needs["glide"] == needs["glide-upsampler"] == []


def test_the_claims_of_the_named_systems_are_made_and_all_make_pictures_of_64_pixels() -> None:
    made = SETS["image-systems"]
    pairs = {(claim.first, claim.second) for claim in made.claims}
    assert {("dalle2", "glide"), ("imagen", "dalle2"), ("ldm", "pixels at 64 px")} <= pairs
    for method in made.methods:
        recipes = [recipe_of(each.recipe, each.settings, "emoji") for each in trainings_of(method)]
        assert max(each.size for each in recipes if isinstance(each, Recipe)) == 64


def test_a_recipe_is_told_where_its_codec_and_its_clip_are_and_refuses_what_it_does_not_learn_from(
    tmp_path: Path,
) -> None:
    codec, clip = (tmp_path / name / "points" / "1" for name in ("codec", "clip"))
    write_json(codec / "recipe.json", {"type": "AutoencoderRecipe"})
    write_json(clip / "recipe.json", {"type": "GuideRecipe"})
    latent, decoder, prior = (
        recipe_of(name, (), "shapes") for name in ("debug-ldm", "debug-dalle2", "debug-dalle2-prior")
    )
    assert getattr(told_of(latent, [codec]), "codec") == str(codec)  # noqa: B009
    assert getattr(told_of(prior, [clip]), "clip") == str(clip)  # noqa: B009
    told = told_of(decoder, [clip])
    assert isinstance(told, Recipe) and told.image_embedding is not None
    assert told.image_embedding.clip == str(clip)
    with pytest.raises(InputError, match="'debug-ldm' learns nothing from 'clip'"):
        told_of(latent, [clip])


def test_a_shorter_autoencoder_meets_its_discriminator_after_the_same_share_of_steps() -> None:
    recipe = recipe_of("debug-autoencoder", (), "shapes")
    short = fitted_to(recipe, 40)
    assert isinstance(recipe, AutoencoderRecipe) and isinstance(short, AutoencoderRecipe)
    assert (recipe.training.steps, recipe.objective.adversarial_from) == (400, 200)
    assert (short.training.steps, short.objective.adversarial_from) == (40, 20)


def in_batches_of_two(method: Method) -> Method:
    settings = ("data.batch_size=2", "training.batch_size=2")
    parts = tuple(dataclasses.replace(part, settings=settings) for part in method.parts)
    return dataclasses.replace(method, settings=settings, parts=parts)


@pytest.mark.medium
def test_systems_are_trained_in_parts_interrupted_gone_on_with_and_reported(tmp_path: Path) -> None:
    wanted = chosen("debug-systems", ["glide", "dalle2", "ldm"])
    methods = tuple(in_batches_of_two(method) for method in wanted.methods)
    wanted = dataclasses.replace(wanted, methods=methods, steps=(2,), curve_prompts=2, prompts=5, seeds=1)
    budget, kept = budget_of(None, 2e9), tmp_path / "kept"

    def interrupt(what: str, done: int, total: int) -> None:
        if "debug-dalle2-prior" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(wanted, budget, kept, tell=interrupt)
    clip = next(each for each in in_order(wanted.methods) if each.recipe == "debug-dalle2-clip")
    written = (point_folder(kept, clip, 1.0) / "point.json").stat().st_mtime_ns
    made = compare(wanted, budget, kept)
    assert (point_folder(kept, clip, 1.0) / "point.json").stat().st_mtime_ns == written  # not trained again
    assert all(each["steps"] == each["steps_planned"] for each in made.trainings.values())
    for method in wanted.methods:
        generator = generator_at(kept, method, 0.25, "cpu")
        assert isinstance(generator, DiffusionGenerator)
        assert (generator.unclip is not None and generator.unclip.prior is not None) == (method.name == "dalle2")
        assert generator.model.size == (32 if method.name == "glide" else 16)
        assert generator.generate(ImageRequest("a red circle", seed=1, steps=2))[0].media.width == generator.model.size
    first = read_json(point_folder(kept, trainings_of(wanted.method("ldm"))[1], 1.0) / "point.json")
    quarter = next(each for each in made.drawings if (each.method, each.fraction) == ("ldm", 0.25))
    assert first["seconds"] < quarter.training_seconds < made.final("ldm").training_seconds
    again = write_comparison(rendered(wanted, kept), tmp_path / "b", "text2x compare --set debug-systems")
    page, values = again[0].read_text(), json.loads(again[1].read_text())
    assert "| dalle2 | debug-dalle2 70%, debug-dalle2-clip 15%, debug-dalle2-prior 15% |" in page
    assert {each["claim"]["name"] for each in values["verdicts"]} == {
        "DALL-E 2 over GLIDE, pictures",
        "DALL-E 2 over GLIDE, words",
    }


def test_an_autoencoder_or_a_prior_alone_is_no_method(tmp_path: Path) -> None:
    for name in ("debug-autoencoder", "debug-dalle2-prior"):
        with pytest.raises(InputError, match="makes no pictures"):
            compare(chosen("debug", ["gan", name]), budget_of("1s"), tmp_path)


def test_a_prior_whose_clip_was_never_trained_says_how_to_train_it() -> None:
    with pytest.raises(InputError, match="there is no CLIP 'debug-dalle2-clip'.*text2x train debug-dalle2-clip"):
        prepared(recipe_of("debug-dalle2-prior", (), "shapes"), "cpu", None)
