"""`emoji`: pictures of 32 px from words by a small UNet on pixels; `upsampler`, `emoji-upsampler`: 2 and 4 times more.

Rectified flow, the network predicts x_0 and is judged by the error in velocity (Liu et al. 2022; Li and He 2025).
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, LowResolution, Recipe, SamplingConfig
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

STYLES = ("twemoji", "fluent-flat")
TEXT_WIDTH = 384  # of the sentence encoder
KNOWN_CHANNELS = 5  # the known part of an RGBA picture, and the mask


def emoji() -> Recipe:
    """Words to a picture of 32 px; half of the batches are fully unknown, the others have a known region."""
    return Recipe(
        name="emoji",
        summary="Emoji of 32 px from words: a UNet on pixels, told of known regions from the start.",
        size=32,
        network=UNetConfig(
            width=96,
            multipliers=(1, 2, 2),
            attention_levels=(1, 2),
            head_width=48,
            patch=2,
            extra_channels=KNOWN_CHANNELS,
            context_width=TEXT_WIDTH,
            vector_width=TEXT_WIDTH + len(STYLES) + NUM_AUGMENTATIONS,
        ),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS),
        data=BatchConfig(size=32, styles=STYLES, batch_size=64, exclude_groups=("flags",), augment_probability=0.05),
        training=TrainingConfig(
            steps=3400,
            batch_size=64,
            optimizer="muon",
            learning_rate=1.5e-3,
            warmup_steps=150,
            averages=(0.998, 0.9995),
        ),
        objective=DenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.5, std=1.0),
            weighting="velocity",
            mask_probability=0.5,
            placed_probability=0.5,
        ),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=16, guidance=3.0, style=STYLES[0]),
    )


def upsampler() -> Recipe:
    """Any picture to twice its size, without words; trained on crops of pictures of 64 px."""
    return Recipe(
        name="upsampler",
        summary="Doubles the size of a picture: a small UNet on pixels, trained on crops.",
        size=64,
        network=UNetConfig(
            width=32,
            multipliers=(1, 2, 2),
            attention_levels=(),
            extra_channels=4 + KNOWN_CHANNELS,
            vector_width=1,
            patch=2,
        ),
        conditioner=None,
        data=BatchConfig(size=64, crop=32, styles=STYLES, batch_size=64, augment_probability=0.0),
        training=TrainingConfig(
            steps=3000,
            batch_size=64,
            optimizer="muon",
            averages=(0.998, 0.9995),
            learning_rate=1.5e-3,
            warmup_steps=200,
        ),
        objective=DenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.0, std=1.0),
            weighting="velocity",
            mask_probability=0.25,
        ),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=4, guidance=1.0),
        low_resolution=LowResolution(factor=2, sampling_noise=0.05),
    )


def emoji_upsampler() -> Recipe:
    """Any picture to four times its size, from 64 to 256 px behind `upsampler`; trained on crops of 128 px."""
    base = upsampler()
    return replace(
        base,
        name="emoji-upsampler",
        summary="Four times the size of a picture: a small UNet on pixels, trained on crops.",
        size=128,
        network=replace(base.network, multipliers=(1, 2, 2, 2)),
        data=replace(base.data, size=128, crop=64, batch_size=16),
        training=replace(base.training, batch_size=16, learning_rate=1e-3),
        low_resolution=LowResolution(factor=4, sampling_noise=0.05, repeats=False),
    )
