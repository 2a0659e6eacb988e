"""`debug`: the smallest recipe that really learns, on shapes drawn by a formula, in well under a minute on a laptop."""

from __future__ import annotations

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, Recipe, SamplingConfig
from text2x.text_conditioner import MiniLMConfig
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
