"""Sizes and shapes of clips: what a transformer trained on several makes, and what is refused with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from text2x.errors import InputError
from text2x.media import Image
from text2x.video_generator import VideoGenerator
from text2x.video_requests import VideoRequest, sides_of
from tiny_videos import FRAMES, clip, videos

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory) -> VideoGenerator:
    """One that was trained on 6 frames of 8 x 8 px, 10 of 8 x 4 and 4 of 12 x 8; its patches are 2 x 4 x 4."""
    return videos(tmp_path_factory.mktemp("shapes") / "shapes", "shapes")


def made(generator: VideoGenerator, **fields: Any) -> Any:
    return generator.generate(VideoRequest("a red ball", **{"seed": 5, **fields}))[0]


@pytest.mark.parametrize(
    ("asked", "found"), [(64, (64, 64)), ("64", (64, 64)), ("96x64", (96, 64)), ("96X64", (96, 64)), ("9×8", (9, 8))]
)
def test_a_size_is_one_side_or_width_and_height(asked: str | int, found: tuple[int, int]) -> None:
    assert sides_of(asked) == found and VideoRequest("a", size=asked).size == asked


@pytest.mark.parametrize("asked", [7, 5000, "12x", "12x7", "x", "a", "8x8x8", "", True, "1e2", "-8x8"])
def test_what_is_no_size_is_refused(asked: Any) -> None:
    with pytest.raises(InputError, match=r"it must be a whole number from 8 to 4096, or two as in 96x64"):
        VideoRequest("a", size=asked)


@pytest.mark.parametrize("size", ["16x8", "8x12", "8"])
def test_any_shape_is_made_of_patches_laid_out_in_it(able: VideoGenerator, size: str) -> None:
    result = made(able, size=size)
    width, height = sides_of(size)
    assert result.media.frames.shape == (FRAMES, 4, height, width) and not result.warnings
    assert result.settings["size"] == (size if "x" in size else 8)
    assert result.media.frames.std() > 0.01 and np.array_equal(result.media.frames, made(able, size=size).media.frames)


def test_a_clip_of_a_size_it_saw_for_longer_is_made_at_once(able: VideoGenerator) -> None:
    assert able.making.window(8, 8) == FRAMES and able.making.window(8, 4) == 10
    progress: list[Any] = []
    able.generate(VideoRequest("a", seed=1, size="8x8", frames=10, steps=1), progress.append)
    assert [each.stage for each in progress] == ["frames 1 to 6", "frames 5 to 10"]


def test_sides_between_patches_are_made_larger_and_shown_smaller(able: VideoGenerator) -> None:
    result = made(able, size="10x8")
    assert (result.media.width, result.media.height) == (10, 8)
    assert result.warnings == ("sides are multiples of 4: 10 x 8 pixels are 12 x 8 made smaller",)


def test_known_frames_of_any_shape_come_back_bit_for_bit(able: VideoGenerator) -> None:
    wide = Image(clip(1, 16).frames[0][:, :8])
    result = made(able, size="16x8", image=wide)
    assert np.array_equal(result.media.frames[0], wide.pixels) and not result.warnings
    result = made(able, size="16x8", image=clip(1, 8).pictures()[0])
    assert np.array_equal(result.media.frames[0, :, :, 4:12], clip(1, 8).frames[0])
    assert result.warnings == ("the picture of 8 x 8 pixels is shown at 16 x 8, bars of nothing beside it",)
    result = made(able, size="16x8", video=clip(6, 16), mask="0,4,16,8")
    shown = clip(6, 16).padded(32, 16).resize(16, 8).frames
    assert np.array_equal(result.media.frames[..., :4], shown[..., :4])  # the bars are kept too
    assert not np.array_equal(result.media.frames[..., 4:12], shown[..., 4:12])


def test_sizes_far_from_what_was_seen_are_warned_of_or_refused(able: VideoGenerator) -> None:
    assert "16 x 16 is far from what the model was trained on (8x8, 8x4, 12x8)" in made(able, size=16).warnings[0]
    assert "32 x 8 is far from" in made(able, size="32x8").warnings[0]
    message = "size is 64x32, which is 2048 pixels a frame; the model shapes makes at most 384: take 24x12 or less"
    with pytest.raises(InputError, match=message):
        made(able, size="64x32")


def test_models_of_squares_say_which_model_makes_other_shapes(tmp_path: Path) -> None:
    message = "size is 16x8; the model dit makes square clips only: give one number, as 8; models of the recipe sora"
    with pytest.raises(InputError, match=message):
        made(videos(tmp_path / "dit", "dit"), size="16x8")
