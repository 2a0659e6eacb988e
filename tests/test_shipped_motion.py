"""The model of moving pictures that comes with the package: small, what it is asked for, moving, looping, going on."""

import numpy as np
import pytest

from text2x.library import info
from text2x.moving import Video
from text2x.video_generator import VideoGenerator
from text2x.video_library import load_video, video_model_for
from text2x.video_requests import VideoRequest

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def motion() -> VideoGenerator:
    made = load_video(video_model_for())
    assert isinstance(made, VideoGenerator)
    return made


@pytest.fixture(scope="module")
def heart(motion: VideoGenerator) -> Video:
    clip = motion.generate(VideoRequest("beating heart", seed=1, size=32, steps=8, loop=True))[0].media
    assert isinstance(clip, Video)
    return clip


def steps_of(clip: Video) -> np.ndarray:
    """How far each frame is from the one before it; the first from the last."""
    return np.sqrt(np.square(clip.frames - np.roll(clip.frames, 1, axis=0)).mean((1, 2, 3)))


def test_it_is_the_usual_one_small_beside_its_base_and_listed() -> None:
    about = info("motion")
    assert video_model_for() == "motion" and about.kind == "video" and about.problem is None
    assert about.num_bytes <= 8 * 2**20 and about.recipe["base"] == "emoji" and about.recipe["size"] == 64


def test_a_heart_is_red_on_nothing_and_beats(heart: Video) -> None:
    assert heart.frames.shape == (16, 4, 32, 32)
    alpha = (heart.frames[:, 3] + 1) / 2
    assert alpha[:, 12:20, 12:20].mean() > 0.8 and alpha[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean() < 0.2
    red, green, blue = ((heart.frames[:, :3, 10:20, 10:20] + 1) / 2).mean((0, 2, 3))
    assert red > 0.6 and red > green + 0.3 and red > blue + 0.1
    assert steps_of(heart)[1:].mean() > 0.01


def test_a_loop_has_no_seam(heart: Video) -> None:
    seam, *others = steps_of(heart)
    assert seam <= 1.2 * max(others)


def test_frames_follow_each_other_more_closely_than_in_any_order(heart: Video) -> None:
    order = np.random.default_rng(0).permutation(len(heart.frames))
    shuffled = Video(heart.frames[order], heart.rate)
    assert steps_of(heart).mean() < 0.8 * steps_of(shuffled).mean()


def test_a_clip_goes_on_from_a_picture_and_does_not_depend_on_the_others(motion: VideoGenerator, heart: Video) -> None:
    first = heart.pictures()[0]
    request = VideoRequest("beating heart", image=first, seed=4, count=2, size=32, steps=4)
    clips = [each.media.frames for each in motion.generate(request)]
    assert all(np.array_equal(clip[0], first.pixels) for clip in clips)
    assert np.abs(clips[0][1] - first.pixels).mean() < 0.2
    alone = motion.generate(VideoRequest("beating heart", image=first, seed=5, size=32, steps=4))[0].media.frames
    assert np.array_equal(clips[1], alone) and not np.array_equal(clips[0], clips[1])
