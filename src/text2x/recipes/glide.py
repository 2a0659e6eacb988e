"""`glide`: a UNet with a text transformer of its own, and an upsampler that reads the words too (Nichol et al. 2021).

The last token's state is added to the time embedding, all tokens stand in front of the pixels' keys and values; the
base predicts noise, both learn a variance. Masks are channels of both from the start. docs/concepts/cascades.md says
what is scaled down.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES as SHAPES
from text2x.diffusion.schedules import Betas
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, LowResolution, Recipe, SamplingConfig
from text2x.recipes.debug import debug
from text2x.recipes.emoji import KNOWN_CHANNELS, STYLES
from text2x.text_conditioner import TrainableTextConfig
from text2x.training_config import TrainingConfig

LABELS = len(STYLES) + NUM_AUGMENTATIONS
TEXT = TrainableTextConfig(32, STYLES, NUM_AUGMENTATIONS, width=128, layers=4, heads=4)
EARLY = (0.1, 0.2, 0.3, 0.4, 0.5)  # held-out noise levels: later the linear schedule leaves too little of x_0
VOCABULARY = 1024  # byte pairs learned from the captions; GLIDE's has 50,257


def glide() -> Recipe:
    """Words to a picture of 32 px."""
    return Recipe(
        name="glide",
        summary="GLIDE of 32 px: a text transformer trained with the UNet, noise predicted, variance learned.",
        size=32,
        network=UNetConfig(
            width=32,
            multipliers=(1, 2, 3, 4),
            attention_levels=(1, 2, 3),
            head_width=32,
            qk_norm=False,
            extra_channels=KNOWN_CHANNELS,
            out_channels=8,
            context_width=TEXT.width,
            context_norm=False,  # the text transformer ends in one
            padding_seen=True,
            vector_width=TEXT.width + LABELS,
            linear_vector=True,
        ),
        conditioner=TEXT,
        vocabulary=VOCABULARY,
        data=BatchConfig(size=32, styles=STYLES, exclude_groups=("flags",), caption_drop=0.2, augment_probability=0.05),
        training=TrainingConfig(steps=6000, optimizer="muon", learning_rate=1e-3, averages=(0.998, 0.9995)),
        schedule=Betas("cosine"),
        parameterization="epsilon",
        objective=DenoisingConfig(mask_probability=0.5, placed_probability=0.5),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=25, guidance=3.0, grid="log_snr", style=STYLES[0]),
    )


def glide_upsampler() -> Recipe:
    """A picture and its words to twice the size; the small picture is rounded to 8 bits, as in a file."""
    text = replace(TEXT, layers=2)
    return Recipe(
        name="glide-upsampler",
        summary="GLIDE's upsampler: doubles the size of a picture and reads the words.",
        size=64,
        network=UNetConfig(
            width=16,
            multipliers=(1, 1, 2, 2, 4),
            attention_levels=(3, 4),
            head_width=16,
            qk_norm=False,
            extra_channels=4 + KNOWN_CHANNELS,
            out_channels=8,
            context_width=text.width,
            context_norm=False,
            padding_seen=True,
            vector_width=text.width + LABELS,
            linear_vector=True,
        ),
        conditioner=text,
        vocabulary=VOCABULARY,
        data=BatchConfig(size=64, styles=STYLES, exclude_groups=("flags",), caption_drop=0.2, augment_probability=0.0),
        training=TrainingConfig(steps=3000, optimizer="muon", learning_rate=1e-3, averages=(0.998, 0.9995)),
        schedule=Betas("linear"),
        parameterization="v",  # noise, as published, needs a longer training: docs/concepts/cascades.md
        objective=DenoisingConfig(mask_probability=0.25, evaluation_times=EARLY),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=12, guidance=1.0, grid="log_snr", temperature=0.997),
        low_resolution=LowResolution(factor=2, largest_noise=0.0, sampling_noise=0.0, quantized=True),
    )


def debug_glide() -> Recipe:
    """`glide` on shapes of 16 px, in seconds."""
    text = TrainableTextConfig(32, tuple(SHAPES), NUM_AUGMENTATIONS, width=64, layers=2, heads=2)
    return _small(glide(), "debug-glide", text, 16, 32)


def debug_glide_upsampler() -> Recipe:
    """`glide-upsampler` on shapes of 32 px, in seconds."""
    text = TrainableTextConfig(32, tuple(SHAPES), NUM_AUGMENTATIONS, width=64, layers=1, heads=2)
    return _small(glide_upsampler(), "debug-glide-upsampler", text, 32, 16)


def _small(recipe: Recipe, name: str, text: TrainableTextConfig, size: int, width: int) -> Recipe:
    vector = text.width + len(text.styles) + text.augmentations
    return replace(
        recipe,
        name=name,
        summary=f"{recipe.name} on shapes of {size} px.",
        size=size,
        network=replace(
            recipe.network, width=width, multipliers=(1, 2), attention_levels=(1,), head_width=width,
            context_width=text.width, vector_width=vector,
        ),
        conditioner=text,
        vocabulary=320,
        data=BatchConfig(size=size, batch_size=32, augment_probability=recipe.data.augment_probability),
        data_set="shapes",
        training=replace(debug().training, learning_rate=4e-3, warmup_steps=10),
        sampling=replace(recipe.sampling, steps=12, guidance=2.0 if size == 16 else 1.0, style="large"),
    )  # fmt: skip
