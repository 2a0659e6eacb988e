"""`stable-video-diffusion`: a picture comes alive: latents, the first frame beside each one, guidance that rises.

Blattmann et al. 2023 (Stable Video Diffusion): the first frame, noised a little, is told beside every noisy frame, and
the rate and the amount of motion beside the time; guidance rises from the first frame to the last. The schedule is
the cosine one, with v. Words stay a condition here, where theirs is the CLIP embedding of the first frame.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.clip_batches import ClipBatchConfig
from text2x.diffusion.denoiser import TimeDistribution
from text2x.diffusion.schedules import Cosine
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import VideoUNetConfig
from text2x.recipes.emoji import STYLES, TEXT_WIDTH
from text2x.recipes.latent import LATENTS
from text2x.recipes.make_a_video import DEBUG_IMAGE, debug_make_a_video, make_a_video
from text2x.text_conditioner import MiniLMConfig
from text2x.video_recipe import VideoDenoisingConfig, VideoRecipe, VideoSampling

FIRST_GUIDANCE, LAST_GUIDANCE = 1.0, 3.0  # their code: min_guidance_scale and max_guidance_scale


def stable_video_diffusion() -> VideoRecipe:
    """A picture, with words or without, to a clip of 14 frames of 64 px by way of 16 x 16 latents."""
    recipe = make_a_video()
    image = UNetConfig(
        in_channels=LATENTS,
        out_channels=LATENTS,
        width=96,
        multipliers=(1, 2, 2),
        attention_levels=(1, 2),
        head_width=48,
        context_width=TEXT_WIDTH,
        vector_width=TEXT_WIDTH + len(STYLES),
    )
    return replace(
        recipe,
        name="stable-video-diffusion",
        summary="Pictures that come alive, at 64 px by way of latents, in Stable Video Diffusion's shape.",
        size=64,
        network=VideoUNetConfig(image=image, frame_channels=LATENTS + 1),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES),
        data=ClipBatchConfig(
            batch_size=4, frames=14, size=64, exclude_groups=("flags",), image_share=0.3, image_styles=STYLES
        ),
        schedule=Cosine(),
        parameterization="v",
        objective=VideoDenoisingConfig(
            times=TimeDistribution(shift=2.0), known=(), first_frame=True, first_noise=0.1, shared_noise=0.0
        ),
        sampling=VideoSampling(
            sampler="dpmpp_2m", steps=25, guidance=FIRST_GUIDANCE, last_guidance=LAST_GUIDANCE, frames=14
        ),
        base=None,
        trained="all",
        codec="runs/autoencoder",
    )


def debug_stable_video_diffusion() -> VideoRecipe:
    """`debug_make_a_video` with the first frame beside each one, on pixels."""
    recipe = debug_make_a_video()
    image = replace(DEBUG_IMAGE, extra_channels=0)
    return replace(
        recipe,
        name="debug-stable-video-diffusion",
        summary="Coloured shapes of 16 px that move on from a picture, in a minute.",
        network=VideoUNetConfig(image=image, attention_levels=(1,), head_width=32, frame_channels=5),
        objective=replace(recipe.objective, known=(), first_frame=True, shared_noise=0.0),
        sampling=replace(recipe.sampling, guidance=FIRST_GUIDANCE, last_guidance=LAST_GUIDANCE),
    )
