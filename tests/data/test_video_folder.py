from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from moving_discs import circling, disc
from text2x.data.clipset import ClipSet
from text2x.data.video_folder import prepare_video_folder
from text2x.errors import InputError
from text2x.moving import Video

pytestmark = pytest.mark.medium

pytest.importorskip("cv2")


def write(folder: Path, name: str, video: Video, caption: str | None = None) -> None:
    folder.mkdir(exist_ok=True)
    video.save(folder / name)
    if caption is not None:
        (folder / name).with_suffix(".txt").write_text(caption, encoding="utf-8")


def test_videos_of_every_format_become_clips_with_their_captions(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    for number, format in enumerate(("mp4", "webm", "gif", "webp", "png")):
        write(source, f"{format}.{format}", circling(number, frames=12), f"a ball of {format}\nball, {number}\n")
    write(source, "still.webp", disc(lambda t: (16, 16)), "a ball at rest")
    write(source, "silent.webp", circling())
    (source / "bad.mp4").write_bytes(b"nothing")
    (source / "bad.txt").write_text("broken")
    report = prepare_video_folder(source, tmp_path / "set", size=16)
    made = ClipSet.load(tmp_path / "set")
    assert [item.key for item in made.items] == ["gif.gif", "mp4.mp4", "png.png", "webm.webm", "webp.webp"]
    assert made.items[0].captions == ("a ball of gif", "ball, 2") and made.items[0].style == "video"
    assert all(item.frames == 12 and item.rate == pytest.approx(12, rel=0.03) for item in made.items)
    assert (report.clips, report.still, report.moving) == (5, 1, 5 / 6)
    reasons = json.loads((tmp_path / "set" / "skipped.json").read_text())
    assert reasons["still.webp"] == "nothing moves" and reasons["silent.webp"] == "no caption"
    assert "cannot be read as video" in reasons["bad.mp4"] and len(report.unreadable) == 2


def test_a_table_names_captions_and_styles(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    write(source, "one.webp", circling(1))
    write(source, "two.webp", circling(2))
    (source / "captions.csv").write_text("file,caption,style\none.webp,a ball,toy\ntwo.webp,a cube,\nmore.mp4,x,\n")
    report = prepare_video_folder(source, tmp_path / "set", size=16)
    items = ClipSet.load(tmp_path / "set").items
    assert [(item.captions[0], item.style) for item in items] == [("a ball", "toy"), ("a cube", "video")]
    assert "more.mp4" in report.unreadable[0]


def test_without_captions_the_names_of_files_are_used_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path / "mine", "red-ball.webp", circling())
    report = prepare_video_folder(tmp_path / "mine", tmp_path / "set", size=16)
    assert ClipSet.load(tmp_path / "set").items[0].captions == ("red ball",)
    assert "file names are used" in report.warnings[0]


def test_long_videos_are_cut_and_wide_ones_padded_or_cropped(tmp_path: Path) -> None:
    video = circling(frames=30, size=32)
    wide = Video(np.concatenate([video.frames] * 2, axis=3), 12)
    write(tmp_path / "mine", "long.webp", wide)
    report = prepare_video_folder(tmp_path / "mine", tmp_path / "pad", size=16, rate=6, frames=8)
    assert "first 8 frames are taken of 1 longer videos (long.webp" in report.warnings[-1]
    padded = ClipSet.load(tmp_path / "pad")
    assert (padded.items[0].frames, padded.items[0].rate) == (8, pytest.approx(6, rel=0.02))
    assert not padded.frames(0)[:, :, :4].any()
    prepare_video_folder(tmp_path / "mine", tmp_path / "crop", size=16, rate=6, frames=8, fit="crop")
    middle = wide.square().resize(16).frames[0, 3]
    np.testing.assert_allclose(ClipSet.load(tmp_path / "crop").frames(0)[0, 3] / 127.5 - 1, middle, atol=0.5)


def test_folders_without_videos_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=r"no usable video in .*\.mp4"):
        prepare_video_folder(tmp_path / "mine", tmp_path / "set")
    with pytest.raises(InputError, match="is no folder"):
        prepare_video_folder(tmp_path / "none", tmp_path / "set")
    with pytest.raises(InputError, match="unknown fit 'bend'"):
        prepare_video_folder(tmp_path / "mine", tmp_path / "set", fit="bend")  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()
