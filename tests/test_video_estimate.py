"""What a clip will take is foretold within a factor of 2 of what its tensors and arrays take, and decoding is flat."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from text2x.memory import LiveBytes, weight_bytes
from text2x.video_generator import VideoGenerator
from text2x.video_objectives import decoded_frames
from text2x.video_requests import VideoRequest
from tiny_videos import Kind, videos

pytestmark = pytest.mark.medium


def taken(generator: VideoGenerator, request: VideoRequest) -> int:
    """Bytes of tensors and of numpy's arrays at their peaks while a clip is made."""
    gc.collect()
    tracemalloc.start()
    try:
        with LiveBytes() as held:
            generator.generate(request)
        return held.peak + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("unet", {"frames": 6}),
        ("lumiere", {"frames": 18, "guidance": 1}),
        ("shapes", {"frames": 18, "size": "16x8"}),
        ("merged", {"frames": 24}),
    ],
)
def test_the_estimate_is_within_a_factor_of_two_of_what_is_taken(
    kind: Kind, asked: dict[str, Any], tmp_path: Path
) -> None:
    generator = videos(tmp_path / kind, kind)
    request = VideoRequest("a red ball", seed=1, steps=1, **asked)
    generator.generate(request)  # what is made once is not counted
    foretold = generator.estimate(request).num_bytes
    encoder: Any = generator.text.encoder
    weights = weight_bytes([generator.denoiser.network, encoder.encoder])
    assert weights > 2e7  # the text encoder's alone
    working, real = foretold - weights, taken(generator, request)
    assert real / 2 < working < 2 * real, (kind, asked, working, real)


class Wide(nn.Module):
    """A codec whose decoder holds much more than it gives."""

    factor = 2

    def encode(self, media: Tensor) -> Tensor:
        return media[..., ::2, ::2]

    def decode(self, latents: Tensor) -> Tensor:
        wide = latents.repeat(1, 50, 1, 1).sin()
        return wide[:, :4].repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_decoding_takes_no_more_for_more_frames_but_the_frames_themselves() -> None:
    peaks = []
    for frames in (16, 160):
        latents = torch.randn(1, 4, frames, 8, 8)
        with torch.inference_mode(), LiveBytes() as held:
            made = decoded_frames(Wide(), latents)
        assert made.shape == (1, 4, frames, 16, 16)
        peaks.append(held.peak - made.numel() * 4 - latents.numel() * 4)
    assert peaks[1] < 1.1 * peaks[0]
    together = decoded_frames(Wide(), latents, together=3)
    assert torch.equal(made, together)
