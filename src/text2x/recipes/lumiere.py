"""`lumiere`: a space-time U-Net that halves time as well and makes the whole clip at once; its small twin.

Bar-Tal et al. 2024 (Lumiere): inflated convolutions behind each block, time halved and doubled beside space, attention
over time at the bottom alone, nothing of the model of pictures trained. Theirs makes 80 frames of 128 px. Longer clips
are made at once as well: at each step the estimates of overlapping windows are averaged (their Sec. 3.3).
"""

from __future__ import annotations

from dataclasses import replace

from text2x.networks.video_unet import VideoUNetConfig
from text2x.recipes.make_a_video import DEBUG_IMAGE, debug_make_a_video, emoji_network, make_a_video
from text2x.video_recipe import VideoRecipe


def lumiere() -> VideoRecipe:
    """Words to a clip of 32 frames of 32 px, all in one pass; begins with the emoji model."""
    recipe = make_a_video()
    return replace(
        recipe,
        name="lumiere",
        summary="Emoji that move, 32 frames in one pass: a space-time U-Net that halves time too.",
        network=VideoUNetConfig(
            image=emoji_network(),
            convolution="inflated",
            attention_levels=(2,),
            halved_levels=(0, 1),
            most_frames=80,
        ),
        data=replace(recipe.data, frames=32, batch_size=2, strides=(1,)),
        training=replace(recipe.training, batch_size=2),
        sampling=replace(recipe.sampling, frames=32, windows="merged"),
    )


def debug_lumiere() -> VideoRecipe:
    """`debug_make_a_video` in Lumiere's shape."""
    recipe = debug_make_a_video()
    return replace(
        recipe,
        name="debug-lumiere",
        summary="Coloured shapes of 16 px that move: lumiere in a minute, without a base.",
        network=VideoUNetConfig(
            image=DEBUG_IMAGE,
            convolution="inflated",
            attention_levels=(1,),
            halved_levels=(0,),
            head_width=32,
        ),
        sampling=replace(recipe.sampling, windows="merged"),
    )
