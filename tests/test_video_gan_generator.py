"""Clips by a GAN: one seed one clip, loops that close, other lengths, and what a GAN cannot do is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.networks.gan import GANConfig
from text2x.networks.video_gan import VideoGANConfig
from text2x.networks.video_gan import VideoGANGenerator as Network
from text2x.recipes.video_gan import debug_video_gan
from text2x.requests import ImageRequest, Progress
from text2x.text_conditioner import TextConditioner, build_conditioner
from text2x.video_adversarial import VideoGANModel
from text2x.video_gan_generator import VideoGANGenerator
from text2x.video_requests import VideoRequest

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def gan() -> VideoGANGenerator:
    """One of random weights, 8 frames of 8 px."""
    image = GANConfig(
        size=8, noise_width=8, vector_width=384, text_width=16, generator_widths=(16, 8), discriminator_widths=(16, 8)
    )
    recipe = debug_video_gan()
    recipe = replace(recipe, size=8, network=VideoGANConfig(image, frames=8, motion_width=8))
    torch.manual_seed(0)
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    network = Network(recipe.network).eval()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return VideoGANGenerator(VideoGANModel(recipe.name, recipe.summary, "none", recipe), network, text)


def test_seed_6_alone_is_item_1_of_a_batch_from_seed_5(gan: VideoGANGenerator) -> None:
    batch = gan.generate(VideoRequest("a red ball", seed=5, count=2))
    alone = gan.generate(VideoRequest("a red ball", seed=6))[0]
    assert batch[1].seed == 6 and np.array_equal(batch[1].media.frames, alone.media.frames)
    assert batch[0].media.frames.shape == (8, 4, 8, 8) and batch[0].media.rate == 12
    assert not np.array_equal(batch[0].media.frames, batch[1].media.frames)


def test_a_loop_of_any_length_closes(gan: VideoGANGenerator) -> None:
    for frames in (8, 12):
        clip = gan.generate(VideoRequest("a red ball", seed=5, loop=True, frames=frames))[0].media
        steps = np.abs(np.diff(clip.frames, axis=0)).mean((1, 2, 3))
        assert len(clip) == frames and clip.loops and steps.max() > 1e-4
        assert np.abs(clip.frames[0] - clip.frames[-1]).mean() <= 1.05 * steps.max()


def test_what_means_nothing_to_a_gan_is_ignored_with_a_warning_or_refused(gan: VideoGANGenerator) -> None:
    told: list[Progress] = []
    result = gan.generate(VideoRequest("a red ball", seed=5, steps=4, motion=2.0, guidance=3), told.append)[0]
    assert [warning.split()[0] for warning in result.warnings] == ["motion", "steps", "guidance"]
    assert told[0].steps == 1 and told[0].estimate()[0] is result.media
    cases: list[tuple[dict[str, Any], str]] = [
        ({"image": "a.png"}, "is a GAN and makes clips of words alone: leave image out"),
        ({"size": 9}, "size is 9; the model debug-video-gan makes clips of at most 8 pixels"),
    ]
    for fields, message in cases:
        with pytest.raises(InputError, match=message):
            gan.generate(VideoRequest("a red ball", **fields))
    with pytest.raises(InputError, match="makes clips: text2x video PROMPT"):
        gan.generate(ImageRequest("a"))  # type: ignore[arg-type]


def test_time_and_memory_are_foretold(gan: VideoGANGenerator) -> None:
    one, many = (gan.estimate(VideoRequest("a", frames=frames)) for frames in (8, 240))
    assert 0 < one.seconds < many.seconds and 0 < one.num_bytes < many.num_bytes
