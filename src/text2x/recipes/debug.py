"""`debug`: the smallest recipe that really learns, on shapes drawn by a formula, in well under a minute on a laptop."""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES
from text2x.diffusion.denoiser import TimeDistribution
from text2x.diffusion.schedules import Betas
from text2x.networks.dit import DiTConfig
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, Recipe, SamplingConfig
from text2x.text_conditioner import MiniLMConfig, TrainableTextConfig
from text2x.training_config import TrainingConfig


def debug() -> Recipe:
    """Words to a coloured shape of 16 px."""
    return Recipe(
        name="debug",
        summary="Coloured shapes of 16 px: the smallest recipe that really learns.",
        size=16,
        network=UNetConfig(
            width=32,
            multipliers=(1, 2),
            attention_levels=(1,),
            head_width=32,
            patch=2,
            extra_channels=5,
            context_width=384,
            vector_width=384 + len(STYLES) + NUM_AUGMENTATIONS,
        ),
        conditioner=MiniLMConfig(max_tokens=12, styles=tuple(STYLES), augmentations=NUM_AUGMENTATIONS),
        data=BatchConfig(size=16, batch_size=32),
        data_set="shapes",
        training=TrainingConfig(
            steps=300,
            batch_size=32,
            learning_rate=2e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            checkpoint_seconds=20,
            evaluate_every=150,
            sample_every=300,
        ),
        objective=DenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.4), weighting="velocity", mask_probability=0.25
        ),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=12, guidance=2.0, style="large"),
    )


def debug_vanilla() -> Recipe:
    """`debug` as DDPM: noise predicted on a table of betas, variance learned, text as one vector."""
    recipe = debug()
    return replace(
        recipe,
        name="debug-vanilla",
        summary="debug as DDPM: the sentence in the time embedding only, noise predicted, variance learned.",
        network=replace(recipe.network, context_width=0, out_channels=8),
        conditioner=MiniLMConfig(12, tuple(STYLES), NUM_AUGMENTATIONS, context=False),
        schedule=Betas("cosine"),
        parameterization="epsilon",
        objective=DenoisingConfig(),
        sampling=SamplingConfig(sampler="ddpm", steps=30, guidance=1.0, style="large"),
    )


def debug_dit() -> Recipe:
    """`debug` on a diffusion transformer."""
    recipe = debug()
    return replace(
        recipe,
        name="debug-dit",
        summary="debug on a diffusion transformer.",
        network=DiTConfig(
            patch=4,
            width=64,
            depth=3,
            num_heads=2,
            extra_channels=5,
            context_width=recipe.network.context_width,
            vector_width=recipe.network.vector_width,
        ),
    )


def debug_bytes() -> Recipe:
    """`debug` with a text encoder over bytes that is trained with the network, as GLIDE trains its own."""
    recipe = debug()
    text = TrainableTextConfig(32, tuple(STYLES), NUM_AUGMENTATIONS, width=64, layers=2, heads=2)
    return replace(
        recipe,
        name="debug-bytes",
        summary="debug with a text encoder over bytes that is trained with the network.",
        network=replace(
            recipe.network, context_width=text.width, vector_width=text.width + len(STYLES) + NUM_AUGMENTATIONS
        ),
        conditioner=text,
    )
