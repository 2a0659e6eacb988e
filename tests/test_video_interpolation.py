"""More frames between those of a clip: they come back bit for bit, at places that keep their time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from text2x.errors import InputError
from text2x.moving import Video
from text2x.video_generator import VideoGenerator
from text2x.video_material import material_of
from text2x.video_requests import VideoRequest
from tiny_videos import FRAMES, SIZE, Kind, clip, videos

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, VideoGenerator]:
    """A generator of each kind."""
    root = tmp_path_factory.mktemp("between")
    return {kind: videos(root / kind, kind) for kind in ("unet", "first", "dit", "plain")}


def made(generator: VideoGenerator, **fields: Any) -> Any:
    return generator.generate(VideoRequest("a red ball", **{"seed": 5, "steps": 2, **fields}))[0]


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_at_a_rate_two_and_three_times_as_high_every_second_and_third_frame_is_the_given_one(
    able: dict[Kind, VideoGenerator], kind: Kind
) -> None:
    given = clip(5, rate=6.0)
    for times in (2, 3):
        result = made(able[kind], interpolate=given, fps=6 * times)
        assert len(result.media) == 4 * times + 1 and result.media.rate == 6 * times and not result.warnings
        assert np.array_equal(result.media.frames[::times], given.frames)
        assert (np.delete(result.media.frames, np.s_[::times], axis=0).std((1, 2, 3)) > 0.01).all()


def test_a_number_of_frames_keeps_the_clips_time_unless_a_rate_is_given_too(able: dict[Kind, VideoGenerator]) -> None:
    given = clip(3, rate=4.0)
    result = made(able["unet"], interpolate=given, frames=5)
    assert result.media.rate == 8.0 and np.array_equal(result.media.frames[::2], given.frames)
    slow = made(able["unet"], interpolate=given, frames=5, fps=4)
    assert slow.media.rate == 4.0 and slow.settings["pace"] == 8.0  # the network is told how fast it really moves
    assert np.array_equal(slow.media.frames, result.media.frames)


def test_a_loop_has_new_frames_behind_its_last_one_too(able: dict[Kind, VideoGenerator]) -> None:
    given = clip(3, rate=6.0)
    result = made(able["unet"], interpolate=given, fps=12, loop=True)
    assert len(result.media) == FRAMES and result.media.loops
    assert np.array_equal(result.media.frames[::2], given.frames)


@pytest.mark.parametrize(("count", "frames", "loop"), [(4, 6, False), (5, 8, False), (7, 20, False), (3, 5, True)])
def test_uneven_places_are_as_near_as_can_be_to_even_ones_and_a_warning_says_so(
    count: int, frames: int, loop: bool
) -> None:
    request = VideoRequest(interpolate=clip(count), frames=frames, loop=loop)
    material, warnings = material_of(request, FRAMES, (SIZE, SIZE), FRAMES)
    places = np.flatnonzero(material.keep.all((1, 2, 3)))
    wide, steps = (frames, count) if loop else (frames - 1, count - 1)
    assert len(places) == count and places[0] == 0 and (loop or places[-1] == frames - 1)
    assert np.abs(places - np.arange(count) * wide / steps).max() <= 0.5
    assert np.array_equal(material.frames[places], clip(count).frames) and not material.keep.sum() > count * SIZE**2
    assert "unequal distances" in warnings[0]
    even = int(warnings[0].split("; ")[1].split()[0])
    assert (even - (not loop)) % steps == 0 and even > count


def test_what_cannot_be_is_said_with_the_way_out(able: dict[Kind, VideoGenerator]) -> None:
    given = clip(3, rate=12.0)
    cases: list[tuple[Kind, dict[str, Any], str]] = [
        ("plain", {"interpolate": given, "fps": 24}, "was not trained with known frames"),
        ("first", {"interpolate": given, "fps": 24}, "knows a first picture only"),
        ("unet", {"interpolate": given, "fps": 12}, "the clip has 12 frames/s already: give more, as 24"),
        ("unet", {"interpolate": given, "frames": 3}, "a clip of 3 frames becomes one from 4 to 11 (this one: 3)"),
        ("unet", {"interpolate": given, "frames": 60}, "for more, interpolate twice"),
        ("unet", {"interpolate": clip(1), "fps": 24}, "has one frame"),
    ]
    for kind, fields, message in cases:
        with pytest.raises(InputError) as caught:
            made(able[kind], **fields)
        assert message in str(caught.value), (kind, fields)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"interpolate": given}, "interpolate needs how many frames there are to be in all, or a rate"),
        ({"interpolate": given, "extend": given, "fps": 24}, "extend and interpolate were both given"),
        ({"interpolate": given, "last_image": "a.png", "fps": 24}, "last_image and interpolate were both given"),
    ]
    for fields, message in wrong:
        with pytest.raises(InputError, match=message):
            VideoRequest("a", **fields)


def test_a_clip_of_another_size_is_brought_to_it_first(able: dict[Kind, VideoGenerator]) -> None:
    given = Video(clip(3, 16, rate=6.0).frames, 6.0)
    result = made(able["unet"], interpolate=given, fps=12)
    assert result.warnings == ("the clip of 16 x 16 pixels is shown at 8 x 8",)
    assert np.array_equal(result.media.frames[::2], given.resize(SIZE).frames)
