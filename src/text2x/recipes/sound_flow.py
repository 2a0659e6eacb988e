"""`sound-flow` and `music-flow`: words to sound by rectified flow on latents of `codec-kl`, small; on mel frames too.

A transformer over frames with cross-attention to words and a number for the seconds, as Stable Audio has it (Evans et
al. 2024), with the loss of rectified flow (Liu et al. 2022; times as in Esser et al. 2024). A share of the batches is
of loops and of sounds of which a part is known.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.latent_batches import LatentBatchConfig
from text2x.networks.dit import DiTConfig
from text2x.sound_diffusion import SoundDenoisingConfig, SoundDiffusionRecipe, SoundSampling
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig


def sound_flow() -> SoundDiffusionRecipe:
    """Sound at 16 kHz: 32 latents fifty times a second, mixtures of two sounds, loops."""
    return SoundDiffusionRecipe(
        name="sound-flow",
        summary="Sounds from words by diffusion; loops, variations and repainted parts.",
        kind="sound",
        network=DiTConfig(dims=1, patch=1, width=192, depth=6, num_heads=3, text_attention="cross", dropout=0.1),
        conditioner=MiniLMConfig(max_tokens=32),
        data=LatentBatchConfig(seconds=4.0, mix=0.25, loops=0.1),
        training=TrainingConfig(
            steps=15_000,
            batch_size=16,
            learning_rate=5e-4,
            betas=(0.9, 0.99),
            weight_decay=0.05,
            warmup_steps=500,
            averages=(0.999, 0.9998),
            evaluate_every=500,
            sample_every=2000,
        ),
        objective=SoundDenoisingConfig(),
        sampling=SoundSampling(seconds=4.0),
        places=True,
    )


def music_flow() -> SoundDiffusionRecipe:
    """Music at 16 kHz in passages of ten seconds."""
    recipe = sound_flow()
    return replace(
        recipe,
        name="music-flow",
        summary="Music from words by diffusion; loops, variations and repainted parts.",
        kind="music",
        data=replace(recipe.data, seconds=10.0, mix=0.0),
        training=replace(recipe.training, batch_size=8),
        sampling=replace(recipe.sampling, seconds=10.0),
        data_set="music",
    )


def sound_mel() -> SoundDiffusionRecipe:
    """The same on two mel frames at once, 160 numbers fifty times a second, which a vocoder makes sound of."""
    return _on_mel(
        sound_flow(),
        name="sound-mel",
        summary="Sounds from words by diffusion on mel frames; loops, variations and repainted parts.",
        codec="runs/vocoder",
    )


def _on_mel(recipe: SoundDiffusionRecipe, name: str, summary: str, codec: str) -> SoundDiffusionRecipe:
    """The recipe on mel frames.

    The bands of a frame have much in common, so that when a sound is loud shows through a lot of noise: at t = 0.9 all
    but a tenth of the variance is decided. Times are shifted to where it is not, as those of large pictures are.
    """
    return replace(
        recipe,
        name=name,
        summary=summary,
        codec=codec,
        network=replace(recipe.network, local=7),
        objective=replace(
            recipe.objective,
            times=replace(recipe.objective.times, shift=12.0),
            evaluation_times=(0.5, 0.8, 0.9, 0.95, 0.98),
        ),
        sampling=replace(recipe.sampling, shift=8.0),
    )


def music_mel() -> SoundDiffusionRecipe:
    """`music-flow` on mel frames."""
    return _on_mel(
        music_flow(),
        name="music-mel",
        summary="Music from words by diffusion on mel frames; loops, variations and repainted parts.",
        codec="runs/vocoder",
    )


def debug_sound_mel() -> SoundDiffusionRecipe:
    """`debug-sound-flow` on the mel frames of `debug-vocoder`."""
    return _on_mel(
        debug_sound_flow(),
        name="debug-sound-mel",
        summary="Vowel-like tones from the vowel's name by diffusion on mel frames: learns in seconds.",
        codec="runs/debug-vocoder",
    )


def debug_sound_flow() -> SoundDiffusionRecipe:
    """Vowel-like tones at 8 kHz from the vowel's name, on the latents of `debug-codec-kl`."""
    recipe = sound_flow()
    return replace(
        recipe,
        name="debug-sound-flow",
        summary="Vowel-like tones from the vowel's name by diffusion: learns in seconds.",
        network=replace(recipe.network, width=64, depth=2, num_heads=2, dropout=0.0),
        data=replace(recipe.data, seconds=0.25),
        training=replace(
            recipe.training,
            steps=300,
            learning_rate=3e-3,
            warmup_steps=20,
            weight_decay=0.01,
            averages=(0.95, 0.98),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=150,
            sample_every=300,
        ),
        sampling=SoundSampling(seconds=0.5, steps=10),
        codec="runs/debug-codec-kl",
        data_set="tones",
    )
