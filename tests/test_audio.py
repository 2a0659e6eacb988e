"""Sound as values: levels against closed forms, and laws of cutting, joining, mixing and resampling."""

import math

import numpy as np
import pytest

from text2x.audio import Audio, join, mix, resampled, silence
from text2x.errors import InputError

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 1.0, channels: int = 1) -> Audio:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Audio(np.repeat(wave[None], channels, axis=0), rate)


def noise(seconds: float, rate: int = RATE, channels: int = 1) -> Audio:
    return Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (channels, round(seconds * rate))), rate)


def test_one_axis_is_mono_and_the_samples_cannot_be_changed() -> None:
    audio = Audio(np.zeros(8), RATE)
    assert audio.samples.shape == (1, 8) and audio.samples.dtype == np.float32
    assert (audio.channels, audio.frames, audio.seconds) == (1, 8, 8 / RATE)
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0, 0] = 1


@pytest.mark.parametrize("samples", [np.zeros((9, 4)), np.zeros((1, 0)), np.zeros((1, 1, 4))])
def test_what_is_no_sound_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a sound is"):
        Audio(samples, RATE)


def test_values_that_are_not_finite_and_rates_that_no_sound_has_are_refused_by_their_value() -> None:
    with pytest.raises(InputError, match="not finite"):
        Audio(np.array([0.0, np.nan]), RATE)
    with pytest.raises(InputError, match="rate of 0 Hz"):
        Audio(np.zeros(4), 0)
    with pytest.raises(InputError, match="rate of 5 Hz"):
        Audio(np.zeros(4), RATE).resample(5)


def test_integers_come_back_as_themselves_and_beyond_full_scale_is_clipped() -> None:
    values = np.array([-32768, -1, 0, 1, 32767])
    assert np.array_equal(Audio(values / 32768, RATE).to_int16()[0], values)
    assert np.array_equal(Audio(np.array([-3.0, 3.0]), RATE).to_int16()[0], [-32768, 32767])


# Loudness


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_a_full_sine_of_997_hz_has_the_loudness_that_the_standard_says(rate: int) -> None:
    # BS.1770-4, Annex 1: a 997 Hz sine at 0 dBFS in one channel gives -3.01 LKFS.
    assert tone(997, 2, rate).loudness() == pytest.approx(-3.01, abs=0.05)


def test_the_first_case_of_ebu_tech_3341_is_met() -> None:
    # A stereo sine of 1000 Hz with peaks at -23 dBFS has -23.0 LUFS, to 0.1 LU.
    assert tone(1000, 3, 48_000, 10 ** (-23 / 20), channels=2).loudness() == pytest.approx(-23.0, abs=0.1)


def test_silence_around_a_sound_does_not_change_its_loudness() -> None:
    sound = tone(1000, 4)
    assert sound.padded(5, 5).loudness() == pytest.approx(sound.loudness(), abs=0.4)
    assert sound.gain(-12).loudness() == pytest.approx(sound.loudness() - 12, abs=0.01)
    assert silence(1, RATE).loudness() == -math.inf


def test_normalising_reaches_the_loudness_unless_the_peak_would_pass_its_limit() -> None:
    quiet = noise(1).gain(-30)
    assert quiet.normalised(-23).loudness() == pytest.approx(-23, abs=0.01)
    assert quiet.normalised(0, peak=-2).peak() == pytest.approx(-2, abs=1e-4)
    assert quiet.normalised().peak() == pytest.approx(-1, abs=1e-4)
    assert np.array_equal(silence(1, RATE).normalised(-23).samples, silence(1, RATE).samples)


# Form


def test_resampling_keeps_a_tone_and_its_length() -> None:
    made = tone(440).resample(24_000)
    middle = slice(1000, -1000)
    assert made.frames == 24_000
    assert np.abs(made.samples - tone(440, rate=24_000).samples)[0, middle].max() < 1e-3
    assert tone(440).resample(RATE).samples is not None and tone(7000).resample(8000).samples.std() < 1e-3


def test_resampling_in_pieces_gives_the_same_samples() -> None:
    whole = noise(1.1, channels=2)
    pieces = np.split(whole.samples, [1000, 1001, 9000], axis=1)
    together = np.concatenate(list(resampled(pieces, RATE, 22_050)), axis=1)
    assert np.array_equal(together, whole.resample(22_050).samples)


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo = Audio(np.array([[1.0, 0.5], [0.0, -0.5]]), RATE)
    assert np.array_equal(stereo.to_mono().samples, [[0.5, 0.0]])
    assert np.array_equal(stereo.to_mono().with_channels(2).samples, [[0.5, 0.0], [0.5, 0.0]])
    with pytest.raises(InputError, match="2 channels cannot be brought to 3"):
        stereo.with_channels(3)


def test_trimming_finds_the_edges_of_the_sound_and_padding_puts_silence_back() -> None:
    sound = tone(500, 0.5)
    trimmed = sound.padded(0.3, 0.2).trim()
    assert np.array_equal(trimmed.samples, sound.samples)
    assert sound.padded(0.3, 0.2).trim(keep=0.1).seconds == pytest.approx(0.7)
    assert silence(1, RATE).trim().seconds == 1


def test_cutting_takes_the_part_and_names_what_is_not_there() -> None:
    sound = noise(1)
    assert np.array_equal(sound.cut(0.25, 0.5).samples, sound.samples[:, 4000:8000])
    with pytest.raises(InputError, match="nothing lies between 2 s and its end of a sound of 1.00 s"):
        sound.cut(2)


def test_fades_begin_and_end_in_silence_and_leave_the_middle() -> None:
    faded = tone(500).fade(0.1, 0.2)
    assert abs(faded.samples[0, 0]) < 0.01 and abs(faded.samples[0, -1]) < 0.01
    assert np.array_equal(faded.samples[0, 1600:12800], tone(500).samples[0, 1600:12800])


def test_joining_with_a_pause_adds_silence_and_with_a_crossfade_keeps_the_power() -> None:
    one, other = noise(1), Audio(np.random.default_rng(1).uniform(-0.5, 0.5, RATE), RATE)
    paused = join([one, other], pause=0.5)
    assert paused.seconds == 2.5 and not paused.samples[0, RATE : RATE + 8000].any()
    crossed = join([one, other], crossfade=0.5)
    assert crossed.seconds == 1.5
    assert crossed.samples[0, 8000:16000].std() == pytest.approx(one.samples.std(), rel=0.05)
    assert np.array_equal(join([one]).samples, one.samples)


def test_mixing_sums_what_is_shifted_and_scaled() -> None:
    one, other = tone(300, 0.5), tone(700, 0.5)
    mixed = mix([one, other], gains=[0, -20], starts=[0, 0.25])
    assert mixed.seconds == 0.75
    assert np.allclose(mixed.samples[0, 4000:8000], one.samples[0, 4000:] + 0.1 * other.samples[0, :4000], atol=1e-6)


def test_sounds_that_differ_in_rate_cannot_be_put_together() -> None:
    with pytest.raises(InputError, match="8000 Hz, 1 channels and 16000 Hz"):
        join([noise(1), noise(1, 8000)])
    with pytest.raises(InputError, match="no sound"):
        mix([])
