"""Files of moving pictures: MP4 and WebM, rates, what a format does not keep, and files that cannot be read."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from moving_discs import circling
from text2x.errors import InputError
from text2x.media import Image
from text2x.moving import Video, read_metadata
from text2x.video_files import Shot, losses, sampled, shots

pytestmark = pytest.mark.medium

ABOUT = {"prompt": "ein Apfel – rot", "seed": 2**40, "model": "motion"}


def see_through(size: int = 32, frames: int = 6) -> Video:
    """A red square of which the lower half is half transparent walks over nothing."""
    pixels = np.zeros((frames, 4, size, size), np.float32)
    for place in range(frames):
        part = np.s_[place, :, 8:24, 4 + place : 20 + place]
        pixels[part] = np.array([1, 0.25, 0.1, 1])[:, None, None]
        pixels[place, :, 16:24] *= 0.5
    return Video(pixels * 2 - 1, 12)


def test_an_mp4_gives_back_the_frames_on_their_background(tmp_path: Path) -> None:
    video = see_through()
    video.save(tmp_path / "walk.mp4", background="#00ff00")
    back = Video.read(tmp_path / "walk.mp4")
    assert (len(back), back.rate, back.width, back.height, back.loops) == (6, 12, 32, 32, False)
    wanted = np.stack([each.composite("#00ff00").pixels for each in video.pictures()])
    inside = np.s_[:, :, 10:14, 12:16]  # colours are kept at half the size: edges are left out
    np.testing.assert_allclose(back.frames[inside], wanted[inside], atol=0.06)
    np.testing.assert_allclose(back.frames[:, :, :4], wanted[:, :, :4], atol=0.06)
    assert np.abs(back.frames - wanted).mean() < 0.05


def test_a_webm_keeps_what_is_transparent(tmp_path: Path) -> None:
    video = see_through()
    video.save(tmp_path / "walk.webm")
    back = Video.read(tmp_path / "walk.webm")
    assert (len(back), back.rate) == (6, 12)
    assert (back.frames[:, 3, :4] == -1).all()
    np.testing.assert_allclose(back.frames[:, 3], video.frames[:, 3], atol=0.25)
    np.testing.assert_allclose(back.frames[:, :, 18:22, 12:16], video.frames[:, :, 18:22, 12:16], atol=0.06)
    assert np.abs(back.frames - video.frames).mean() < 0.02


def test_edges_of_a_webm_are_not_darkened_by_what_is_transparent(tmp_path: Path) -> None:
    pixels = np.full((2, 4, 32, 32), -1, np.float32)
    pixels[:, :, 9:23, 9:23] = 1  # white, with odd edges
    Video(pixels, 12).save(tmp_path / "white.webm")
    back = Video.read(tmp_path / "white.webm")
    assert back.frames[:, :3, 9:23, 9:23].min() > 0.8


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_a_stream_says_where_it_comes_from_and_has_the_same_bytes_each_time(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"walk.{format}"
    see_through().save(path, ABOUT)
    assert read_metadata(path) == ABOUT
    assert path.read_bytes() == see_through().encode(format, ABOUT)
    see_through().save(path)
    assert read_metadata(path) == {}


def test_an_mp4_of_odd_size_repeats_its_edge() -> None:
    video = circling(size=33)
    assert losses(video, "mp4") == [
        "MP4 holds no transparency: the video lies on a background; webm, webp and png keep it",
        "MP4 needs even sizes: 33 x 33 became 34 x 34, the edge repeated",
    ]
    assert len(video.encode("mp4")) > 500


def test_what_a_format_keeps_is_not_warned_of() -> None:
    opaque = Video.of([each.composite("white") for each in see_through().pictures()], 12.5)
    assert losses(opaque, "mp4") == [] == losses(see_through(), "webm") == losses(see_through(), ".webp")
    assert losses(opaque, "gif") == ["GIF has 255 colours a frame; webp and png keep everything"]
    soft = losses(see_through(), "gif")
    assert "hard edges" in soft[0] and "12/s are shown for unequal times" in soft[1]
    with pytest.raises(InputError, match="'avi'; there are webp, png, gif, mp4, webm"):
        losses(opaque, "avi")


@pytest.mark.parametrize("rate", [7, 12.5, 23.976, 30000 / 1001])
def test_streams_keep_their_rate(tmp_path: Path, rate: float) -> None:
    for format in ("mp4", "webm"):
        Video(see_through().frames, rate).save(tmp_path / f"walk.{format}")
        assert Video.read(tmp_path / f"walk.{format}").rate == pytest.approx(rate, rel=1e-3)


def uneven_gif(path: Path, durations: list[int]) -> None:
    pictures = [PIL.Image.new("RGB", (8, 8), (40 * place, 0, 0)) for place in range(len(durations))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def test_a_variable_rate_is_refused_unless_one_is_named(tmp_path: Path) -> None:
    uneven_gif(tmp_path / "uneven.gif", [100, 100, 400])
    with pytest.raises(InputError, match=r"100 to 400 ms each; name one rate.*--fps"):
        Video.read(tmp_path / "uneven.gif")
    video = Video.read(tmp_path / "uneven.gif", rate=10)
    assert (len(video), video.rate, video.loops) == (6, 10, True)
    reds = np.round((video.frames[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()
    assert reds == [0, 40, 80, 80, 80, 80]
    with pytest.raises(InputError, match="rate is 0 frames/s"):
        Video.read(tmp_path / "uneven.gif", rate=0)


def test_a_stream_of_variable_rate_is_refused_too(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "uneven.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for place in (0, 1, 2, 7, 8, 20):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 10 * place, np.uint8), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"100 to 1200 ms each"):
        Video.read(tmp_path / "uneven.mp4")
    assert len(Video.read(tmp_path / "uneven.mp4", rate=5)) in (10, 11)


def test_frames_are_sampled_at_the_times_they_are_shown() -> None:
    given = [Shot(np.full((1, 1, 4), place, np.uint8), place / 4, 1 / 4) for place in range(8)]
    for rate, wanted in ((4, list(range(8))), (2, [0, 2, 4, 6]), (8, [n // 2 for n in range(16)]), (0.5, [0])):
        assert [int(each[0, 0, 0]) for each in sampled(given, rate)] == wanted
    assert [int(each[0, 0, 0]) for each in sampled(given, 2, most=3)] == [0, 2, 4]
    rounded = [Shot(each.straight, round(each.begin, 1), each.seconds) for each in given]  # 0.25 is 0.2, 0.75 0.8
    assert [int(each[0, 0, 0]) for each in sampled(rounded, 4, slack=0.06)] == list(range(8))


def test_only_what_is_asked_for_is_decoded(tmp_path: Path) -> None:
    see_through(frames=40).save(tmp_path / "long.webm")
    reader = shots(tmp_path / "long.webm")
    assert next(reader).begin == 0 and 0.08 < next(reader).begin < 0.09
    reader.close()


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    see_through(frames=30).save(tmp_path / "walk.mp4")
    whole = (tmp_path / "walk.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("ffconcat version 1.0\nfile walk.mp4\n")
    (tmp_path / "empty.webm").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.webm")
    cases = {
        "cut.mp4": "cannot be read as video",
        "text.mp4": "cannot be read as video",
        "empty.webm": "cannot be read as video",
        "pipe.webm": "may have no end",
        "none.mp4": "no such file",
        ".": "may have no end",
    }
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason) as caught:
            Video.read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_file_of_sound_is_no_video(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "tone.ogg", np.zeros(2000), 16000)
    (tmp_path / "tone.ogg").rename(tmp_path / "tone.webm")
    with pytest.raises(InputError, match="holds no moving picture"):
        Video.read(tmp_path / "tone.webm")


def test_a_file_that_goes_on_for_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from text2x import video_files

    see_through(frames=12).save(tmp_path / "walk.webm")
    monkeypatch.setattr(video_files, "MAX_FRAMES", 10)
    with pytest.raises(InputError, match=r"more than 10 frames of 32 x 32 pixels.*shorten"):
        Video.read(tmp_path / "walk.webm")


def test_videos_are_resampled_cut_and_joined() -> None:
    video = circling(frames=12)
    slow = video.at_rate(6)
    assert (len(slow), slow.rate, slow.seconds) == (6, 6, video.seconds)
    assert np.array_equal(slow.frames, video.frames[::2])
    fast = video.at_rate(24)
    assert np.array_equal(fast.frames[::2], video.frames) and np.array_equal(fast.frames[1::2], video.frames)
    assert np.array_equal(video.at_rate(12).frames, video.frames)
    assert len(video.at_rate(0.5)) == 1
    assert np.array_equal(video.trim(0.25, 0.5).frames, video.frames[3:9])
    assert np.array_equal(video.trim(0.5).frames, video.frames[6:])
    assert np.array_equal(video.trim(0, 0.5).join(video.trim(0.5)).frames, video.frames)
    assert np.array_equal(video.join(slow).frames[12::2], slow.frames)
    assert np.array_equal(video.reverse().frames, video.frames[::-1])
    there_and_back = video.ping_pong()
    assert len(there_and_back) == 22 and there_and_back.loops
    assert np.array_equal(there_and_back.frames[12], video.frames[10])
    assert np.array_equal(there_and_back.frames[-1], video.frames[1])


def test_videos_are_resized_and_made_square() -> None:
    wide = Video(np.concatenate([circling(size=32).frames] * 2, axis=3), 12)
    assert (wide.width, wide.height) == (64, 32)
    middle = wide.square()
    assert (middle.width, middle.height) == (32, 32)
    assert np.array_equal(middle.frames, wide.frames[..., 16:48])
    padded = wide.square(pad=True)
    assert padded.frames.shape[2:] == (64, 64) and (padded.frames[:, :, :16] == -1).all()
    assert np.array_equal(padded.frames[:, :, 16:48], wide.frames)
    small = wide.resize(32, 16)
    assert np.array_equal(small.frames[3], Image(wide.frames[3]).resize(32, 16).pixels)
    assert (small.rate, small.loops) == (wide.rate, wide.loops)


def test_edits_that_make_no_sense_name_the_value() -> None:
    video = circling()
    with pytest.raises(InputError, match="no frame lies from 2 s on; the video takes 1.00 s"):
        video.trim(2)
    with pytest.raises(InputError, match="40 x 8 pixels from 0, 0 do not lie within 32 x 32"):
        video.crop(0, 0, 40, 8)
    with pytest.raises(InputError, match="32 x 32 and 16 x 16 pixels cannot be joined"):
        video.join(video.resize(16))
