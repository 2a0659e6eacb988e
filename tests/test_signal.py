"""Fourier transforms, mel spectrograms and Griffin-Lim: inverses, closed forms, parity, and independence of batches."""

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.signal import (
    HIFIGAN_MEL,
    INDIC_TTS_MEL,
    MelConfig,
    STFTConfig,
    framed,
    griffin_lim,
    hz_to_mel,
    invert_mel,
    istft,
    magnitude,
    mel_filters,
    mel_loss,
    mel_spectrogram,
    mel_to_hz,
    multi_scale_mel_configs,
    overlap_add,
    spectral_loss,
    stft,
    windows,
)

RATE = 16_000
CONFIGS = [STFTConfig(), STFTConfig(640, 640), STFTConfig(centred=True), STFTConfig(512, 400, 100)]


def sound(samples: int = 4000, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def tones(samples: int = 8000, rate: int = RATE) -> torch.Tensor:
    """[1, T] a vowel-like chord that swells."""
    time = torch.arange(samples) / rate
    chord = torch.stack([torch.sin(2 * torch.pi * 220 * k * time) / k for k in (1, 2, 3, 5, 8)]).sum(0)
    return (chord * torch.sin(torch.pi * time * rate / samples) * 0.2)[None]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_inverse_transform_gives_the_signal_back(config: STFTConfig) -> None:
    x = sound(config.hop * 25)
    spectrum = stft(x, config)
    assert spectrum.shape == (2, config.frames(x.shape[1]), config.bins)
    again = istft(spectrum, config)
    assert again.shape == x.shape
    assert (again - x).abs().max() < 1e-5


def test_frames_and_samples_stand_for_each_other() -> None:
    config = STFTConfig()
    for samples in (160, 161, 1600, 1601):
        frames = config.frames(samples)
        assert frames == -(-samples // 160)
        assert framed(sound(samples), config).shape == (2, frames, 1024)
    assert istft(stft(sound(1601), config), config).shape == (2, 1760)
    assert istft(stft(sound(1601), config), config, 1601).shape == (2, 1601)
    short = sound(50)
    assert (istft(stft(short, config), config, 50) - short).abs().max() < 1e-5, "shorter than what is mirrored"


@pytest.mark.parametrize("window", [640, 1024])
def test_a_centred_transform_is_that_of_torch(window: int) -> None:
    x = sound()
    ours = stft(x, STFTConfig(1024, window, 256, centred=True))
    theirs = torch.stft(x, 1024, 256, window, torch.hann_window(window), center=True, return_complex=True)
    assert (ours.transpose(1, 2) - theirs).abs().max() < 1e-4


def test_the_framing_of_hifigan_is_that_of_its_authors() -> None:
    x = sound(256 * 20)
    padded = torch.nn.functional.pad(x[:, None], (384, 384), mode="reflect")[:, 0]
    theirs = torch.stft(padded, 1024, 256, 1024, torch.hann_window(1024), center=False, return_complex=True)
    assert (stft(x, HIFIGAN_MEL.stft).transpose(1, 2) - theirs).abs().max() < 1e-4


def test_a_frame_stands_in_the_middle_of_its_samples() -> None:
    x = torch.zeros(1, 1600)
    x[0, 5 * 160 + 80] = 1  # the middle of frame 5
    heard = magnitude(x, STFTConfig(320, 320, 160))[0].mean(1)
    assert heard.argmax() == 5 and torch.allclose(heard[4], heard[6], atol=1e-5)


def test_overlap_add_is_the_sum_of_shifted_pieces() -> None:
    pieces = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(2, 4 * 3 + 7)
    for index in range(5):
        expected[:, 3 * index : 3 * index + 7] += pieces[:, index]
    assert torch.allclose(overlap_add(pieces, 3), expected, atol=1e-6)


# Mel


def test_the_mel_scale_has_the_values_of_its_definitions() -> None:
    assert hz_to_mel(1000, "slaney") == pytest.approx(15) and hz_to_mel(6400, "slaney") == pytest.approx(42)
    assert hz_to_mel(1000, "htk") == pytest.approx(999.99, abs=0.01)
    for scale in ("slaney", "htk"):
        hertz = np.linspace(0, 8000, 50)
        assert np.allclose(mel_to_hz(hz_to_mel(hertz, scale), scale), hertz)


def test_filters_are_triangles_of_unit_area_or_of_unit_height() -> None:
    config = MelConfig(stft=STFTConfig(8192, 640, 160))
    area = mel_filters(config).sum(0) * RATE / 8192
    assert area == pytest.approx(np.ones(80), abs=0.02)
    height = mel_filters(MelConfig(stft=STFTConfig(8192, 640, 160), area=False)).amax(0)
    assert ((height > 0.9) & (height <= 1)).all()


@pytest.mark.medium
@pytest.mark.parametrize(("scale", "area"), [("slaney", True), ("htk", False)])
def test_filters_are_those_of_transformers(scale: str, area: bool) -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    theirs = audio_utils.mel_filter_bank(513, 80, 0.0, 8000.0, 22_050, "slaney" if area else None, scale)
    ours = mel_filters(MelConfig(22_050, STFTConfig(1024, 1024, 256), scale=scale, area=area))  # type: ignore[arg-type]
    assert np.abs(ours.numpy() - theirs).max() < 1e-6


def test_indic_tts_hears_as_many_frames_as_librosa_does() -> None:
    mel = mel_spectrogram(sound(256 * 10), INDIC_TTS_MEL)
    assert mel.shape == (2, 80, 11)
    values = magnitude(sound(256 * 10), INDIC_TTS_MEL.stft) @ mel_filters(INDIC_TTS_MEL)
    assert torch.allclose(mel, values.clamp_min(1e-5).log().transpose(1, 2))


def test_a_tone_is_loudest_in_its_band_and_silence_is_the_floor() -> None:
    config = MelConfig()
    x = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / RATE)[None]
    loudest = int(mel_spectrogram(x, config)[0, :, 10:40].mean(1).argmax())
    centres = mel_to_hz(np.linspace(0, hz_to_mel(8000, "slaney"), 82), "slaney")[1:-1]
    assert abs(centres[loudest] - 1000) < 40
    assert mel_spectrogram(torch.zeros(1, 800), config) == pytest.approx(np.log(1e-5))


@pytest.mark.parametrize("config", [MelConfig(), INDIC_TTS_MEL], ids=["16k", "22k"])
def test_an_item_does_not_depend_on_its_batch(config: MelConfig) -> None:
    x = sound(6000, 5)
    batch = mel_spectrogram(x, config)
    for index in range(5):
        assert torch.equal(mel_spectrogram(x[index : index + 1], config), batch[index : index + 1])


def test_impossible_configs_name_their_values() -> None:
    with pytest.raises(InputError, match="window 640 and fft 512"):
        STFTConfig(512, 640, 160)
    with pytest.raises(InputError, match=r"from 0\.0 to 9000\.0 Hz"):
        MelConfig(high=9000.0)


# From magnitudes back


def test_inverting_a_mel_gives_magnitudes_of_that_mel() -> None:
    config = MelConfig()
    mel = mel_spectrogram(tones(), config)
    rebuilt = (invert_mel(mel, config) @ mel_filters(config)).clamp_min(1e-5).log().transpose(1, 2)
    plain = (invert_mel(mel, config, 0) @ mel_filters(config)).clamp_min(1e-5).log().transpose(1, 2)
    loud = mel > mel.max() - 5
    assert (rebuilt - mel)[loud].abs().mean() < 0.05
    assert (rebuilt - mel)[loud].abs().mean() < 0.5 * (plain - mel)[loud].abs().mean()


def test_griffin_lim_comes_nearer_with_every_round_and_momentum_helps() -> None:
    config = STFTConfig()
    wanted = magnitude(tones(4800), config)

    def error(**options: float) -> float:
        made = griffin_lim(wanted, config, **options)  # type: ignore[arg-type]
        return float((magnitude(made, config) - wanted).norm() / wanted.norm())

    assert error(iterations=32) < 0.5 * error(iterations=2)
    assert error(iterations=32) < error(iterations=32, momentum=0.0)
    assert error(iterations=32) < 0.15


def test_griffin_lim_does_not_depend_on_the_batch() -> None:
    config = STFTConfig()
    wanted = torch.cat([magnitude(tones(1600), config), magnitude(sound(1600, 1), config)])
    both = griffin_lim(wanted, config, 4)
    assert torch.equal(griffin_lim(wanted[1:], config, 4), both[1:])


# Windows, losses


def test_windows_cover_everything_once_and_read_their_surroundings() -> None:
    parts = list(windows(23, 8, 3))
    assert [(part.first, part.last) for part in parts] == [(0, 8), (8, 16), (16, 23)]
    assert [(part.start, part.end) for part in parts] == [(0, 11), (5, 19), (13, 23)]


def test_losses_are_nothing_for_the_same_sound_and_grow_with_noise() -> None:
    real, other = tones(), sound(8000, 1)
    configs = multi_scale_mel_configs(RATE)
    same = spectral_loss(real, real)
    assert float(same["convergence"]) == float(same["magnitude"]) == float(mel_loss(real, real, configs)) == 0
    little, much = real + 0.01 * other, real + 0.1 * other
    assert 0 < spectral_loss(little, real)["convergence"] < spectral_loss(much, real)["convergence"]
    assert 0 < mel_loss(little, real, configs) < mel_loss(much, real, configs)


def test_losses_have_a_finite_gradient_at_silence() -> None:
    made = torch.zeros(1, 3200, requires_grad=True)
    loss = spectral_loss(made, tones(3200))
    (loss["convergence"] + loss["magnitude"] + mel_loss(made, tones(3200), [MelConfig()])).backward()
    assert made.grad is not None and made.grad.isfinite().all()
