from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.data import load, load_clips
from text2x.data.clipset import Clip, ClipSet, store_clips
from text2x.data.imageset import ImageSet, Item
from text2x.errors import InputError

SIZE = 8


def make_clips(count: int = 60, styles: str = "a") -> ClipSet:
    """Clip n has 3 + n mod 5 frames; every value of its frame t is n + 10 t."""
    items, frames = [], []
    for number in range(count):
        length = 3 + number % 5
        start = sum(len(each) for each in frames)
        values = (number + 10 * np.arange(length)).astype(np.uint8)
        frames.append(np.broadcast_to(values[:, None, None, None], (length, 4, SIZE, SIZE)))
        items.append(
            Clip(
                key=f"clip {number}",
                concept=f"thing {number // len(styles)}",
                style=styles[number % len(styles)],
                captions=(f"thing {number}", f"a thing {number}"),
                group="flags" if number % 10 == 0 else "things",
                start=start,
                frames=length,
                rate=12.0,
                motion=float(number),
                seam=1.0 if number % 2 else 9.0,
                licence="CC0-1.0",
                flips=number % 3 > 0,
            )
        )
    return ClipSet("made", items, np.concatenate(frames))


def test_what_is_saved_is_loaded_again_and_frames_stay_on_disk(tmp_path: Path) -> None:
    clips = make_clips()
    clips.save(tmp_path / "set")
    back = load_clips(tmp_path / "set")
    assert back.items == clips.items and back.name == "made" and back.size == SIZE
    assert isinstance(back.stored, np.memmap)
    assert np.array_equal(back.stored, clips.stored)
    assert back.frames(7)[:, 0, 0, 0].tolist() == [7, 17, 27, 37, 47]
    assert back.frames(7, np.array([4, 0]))[:, 3, 2, 1].tolist() == [47, 7]
    assert back.seconds == pytest.approx(sum(item.frames for item in clips.items) / 12)


def test_clips_stored_as_they_come_give_the_same_files_as_a_set_that_is_saved(tmp_path: Path) -> None:
    clips = make_clips()
    clips.save(tmp_path / "saved")
    aside = tmp_path / "stored"
    aside.mkdir()
    drawn = ((replace(item, start=0, frames=0), clips.frames(index)) for index, item in enumerate(clips.items))
    with_gaps = (each for pair in drawn for each in (None, pair))
    assert tuple(store_clips(aside, with_gaps, SIZE)) == clips.items
    assert (aside / "frames.npy").read_bytes() == (tmp_path / "saved" / "frames.npy").read_bytes()
    assert [path.name for path in aside.iterdir()] == ["frames.npy"]


@pytest.mark.parametrize("styles", ["a", "ab"])
def test_what_is_held_out_of_pictures_is_held_out_of_clips(styles: str) -> None:
    clips = make_clips(400, styles)
    pictures = [
        Item(clip.key, clip.concept, clip.style, clip.captions, clip.group, (), clip.licence, clip.flips)
        for clip in clips.items
    ]
    images = ImageSet("same", pictures, np.zeros((400, 4, 8, 8), np.uint8))
    for part in ("train", "unseen-concepts", "unseen-pairs"):
        assert clips.split(part).tolist() == images.split(part).tolist()
    assert 0.05 < len(clips.split("unseen-concepts")) / 400 < 0.15
    assert (len(clips.split("unseen-pairs")) > 0) == (styles == "ab")


def test_a_set_of_two_concepts_trains_on_one_and_holds_one_out() -> None:
    clips = make_clips(2)
    assert len(clips.split("train")) == len(clips.split("unseen-concepts")) == 1
    assert len(make_clips(1).split("train")) == 1


def test_motion_is_told_in_levels_from_0_to_10_of_the_training_clips() -> None:
    clips = make_clips(101)
    motions = [clips.items[index].motion for index in clips.split("train")]
    assert [clips.level(value) for value in (min(motions), np.median(motions), max(motions))] == [0, 5, 10]
    assert clips.level(-5) == 0 and clips.level(1e6) == 10


def test_a_small_seam_makes_a_loop() -> None:
    clips = make_clips(2)
    assert [item.loops for item in clips.items] == [False, True]


def test_folders_that_hold_no_clips_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="text2x data prepare animated-emoji"):
        load_clips("animated-emoji", tmp_path)
    with pytest.raises(InputError, match="text2x data prepare video-folder DIR --name mine"):
        load_clips("mine", tmp_path)
    make_clips().save(tmp_path / "clips")
    with pytest.raises(InputError, match="no image set"):
        load(tmp_path / "clips")
    index = json.loads((tmp_path / "clips" / "index.json").read_text())
    index["items"][0]["frames"] = 10_000
    (tmp_path / "clips" / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"clips end at frame 10000.*prepare it again"):
        load_clips(tmp_path / "clips")
    ImageSet("images", [], np.zeros((0, 4, 8, 8), np.uint8)).save(tmp_path / "images")
    with pytest.raises(InputError, match="no set of moving pictures"):
        load_clips(tmp_path / "images")
