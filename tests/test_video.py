"""Videos: frames, rates, and what files of each format keep."""

import numpy as np
import PIL.Image
import pytest

from text2x.errors import InputError
from text2x.media import Image
from text2x.moving import Video, read_metadata


def moving(frames: int = 6, size: int = 16) -> Video:
    """A red square that walks to the right over nothing; its second half is see-through."""
    pixels = np.full((frames, 4, size, size), -1, np.float32)
    for place in range(frames):
        pixels[place, 0, 4:10, place : place + 6] = 1
        pixels[place, 3, 4:10, place : place + 6] = 1
    return Video(pixels, rate=12)


@pytest.mark.parametrize("format", ["webp", "png"])
def test_a_file_gives_back_every_value_and_the_rate(tmp_path, format: str) -> None:
    video = moving()
    video.save(tmp_path / f"walk.{format}")
    back = Video.read(tmp_path / f"walk.{format}")
    assert np.array_equal(back.frames, video.frames)
    assert back.rate == pytest.approx(12, rel=0.01)
    assert back.loops


def test_a_gif_keeps_colours_and_what_is_transparent(tmp_path) -> None:
    video = moving()
    video.save(tmp_path / "walk.gif")
    back = Video.read(tmp_path / "walk.gif")
    assert len(back) == len(video)
    assert np.array_equal(back.frames[:, 3] > 0, video.frames[:, 3] > 0)
    assert np.abs(back.frames - video.frames).max() < 0.05
    assert back.seconds == pytest.approx(video.seconds, abs=0.011)


@pytest.mark.parametrize("format", ["webp", "png", "gif"])
def test_a_file_says_where_it_comes_from(tmp_path, format: str) -> None:
    about = {"prompt": "ein Apfel – rot", "seed": 2**40, "model": "emoji-gan"}
    moving().save(tmp_path / f"walk.{format}", about)
    assert read_metadata(tmp_path / f"walk.{format}") == about
    moving().save(tmp_path / f"bare.{format}")
    assert read_metadata(tmp_path / f"bare.{format}") == {}


@pytest.mark.parametrize("format", ["webp", "png", "gif"])
def test_frames_are_shown_as_long_as_the_rate_says(tmp_path, format: str) -> None:
    video = Video(moving(7).frames, rate=7)
    video.save(tmp_path / f"walk.{format}")
    with PIL.Image.open(tmp_path / f"walk.{format}") as picture:
        total = 0.0
        for place in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(place)
            picture.load()
            total += picture.info["duration"]
    assert total == pytest.approx(1000, abs=10)


def test_a_video_that_ends_does_not_loop(tmp_path) -> None:
    for format in ("webp", "png", "gif"):
        Video(moving().frames, 12, loops=False).save(tmp_path / f"once.{format}")
        assert not Video.read(tmp_path / f"once.{format}").loops


def test_frames_of_several_sizes_are_refused() -> None:
    pictures = [Image(np.zeros((4, 8, 8))), Image(np.zeros((4, 8, 9)))]
    with pytest.raises(InputError, match=r"8x8, 9x8.*resize"):
        Video.of(pictures, 10)
    with pytest.raises(InputError, match="at least one frame"):
        Video.of([], 10)


@pytest.mark.parametrize("rate", [0, -1, 1000])
def test_a_rate_out_of_range_is_named(rate: float) -> None:
    with pytest.raises(InputError, match=f"{rate:g} frames/s; it must be from 0.1 to 240"):
        Video(moving().frames, rate)


def test_other_formats_and_files_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"\.avi; end the name in \.webp"):
        moving().save(tmp_path / "walk.avi")
    (tmp_path / "no.webp").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="no animated WebP"):
        Video.read(tmp_path / "no.webp")
