"""`vanilla`: DDPM as it was published first, with the sentence added to the time embedding and nowhere else.

Ho et al. 2020 with the cosine schedule and the learned variance of Nichol and Dhariwal 2021; text as one vector.
"""

from __future__ import annotations

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.diffusion.schedules import Betas
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, Recipe, SamplingConfig
from text2x.recipes.emoji import KNOWN_CHANNELS, STYLES, TEXT_WIDTH
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig


def vanilla() -> Recipe:
    """Words to a picture of 32 px; the network predicts the noise, no token attends to the text."""
    return Recipe(
        name="vanilla",
        summary="DDPM with the sentence in the time embedding only: noise predicted, variance learned.",
        size=32,
        network=UNetConfig(
            width=64,
            multipliers=(1, 2, 3),
            attention_levels=(1, 2),
            extra_channels=KNOWN_CHANNELS,
            out_channels=8,
            vector_width=TEXT_WIDTH + len(STYLES) + NUM_AUGMENTATIONS,
        ),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS, context=False),
        data=BatchConfig(size=32, styles=STYLES, batch_size=64, exclude_groups=("flags",), augment_probability=0.05),
        training=TrainingConfig(steps=6000, learning_rate=5e-4),
        schedule=Betas("cosine"),
        parameterization="epsilon",
        objective=DenoisingConfig(mask_probability=0.5),
        sampling=SamplingConfig(sampler="ddpm", steps=100, guidance=1.0, style=STYLES[0]),
    )
