"""Moving shapes: every clip is a loop whose seam is no larger than its steps, and says what moves how."""

import numpy as np

from text2x.data.clip_batches import ClipBatchConfig, ClipBatches
from text2x.data.moving_shapes import FRAMES, MOTIONS, moving_shapes
from text2x.data.shapes import COLOURS, SHAPES


def test_all_colours_shapes_and_motions_are_there_and_concepts_are_held_out_whole() -> None:
    clips = moving_shapes(16)
    assert len(clips.items) == len(COLOURS) * len(SHAPES) * len(MOTIONS)
    assert {each.group for each in clips.items} == set(MOTIONS)
    parts = [{clips.items[i].concept for i in clips.split(name)} for name in ("train", "unseen-concepts")]
    assert parts[0] and parts[1] and not parts[0] & parts[1]


def test_each_clip_moves_and_closes() -> None:
    clips = moving_shapes(16)
    for index, item in enumerate(clips.items):
        frames = clips.frames(index, np.arange(FRAMES)).astype(float)
        steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
        assert steps.max() > 0.5 and item.motion > 0 and item.loops
        assert np.abs(frames[0] - frames[-1]).mean() <= 1.05 * steps.max(), item.key


def test_captions_name_what_moves_and_how() -> None:
    batch = ClipBatches(moving_shapes(16), ClipBatchConfig(batch_size=4, frames=8, size=16, caption_drop=0.0)).batch_at(
        0
    )
    assert batch.videos.shape == (4, 4, 8, 16, 16)
    for caption in batch.captions:
        assert any(name in caption for name in MOTIONS) and any(name in caption for name in SHAPES)
