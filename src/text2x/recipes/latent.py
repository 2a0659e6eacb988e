"""`autoencoder`, then `ldm`, `ldm-v` and `latent-dit` on its latents: in the shape of Stable Diffusion 1, 2 and 3.

Rombach et al. 2022 (latent diffusion), Salimans and Ho 2022 (v), Esser et al. 2024 (rectified flow on latents). Smaller
than published, and with the pooled sentence and the style added to the time embedding, which they do not have.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.autoencoding import AutoencoderRecipe, AutoencodingConfig
from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES as SHAPE_STYLES
from text2x.diffusion.denoiser import TimeDistribution
from text2x.diffusion.schedules import Betas, Linear
from text2x.networks.autoencoder import AutoencoderConfig
from text2x.networks.cross_unet import CrossUNetConfig
from text2x.networks.dit import DiTConfig
from text2x.networks.patch_discriminator import PatchDiscriminatorConfig
from text2x.recipe import DenoisingConfig, Recipe, SamplingConfig
from text2x.recipes.emoji import STYLES, TEXT_WIDTH
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

LATENTS = 4  # channels, as in Stable Diffusion
TOLD = 1 + LATENTS  # the mask and the masked picture's latents, beside x_t: 9 channels in all
SCALED_LINEAR = Betas("scaled_linear", first=0.00085, last=0.012)  # Stable Diffusion's, Rombach et al. 2022, their code


def autoencoder() -> AutoencoderRecipe:
    """Pictures of 64 px to latents of 16 x 16 and back; all styles, for whatever is trained on it."""
    return AutoencoderRecipe(
        name="autoencoder",
        summary="RGBA pictures to latents of a quarter of the side and back: L1, a small KL, a patch discriminator.",
        size=64,
        network=AutoencoderConfig(latent_channels=LATENTS, width=24, multipliers=(1, 2, 4), attention=False),
        discriminator=PatchDiscriminatorConfig(width=32, layers=2),
        data=BatchConfig(size=64, batch_size=32, caption_drop=0.0, augment_probability=0.0, mirror=True),
        training=TrainingConfig(
            steps=2500,
            batch_size=32,
            learning_rate=1e-3,
            betas=(0.5, 0.9),  # Esser et al. 2021, their code
            weight_decay=0.0,
            warmup_steps=100,
            final_learning_rate=0.05,
            max_grad_norm=10.0,  # both networks' gradients are one vector to it
            averages=(0.99, 0.998),
            evaluate_every=250,
            sample_every=500,
        ),
        objective=AutoencodingConfig(adversarial_from=1500),
    )


def ldm() -> Recipe:
    """Words to a picture of 64 px by diffusion on 16 x 16 latents: noise predicted, text by cross-attention."""
    return Recipe(
        name="ldm",
        summary="Latent diffusion in Stable Diffusion's shape: 64 px by way of 16 x 16 latents, cross-attention.",
        size=64,
        network=CrossUNetConfig(
            in_channels=LATENTS,
            extra_channels=TOLD,
            out_channels=LATENTS,
            width=64,
            multipliers=(1, 2, 2),
            head_width=32,
            context_width=TEXT_WIDTH,
            vector_width=TEXT_WIDTH + len(STYLES) + NUM_AUGMENTATIONS,
        ),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS),
        data=BatchConfig(size=64, styles=STYLES, batch_size=32, exclude_groups=("flags",), augment_probability=0.03),
        training=TrainingConfig(
            steps=4000,
            batch_size=32,
            optimizer="muon",
            learning_rate=1e-3,
            warmup_steps=150,
            averages=(0.998, 0.9995),
        ),
        schedule=SCALED_LINEAR,
        parameterization="epsilon",
        objective=DenoisingConfig(
            mask_probability=0.75,  # 25 % with nothing known, as Stable Diffusion's inpainting network
            placed_probability=0.25,
        ),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=25, guidance=3.0, style=STYLES[0]),
        codec="runs/autoencoder",
    )


def ldm_v() -> Recipe:
    """`ldm` as Stable Diffusion 2 for 768 px: v in place of noise."""
    summary = "ldm with v-prediction, as Stable Diffusion 2 for 768 px."
    return replace(ldm(), name="ldm-v", summary=summary, parameterization="v")


def latent_dit() -> Recipe:
    """Rectified flow on a transformer over 2 x 2 latents: text tokens and patches attend to each other's keys."""
    recipe = ldm()
    return replace(
        recipe,
        name="latent-dit",
        summary="Rectified flow on a diffusion transformer over latents, in Stable Diffusion 3's shape.",
        network=DiTConfig(
            in_channels=LATENTS,
            extra_channels=TOLD,
            out_channels=LATENTS,
            patch=2,
            width=192,
            depth=8,
            num_heads=3,
            context_width=TEXT_WIDTH,
            vector_width=recipe.network.vector_width,
        ),
        schedule=Linear(),
        parameterization="velocity",
        # their times of the best rank, and their shift, which is for 1024 px (Esser et al. 2024, Sec. 5.1 and 5.3.2)
        objective=replace(recipe.objective, times=TimeDistribution("logit_normal", mean=0.0, std=1.0, shift=3.0)),
        sampling=replace(recipe.sampling, shift=3.0),
    )


def debug_autoencoder() -> AutoencoderRecipe:
    """`autoencoder` on drawn shapes of 16 px: latents of 4 x 4, in seconds."""
    recipe = autoencoder()
    return replace(
        recipe,
        name="debug-autoencoder",
        summary="autoencoder on coloured shapes of 16 px.",
        size=16,
        network=AutoencoderConfig(latent_channels=LATENTS, width=16, multipliers=(1, 2, 2), attention=False),
        discriminator=PatchDiscriminatorConfig(width=16, layers=1),
        data=replace(recipe.data, size=16),
        data_set="shapes",
        training=_debug(replace(recipe.training, learning_rate=3e-3, warmup_steps=20), steps=400),
        objective=AutoencodingConfig(adversarial_weight=0.1, adversarial_from=200),
    )


def debug_ldm() -> Recipe:
    """`ldm` on drawn shapes, on the latents of `debug_autoencoder`."""
    recipe = ldm()
    network = CrossUNetConfig(
        in_channels=LATENTS,
        extra_channels=TOLD,
        out_channels=LATENTS,
        width=32,
        multipliers=(1, 2),
        attention_levels=(0, 1),
        head_width=32,
        context_width=TEXT_WIDTH,
        vector_width=TEXT_WIDTH + len(SHAPE_STYLES) + NUM_AUGMENTATIONS,
    )
    return replace(
        recipe,
        name="debug-ldm",
        summary="ldm on coloured shapes of 16 px, by way of 4 x 4 latents.",
        size=16,
        network=network,
        conditioner=MiniLMConfig(max_tokens=12, styles=tuple(SHAPE_STYLES), augmentations=NUM_AUGMENTATIONS),
        data=BatchConfig(size=16, batch_size=32, augment_probability=0.0),
        data_set="shapes",
        training=_debug(replace(recipe.training, learning_rate=2e-3, warmup_steps=20), steps=400),
        objective=DenoisingConfig(mask_probability=0.25),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=12, guidance=2.0, style="large"),
        codec="runs/debug-autoencoder",
    )


def _debug(training: TrainingConfig, steps: int) -> TrainingConfig:
    return replace(
        training,
        steps=steps,
        averages=(0.98, 0.99),
        checkpoint_seconds=20,
        evaluate_every=200,
        sample_every=steps,
    )
