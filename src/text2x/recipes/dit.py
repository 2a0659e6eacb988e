"""`dit`: rectified flow on a diffusion transformer over patches of 4 x 4 pixels, no autoencoder.

adaLN-Zero and sizes after Peebles and Xie 2023; patch bottleneck and x_0-prediction after Li and He 2025.
"""

from __future__ import annotations

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.dit import DiTConfig
from text2x.recipe import DenoisingConfig, Recipe, SamplingConfig
from text2x.recipes.emoji import KNOWN_CHANNELS, STYLES, TEXT_WIDTH
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig


def dit() -> Recipe:
    """Words to a picture of 32 px; text tokens stand in front of the patches' keys and values."""
    return Recipe(
        name="dit",
        summary="Rectified flow on a diffusion transformer over 4 x 4 pixel patches.",
        size=32,
        network=DiTConfig(
            patch=4,
            bottleneck=64,
            width=256,
            depth=8,
            num_heads=4,
            extra_channels=KNOWN_CHANNELS,
            context_width=TEXT_WIDTH,
            vector_width=TEXT_WIDTH + len(STYLES) + NUM_AUGMENTATIONS,
        ),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS),
        data=BatchConfig(size=32, styles=STYLES, batch_size=64, exclude_groups=("flags",), augment_probability=0.05),
        training=TrainingConfig(steps=6000, optimizer="muon", learning_rate=1e-3),
        objective=DenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.5), weighting="velocity", mask_probability=0.5
        ),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=20, guidance=3.0, style=STYLES[0]),
    )
