"""Chroma: pure tones are their notes, filters are those of transformers, silence and noise are no melody."""

import pytest
import torch

from text2x.chroma import ChromaConfig, chroma, chroma_filters, fitted, melody_chroma, score_chroma
from text2x.errors import InputError

NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def sine(midi: int, seconds: float = 2.0, rate: int = 16_000) -> torch.Tensor:
    hertz = 440 * 2 ** ((midi - 69) / 12)
    return 0.3 * torch.sin(torch.arange(round(seconds * rate)) * (2 * torch.pi * hertz / rate))


@pytest.mark.parametrize("midi", range(57, 81))
def test_the_strongest_class_of_a_pure_tone_is_its_note(midi: int) -> None:
    found = chroma(sine(midi), ChromaConfig())
    assert found.shape == (16, 12) and torch.equal(found.sum(1), torch.ones(16))
    assert NAMES[int(found[4:-4].mean(0).argmax())] == NAMES[midi % 12]


def test_notes_of_a_score_are_the_chroma_of_their_sound() -> None:
    config = ChromaConfig()
    notes = [(0.0, 2.0, 60), (2.0, 4.0, 64), (4.0, 6.0, 67)]
    heard = chroma(torch.cat([sine(pitch) for _, _, pitch in notes]), config)
    written = score_chroma(notes, 6.0, config)
    assert heard.shape == written.shape
    assert (heard.argmax(1) == written.argmax(1)).float().mean() > 0.9
    assert torch.equal(score_chroma([(0, 1, 60), (0, 1, 67)], 1.0, config).argmax(1)[:4], torch.full((4,), 7))


def test_silence_and_noise_are_refused_as_melodies_and_a_tone_with_noise_is_not() -> None:
    config, noise = ChromaConfig(), torch.randn(32_000, generator=torch.Generator().manual_seed(0)) * 0.1
    with pytest.raises(InputError, match="the melody is silent"):
        melody_chroma(torch.zeros(32_000), config)
    with pytest.raises(InputError, match="the melody has no pitch: its strongest note has"):
        melody_chroma(noise, config)
    assert melody_chroma(sine(60) + 0.3 * noise, config)[:, 0].mean() > 0.9


def test_a_melody_begins_again_where_it_ends() -> None:
    melody = torch.eye(12)[:5]
    assert fitted(melody, 3, 4).argmax(1).tolist() == [3, 4, 0, 1]


@pytest.mark.medium
def test_filters_are_those_of_transformers() -> None:
    audio = pytest.importorskip("transformers.audio_utils")
    expected = torch.from_numpy(audio.chroma_filter_bank(4096, 12, 16_000)).float()
    torch.testing.assert_close(chroma_filters(16_000, 4096), expected, atol=1e-5, rtol=1e-4)
