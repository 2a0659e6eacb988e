"""Models of codes from recipe to folder: they learn tones, are gone on with, packed, found by name, and make sound."""

from pathlib import Path

import numpy as np
import pytest

from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.library import info, load
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.audiogen import debug_audiogen
from text2x.recipes.running import train
from text2x.recipes.token_running import prepare_token_run, ship_tokens
from text2x.sound_library import load_sound, model_for
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.token_models import TokenRecipe

pytestmark = pytest.mark.medium

NAMES = ["audiogen", "musicgen", "debug-audiogen", "debug-musicgen"]


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec") / "codec"
    train("debug-codec", settings=["training.steps=30", "training.evaluate_every=0"], folder=folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_its_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert isinstance(recipe, TokenRecipe) and recipe.name == name
    assert from_dict(TokenRecipe, to_dict(recipe)) == recipe
    assert recipe.kind == ("music" if "music" in name else "sound")


def test_without_a_codec_the_way_to_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no codec in .*none; train one: text2x train debug-codec"):
        train("debug-audiogen", settings=[f"codec={tmp_path}/none"], folder=tmp_path / "run")


def test_a_model_learns_is_resumed_packed_and_makes_sound(
    codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "none")
    settings = [f"codec={codec}", "training.steps=80", "training.evaluate_every=40", "training.sample_every=80"]
    outcome = train("debug-audiogen", settings=settings, folder=tmp_path / "whole")
    assert outcome.step == 80 and (tmp_path / "whole" / "samples" / "step-0000080.wav").is_file()
    log = (tmp_path / "whole" / "log.jsonl").read_text()
    assert "held_out/untold" in log
    run = prepare_token_run(debug_audiogen_on(codec))
    before = run.evaluate(run.trainable)["held_out"]
    run.trainable.load_state_dict(load_tensors(tmp_path / "whole" / "averages" / "0.95.safetensors"))
    after = run.evaluate(run.trainable)
    assert after["held_out"] < 0.7 * before
    model = ship_tokens(tmp_path / "whole", tmp_path / "models" / "sounds", Labels("sounds", "CC0-1.0"))
    assert set(model.weights) == {"tokens.safetensors", "codec.safetensors"}
    found = info("sounds", tmp_path / "models")
    assert (found.kind, found.licence) == ("sound", "CC0-1.0")
    assert model_for("sound", tmp_path / "models") == "sounds"
    made = load_sound("sounds", "sound", "cpu", tmp_path / "models").generate(SoundRequest("a", seed=1, seconds=0.5))
    assert made[0].media.frames == 4000 and np.abs(made[0].media.samples).max() > 0.01
    plain = load(tmp_path / "whole", "cpu").generate(SoundRequest("a", seed=1, seconds=0.5))  # type: ignore[arg-type]
    assert plain[0].media.frames == 4000
    with pytest.raises(InputError, match="begun with another codec"):
        other = tmp_path / "other"
        train("debug-codec", settings=["training.steps=2", "training.evaluate_every=0"], folder=other)
        train("debug-audiogen", settings=[f"codec={other}", *settings[1:]], folder=tmp_path / "whole")


def debug_audiogen_on(codec: Path) -> TokenRecipe:
    import dataclasses

    return dataclasses.replace(debug_audiogen(), codec=str(codec))


def test_half_and_half_is_the_whole_bit_for_bit(codec: Path, tmp_path: Path) -> None:
    few = [f"codec={codec}", "training.evaluate_every=0", "training.sample_every=0"]
    train("debug-musicgen", settings=[*few, "training.steps=6", "training.decay=constant"], folder=tmp_path / "whole")
    for steps in (3, 6):
        half = [*few, f"training.steps={steps}", "training.decay=constant"]
        train("debug-musicgen", settings=half, folder=tmp_path / "half")
    one, other = (load_tensors(tmp_path / name / "averages" / "0.95.safetensors") for name in ("whole", "half"))
    assert all(np.array_equal(one[key], other[key]) for key in one)
    recipe = from_dict(TokenRecipe, read_json(tmp_path / "whole" / "recipe.json"), where="recipe.json")
    assert recipe.network.prepended_width == 12
    made = load_sound(tmp_path / "whole", "music", "cpu").generate(MusicRequest("a", seed=1))
    assert made[0].media.frames == 4000


def test_where_there_is_no_model_the_way_to_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="emoji makes no sound; take --model sounds|train one: text2x train audiogen"):
        load_sound("emoji", "sound", "cpu", tmp_path)
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "none")
    with pytest.raises(InputError, match="there is no model of music yet: `text2x train musicgen` makes one"):
        model_for("music", tmp_path)
