"""A mel is sharpened frame by frame: by hand, nothing at 0, and in a voice whose recipe says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from text2x.recipes.speech import voice as voice_recipe
from text2x.recipes.speech import voice_flow, voice_indic
from text2x.speech_generator import SpeechGenerator
from text2x.speech_requests import SpeechRequest
from text2x.voices import CONTRAST_BANDS, sharpened
from tiny_voices import voice


def test_what_stands_out_of_its_neighbours_stands_out_more() -> None:
    mel = torch.randn(2, 20, 7, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([mel[:, :1].expand(-1, 4, -1), mel, mel[:, -1:].expand(-1, 4, -1)], dim=1)
    smooth = torch.stack([padded[:, place : place + 20] for place in range(CONTRAST_BANDS)]).mean(0)
    torch.testing.assert_close(sharpened(mel, 0.3), 1.3 * mel - 0.3 * smooth)
    assert sharpened(mel, 0) is mel
    flat = torch.full((1, 20, 3), -4.0)
    torch.testing.assert_close(sharpened(flat, 0.5), flat)


def test_a_voice_is_sharpened_as_its_model_says(tmp_path: Path) -> None:
    said = voice(tmp_path)
    made = []
    for contrast in (0.0, 0.4):
        sampling = replace(said.sampling, contrast=contrast)
        generator = SpeechGenerator(said.name, said.voice, said.vocoder, sampling)
        made.append(generator.generate(SpeechRequest("one two", seed=0))[0].media.samples)
    assert made[0].shape == made[1].shape and not np.array_equal(made[0], made[1])


def test_voices_in_one_pass_from_recordings_are_sharpened_and_others_are_not() -> None:
    assert voice_recipe().sampling.contrast > 0
    assert voice_flow().sampling.contrast == voice_indic().sampling.contrast == 0
