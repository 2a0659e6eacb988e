"""DALL-E 2's recipes: they fit the data, go on bit for bit, and the small ones make a whole system that works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.data.imageset import ImageSet
from text2x.data.shapes import shapes
from text2x.edits import Blending, Shifting, Variation
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.generators import DiffusionGenerator
from text2x.library import load
from text2x.media import Image
from text2x.networks.clip import CLIPConfig
from text2x.objectives import ToldEmbeddings
from text2x.priors import PriorRecipe
from text2x.recipe import GuideRecipe, Recipe
from text2x.recipes import RECIPES, dalle2, guides
from text2x.recipes.dalle2_running import clip_of, embedded, prepare_prior_run, told_embeddings
from text2x.recipes.running import prepare_run, recipe_for, train
from text2x.requests import ImageRequest
from text2x.shipping import About, Part, ship
from tiny_unclip import write_run

pytestmark = pytest.mark.medium

CLIP = "debug-dalle2-clip"
QUICK = ("training.evaluate_every=0", "training.log_every=5", "training.checkpoint_seconds=1000")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CLIP of random weights."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / CLIP, dalle2.debug_dalle2_clip())
    return folder


def prior_of(runs: Path, name: str = "debug-dalle2-prior") -> PriorRecipe:
    recipe = recipe_for(name, (f"clip={runs / CLIP}",))
    assert isinstance(recipe, PriorRecipe)
    return recipe


def decoder_of(runs: Path) -> Recipe:
    recipe = recipe_for("debug-dalle2", (f"image_embedding.clip={runs / CLIP}",))
    assert isinstance(recipe, Recipe)
    return recipe


def test_the_clip_is_another_network_than_the_judge_with_another_seed() -> None:
    own, judge = dalle2.dalle2_clip(), guides.judge()
    assert own.kind == "encoder" and own.network != judge.network and own.training.seed != judge.training.seed


@pytest.mark.parametrize("begin", ["dalle2", "debug-dalle2"])
def test_prior_decoder_and_clip_speak_of_the_same_embedding(begin: str) -> None:
    clip, prior, spoken, decoder = (RECIPES[f"{begin}{end}"]() for end in ("-clip", "-prior", "-prior-ar", ""))
    assert isinstance(clip, GuideRecipe) and isinstance(decoder, Recipe) and isinstance(clip.network, CLIPConfig)
    assert isinstance(prior, PriorRecipe) and isinstance(spoken, PriorRecipe)
    assert decoder.image_embedding is not None
    assert decoder.image_embedding.clip == prior.clip == spoken.clip == clip.name
    widths = {clip.network.embedding, prior.network.embedding, spoken.network.embedding}
    assert widths == {decoder.network.image_embedding}  # type: ignore[union-attr]
    assert decoder.data.caption_drop == 0.5 and decoder.image_embedding.drop == 0.1  # as published


def test_pictures_are_embedded_once_for_a_data_set(runs: Path, tmp_path: Path) -> None:
    made = shapes(16)
    ImageSet("mine", made.items, made.images).save(tmp_path / "mine")
    images = ImageSet.load(tmp_path / "mine")
    clip, path = clip_of(str(runs / CLIP), images)
    table = embedded(images, clip, path)
    assert torch.allclose(table.norm(dim=1), torch.ones(len(images)), atol=1e-5)
    pixels = torch.from_numpy(made.images[7:8].copy()).float() / 127.5 - 1
    assert torch.allclose(clip.image_embeddings(pixels), table[7:8], atol=1e-5)
    (kept,) = (tmp_path / "mine").glob("embeddings-*.safetensors")
    (values,) = load_tensors(kept).values()
    assert torch.equal(values, table)
    changed = kept.stat().st_mtime_ns
    assert torch.equal(embedded(images, clip, path), table) and kept.stat().st_mtime_ns == changed


def test_a_decoder_is_told_its_own_pictures_embedding_or_none(runs: Path) -> None:
    run = prepare_run(decoder_of(runs))
    told = run.objective.embeddings
    assert isinstance(told, ToldEmbeddings) and told.drop == 0.1
    batch = run.batches.batch_at(0)
    rows = replace(told, drop=0.5).of(batch, torch.Generator().manual_seed(0))
    kept = rows.any(1)
    assert 5 < int(kept.sum()) < 27
    assert torch.equal(rows[kept], told.table[batch.items][kept])
    conditioning = run.objective.condition(batch, torch.Generator().manual_seed(1), None)
    assert conditioning.vector is not None
    assert conditioning.vector.shape[1] == run.recipe.network.vector_width  # type: ignore[union-attr]
    other = replace(batch, items=batch.items.roll(1))
    again = run.objective.condition(other, torch.Generator().manual_seed(1), None)
    assert again.vector is not None and torch.equal(again.vector[:, :-32], conditioning.vector[:, :-32])
    assert not torch.equal(again.vector, conditioning.vector)
    assert told_embeddings(replace(run.recipe, image_embedding=None), run.images) is None


@pytest.mark.parametrize("name", ["debug-dalle2-prior", "debug-dalle2-prior-ar"])
def test_a_prior_goes_on_bit_for_bit_from_where_it_was_stopped(name: str, runs: Path, tmp_path: Path) -> None:
    settings = (*QUICK, "training.decay=constant", "training.batch_size=8", f"clip={runs / CLIP}")
    train(name, settings=(*settings, "training.steps=6"), folder=tmp_path / "whole")
    train(name, settings=(*settings, "training.steps=3"), folder=tmp_path / "parts")
    train(name, settings=(*settings, "training.steps=6"), folder=tmp_path / "parts")
    whole, parts = (load_tensors(next((tmp_path / part / "averages").iterdir())) for part in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[key], parts[key]) for key in whole)


def test_held_out_figures_are_of_concepts_that_are_not_trained_on(runs: Path) -> None:
    run = prepare_prior_run(prior_of(runs))
    shown = {run.images.items[index].concept for index in run.batches.indexes}
    held = {run.images.items[int(index)].concept for batch in run.held_out for index in batch.items}
    assert held and not held & shown
    figures = run.evaluate(run.trainable)
    assert figures["held_out"] > 0 and -1 <= figures["held_out/cosine/t=0.5"] <= 1


def test_what_does_not_fit_is_one_line(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="text2x train debug-dalle2-clip"):
        prepare_run(RECIPES["debug-dalle2"]())  # type: ignore[arg-type]
    prior = prior_of(runs)
    with pytest.raises(InputError, match="embeddings of 32 numbers"):
        prepare_prior_run(replace(prior, network=replace(prior.network, embedding=16)))
    decoder = decoder_of(runs)
    with pytest.raises(InputError, match=r"image_embedding is 16.*32 numbers"):
        prepare_run(replace(decoder, network=replace(decoder.network, image_embedding=16)))


@pytest.mark.slow
def test_the_small_system_draws_varies_blends_and_shifts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("debug-dalle2", "debug-dalle2-prior", CLIP)
    for name in reversed(names):
        train(name, settings=("training.sample_every=0", "training.evaluate_every=0"))
    ship([Part(Path("runs") / name) for name in names], About("small", None, "CC0-1.0"), tmp_path / "small")
    generator = load(tmp_path / "small")
    assert isinstance(generator, DiffusionGenerator)

    def made(prompt: str, edit: object = None, **fields: object) -> np.ndarray:
        request = ImageRequest(prompt, seed=1, edit=edit, **fields)  # type: ignore[arg-type]
        return generator.generate(request)[0].media.pixels

    def colour(pixels: np.ndarray) -> np.ndarray:
        shown = pixels[3] > 0
        return (pixels[:3, shown] + 1).mean(1)

    assert colour(made("red circle")).argmax() == 0
    assert colour(made("blue square")).argmax() == 2
    drawn = shapes(16)
    at = {item.captions[0]: place for place, item in enumerate(drawn.items) if item.style == "large"}
    red, blue = (Image.from_uint8(drawn.images[at[name]].transpose(1, 2, 0)) for name in ("red circle", "blue square"))
    ends = [made("", Blending(red, blue, share)) for share in (0.0, 0.5, 1.0)]
    errors = [[float(np.abs(each - picture.pixels).mean()) for each in ends] for picture in (red, blue)]
    assert errors[0][0] < 0.12 and errors[1][2] < 0.12
    assert errors[0] == sorted(errors[0]) and errors[1] == sorted(errors[1], reverse=True)
    varied = [float(np.abs(made("", Variation(red, strength)) - red.pixels).mean()) for strength in (0.05, 1.0)]
    assert varied[0] < varied[1] < 0.3
    green = colour(made("", Shifting(red, "green circle", "red circle", 0.5)))
    assert green[1] > 1.5 * colour(ends[0])[1] and green[0] < colour(ends[0])[0]
