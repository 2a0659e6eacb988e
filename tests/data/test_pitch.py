from __future__ import annotations

import numpy as np
import pytest

from text2x.data.pitch import PitchConfig, track
from text2x.errors import InputError

RATE, HOP = 16_000, 160


def voice(pitch: np.ndarray, harmonics: int = 12, rate: int = RATE) -> np.ndarray:
    """Harmonics of a pitch [T] in Hz that fall off as a voice's do."""
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    return sum(np.sin(k * phase) * (k * pitch < 0.4 * rate) / k for k in range(1, harmonics + 1)) * 0.2


@pytest.mark.parametrize("hz", [75.0, 123.4, 210.0, 333.3, 440.0])
def test_a_steady_voice_has_its_pitch_within_a_five_hundredth(hz: float):
    found = track(voice(np.full(8000, hz)), RATE, HOP)
    assert found.shape == (50,)
    assert np.abs(found[4:-4] / hz - 1).max() < 2e-3


def test_a_gliding_voice_is_followed_frame_by_frame():
    pitch = np.linspace(100, 300, 16_000)
    found = track(voice(pitch), RATE, HOP)
    expected = pitch[HOP // 2 :: HOP]
    assert np.abs(found[4:-4] / expected[4:-4] - 1).max() < 0.01


def test_noise_and_silence_have_no_pitch():
    rng = np.random.default_rng(0)
    assert not track(np.zeros(4000), RATE, HOP).any()
    assert np.mean(track(rng.normal(0, 0.1, 16_000), RATE, HOP) > 0) < 0.05


def test_a_voice_between_silences_is_found_where_it_is():
    samples = np.concatenate([np.zeros(4800), voice(np.full(4800, 180.0)), np.zeros(4800)])
    voiced = track(samples, RATE, HOP) > 0
    assert voiced[32:58].all() and not voiced[:28].any() and not voiced[62:].any()


def test_a_missing_fundamental_and_a_strong_second_harmonic_do_not_move_the_octave():
    t = np.arange(8000) / RATE
    missing = sum(np.sin(2 * np.pi * 150 * k * t) for k in (2, 3, 4, 5)) * 0.1
    strong = 0.05 * np.sin(2 * np.pi * 150 * t) + 0.3 * np.sin(2 * np.pi * 300 * t) + 0.05 * np.sin(2 * np.pi * 450 * t)
    for samples in (missing, strong):
        assert np.median(track(samples, RATE, HOP)) == pytest.approx(150, rel=0.01)


def test_pitch_survives_noise_ten_decibels_below():
    rng = np.random.default_rng(1)
    samples = voice(np.full(16_000, 140.0))
    noisy = samples + rng.normal(0, samples.std() * 10**-0.5, len(samples))
    found = track(noisy, RATE, HOP)
    assert np.mean(np.abs(found / 140 - 1) < 0.02) > 0.95


def test_a_sound_shorter_than_a_hop_has_no_frames_and_a_senseless_range_is_refused():
    assert track(np.zeros(100), RATE, HOP).shape == (0,)
    with pytest.raises(InputError, match="pitch from 400 to 300 Hz"):
        track(np.zeros(1000), RATE, HOP, PitchConfig(low=400, high=300))
