"""`imagen`: a frozen text encoder, a UNet and two Efficient U-Nets that make the picture larger (Saharia et al. 2022).

Pooled text by attention, noise predicted by the base, dynamic thresholding; upsamplers forgive faults of the small
picture by noise added to it. T5 in place of MiniLM: `--set conditioner=...`; docs/concepts/cascades.md has the line,
and what is scaled down.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES as SHAPES
from text2x.diffusion.schedules import Betas, Cosine
from text2x.networks.efficient_unet import EfficientUNetConfig
from text2x.networks.unet import UNetConfig
from text2x.recipe import DenoisingConfig, LowResolution, Recipe, SamplingConfig
from text2x.recipes.debug import debug
from text2x.recipes.emoji import KNOWN_CHANNELS, STYLES, TEXT_WIDTH
from text2x.recipes.glide import EARLY
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

LABELS = len(STYLES) + NUM_AUGMENTATIONS
TEXT = MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS, vector=False)
THRESHOLD = 0.995  # the share of values that dynamic thresholding leaves (Saharia et al. 2022, Fig. A.9)


def imagen() -> Recipe:
    """Words to a picture of 32 px."""
    return Recipe(
        name="imagen",
        summary="Imagen of 32 px: a frozen text encoder, pooled text by attention, dynamic thresholding.",
        size=32,
        network=UNetConfig(
            width=32,
            multipliers=(1, 2, 3, 4),
            attention_levels=(1, 2, 3),
            head_width=32,
            qk_norm=False,
            extra_channels=KNOWN_CHANNELS,
            context_width=TEXT_WIDTH,
            vector_width=LABELS,
            pooled_context=True,
        ),
        conditioner=TEXT,
        data=BatchConfig(size=32, styles=STYLES, exclude_groups=("flags",), augment_probability=0.05),
        training=TrainingConfig(steps=6000, optimizer="muon", learning_rate=1e-3, averages=(0.998, 0.9995)),
        schedule=Cosine(offset=0.008, smallest_alpha=0.003),
        parameterization="epsilon",
        objective=DenoisingConfig(mask_probability=0.5, placed_probability=0.5),
        sampling=SamplingConfig(
            sampler="dpmpp_2m", steps=25, guidance=3.0, grid="log_snr", style=STYLES[0], threshold=THRESHOLD
        ),
    )


def imagen_upsampler() -> Recipe:
    """A picture and its words to twice the size, from 32 to 64 px."""
    return Recipe(
        name="imagen-upsampler",
        summary="Imagen's first upsampler: an Efficient U-Net that reads the words, cosine schedule.",
        size=64,
        network=EfficientUNetConfig(
            width=16,
            multipliers=(1, 2, 4, 4),
            blocks=(1, 1, 2, 3),
            extra_channels=4 + KNOWN_CHANNELS,
            context_width=TEXT_WIDTH,
            vector_width=LABELS + 1,  # and the noise level
            pooled_context=True,
        ),
        conditioner=TEXT,
        data=BatchConfig(size=64, styles=STYLES, exclude_groups=("flags",), augment_probability=0.0),
        training=TrainingConfig(steps=3000, optimizer="muon", learning_rate=1e-3, averages=(0.998, 0.9995)),
        schedule=Cosine(offset=0.008, smallest_alpha=0.003),
        parameterization="v",  # noise, as published, needs a longer training: docs/concepts/cascades.md
        objective=DenoisingConfig(mask_probability=0.25),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=12, guidance=2.0, grid="log_snr", threshold=THRESHOLD),
        low_resolution=LowResolution(factor=2, largest_noise=1.0, sampling_noise=0.2),
    )


def imagen_upsampler_2() -> Recipe:
    """A picture and its words to twice the size, from 64 to 128 px and again to 256; trained on crops."""
    first = imagen_upsampler()
    return replace(
        first,
        name="imagen-upsampler-2",
        summary="Imagen's second upsampler: no self-attention, linear schedule, trained on crops of 128 px.",
        size=128,
        network=replace(first.network, blocks=(1, 1, 2, 2), self_attention=False),
        data=replace(first.data, size=128, crop=64),
        schedule=Betas("linear"),
        objective=replace(first.objective, evaluation_times=EARLY),
        sampling=replace(first.sampling, steps=10, guidance=1.0),
    )


def debug_imagen() -> Recipe:
    """`imagen` on shapes of 16 px, in seconds."""
    shape = {"width": 32, "multipliers": (1, 2), "attention_levels": (1,), "head_width": 32}
    return _small(imagen(), "debug-imagen", 16, 2.0, shape)


def debug_imagen_upsampler() -> Recipe:
    """`imagen-upsampler` on shapes of 32 px, in seconds."""
    shape = {"width": 16, "multipliers": (1, 2), "blocks": (1, 1), "head_width": 16}
    return _small(imagen_upsampler(), "debug-imagen-upsampler", 32, 1.0, shape)


def debug_imagen_upsampler_2() -> Recipe:
    """`imagen-upsampler-2` on crops of shapes of 32 px, in seconds."""
    shape = {"width": 16, "multipliers": (1, 2), "blocks": (1, 1)}
    recipe = _small(imagen_upsampler_2(), "debug-imagen-upsampler-2", 32, 1.0, shape)
    return replace(recipe, data=replace(recipe.data, crop=16))


def _small(recipe: Recipe, name: str, size: int, guidance: float, shape: dict[str, object]) -> Recipe:
    more = len(SHAPES) - len(STYLES)
    return replace(
        recipe,
        name=name,
        summary=f"{recipe.name} on shapes of {size} px.",
        size=size,
        network=replace(recipe.network, vector_width=recipe.network.vector_width + more, **shape),  # type: ignore[arg-type]
        conditioner=replace(TEXT, max_tokens=12, styles=tuple(SHAPES)),
        data=BatchConfig(size=size, batch_size=32, augment_probability=recipe.data.augment_probability),
        data_set="shapes",
        training=replace(debug().training, learning_rate=4e-3, warmup_steps=10),
        sampling=replace(recipe.sampling, steps=12, guidance=guidance, style="large"),
    )
