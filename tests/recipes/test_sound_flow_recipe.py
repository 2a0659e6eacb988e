"""Sound by diffusion from recipe to folder: it learns tones, is gone on with, packed, found by name and heard."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from text2x.audio import Audio
from text2x.cli import app
from text2x.config import from_dict, to_dict
from text2x.data.latent_batches import LatentBatch
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.library import info, load
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.running import train
from text2x.recipes.sound_flow_running import ship_sound_flow
from text2x.sound_diffusion import LatentPart, SoundDiffusionRecipe, text_of
from text2x.sound_library import load_sound, model_for
from text2x.sound_objectives import SoundDenoising, draw_known
from text2x.sound_requests import SoundRequest
from tiny_sound_flow import CHANNELS, RECIPE, tiny_dit

pytestmark = pytest.mark.medium

NAMES = ["sound-flow", "music-flow", "sound-mel", "music-mel", "debug-sound-flow", "debug-sound-mel"]
FEW = ["training.evaluate_every=0", "training.sample_every=0"]


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec") / "codec"
    train("debug-codec-kl", settings=["training.steps=20", "training.evaluate_every=0"], folder=folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_its_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert isinstance(recipe, SoundDiffusionRecipe) and recipe.name == name
    assert from_dict(SoundDiffusionRecipe, to_dict(recipe)) == recipe
    assert recipe.kind == ("music" if "music" in name else "sound")


def test_without_a_codec_of_latents_the_way_to_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no codec in .*none; train one: text2x train debug-codec-kl"):
        train("debug-sound-flow", settings=[f"codec={tmp_path}/none"], folder=tmp_path / "run")
    train("debug-codec", settings=["training.steps=1", *FEW], folder=tmp_path / "codes")
    with pytest.raises(InputError, match="makes codes and no latents; train one of those: text2x train codec-kl"):
        train("debug-sound-flow", settings=[f"codec={tmp_path}/codes"], folder=tmp_path / "run")


def test_a_model_learns_is_packed_and_makes_sound(codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "none")
    settings = [f"codec={codec}", "training.steps=40", "training.evaluate_every=40", "training.sample_every=40"]
    outcome = train("debug-sound-flow", settings=settings, folder=tmp_path / "run")
    assert outcome.step == 40 and (tmp_path / "run" / "samples" / "step-0000040.wav").is_file()
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "held_out/untold" in log and "held_out/t=0.9" in log
    packed = CliRunner().invoke(
        app, ["models", "pack", str(tmp_path / "run"), "--output", str(tmp_path / "models" / "sounds"),
              "--licence", "CC0-1.0"],
    )  # fmt: skip
    assert packed.exit_code == 0, packed.output
    assert set(read_json(tmp_path / "models" / "sounds" / "recipe.json")["weights"]) == {
        "network.safetensors",
        "codec.safetensors",
    }
    found = info("sounds", tmp_path / "models")
    assert (found.kind, found.licence) == ("sound", "CC0-1.0")
    assert model_for("sound", tmp_path / "models") == "sounds"
    asked = SoundRequest("a", seed=1, seconds=0.5)
    packed_sound = load_sound("sounds", "sound", "cpu", tmp_path / "models").generate(asked)[0].media
    of_run = load(tmp_path / "run", "cpu").generate(asked)[0].media  # type: ignore[arg-type]
    assert packed_sound.frames == of_run.frames == 4000 and np.abs(of_run.samples).max() > 0.01
    with pytest.raises(InputError, match="begun with another codec"):
        train("debug-codec-kl", settings=["training.steps=1", *FEW], folder=tmp_path / "other")
        train("debug-sound-flow", settings=[f"codec={tmp_path}/other", *settings[1:]], folder=tmp_path / "run")
    with pytest.raises(InputError, match=r"recipe\.json is missing"):
        ship_sound_flow(tmp_path, tmp_path / "x", Labels("x", "CC0-1.0"))
    made = CliRunner().invoke(
        app, ["sound", "a", "--model", str(tmp_path / "run"), "--loop", "--seed", "1", "-o", str(tmp_path / "a.wav")]
    )
    assert made.exit_code == 0, made.output
    loop = Audio.read(tmp_path / "a.wav").samples[0]
    assert len(loop) == 4000 and abs(loop[0] - loop[-1]) <= np.abs(np.diff(loop)).max()


def test_on_mel_frames_a_model_is_made_packed_and_heard(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train one: text2x train debug-vocoder --data tones"):
        train("debug-sound-mel", settings=[f"codec={tmp_path}/vocoder"], folder=tmp_path / "run")
    train("debug-vocoder", settings=["training.steps=4", "training.batch_size=2", *FEW], folder=tmp_path / "vocoder")
    few = [f"codec={tmp_path}/vocoder", "training.steps=4", "data.loops=0.5", "data.mix=0.5", *FEW]
    train("debug-sound-mel", settings=few, folder=tmp_path / "run")
    better = ["training.steps=6", "training.batch_size=2", *FEW]
    train("debug-vocoder", settings=better, folder=tmp_path / "better")
    before = load_tensors(tmp_path / "run" / "codec.safetensors")
    train("debug-sound-mel", settings=[f"codec={tmp_path}/better", *few[1:]], folder=tmp_path / "run")
    after = load_tensors(tmp_path / "run" / "codec.safetensors")
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    model = ship_sound_flow(tmp_path / "run", tmp_path / "hum", Labels("hum", "CC0-1.0", packing="float32"))
    assert isinstance(model.recipe.codec, LatentPart) and len(model.recipe.codec.shift) == 80
    asked = SoundRequest("a", seed=1, seconds=0.4, loop=True)
    of_run, packed = (load(tmp_path / name, "cpu").generate(asked)[0].media for name in ("run", "hum"))  # type: ignore[arg-type]
    assert of_run.frames == 3200 and np.abs(of_run.samples).max() > 0.001
    assert np.array_equal(packed.samples, of_run.samples)
    assert ship_sound_flow(tmp_path / "run", tmp_path / "small", Labels("small", "CC0-1.0")).codec is None
    kinds = {each.dtype for each in load_tensors(tmp_path / "small" / "codec.safetensors").values()}
    assert torch.int8 in kinds, "a vocoder is packed as those of voices are"
    _of_a_shared_codec(tmp_path, few)


def _of_a_shared_codec(place: Path, settings: list[str]) -> None:
    """A second model takes the packed codec of the first, by name and hash, and sounds as if it had its own."""
    again = [f"codec={place}/better", *settings[1:], "training.seed=5"]
    train("debug-sound-mel", settings=again, folder=place / "second")
    pack = ["models", "pack", str(place / "second"), "--output", str(place / "shares"), "--codec"]
    packed = CliRunner().invoke(app, [*pack, "small"])
    assert packed.exit_code == 0, packed.output
    assert not (place / "shares" / "codec.safetensors").exists()
    assert list(read_json(place / "shares" / "recipe.json")["weights"]) == ["network.safetensors"]
    assert "that of small" in CliRunner().invoke(app, ["models", "show", str(place / "shares")]).output
    ship_sound_flow(place / "second", place / "whole", Labels("whole", "CC0-1.0"))
    asked = SoundRequest("a", seed=1, seconds=0.2)
    shares, whole = (load(place / name, "cpu").generate(asked)[0].media for name in ("shares", "whole"))  # type: ignore[arg-type]
    assert np.array_equal(shares.samples, whole.samples)
    assert CliRunner().invoke(app, [*pack, "none"]).exit_code != 0
    with pytest.raises(InputError, match="is another codec than"):
        train("debug-sound-mel", settings=[f"codec={place}/vocoder", *settings[1:]], folder=place / "third")
        ship_sound_flow(place / "third", place / "x", Labels("x", codec="small"))
    with pytest.raises(InputError, match="only models of sound by diffusion share one"):
        raise (
            CliRunner().invoke(app, ["models", "pack", str(place / "better"), "-o", "x", "--codec", "small"]).exception
        )  # type: ignore[misc]
    (place / "small" / "codec.safetensors").write_bytes((place / "hum" / "codec.safetensors").read_bytes())
    with pytest.raises(InputError, match="SHA-256"):
        load(place / "shares", "cpu")


def test_half_and_half_is_the_whole_bit_for_bit(codec: Path, tmp_path: Path) -> None:
    few = [f"codec={codec}", *FEW, "training.decay=constant", "data.loops=0.4", "data.batch_size=4"]
    train("debug-sound-flow", settings=[*few, "training.steps=6"], folder=tmp_path / "whole")
    for steps in (3, 6):
        train("debug-sound-flow", settings=[*few, f"training.steps={steps}"], folder=tmp_path / "half")
    one, other = (load_tensors(tmp_path / name / "averages" / "0.95.safetensors") for name in ("whole", "half"))
    assert all(np.array_equal(one[key], other[key]) for key in one)


def test_the_loss_depends_on_its_batch_and_seed_alone_and_on_loops_and_captions() -> None:
    network = tiny_dit()
    objective = SoundDenoising(network, text_of(RECIPE), RECIPE)
    torch.manual_seed(0)
    latents, captions = torch.randn(4, CHANNELS, 50), ("rain", "wind", "a door", "bees")
    batch = LatentBatch(latents, captions, torch.full((4,), 0.2), torch.zeros(4), torch.full((4,), 0.2), False, 0)

    def loss(given: LatentBatch) -> float:
        return float(objective(given, torch.Generator().manual_seed(1))["loss"])

    assert loss(batch) == loss(batch)
    assert loss(batch) != loss(replace(batch, loop=True))
    assert loss(batch) != loss(replace(batch, captions=("x",) * 4))
    told = objective.held_out([batch], seed=0)
    assert told["held_out"] > 0 and told["held_out"] != told["held_out/untold"]


def test_known_parts_are_beginnings_ends_stretches_and_all_but_a_hole() -> None:
    masks = draw_known(200, 40, torch.Generator().manual_seed(0))[:, 0]
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    changes = masks.diff(dim=1).ne(0).sum(1)
    assert changes.max() == 2
    kinds = {(int(mask[0]), int(mask[-1]), int(change)) for mask, change in zip(masks, changes, strict=True)}
    assert {(1, 0, 1), (0, 1, 1), (1, 1, 2), (0, 0, 2)} <= kinds
