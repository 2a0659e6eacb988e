"""Comparing methods of clips: sets that can be trained, one size and length for all, verdicts on motion, the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from text2x.autoencoding import AutoencoderRecipe
from text2x.comparing import SETS, Claim, Method, budget_of, chosen, compare, rendered, write_comparison
from text2x.comparing.budgets import _operations, prepared, recipe_of
from text2x.comparing.clips import CLIPS, ClipYard
from text2x.comparing.running import in_order, trainings_of
from text2x.comparing.systems import told_of
from text2x.comparing.verdicts import verdict
from text2x.data.moving_shapes import moving_shapes
from text2x.errors import InputError
from text2x.evaluating import ClipSubject, Instruments, asked_of_clips
from text2x.evaluating.clip_asking import real_clips, row_of
from text2x.evaluating.clip_measuring import real_roles
from text2x.files import write_json
from text2x.metrics import motion
from text2x.metrics.clips import levels
from text2x.metrics.features import pixels
from text2x.networks.video_gan import VideoGAN
from text2x.nn.initialization import no_initialization
from text2x.video_adversarial import VideoGANRecipe
from text2x.video_recipe import VideoRecipe, build_video_network
from text2x.video_requests import VideoRequest
from tiny_videos import videos

pytest.importorskip("cv2")

OF_CLIPS = [name for name, each in SETS.items() if each.makes == "clips"]
SHAPES = moving_shapes(16)
SUBJECT = ClipSubject("any", None, 16, 8, 12.0)


@pytest.mark.parametrize("name", OF_CLIPS)
def test_a_set_of_clips_names_methods_that_can_be_built_and_asked_and_claims_about_them(name: str) -> None:
    made = SETS[name]
    methods = {method.name: method for method in made.methods}
    assert list(methods) == ["make-a-video", "lumiere", "stable-video-diffusion", "sora", "video-gan"]
    for claim in made.claims:
        assert claim.first in methods and claim.second in methods and claim.measure in ("agreement", "motion")
    for method in methods.values():
        VideoRequest("a", **method.options)
        recipes = [recipe_of(each.recipe, each.settings, made.data, "clips") for each in trainings_of(method)]
        CLIPS.check(method, recipes)
        own = recipes[0]
        assert isinstance(own, (VideoRecipe, VideoGANRecipe)) and own.data_set == made.data
        with no_initialization():
            network = VideoGAN(own.network) if isinstance(own, VideoGANRecipe) else build_video_network(own)
        assert sum(each.numel() for each in network.parameters()) > 100_000
        assert sum(each.share for each in trainings_of(method)) == pytest.approx(1)


def test_the_codec_of_latent_clips_is_trained_first_on_pictures_and_told_to_what_learns_from_it(tmp_path: Path) -> None:
    method = SETS["video"].method("stable-video-diffusion")
    own, codec = trainings_of(method)
    assert own.needs == (codec,) and in_order([method]) == [codec, own] and codec.share == 0.3
    autoencoder = recipe_of(codec.recipe, codec.settings, "animated-emoji", "clips")
    assert isinstance(autoencoder, AutoencoderRecipe) and autoencoder.data_set == "emoji"
    write_json(tmp_path / "codec" / "points" / "1" / "recipe.json", {"type": "AutoencoderRecipe"})
    recipe = recipe_of(own.recipe, own.settings, "animated-emoji", "clips")
    told = told_of(recipe, [tmp_path / "codec" / "points" / "1"])
    assert isinstance(told, VideoRecipe) and told.codec == str(tmp_path / "codec" / "points" / "1")
    with pytest.raises(InputError, match="'make-a-video' learns nothing from 'codec'"):
        told_of(recipe_of("make-a-video", (), "animated-emoji", "clips"), [tmp_path / "codec" / "points" / "1"])


def test_what_makes_no_clips_is_refused_and_recipes_are_compared_by_motion(tmp_path: Path) -> None:
    for name in ("debug", "autoencoder", "debug-voice"):
        with pytest.raises(InputError, match=f"'{name}' makes no clips"):
            compare(chosen("debug-video", ["sora", name]), budget_of("1s"), tmp_path / "clips")
    with pytest.raises(InputError, match="'debug-sora' makes no pictures"):
        compare(chosen("debug", ["gan", "debug-sora"]), budget_of("1s"), tmp_path / "pictures")
    pair = chosen("debug-video", ["sora", "debug-lumiere"])
    assert [(each.first, each.second, each.measure) for each in pair.claims] == [("sora", "debug-lumiere", "motion")]
    part = chosen("debug-video", ["sora", "video-gan"])
    assert [claim.name for claim in part.claims] == ["Sora against GAN, words", "Sora against GAN, motion"]


def yard(count: int = 15) -> ClipYard:
    asked = asked_of_clips(SHAPES, SUBJECT, count)
    return ClipYard(asked, 2, SUBJECT, SHAPES, real_roles(SHAPES, SUBJECT), Instruments((pixels(8),)), ())


def shown(own: ClipYard) -> torch.Tensor:
    """The real clips of what is asked, twice each."""
    rows = [row_of(SHAPES, *key) for key in zip(own.asked.prompts, own.asked.parts, strict=True) for _ in range(2)]
    return torch.from_numpy(real_clips(SHAPES, rows, SUBJECT).frames)


@pytest.mark.medium
def test_clips_that_move_as_real_ones_are_better_than_frozen_ones_and_equal_ones_cannot_be_told() -> None:
    own = yard()
    real = shown(own)
    frozen = torch.from_numpy(levels(motion.controls(own.clips(real.numpy()).videos())["frozen"], 8))
    claim = Claim("real against frozen", "real", "frozen", "motion", "real clips move more like real ones")
    of_real, of_frozen = (CLIPS.measure(own, each) for each in (real, frozen))
    found = verdict(claim, of_real, of_frozen, lambda: CLIPS.difference(own, "motion", real, frozen))
    assert found.answer == "real is better: confirmed" and found.difference is not None
    assert found.difference.n == 30 and found.difference.high < 0
    turned = CLIPS.difference(own, "motion", frozen, real)
    assert turned.value == pytest.approx(-found.difference.value)
    same = verdict(claim, of_real, of_real, lambda: CLIPS.difference(own, "motion", real, real))
    assert same.answer == "cannot tell" and same.better is None
    assert of_real.figures["motion"].value < of_frozen.figures["motion"].value
    assert of_real.figures["likeness"].value < 0.01 and len(of_real.prompts["likeness"]) == 30
    assert of_frozen.figures["dynamic degree"].value < 1
    with pytest.raises(InputError, match="clips have no fidelity"):
        CLIPS.difference(own, "fidelity", real, real)


def test_the_prompts_of_a_part_of_the_yard_are_its_first_ones_and_the_question_knows_size_and_length() -> None:
    own = yard()
    few = own.of_few(2)
    assert few.asked.prompts == (*own.asked.prompts[:2], *own.asked.prompts[15:17])
    assert len(few.empty()) == 8 and few.empty().frames.shape[1:] == (8, 4, 16, 16)
    questions = {own.question({}), few.question({}), own.question({"steps": 2})}
    questions |= {replace(own, subject=replace(SUBJECT, frames=6)).question({}), replace(own, fast=True).question({})}
    assert len(questions) == 5 and own.measures() == ["motion", "no judge"]


@pytest.mark.medium
def test_all_are_measured_at_the_smallest_size_and_shortest_length(tmp_path: Path) -> None:
    one, other = videos(tmp_path / "one"), videos(tmp_path / "other", "dit")
    other.model = replace(other.model, recipe=replace(other.model.recipe, sampling=replace(
        other.model.recipe.sampling, frames=4)))  # fmt: skip
    wanted = replace(chosen("debug-video"), prompts=1, seeds=1)
    found = CLIPS.yardstick(wanted, SHAPES, {"one": one, "other": other}, None, "cpu")
    assert (found.subject.size, found.subject.frames) == (8, 4) and len(found.asked) == 2
    assert "motion: 2 clips of each method are too few, at least 50 are needed" in found.left_out
    made = CLIPS.draw(found, "one", one, {"steps": 1})
    assert made.levels.shape == (2, 4, 4, 8, 8) and made.levels.dtype == torch.uint8 and made.settings["steps"] == 1


@pytest.mark.slow
def test_batches_of_pictures_among_those_of_clips_count_for_what_they_cost() -> None:
    settings = ("training.batch_size=1", "data.image_batch=1")
    mixed, alone = (
        _operations(prepared(recipe_of("debug-sora", (*settings, each), "moving-shapes", "clips"), "cpu", None))
        for each in ("data.image_share=0.5", "data.image_share=0")
    )
    assert 0.4 * alone < mixed < 0.9 * alone  # a picture is 1 of a clip's 8 frames


def small(method: Method) -> Method:
    options: dict[str, Any] = {} if "gan" in method.name else {"steps": 2}
    return replace(method, settings=("data.batch_size=2", "training.batch_size=2"), options=options)


@pytest.mark.slow
def test_a_comparison_of_clips_goes_on_after_an_interruption_and_is_rendered_from_what_is_kept(tmp_path: Path) -> None:
    wanted = chosen("debug-video", ["sora", "video-gan"])
    methods = tuple(small(method) for method in wanted.methods)
    wanted = replace(wanted, methods=methods, steps=(1,), curve_prompts=1, prompts=3, seeds=1)
    budget, kept = budget_of(None, 3e9), tmp_path / "kept"

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "drawings (video-gan)":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(wanted, budget, kept, tell=interrupt)
    first = kept / "drawings" / "sora-1" / "clips.safetensors"
    written = first.stat().st_mtime_ns
    made = compare(wanted, budget, kept)
    assert first.stat().st_mtime_ns == written  # not drawn again
    assert {each["steps"] for each in made.trainings.values()} == {
        each["steps_planned"] for each in made.trainings.values()
    }
    paths = write_comparison(made, tmp_path / "a", "text2x compare --set debug-video")
    again = write_comparison(rendered(wanted, kept), tmp_path / "b", "text2x compare --set debug-video")
    for one, other in zip(paths[:3], again, strict=False):
        assert one.read_bytes() == other.read_bytes()
    page, found = paths[0].read_text(), json.loads(paths[1].read_text())
    for words in ("| Sora against GAN, words | likeness |", "s a clip", "*shuffled*", "*retrieval*", "cannot tell"):
        assert words in page, words
    assert len(found["drawings"]) == 2 * 3 + 1
    assert np.isfinite(found["companions"]["frozen"]["warp error"]["value"])
