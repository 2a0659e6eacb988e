"""`sora`: clips of 64 px from words by a diffusion transformer over spacetime patches of pixels; its small twin.

After OpenAI 2024 (Video generation models as world simulators): patches in space and time, pictures as clips of one
frame, all sizes in one network. Theirs works on latents and its sizes are not published; here a patch is 2 frames of
8 x 8 pixels by way of a bottleneck (Li and He 2025), and the sizes are such that two CPU cores train it.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.clip_batches import Bucket, ClipBatchConfig
from text2x.data.shapes import STYLES as SHAPE_STYLES
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.dit import DiTConfig
from text2x.networks.video_dit import VideoDiTConfig
from text2x.recipes.emoji import STYLES, TEXT_WIDTH
from text2x.recipes.make_a_video import debug_make_a_video
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig
from text2x.video_recipe import VideoDenoisingConfig, VideoRecipe, VideoSampling

KNOWN_FRAMES = 5  # channels: frames that are known, and 1 where they are
BUCKETS = (  # about as many patches each
    Bucket(16, 64, 64, times=3),
    Bucket(32, 48, 48),
    Bucket(16, 88, 48),
    Bucket(16, 48, 88),
)


def sora() -> VideoRecipe:
    """Words to a clip of 16 frames of 64 px in 512 patches; a quarter of the batches are single pictures.

    Half of the batches have other shapes or twice as many frames, and a third of the captions are long ones.
    """
    transformer = DiTConfig(
        dims=3,
        patch=8,
        time_patch=2,
        bottleneck=96,
        width=256,
        depth=8,
        num_heads=4,
        text_attention="cross",
        context_width=TEXT_WIDTH,
        vector_width=TEXT_WIDTH + len(STYLES),
    )
    return VideoRecipe(
        name="sora",
        summary="Clips of 64 px by rectified flow on a diffusion transformer over spacetime patches.",
        size=64,
        network=VideoDiTConfig(transformer, frame_channels=KNOWN_FRAMES),
        conditioner=MiniLMConfig(max_tokens=64, styles=STYLES),
        data=ClipBatchConfig(
            batch_size=4,
            frames=16,
            size=64,
            exclude_groups=("flags",),
            loop_share=0.4,
            image_share=0.25,
            image_batch=32,
            image_styles=STYLES,
            recaption=0.3,
            buckets=BUCKETS,
        ),
        training=TrainingConfig(
            steps=8000, batch_size=4, optimizer="muon", learning_rate=1e-3, averages=(0.998, 0.9995), sample_every=1000
        ),
        objective=VideoDenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.5, std=1.0), weighting="velocity", shared_noise=0.5
        ),
        sampling=VideoSampling(steps=16, guidance=3.0),
    )


def debug_sora() -> VideoRecipe:
    """`debug_make_a_video` by a transformer over patches of 2 frames of 2 x 2 pixels, with still shapes between."""
    recipe = debug_make_a_video()
    transformer = DiTConfig(
        dims=3,
        patch=2,
        time_patch=2,
        width=96,
        depth=3,
        num_heads=3,
        text_attention="cross",
        context_width=TEXT_WIDTH,
        vector_width=TEXT_WIDTH + len(SHAPE_STYLES),
    )
    return replace(
        recipe,
        name="debug-sora",
        summary="Coloured shapes of 16 px that move: sora in a minute.",
        network=VideoDiTConfig(transformer, frame_channels=KNOWN_FRAMES),
        conditioner=replace(recipe.conditioner, max_tokens=48, styles=tuple(SHAPE_STYLES)),
        data=replace(
            recipe.data,
            image_share=0.25,
            recaption=0.3,
            buckets=(Bucket(8, 16, 16, times=2), Bucket(8, 24, 12), Bucket(8, 12, 24)),
        ),
        image_set="shapes",
    )
