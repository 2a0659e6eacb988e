"""Comparing methods of sound: the sets, one yardstick for all, verdicts; and a whole comparison of small models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.comparing import SETS, budget_of, chosen, compare, rendered, write_comparison
from text2x.comparing.budgets import fitted_to, recipe_of
from text2x.comparing.running import in_order, trainings_of
from text2x.comparing.sounds import SOUNDS, SoundYard, measured
from text2x.comparing.systems import comes_first, told_of
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.evaluating import SoundSubject
from text2x.evaluating.sound_asking import asked_of_sounds
from text2x.evaluating.sound_measuring import SoundInstruments, real_roles, sources_of
from text2x.files import write_json
from text2x.metrics.sound_judge import sound_judge
from tiny_labels import CONFIG, RATE, labelled_sounds

pytestmark = pytest.mark.medium
LONGEST = 0.6


@pytest.fixture(scope="module")
def yard() -> SoundYard:
    clips = labelled_sounds(420)
    instruments = SoundInstruments(sound_judge(clips, CONFIG), None)
    subject = SoundSubject("any", None, "sound", RATE, LONGEST)
    asked = asked_of_sounds(clips, 15, LONGEST)
    return SoundYard(asked, 2, subject, clips, real_roles(clips, instruments, LONGEST), instruments, ())


def real_of(yard: SoundYard) -> tuple[Audio, ...]:
    asked = yard.sounds.repeated(yard.seeds)
    return sources_of(asked, (), yard.clips, yard.real, yard.instruments, LONGEST)["real"]


def test_each_codec_is_trained_once_and_counted_by_each_method_that_needs_it() -> None:
    for name in ("sounds", "debug-sounds"):
        names = [each.recipe for each in in_order(SETS[name].methods)]
        assert len(names) == 7 and names.index("codec-kl" if name == "sounds" else "debug-codec-kl") < len(names) - 1
        for method in SETS[name].methods:
            own, *others = trainings_of(method)
            assert own.needs == tuple(others) and own.share + sum(each.share for each in others) == pytest.approx(1)
    assert comes_first("codec") and comes_first("codec-kl") and comes_first("vocoder") and not comes_first("audiogen")


def test_a_recipe_is_told_the_codec_that_was_trained_and_only_recipes_of_sound_are_compared(tmp_path: Path) -> None:
    codec = recipe_of("codec", (), "sounds", "sounds")
    write_json(tmp_path / "recipe.json", to_dict(codec))
    told = told_of(recipe_of("audiogen", (), "sounds", "sounds"), [tmp_path])
    assert told.codec == str(tmp_path)  # type: ignore[union-attr]
    begins = fitted_to(codec, 300).objective.adversarial_from  # type: ignore[union-attr]
    assert begins == 300 * codec.objective.adversarial_from / codec.training.steps  # type: ignore[union-attr]
    vocoder = recipe_of("vocoder", (), "sounds", "sounds")
    assert vocoder.data_set == "sounds"
    assert fitted_to(vocoder, 330).objective.adversarial_from == 250  # type: ignore[union-attr]
    (tmp_path / "runs" / "vocoder" / "end").mkdir(parents=True)
    write_json(tmp_path / "runs" / "vocoder" / "end" / "recipe.json", to_dict(vocoder))
    place = tmp_path / "runs" / "vocoder" / "end"
    assert told_of(recipe_of("sound-mel", (), "sounds", "sounds"), [place]).codec == str(place)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="'audiogen' learns nothing from 'runs'"):
        told_of(recipe_of("audiogen", (), "sounds", "sounds"), [place])
    with pytest.raises(InputError, match="'emoji' makes no sounds"):
        recipe_of("emoji", (), "sounds", "sounds")
    with pytest.raises(InputError, match="'codec' makes no sounds"):
        SOUNDS.check(chosen("sounds", ["audiogen", "codec"]).method("codec"), [codec])


def test_sounds_come_back_as_they_were_kept_each_as_long_as_it_was_asked_for(yard: SoundYard) -> None:
    real = real_of(yard)
    levels = yard.levels(real)
    assert levels.dtype == torch.int16 and levels.shape == (60, round(LONGEST * RATE))
    for one, other in zip(real, yard.audio(levels), strict=True):
        assert one.frames == other.frames and np.abs(one.samples - other.samples).max() < 1e-4
    few = yard.of_few(3)
    assert len(few.sounds) == 6 and few.asked.parts.count("held-out") == 3  # type: ignore[arg-type]
    assert few.question({}) != yard.question({}) != yard.question({"steps": 3})


def test_real_sounds_are_better_than_noise_by_every_measure(yard: SoundYard) -> None:
    real = real_of(yard)
    rng = np.random.default_rng(0)
    noise = [Audio(0.1 * rng.normal(size=each.frames), RATE) for each in real]
    one, other = (measured(yard, each) for each in (real, noise))
    assert one.figures["agreement"].value > 0.9 > 0.6 > other.figures["agreement"].value
    assert one.figures["fidelity"].value + 0.2 < other.figures["fidelity"].value
    assert len(one.prompts["agreement"]) == len(yard.sounds) and one.figures["silent"].value == 0
    levels = (yard.levels(real), yard.levels(noise))
    assert SOUNDS.difference(yard, "fidelity", *levels).high < 0
    with pytest.raises(InputError, match="sounds have no motion"):
        SOUNDS.difference(yard, "motion", *levels)
    companions = SOUNDS.companions(yard)
    assert set(companions) == {"real", "noise"} and "copies" not in companions["real"].figures
    sheet = SOUNDS.sheet(yard, {"one": levels[0], "other": levels[1]})
    assert sheet.width > sheet.height / 10


@pytest.mark.slow
def test_a_comparison_of_small_models_trains_draws_and_decides(tmp_path: Path) -> None:
    wanted = chosen("debug-sounds", ["sound-flow", "sound-mel", "sound-gan"])
    budget = budget_of(operations=4e9)
    made = compare(wanted, budget, tmp_path / "runs")
    paths = write_comparison(made, tmp_path / "report", "text2x compare")
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [each["claim"]["measure"] for each in values["verdicts"]] == ["agreement", "fidelity"] * 2
    assert len(values["trainings"]) == 5 and values["companions"]["real"]["agreement"]["value"] > 0.8
    assert (tmp_path / "report" / "sheet.png") in paths
    again = rendered(wanted, tmp_path / "runs")
    assert again.final("sound-gan").values.prompts == made.final("sound-gan").values.prompts
