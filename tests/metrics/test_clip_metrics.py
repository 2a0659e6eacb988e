"""Figures of clips in closed form: words by a judge that knows, likeness at any phase, copies, given first frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from text2x.data.moving_shapes import moving_shapes
from text2x.errors import InputError
from text2x.evaluating.clip_asking import ClipSubject, real_clips, whole_clips
from text2x.metrics import motion
from text2x.metrics.agreement import Distractors
from text2x.metrics.clips import (
    Clips,
    clip_copies,
    distances_to,
    first_frame_figures,
    frame_agreement,
    joined,
    levels,
    likeness,
    noise,
    word_figures,
)
from text2x.moving import Video

SHAPES = moving_shapes(16)
SUBJECT = ClipSubject("any", None, 16, 8, 12.0)


def some(rows: Sequence[int] = range(6)) -> Clips:
    return real_clips(SHAPES, list(rows), SUBJECT)


class Knowing:
    """A judge whose pictures' embedding is one of the prompts', by the value of the first pixel."""

    def image_embeddings(self, images: torch.Tensor) -> torch.Tensor:
        numbers = ((images[:, 0, 0, 0] + 1) * 127.5).round().long()
        return torch.eye(128)[numbers]

    def text_embeddings(self, prompts: Sequence[str]) -> torch.Tensor:
        return torch.eye(128)[[int(each) for each in prompts]]


def numbered(values: list[list[int]], prompts: list[str]) -> Clips:
    """Clips whose frames the judge above takes for the given numbers."""
    frames = np.zeros((len(values), len(values[0]), 4, 2, 2), np.uint8)
    frames[:, :, 0, 0, 0] = values
    return Clips(frames, (12.0,) * len(values), tuple(prompts), tuple(prompts), ("train",) * len(values))


def test_agreement_is_the_share_of_frames_in_which_the_prompt_is_found() -> None:
    clips = numbered([[3, 3, 3, 3], [5, 7, 5, 7], [9, 9, 9, 9]], ["3", "5", "4"])
    others = Distractors(torch.eye(128)[:120], [str(number) for number in range(120)])
    assert frame_agreement(clips, Knowing(), others, "known").tolist() == [1, 0.5, 0]
    found = word_figures(clips, Knowing(), others, "known")
    assert found["R-precision of frames"].value == pytest.approx(0.5)
    assert found["R-precision of clips"].n == 3
    assert found["R-precision of frames"].low < 0.5 < found["R-precision of frames"].high


def test_a_clip_is_as_near_wherever_it_begins_in_the_movement() -> None:
    clips = some([0, 5, 9])
    later = clips.show(np.roll(clips.frames, 3, axis=1))
    whole = whole_clips(SHAPES, [0, 5, 9])
    assert distances_to(clips, whole).diagonal() == pytest.approx(0, abs=1e-6)
    assert distances_to(later, clips).diagonal() == pytest.approx(0, abs=1e-6)
    assert distances_to(clips, clips)[0, 1] > 0.05
    smaller = real_clips(SHAPES, [0, 5, 9], replace(SUBJECT, size=8))
    assert distances_to(smaller, whole).diagonal() == pytest.approx(0, abs=0.01)  # but for rounding
    assert likeness(later, whole) == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="no real clip shows 'red-circle'"):
        likeness(some([0]), whole_clips(SHAPES, [100]))


def test_copies_are_found_and_other_concepts_are_none() -> None:
    training = whole_clips(SHAPES, SHAPES.split("train"))
    own = [int(row) for row in SHAPES.split("train")[::40]]
    found = clip_copies(some(own), training)
    assert found.rate.value == 1
    assert [training.concepts[row] for row in found.nearest] == list(some(own).concepts)
    held = some([int(row) for row in SHAPES.split("unseen-concepts")[:4]])
    assert clip_copies(held, training).rate.value == 0
    with pytest.raises(InputError, match="of one concept"):
        clip_copies(held, training.take([0, 1]))


def test_a_first_frame_is_kept_or_not_and_how_far_clips_drift_from_it_is_told() -> None:
    real = some([0, 1]).videos()
    pictures = [video.frames[0] for video in real]
    found = first_frame_figures(real, pictures)
    assert found["first frame kept bit for bit"].value == 1 and found["first frame"].value == pytest.approx(60)
    frozen = first_frame_figures(motion.controls(real)["frozen"], pictures)
    assert frozen["drift from the first frame, mean"].value == 0 and "first step over later ones" not in frozen
    assert found["drift from the first frame, last frame"].value > 0.1
    jumped = [Video(np.concatenate([-video.frames[:1], video.frames[1:]]), 12) for video in real]
    worse = first_frame_figures(jumped, [video.frames[0] for video in jumped])
    assert worse["first step over later ones"].low > 2 * found["first step over later ones"].high
    off = first_frame_figures([Video(video.frames * np.float32(0.9), 12) for video in real], pictures)
    assert off["first frame kept bit for bit"].value == 0


def test_clips_are_taken_shown_joined_and_made_videos_without_loss() -> None:
    clips = some(range(4))
    assert np.array_equal(levels(clips.videos(), 8), clips.frames)
    assert np.array_equal(levels(clips.videos(), 5), clips.frames[:, :5])
    assert np.array_equal(joined([clips.take([3]), clips.take([1])]).frames, clips.frames[[3, 1]])
    assert clips.spread(3).shape == (4, 3, 4, 16, 16) and clips.spread(99).shape[1] == 8
    assert np.array_equal(clips.spread(3)[:, -1], clips.frames[:, -1])
    rough = noise(clips, 0).frames
    assert (rough[:, :, :3] <= rough[:, :, 3:]).all() and not np.array_equal(rough, noise(clips, 1).frames)
    with pytest.raises(InputError, match="a clip has 8 frames; 9 are compared"):
        levels(clips.videos(), 9)
    with pytest.raises(InputError, match=r"got float32 \[4, 8, 4, 16, 16\]"):
        clips.show(clips.frames.astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="3 clips"):
        Clips(clips.frames[:3], clips.rates, clips.prompts, clips.concepts, clips.parts)


@pytest.mark.medium
def test_frozen_and_shuffled_shapes_move_unlike_real_ones_and_reversed_loops_cannot_be_told() -> None:
    pytest.importorskip("cv2")
    train = np.random.default_rng(0).permutation(SHAPES.split("train"))
    reference = motion.measured(some(train[:60].tolist()).videos())
    videos = some(train[60:120].tolist()).videos()
    real = motion.motion_distance(motion.measured(videos), reference)
    worse = {
        name: motion.motion_distance(motion.measured(each), reference) for name, each in motion.controls(videos).items()
    }
    assert abs(real.value) < 1
    for name in ("frozen", "shuffled"):
        assert worse[name].low > real.high and worse[name].value > 5, name
    assert worse["reversed"].low < real.high  # shapes swing, circle and pulse: time has no direction in them
