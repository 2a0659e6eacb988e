"""A voice to the wave by discriminators: whose gradient is whose, windows that are where they should be."""

from dataclasses import replace

import pytest
import torch

from text2x.adversarial_speech import AdversarialSpeaking, SpeechGAN
from text2x.errors import InputError
from text2x.networks.acoustic import Acoustic
from text2x.networks.audio_discriminators import AudioDiscriminator
from text2x.recipes.speech import debug_voice, debug_voice_gan
from text2x.recipes.speech_running import SpeechRun, prepare_speech_run


@pytest.fixture(scope="module")
def run() -> SpeechRun:
    recipe = debug_voice_gan()
    return prepare_speech_run(replace(recipe, data=replace(recipe.data, batch_size=3, join=0.0)))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_network_learns_from_its_own_loss_alone(run: SpeechRun) -> None:
    gan, objective = run.trainable, run.objective
    assert isinstance(gan, SpeechGAN)
    batch = run.batches.batch_at(0)

    def gradient(module: torch.nn.Module) -> torch.Tensor:
        return torch.cat([each.grad.flatten() for each in module.parameters() if each.grad is not None])

    gan.zero_grad()
    objective(batch, rng())["loss"].backward()
    of_judge, of_voice = gradient(gan.discriminator), gradient(gan.generator)
    assert of_judge.abs().max() > 0 < of_voice.abs().max()
    alone = AdversarialSpeaking(gan, objective.speaking, replace(objective.config, mel=0.0, matching=0.0))  # type: ignore[union-attr]
    gan.zero_grad()
    alone(batch, rng())["loss"].backward()
    torch.testing.assert_close(gradient(gan.discriminator), of_judge, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(gradient(gan.generator), of_voice)


def test_a_window_of_real_speech_is_the_one_that_was_made(run: SpeechRun) -> None:
    objective = run.objective
    assert isinstance(objective, AdversarialSpeaking)
    batch = run.batches.batch_at(1)
    ready = objective.speaking.prepare(batch, None)
    made, real, _ = objective._windows(batch, ready, rng(5))
    hop, size = run.recipe.mel.hop, objective.config.segment
    assert made.shape == real.shape == (3, size * hop)
    for row, window in enumerate(real):
        places = [
            start
            for start in range(int(batch.frame_counts[row]) - size + 1)
            if torch.equal(batch.samples[row, start * hop : (start + size) * hop], window)
        ]
        assert len(places) == 1


def test_a_decoder_that_makes_no_wave_cannot_be_trained_so(run: SpeechRun) -> None:
    recipe = debug_voice()
    judge = AudioDiscriminator(run.recipe.adversary.discriminator)
    with pytest.raises(InputError, match="network.decoder=WaveConfig"):
        SpeechGAN(Acoustic(recipe.network), judge)
