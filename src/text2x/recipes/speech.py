"""Voices: `voice` makes all frames in one pass, `voice-flow` by flow matching, `voice-gan` goes from text to the wave.

The first two share text side, durations and vocoder, so they compare: FastPitch's way (Lancucki 2021) on ConvNeXt
blocks, and Matcha-TTS's (Mehta et al. 2024). The third is of the kind of VITS and GAN-TTS (Kim et al. 2021).
"""

from __future__ import annotations

from dataclasses import replace

from text2x.acoustics import AcousticObjective, AcousticRecipe, Adversary, SpeechSampling
from text2x.data.speech_batches import SpeechBatchConfig
from text2x.data.tone_speech import HOP as TONE_HOP
from text2x.data.tone_speech import NAME as TONES
from text2x.data.tone_speech import RATE as TONE_RATE
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.acoustic import AcousticConfig, FlowConfig, ParallelConfig, TextSideConfig, WaveConfig
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.networks.vocoder import VocosConfig
from text2x.signal import MelConfig, STFTConfig
from text2x.training_config import TrainingConfig

PHONES = 1  # of a text side that is not fitted to its data yet


def voice() -> AcousticRecipe:
    """Text to mel frames in one pass."""
    return AcousticRecipe(
        name="voice",
        summary="An English voice: all frames in one pass, on ConvNeXt blocks.",
        network=AcousticConfig(TextSideConfig(PHONES), ParallelConfig(layers=6)),
        data=SpeechBatchConfig(batch_size=16, join=0.3),
        training=TrainingConfig(
            steps=4000,
            batch_size=16,
            learning_rate=2e-3,
            warmup_steps=100,
            averages=(0.998, 0.9995),
            evaluate_every=250,
            sample_every=1000,
        ),
        sampling=SpeechSampling(contrast=0.1),
    )


def voice_flow() -> AcousticRecipe:
    """Text to mel frames by flow matching around a mean that the text gives."""
    recipe = voice()
    return replace(
        recipe,
        name="voice-flow",
        summary="An English voice by flow matching around a mean derived from the text.",
        network=AcousticConfig(recipe.network.text, FlowConfig(width=128, layers=9, mean_layers=4)),
        training=replace(recipe.training, steps=10_000, learning_rate=1.5e-3, averages=(0.999, 0.9998)),
        objective=AcousticObjective(crop=128, times=TimeDistribution("logit_normal")),
        sampling=SpeechSampling(steps=6),
    )


def voice_gan() -> AcousticRecipe:
    """Text to wave by discriminators, from one end to the other."""
    recipe = voice()
    return replace(
        recipe,
        name="voice-gan",
        summary="An English voice from text to wave by discriminators, without a vocoder of its own.",
        network=AcousticConfig(recipe.network.text, WaveConfig(layers=4)),
        training=replace(
            recipe.training,
            steps=20_000,
            learning_rate=5e-4,
            betas=(0.8, 0.99),
            warmup_steps=200,
            final_learning_rate=0.05,
            max_grad_norm=1e4,  # hardly ever clips: both networks' gradients are one vector to it
            averages=(0.999, 0.9998),
            evaluate_every=1000,
            sample_every=2000,
        ),
        adversary=Adversary(AudioDiscriminatorConfig(period_widths=(16, 32, 64, 128, 128), spectral_width=8)),
    )


def voice_indic() -> AcousticRecipe:
    """Hindi, Telugu and Marathi in one pass, by one network over the phones that their scripts share."""
    return replace(
        voice(),
        name="voice-indic",
        summary="Hindi, Telugu and Marathi: all frames in one pass, learned from a synthesiser.",
        sampling=SpeechSampling(),
        data_set="indic",
    )


def debug_voice() -> AcousticRecipe:
    """Tones instead of speech, twelve words."""
    recipe = voice()
    return replace(
        recipe,
        name="debug-voice",
        summary="Tones instead of speech in one pass: learns in half a minute.",
        network=AcousticConfig(
            TextSideConfig(PHONES, width=48, layers=2, kernel=5, expansion=2, dropout=0.0, predictor_width=32),
            ParallelConfig(2),
            mel_bands=48,
        ),
        mel=MelConfig(TONE_RATE, STFTConfig(256, 256, TONE_HOP), bands=48, high=TONE_RATE / 2),
        data=SpeechBatchConfig(batch_size=8, join=0.2),
        training=replace(
            recipe.training,
            steps=300,
            batch_size=8,
            learning_rate=5e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=100,
            sample_every=300,
        ),
        objective=AcousticObjective(phone_dropout=0.0),
        data_set=TONES,
    )


def debug_voice_flow() -> AcousticRecipe:
    """`debug-voice` by flow matching."""
    recipe = debug_voice()
    return replace(
        recipe,
        name="debug-voice-flow",
        summary="Tones instead of speech by flow matching: learns in half a minute.",
        network=replace(recipe.network, decoder=FlowConfig(width=48, layers=3, mean_layers=2)),
        sampling=SpeechSampling(steps=4),
    )


def debug_voice_gan() -> AcousticRecipe:
    """`debug-voice` to the wave by discriminators."""
    recipe = debug_voice()
    stft = STFTConfig(256, 256, TONE_HOP)
    return replace(
        recipe,
        name="debug-voice-gan",
        summary="Tones instead of speech to the wave by discriminators: learns in a minute.",
        network=replace(recipe.network, decoder=WaveConfig(2, 4, VocosConfig(48, 48, 2, 5, 2, stft))),
        training=replace(recipe.training, learning_rate=2e-3, betas=(0.8, 0.99), max_grad_norm=1e4),
        adversary=Adversary(
            AudioDiscriminatorConfig(periods=(2, 3), period_widths=(8, 16, 16), ffts=(256,), spectral_width=4),
            segment=24,
            context=4,
        ),
    )
