"""`audiogen`: words to sound by a language model over the codes of `codec` (Kreuk et al. 2022, AudioGen), small."""

from __future__ import annotations

from dataclasses import replace

from text2x.data.token_batches import TokenBatchConfig
from text2x.networks.token_lm import TokenLMConfig
from text2x.text_conditioner import MiniLMConfig
from text2x.token_generator import TokenSampling
from text2x.token_models import TokenRecipe
from text2x.token_objectives import NextTokenConfig
from text2x.training_config import TrainingConfig


def audiogen() -> TokenRecipe:
    """Sound at 16 kHz: 4 codes fifty times a second, mixtures of two sounds, text by cross-attention."""
    return TokenRecipe(
        name="audiogen",
        summary="Sounds from words, code after code.",
        kind="sound",
        network=TokenLMConfig(width=256, depth=6, num_heads=4, dropout=0.1),
        conditioner=MiniLMConfig(max_tokens=32, vector=False),
        data=TokenBatchConfig(seconds=4.0, mix=0.5),
        training=TrainingConfig(
            steps=12_000,
            batch_size=16,
            learning_rate=5e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            warmup_steps=500,
            averages=(0.999, 0.9998),
            evaluate_every=500,
            sample_every=2000,
            patience=8,
        ),
        objective=NextTokenConfig(drop=0.1),
        sampling=TokenSampling(seconds=4.0, window=4.0, keep=2.0),
    )


def debug_audiogen() -> TokenRecipe:
    """Vowel-like tones at 8 kHz from the vowel's name, on the codes of `debug-codec`."""
    recipe = audiogen()
    return replace(
        recipe,
        name="debug-audiogen",
        summary="Vowel-like tones from the vowel's name: learns in seconds.",
        network=TokenLMConfig(width=64, depth=2, num_heads=4),
        data=TokenBatchConfig(seconds=0.25, mix=0.25),
        training=replace(
            recipe.training,
            steps=150,
            batch_size=8,
            learning_rate=3e-3,
            warmup_steps=10,
            weight_decay=0.01,
            averages=(0.95, 0.98),
            average_every=2,
            checkpoint_seconds=20,
            evaluate_every=75,
            sample_every=150,
            patience=0,
        ),
        sampling=TokenSampling(seconds=0.5, top_k=16, window=0.5, keep=0.25),
        codec="runs/debug-codec",
        data_set="tones",
    )
