from __future__ import annotations

import numpy as np
import pytest

from moving_discs import circling, disc, falling
from text2x.errors import InputError
from text2x.metrics import motion
from text2x.metrics.motion import controls, measured
from text2x.moving import Video

pytest.importorskip("cv2")
COUNT = 56


def still(seed: int = 0) -> Video:
    return disc(lambda t: (16, 16), seed=seed)


def noisy(video: Video, amount: float = 0.2) -> Video:
    noise = np.random.default_rng(0).normal(0, amount, video.frames.shape)
    return Video(np.clip(video.frames + noise * (video.frames[:, 3:] > -1), -1, 1), video.rate)


@pytest.fixture(scope="module")
def falls() -> list[Video]:
    return [falling(seed) for seed in range(2 * COUNT)]


@pytest.mark.parametrize(("across", "down"), [(0.5, 0.0), (0.0, 1.0), (0.9, 0.9)])
def test_the_dynamic_degree_is_the_speed_that_was_drawn(across: float, down: float) -> None:
    videos = [disc(lambda t: (10 + across * t, 11 + down * t), seed=seed) for seed in range(6)]
    found = motion.dynamic_degree(measured(videos)).value
    assert found == pytest.approx(100 * 12 * np.hypot(across, down) / 32, rel=0.2)  # hundredths of a side a second


def test_a_frozen_clip_moves_not_at_all_and_explains_nothing() -> None:
    frozen = measured([still(seed) for seed in range(3)])
    assert motion.dynamic_degree(frozen).value == 0
    assert motion.unexplained(frozen).value == 1 and motion.unexplained(frozen).note == "nothing changes"
    assert motion.warp_error(frozen).value == motion.arrow_of_time(frozen).value == 0
    assert motion.flicker(frozen).value == 0
    assert motion.loop_seam(frozen).value == 0


def test_flow_explains_motion_but_not_noise() -> None:
    moving = [circling(seed) for seed in range(4)]
    real, noise = measured(moving), measured([noisy(each) for each in moving])
    assert motion.unexplained(real).value < 0.5
    assert motion.unexplained(noise).value > motion.unexplained(real).value + 0.2
    shuffled = measured(controls(moving, 1)["shuffled"])
    assert motion.warp_error(shuffled).low > 2 * motion.warp_error(real).high
    assert motion.warp_error(noise).low > motion.warp_error(real).high


def test_the_arrow_of_time_turns_round_with_the_clip() -> None:
    # Motion sets in at once and dies down slowly, three times over.
    jerks = np.cumsum([0, 1.6, 1.2, 0.8, 0.4, 0.0] * 3) / 2
    videos = [disc(lambda t: (10 + jerks[int(t)], 16), frames=18, seed=seed) for seed in range(4)]
    forwards, backwards = (motion.arrow_of_time(measured(each)) for each in (videos, controls(videos)["reversed"]))
    assert forwards.low > 0.3
    assert backwards.value == pytest.approx(-forwards.value, abs=1e-6)


def test_flicker_is_what_changes_where_nothing_moves() -> None:
    calm, restless = (motion.flicker(measured([noisy(still(), amount)])).value for amount in (0.01, 0.1))
    assert 0 < calm < restless
    even = still()
    dim = Video(np.where(np.arange(12)[:, None, None, None] % 2, even.frames * 0.98 - 0.02, even.frames), 12)
    assert motion.flicker(measured([dim])).value > 0


def test_a_loop_has_the_seam_of_its_own_steps_and_an_open_path_a_larger_one() -> None:
    closed = motion.loop_seam(measured([circling(seed) for seed in range(4)])).value
    assert closed == pytest.approx(1, abs=0.1)
    half = motion.loop_seam(measured([circling(seed, turn=0.5) for seed in range(4)])).value
    assert half > 3 * closed


@pytest.mark.medium
def test_frozen_shuffled_and_reversed_clips_are_further_from_real_ones_than_real_ones_are(falls: list[Video]) -> None:
    reference = measured(falls[COUNT:])
    real = motion.motion_distance(measured(falls[:COUNT]), reference)
    assert real.low < 0.1 and abs(real.value) < 0.5
    for name, worse in controls(falls[:COUNT]).items():
        found = motion.motion_distance(measured(worse), reference)
        assert found.low > real.high, name
        assert found.value > real.value + 1, name


def test_controls_keep_the_frames_and_change_their_order() -> None:
    video = falling(3)
    made = controls([video])
    assert np.array_equal(made["reversed"][0].frames[0], video.frames[-1])
    assert (made["frozen"][0].frames == video.frames[0]).all()
    shuffled = made["shuffled"][0].frames
    assert not np.array_equal(shuffled, video.frames)
    assert sorted(map(float, shuffled.sum((1, 2, 3)))) == sorted(map(float, video.frames.sum((1, 2, 3))))


def test_the_first_frame_is_compared_in_decibels() -> None:
    videos = [falling(seed) for seed in range(3)]
    same = motion.first_frame_psnr(videos, [video.frames[0] for video in videos])
    assert same.value == pytest.approx(60)
    off = motion.first_frame_psnr(videos, [video.frames[0] + np.float32(0.2) for video in videos])
    assert off.value == pytest.approx(20, abs=1e-3)  # 10 log10(2² / 0.2²)


def test_clips_that_cannot_be_measured_are_one_line() -> None:
    with pytest.raises(InputError, match="2 frames; its motion needs 3"):
        measured([disc(lambda t: (16, 16), frames=2)])
    with pytest.raises(InputError, match="32 x 32, 48 x 48"):
        measured([still(), disc(lambda t: (16, 16), size=48)])
    with pytest.raises(InputError, match="no clips"):
        measured([])
    with pytest.raises(InputError, match="1 clips and 2 pictures"):
        motion.first_frame_psnr([still()], [still().frames[0]] * 2)
    with pytest.raises(InputError, match=r"\[4, 8, 8\]"):
        motion.first_frame_psnr([still()], [np.zeros((4, 8, 8))])
