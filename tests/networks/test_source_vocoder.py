"""The vocoder with a source: harmonics by hand, phases that go on, streams, what it depends on, and that it learns."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from text2x.data.audioset import AudioBatch
from text2x.errors import InputError
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.networks.source_vocoder import PitchFinder, SourceVocos, SourceVocosConfig, harmonics
from text2x.recipes.vocoder import source_vocoder
from text2x.signal import MelConfig, STFTConfig
from text2x.vocoder_training import VocoderGAN, VocoderObjective
from text2x.vocoding import NeuralVocoder

MEL = MelConfig(8000, STFTConfig(256, 256, 64), bands=20, high=4000.0)
SMALL = SourceVocosConfig(20, 32, 2, stft=STFTConfig(256, 256, 64), rate=8000, pitch_width=32, pitch_layers=2)


def network_of(config: SourceVocosConfig = SMALL) -> SourceVocos:
    torch.manual_seed(0)
    return SourceVocos(config).eval().requires_grad_(False)


def mel(frames: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 20, frames, generator=torch.Generator().manual_seed(frames)) * 2


def test_harmonics_are_cosines_of_one_power_up_to_half_the_rate() -> None:
    cycles = torch.arange(4001, dtype=torch.float64)[None] * 210 / 8000
    made = harmonics(cycles)
    count = 19  # 19 x 210 Hz is 3,990 Hz
    by_hand = sum(torch.cos(2 * math.pi * k * cycles[:, :-1]) for k in range(1, count + 1)) * (2 / count) ** 0.5
    torch.testing.assert_close(made.double(), by_hand, atol=1e-3, rtol=0)
    assert float(made.square().mean()) == pytest.approx(1, abs=0.03)


def test_phases_follow_the_pitch_between_the_middles_of_frames() -> None:
    phases = network_of().phases(torch.tensor([[100.0, 100.0, 200.0, 200.0]]))[0]
    assert phases.shape == (4 * 64 + 1,) and phases[0] == 0
    speeds = phases.diff() * 8000
    torch.testing.assert_close(speeds[:96], torch.full((96,), 100.0).double())
    assert (speeds[96:160].diff() > 0).all() and float(speeds[128:].mean()) > float(speeds[:128].mean())
    torch.testing.assert_close(speeds[160:], torch.full((96,), 200.0).double())


def test_a_stream_gives_the_samples_of_the_whole_bit_for_bit_and_its_chunks_cannot_be_heard() -> None:
    vocoder = NeuralVocoder(network_of(), MEL, chunk=16)
    x = mel(101)
    whole = vocoder(x)[0]
    assert whole.shape == (101 * 64,)
    assert torch.equal(torch.cat(list(vocoder.stream(x[0].split([1, 40, 3, 30, 27], dim=-1)))), whole)
    at_once, _ = vocoder.network.piece(x, (0, 101), 0, 0.0)  # type: ignore[union-attr]
    assert (whole - at_once).abs().max() <= 2e-3 * at_once.abs().max()


def test_a_sample_depends_on_the_frames_of_its_context_but_for_the_phase() -> None:
    network, frames = network_of(), 2 * SMALL.context + 31
    middle, x = frames // 2, mel(frames)
    changed = x.clone()
    changed[:, :, middle] += 1
    pitch = network.finder.pitch(network.finder(x))

    def made(frames: Tensor) -> Tensor:  # with one and the same pitch: what the pitch changes, it changes for good
        noise = network._noise(torch.zeros(1, dtype=torch.long), frames.shape[-1] * 64)
        return network._filtered(frames, network.phases(pitch), noise)[0]

    places = (made(changed) != made(x)).nonzero()[:, 0] // 64
    assert middle - int(places[0]) <= SMALL.context and int(places[-1]) - middle <= SMALL.context
    before, after = (network.finder(each)[0] for each in (x, changed))
    heard = (before != after).any(-1).nonzero()[:, 0]
    assert middle - int(heard[0]) <= SMALL.kernel // 2 * (SMALL.pitch_layers + 1) < SMALL.context


def test_an_item_is_the_same_in_any_batch() -> None:
    vocoder = NeuralVocoder(network_of(), MEL)
    x = mel(50, 3)
    assert torch.equal(vocoder(x)[1], vocoder(x[1:2])[0])


def test_the_pitch_is_the_mean_around_the_likeliest_class_and_its_loss_is_least_there() -> None:
    finder = PitchFinder(SMALL)
    logits = torch.full((1, 2, SMALL.classes), -30.0)
    logits[0, 0, 40] = 0
    logits[0, 1, [40, 41]] = 0
    pitch = finder.pitch(logits)[0]
    assert pitch.tolist() == pytest.approx([60 * 2 ** (1000 / 1200), 60 * 2 ** (1012.5 / 1200)], rel=1e-4)
    places = torch.arange(SMALL.classes)
    right = (-0.5 * (places - 40.0).square())[None, None]
    true = torch.tensor([[60 * 2 ** (1000 / 1200)]])
    assert finder.loss(right, true) < finder.loss(right.roll(3, -1), true)
    assert finder.loss(right, torch.zeros(1, 1)) == 0  # no voice, nothing to learn


@pytest.mark.medium
def test_it_learns_a_gliding_tone_and_its_pitch() -> None:
    seconds = np.arange(4096) / 8000
    batch_of = []
    for start in (120.0, 150.0, 180.0, 210.0):
        phase = 2 * np.pi * (start * seconds + 40 * seconds**2)
        batch_of.append(sum(np.cos(k * phase) / k for k in range(1, 9)) * 0.1)
    samples = torch.tensor(np.stack(batch_of), dtype=torch.float32)
    recipe = replace(
        source_vocoder(),
        mel=MEL,
        network=SMALL,
        discriminator=AudioDiscriminatorConfig(periods=(2,), period_widths=(4, 8), ffts=(256,), spectral_width=4),
    )
    torch.manual_seed(0)
    trainable = VocoderGAN(recipe)
    objective = VocoderObjective(trainable, MEL, recipe.objective)
    adam = torch.optim.AdamW(trainable.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        found = objective(AudioBatch(samples, torch.arange(4), 0), torch.Generator())
        adam.zero_grad()
        found["loss"].backward()
        adam.step()
        losses.append({name: float(value) for name, value in found.items()})
    assert losses[-1]["mel"] < losses[0]["mel"] / 3 and losses[-1]["pitch"] < losses[0]["pitch"] / 1.5
    generator = trainable.generator
    assert isinstance(generator, SourceVocos)
    frames = objective.frames(AudioBatch(samples, torch.arange(4), 0), samples)
    with torch.no_grad():
        pitch = generator.finder.pitch(generator.finder(frames))[:, 8:-8]
    middles = (torch.arange(8, pitch.shape[1] + 8) + 0.5) * 64 / 8000
    wanted = torch.tensor([120.0, 150.0, 180.0, 210.0])[:, None] + 80 * middles
    assert float((pitch / wanted - 1).abs().median()) < 0.03


def test_pitches_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="finds pitches from 60.0 to 9000.0 Hz at 16000 Hz"):
        SourceVocosConfig(high=9000.0)
    with pytest.raises(InputError, match="kernel"):
        SourceVocosConfig(kernel=4)
