"""Voices from recipe to folder: they really learn tones, are packed with a vocoder, found by name, and speak."""

from pathlib import Path

import numpy as np
import pytest

from text2x.acoustics import AcousticRecipe
from text2x.audio import Audio
from text2x.config import from_dict, to_dict
from text2x.data.speechset import SpeechSet
from text2x.data.tone_speech import WORDS, tone_speech
from text2x.errors import InputError
from text2x.files import write_json
from text2x.library import info, load_voice, voice_for
from text2x.packaging import Labels
from text2x.recipes import RECIPES
from text2x.recipes.running import train
from text2x.recipes.speech import debug_voice, voice
from text2x.recipes.speech_running import (
    acoustic_of,
    fitted,
    load_speech,
    prepare_speech_run,
    ship_voice,
    speaking,
    write_mels,
)
from text2x.speech_requests import SpeechRequest
from text2x.spoken import PHONES

pytestmark = pytest.mark.medium

NAMES = ["voice", "voice-flow", "voice-gan", "voice-indic", "debug-voice", "debug-voice-flow", "debug-voice-gan"]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_its_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert isinstance(recipe, AcousticRecipe) and recipe.name == name
    assert from_dict(AcousticRecipe, to_dict(recipe)) == recipe


def test_tone_speech_is_timed_exactly_and_said_by_both_voices() -> None:
    speech = tone_speech(20)
    assert isinstance(speech, SpeechSet) and speech.aligned and speech.phones == PHONES
    assert speech.speakers == ("low", "high") and len(speech.split("held-out")) >= 1
    clip = speech.clips[0]
    assert clip.durations is not None and sum(clip.durations) * speech.hop == clip.samples
    assert set(clip.text[:-1].lower().split()) <= set(WORDS)
    assert 80 < speech.phone_pitch_of(0).max() < 130 < speech.phone_pitch_of(1).max() < 230


def test_the_network_is_told_what_its_data_has_and_what_stands_in_for_the_rest() -> None:
    recipe = fitted(debug_voice(), tone_speech(20))
    assert recipe.told.speakers == ("low", "high") and recipe.network.text.num_phones == len(PHONES)
    assert recipe.told.stand_ins["UW0"] == "UW1" and "UW1" not in recipe.told.stand_ins


def test_a_set_of_another_rate_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"8000 Hz in frames of 80 samples, the recipe's mel 16000 Hz and 160"):
        load_speech("tone-speech", voice())
    with pytest.raises(InputError, match="text2x data prepare asterisk"):
        load_speech("asterisk", voice(), tmp_path)


def test_statistics_of_the_data_are_in_the_network_before_it_learns() -> None:
    run = prepare_speech_run(debug_voice())
    acoustic = run.trainable
    assert acoustic.mel_std.min() > 0.1 and acoustic.mel_mean.max() < 0  # type: ignore[union-attr]
    low, high = 110, 190
    assert low < float(acoustic.pitch_range[0].exp()) < high  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["debug-voice", "debug-voice-flow"])
def test_predicted_mels_are_those_of_true_durations_one_file_a_clip(name: str, tmp_path: Path) -> None:
    run = prepare_speech_run(RECIPES[name]())  # type: ignore[arg-type]
    acoustic = acoustic_of(run.trainable.eval())
    speech = tone_speech(6)
    assert write_mels(run.recipe, acoustic, speech, tmp_path) == 6
    for clip in speech.clips:
        mel = np.load(tmp_path / f"{clip.key}.npy")
        assert mel.shape == (48, clip.samples // speech.hop) and mel.dtype == np.float32
        assert np.abs(mel.mean(1) - acoustic.mel_mean.numpy()).max() < 6
    again = tmp_path / "again"
    write_mels(run.recipe, acoustic, speech, again)
    assert all(
        (again / f"{clip.key}.npy").read_bytes() == (tmp_path / f"{clip.key}.npy").read_bytes() for clip in speech.clips
    )


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "steps", "better"), [("debug-voice", 60, 0.5), ("debug-voice-flow", 60, 0.8), ("debug-voice-gan", 40, 0.9)]
)
def test_a_voice_learns_is_packed_and_speaks(name: str, steps: int, better: float, tmp_path: Path) -> None:
    begin = prepare_speech_run(RECIPES[name]())  # type: ignore[arg-type]
    before = begin.evaluate(begin.trainable.eval())["held_out/mel"]
    settings = [f"training.steps={steps}", "training.evaluate_every=1000", f"training.sample_every={steps}"]
    train(name, None, settings, tmp_path / "run")
    run = prepare_speech_run(RECIPES[name]())  # type: ignore[arg-type]
    spoken = load_voice(tmp_path / "run")
    acoustic = spoken.voice.acoustic  # type: ignore[attr-defined]
    after = speaking(run.recipe, acoustic, "cpu").held_out(run.held_out)["held_out/mel"]
    assert after < before * better
    assert Audio.read(next((tmp_path / "run" / "samples").glob("*.wav"))).seconds > 1
    model = ship_voice(tmp_path / "run", tmp_path / "voice", Labels("voice", "CC0-1.0", packing="float32"))
    assert info(tmp_path / "voice").kind == "speech" and model.vocoder is None
    said = SpeechRequest("Go left, then stop.", seed=1, voice="high")
    whole, packed = (load_voice(tmp_path / each).generate(said)[0].media for each in ("run", "voice"))
    assert (whole.samples == packed.samples).all() and 0.3 < whole.seconds < 5


def test_a_text_has_the_voice_of_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "none")
    with pytest.raises(InputError, match="there is no voice yet: `text2x train voice` makes one"):
        voice_for("Good morning.", folder=tmp_path)
    for name in ("voice-en", "voice-indic"):
        write_json(tmp_path / name / "recipe.json", {"type": "SpeechModel"})
    assert voice_for("Good morning.", folder=tmp_path) == "voice-en"
    assert voice_for("नमस्ते", folder=tmp_path) == voice_for("Hi", "te", tmp_path) == "voice-indic"
    assert voice_for("Hi नमस्ते", "en-IN", tmp_path) == "voice-en"
