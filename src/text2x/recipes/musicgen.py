"""`musicgen`: words, and a melody if there is one, to music over the codes of `codec` (Copet et al. 2023), small."""

from __future__ import annotations

from dataclasses import replace

from text2x.chroma import ChromaConfig
from text2x.data.token_batches import TokenBatchConfig
from text2x.networks.token_lm import TokenLMConfig
from text2x.recipes.audiogen import audiogen, debug_audiogen
from text2x.token_generator import TokenSampling
from text2x.token_models import TokenRecipe
from text2x.token_objectives import NextTokenConfig


def musicgen() -> TokenRecipe:
    """Music at 16 kHz: text by cross-attention, chroma put before the codes and left out half of the time."""
    recipe = audiogen()
    return replace(
        recipe,
        name="musicgen",
        summary="Music from words, and along a melody, code after code.",
        kind="music",
        network=replace(recipe.network, width=256, depth=6),
        data=TokenBatchConfig(seconds=8.0),
        training=replace(recipe.training, steps=18_000, batch_size=8),
        melody=ChromaConfig(),
        objective=NextTokenConfig(drop=0.2, melody_drop=0.5),
        sampling=TokenSampling(seconds=8.0, window=8.0, keep=3.0),
        data_set="music",
    )


def debug_musicgen() -> TokenRecipe:
    """The tones of `debug-audiogen` along a melody."""
    recipe = debug_audiogen()
    return replace(
        recipe,
        name="debug-musicgen",
        summary="Vowel-like tones along a melody: learns in seconds.",
        kind="music",
        network=TokenLMConfig(width=64, depth=2, num_heads=4),
        data=TokenBatchConfig(seconds=0.25),
        melody=ChromaConfig(rate=8000, window=1024, hop=256),
    )
