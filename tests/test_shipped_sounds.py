"""The models of sound and music that come with the package: small, what was asked for, one seed one sound, loops."""

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.library import info
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_library import load_sound, model_for
from text2x.sound_requests import MusicRequest, SoundRequest

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def sounds() -> SoundDiffusionGenerator:
    made = load_sound(model_for("sound"), "sound", "cpu")
    assert isinstance(made, SoundDiffusionGenerator)
    return made


@pytest.fixture(scope="module")
def music() -> SoundDiffusionGenerator:
    made = load_sound(model_for("music"), "music", "cpu")
    assert isinstance(made, SoundDiffusionGenerator)
    return made


def spectrum(sound: Audio) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and the power at each."""
    power = np.square(np.abs(np.fft.rfft(sound.samples[0])))
    return np.fft.rfftfreq(sound.frames, 1 / sound.rate), power


def centre(sound: Audio) -> float:
    """The mean frequency of its power in Hz."""
    frequencies, power = spectrum(sound)
    return float((frequencies * power).sum() / power.sum())


def made(model: SoundDiffusionGenerator, prompt: str, **fields: object) -> Audio:
    ask = SoundRequest if model.kind == "sound" else MusicRequest
    sound = model.generate(ask(prompt, **{"seed": 1, "steps": 12, **fields}))[0].media  # type: ignore[arg-type]
    assert isinstance(sound, Audio)
    return sound


def test_they_are_the_usual_ones_and_share_a_codec() -> None:
    about = [info(name) for name in ("sounds", "music")]
    assert (model_for("sound"), model_for("music")) == ("sounds", "music")
    assert [each.kind for each in about] == ["sound", "music"] and all(each.problem is None for each in about)
    assert sum(each.num_bytes for each in about) <= 12 * 2**20
    assert about[1].recipe["codec"] == "sounds"


def test_what_is_heard_is_what_was_asked_for(sounds: SoundDiffusionGenerator) -> None:
    low, high = (np.mean([centre(made(sounds, prompt, seconds=0.6, seed=seed)) for seed in (1, 2)]) for prompt in (
        "a bass drum", "a closed hi-hat"
    ))  # fmt: skip
    assert low < 500 and high > 2000


def test_one_seed_one_sound_as_long_as_was_asked_alone_and_among_others(sounds: SoundDiffusionGenerator) -> None:
    several = sounds.generate(SoundRequest("footsteps on gravel", seed=3, count=2, seconds=1.0, steps=4))
    alone = sounds.generate(SoundRequest("footsteps on gravel", seed=4, seconds=1.0, steps=4))[0].media
    assert np.array_equal(several[1].media.samples, alone.samples) and alone.frames == 16_000
    assert not np.array_equal(several[0].media.samples, alone.samples)
    assert 0.02 < np.abs(alone.samples).max() <= 1


def test_a_loop_has_no_seam(sounds: SoundDiffusionGenerator) -> None:
    loop = made(sounds, "rain", seconds=2.0, loop=True).samples[0]
    assert np.sqrt(np.square(loop).mean()) > 0.005
    assert abs(loop[0] - loop[-1]) <= np.abs(np.diff(loop)).max()
    loudness = np.sqrt(np.square(loop.reshape(-1, 800)).mean(1))  # of 50 ms each
    assert abs(np.log(loudness[0] / loudness[-1])) <= 1.2 * np.abs(np.diff(np.log(loudness))).max()


def test_music_has_tones_and_instruments_differ(music: SoundDiffusionGenerator) -> None:
    flute, bass = (
        made(music, f"calm solo {name} in C major, 90 bpm", seconds=3.0) for name in ("flute", "acoustic bass")
    )
    assert flute.frames == bass.frames == 48_000 and centre(bass) < centre(flute)
    frequencies, power = spectrum(flute)
    heard = (frequencies > 100) & (frequencies < 4000)
    strongest = np.sort(power[heard])[::-1]
    assert strongest[: len(strongest) // 20].sum() > 0.6 * strongest.sum(), "a few partials hold most of the power"
