"""`make-a-video`: clips of 32 px from words by the emoji model, its frames mixed by new layers; its small twin.

Singer et al. 2022 (Make-A-Video): pseudo-3D convolutions and attention over time that start as the identity, the frame
rate as a condition, known frames beside the noisy ones. Theirs has a prior and learns without captions; clips here
come with captions, and frames share a part of their noise (Ge et al. 2023).
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS
from text2x.data.clip_batches import ClipBatchConfig
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import VideoUNetConfig
from text2x.recipes.emoji import STYLES, TEXT_WIDTH, emoji
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig
from text2x.video_recipe import VideoDenoisingConfig, VideoRecipe, VideoSampling

DEBUG_IMAGE = UNetConfig(
    width=32,
    multipliers=(1, 2),
    attention_levels=(1,),
    head_width=32,
    patch=2,
    extra_channels=5,
    context_width=TEXT_WIDTH,
    vector_width=TEXT_WIDTH,
)


def emoji_network() -> UNetConfig:
    """The shape of the emoji model's base."""
    network = emoji().network
    assert isinstance(network, UNetConfig)
    return network


def make_a_video() -> VideoRecipe:
    """Words to a clip of 16 frames of 32 px; begins with the emoji model, whose upsampler doubles its frames."""
    return VideoRecipe(
        name="make-a-video",
        summary="Emoji of 32 px that move, from words or pictures: the emoji model with layers over time.",
        size=32,
        network=VideoUNetConfig(image=emoji_network(), attention_levels=(1, 2)),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, augmentations=NUM_AUGMENTATIONS),
        data=ClipBatchConfig(batch_size=4, frames=16, size=32, exclude_groups=("flags",), loop_share=0.4),
        training=TrainingConfig(
            steps=4000,
            batch_size=4,
            optimizer="muon",
            learning_rate=8e-4,
            warmup_steps=100,
            averages=(0.998, 0.9995),
            evaluate_every=500,
            sample_every=500,
        ),
        objective=VideoDenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.5, std=1.0), weighting="velocity", shared_noise=0.5
        ),
        sampling=VideoSampling(steps=16, guidance=3.0),
        base="emoji",
        trained="temporal",
    )


def debug_make_a_video() -> VideoRecipe:
    """Words to a coloured shape of 16 px that slides, jumps, circles or pulses."""
    return replace(
        make_a_video(),
        name="debug-make-a-video",
        summary="Coloured shapes of 16 px that move: make-a-video in a minute, without a base.",
        size=16,
        network=VideoUNetConfig(image=DEBUG_IMAGE, attention_levels=(1,), head_width=32),
        conditioner=MiniLMConfig(max_tokens=12),
        data=ClipBatchConfig(batch_size=8, frames=8, size=16, strides=(1,), loop_share=0.5),
        data_set="moving-shapes",
        training=TrainingConfig(
            steps=300,
            batch_size=8,
            learning_rate=2e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            checkpoint_seconds=20,
            evaluate_every=150,
            sample_every=300,
        ),
        sampling=VideoSampling(steps=10, guidance=2.0, frames=8),
        base=None,
        trained="all",
    )
