"""`text2x video`: where clips go, what files and JSON say, what is given, stopping; all is noise."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painter import Run, files_in

import text2x
import text2x.cli.video
from text2x.library import shipped_folder
from text2x.media import Image
from text2x.moving import Video, read_metadata
from text2x.requests import OnStep, Progress, Result
from text2x.video_requests import VideoRequest
from tiny_videos import SIZE, clip, write_videos

pytestmark = pytest.mark.medium

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def film(run: Run, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with a model called noise, the only one of clips: with the package has come emoji alone."""
    shipped = tmp_path_factory.mktemp("shipped")
    (shipped / "emoji").symlink_to(shipped_folder() / "emoji")
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: shipped)
    write_videos(tmp_path / ".models" / "noise")
    return run


def written(path: str) -> np.ndarray:
    return Video.read(path).frames


def test_a_clip_is_called_after_its_prompt_and_time_and_memory_are_told_before(film: Run, tmp_path: Path) -> None:
    code, printed, errors = film("video", "a red ball", "--seed", 5)
    assert code == 0 and re.fullmatch(r"about [\d.]+ s and [\d.]+ MiB of memory\n", errors)
    assert files_in(tmp_path) == ["out/a-red-ball.webp"]
    first, second = printed.splitlines()
    assert first == "out/a-red-ball.webp  seed 5"
    assert re.match(r"1 clip of 6 frames of 8 x 8 pixels, 0.50 s, by noise in [\d.]+ s, [\d.]+ s of it load", second)
    made = Video.read("out/a-red-ball.webp")
    assert len(made) == 6 and made.rate == pytest.approx(12, abs=0.1)


def test_several_have_seeds_of_their_own_and_each_is_made_again_by_its_seed(film: Run, tmp_path: Path) -> None:
    code, printed, errors = film("video", "ball", "-n", 2, "--seed", 5, "--json", "--loop")
    told = json.loads(printed)
    assert code == 0 and told["files"] == ["out/ball-1.webp", "out/ball-2.webp"] and errors == ""
    assert told["seeds"] == [5, 6] and told["frames"] == 6 and told["size"] == [8, 8]
    assert told["estimate"]["seconds"] > 0 and told["settings"]["loop"] is True
    film("video", "ball", "--seed", 6, "--loop", "-o", "again.webp")
    assert Path("again.webp").read_bytes() == Path("out/ball-2.webp").read_bytes()
    assert len(files_in(tmp_path)) == 3


@pytest.mark.parametrize("format", ["webp", "png", "gif", "mp4", "webm"])
def test_every_format_is_written_and_says_what_it_was_made_of(film: Run, format: str) -> None:
    code, _, errors = film("video", "ball", "--seed", 4, "--steps", 2, "--motion", 7, "-o", f"x.{format}")
    assert code == 0
    assert ("MP4 holds no transparency: the video lies on a background" in errors) == (format == "mp4")
    assert ("GIF has 255 colours" in errors) == (format == "gif")
    assert len(Video.read(f"x.{format}", 12)) == 6
    told = read_metadata(f"x.{format}")
    asked = {"prompt": "ball", "seed": 4, "steps": 2, "motion": 7.0, "model": "noise", "frames": 6}
    assert {name: told[name] for name in asked} == asked


def test_without_metadata_a_file_says_nothing(film: Run) -> None:
    film("video", "ball", "--no-metadata", "-o", "x.webp")
    assert not read_metadata("x.webp")


# What is given


def test_pictures_begin_and_end_a_clip(film: Run) -> None:
    first, last = clip(1).pictures()[0], clip(1, seed=1).pictures()[0]
    first.save("a.png")
    last.save("b.png")
    code, printed, _ = film("video", "--image", "a.png", "--seed", 1)
    assert code == 0 and printed.startswith("out/a.webp")  # without a prompt it is called after the picture
    assert np.array_equal(written("out/a.webp")[0], first.pixels)
    assert film("video", "ball", "--between", "a.png", "b.png", "-o", "c.webp")[0] == 0
    whole = written("c.webp")
    assert np.array_equal(whole[0], first.pixels) and np.array_equal(whole[-1], last.pixels)
    assert read_metadata("c.webp")["image"] == "a.png"
    code, _, errors = film("video", "--between", "a.png", "b.png", "--image", "a.png")
    assert code == 2 and "--between has both pictures; leave --image out" in errors


def test_a_clip_goes_on_is_made_anew_and_is_painted_into(film: Run) -> None:
    given = clip(6)
    given.save("old.webp")
    assert film("video", "--extend", "old.webp", "--frames", 4, "-o", "longer.webp")[0] == 0
    assert np.array_equal(written("longer.webp")[:6], given.frames) and len(written("longer.webp")) == 10
    assert film("video", "ball", "--video", "old.webp", "--strength", 0.6, "-o", "other.webp")[0] == 0
    assert len(written("other.webp")) == 6
    assert film("video", "ball", "--video", "old.webp", "--mask", "0,0,8,4", "-o", "part.webp")[0] == 0
    assert np.array_equal(written("part.webp")[:, :, 4:], given.frames[:, :, 4:])
    assert not np.array_equal(written("part.webp")[:, :, :4], given.frames[:, :, :4])


def test_a_clip_gets_frames_between_its_own(film: Run) -> None:
    given = clip(3, rate=10.0)
    given.save("old.webp")
    code, printed, errors = film("video", "--interpolate", "old.webp", "--fps", 20, "--steps", 1)
    assert code == 0 and "warning" not in errors and printed.startswith("out/old.webp")
    assert np.array_equal(written("out/old.webp")[::2], given.frames) and len(written("out/old.webp")) == 5
    told = read_metadata("out/old.webp")
    assert (told["interpolate"], told["fps"], told["frames"]) == ("old.webp", 20, 5)
    code, _, errors = film("video", "--interpolate", "old.webp")
    assert code == 2 and "interpolate needs how many frames there are to be in all, or a rate" in errors
    frames = [each.to_pil() for each in given.pictures()]
    frames[0].save("uneven.webp", save_all=True, append_images=frames[1:], duration=[40, 900, 40], lossless=True)
    code, _, errors = film("video", "--interpolate", "uneven.webp", "--fps", 30)
    assert code == 2 and "uneven.webp shows its frames for unequal times; save it at one rate before" in errors


def test_models_of_other_shapes_take_width_and_height(film: Run, tmp_path: Path) -> None:
    write_videos(tmp_path / ".models" / "shapes", "shapes")
    code, printed, _ = film("video", "ball", "--model", "shapes", "--size", "16x8", "--json", "--steps", 1)
    told = json.loads(printed)
    assert code == 0 and told["size"] == [16, 8] and told["settings"]["size"] == "16x8"
    code, _, errors = film("video", "ball", "--size", "16x8")
    assert code == 2 and "size is 16x8; the model noise makes square clips only: give one number, as 8" in errors


def test_a_picture_of_another_shape_is_shown_whole_with_a_warning(film: Run) -> None:
    Image(np.zeros((4, 20, 30), np.float32)).save("wide.png")
    code, _, errors = film("video", "--image", "wide.png", "-o", "x.webp")
    assert code == 0 and "the picture of 30 x 20 pixels is shown at 8 x 8, bars of nothing beside it" in errors


# Stopping, and what is seen on the way


class Halting:
    """A generator that is interrupted at the second step of its second clip."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def estimate(self, request: VideoRequest) -> Any:
        return self.real.estimate(request)

    def generate(self, request: VideoRequest, on_step: OnStep) -> list[Result]:
        def tell(progress: Progress) -> None:
            on_step(progress)
            if request.seed == 6 and progress.step == 2:
                raise KeyboardInterrupt

        return self.real.generate(request, tell)


def test_an_interruption_keeps_whole_clips_and_what_there_is_of_the_next(
    film: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = text2x.cli.video.load_video
    monkeypatch.setattr(text2x.cli.video, "load_video", lambda *given: Halting(load(*given)))
    code, printed, errors = film("video", "ball", "-n", 3, "--seed", 5)
    assert code == 130 and files_in(tmp_path) == ["out/ball-1.webp", "out/ball-2.webp"]
    assert "the clip was not done (frames 1 to 6, step 2 of 3): the file holds the estimate by then" in errors
    assert re.findall(r"seed (\d)", printed) == ["5", "6"]
    assert read_metadata("out/ball-2.webp")["interrupted"] == "frames 1 to 6, step 2 of 3"
    assert len(written("out/ball-2.webp")) == 6


def test_a_preview_is_there_until_the_clip_is(film: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    write = text2x.cli.video.out.write
    monkeypatch.setattr(
        text2x.cli.video.out, "write", lambda path, data: (seen.append(path.name.encode()), write(path, data))
    )
    assert film("video", "ball", "--preview", "-o", "x.mp4")[0] == 0
    assert seen == [b"x.preview.webp"] * 3 + [b"x.mp4"] and files_in(tmp_path) == ["x.mp4"]


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ball", "--frames", "0"], "frames is 0; it must be a whole number from 2 to 240"),
        (["ball", "--frames", "10000"], "frames is 10000"),
        (["ball", "--size", "9"], "size is 9; the model noise makes clips of at most 8 pixels"),
        (["ball", "--size", "1000000"], "size is 1000000"),
        (["ball", "--image", "none.png"], "none.png"),
        (["ball", "--extend", "text.webp"], "text.webp"),
        (["ball", "--extend", "uneven.webp"], "uneven.webp"),
        (["ball", "--loop", "--frames", "12"], "loops of the model noise have at most 6"),
        (["ball", "--model", "nowhere"], "unknown model 'nowhere'"),
        (["ball", "--model", "emoji"], "emoji makes no moving pictures; take --model noise"),
        (["ball", "-o", "ball.avi"], "end the name in .webp, .png, .gif, .mp4, .webm"),
        (["ball", "-o", "ball.png", "--format", "gif"], "disagree"),
        (["ball", "-n", "2", "-o", "-"], "- takes one clip and nothing else"),
        ([], "the prompt is empty"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_written(
    film: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    Path("text.webp").write_text("no clip")
    frames = [each.to_pil() for each in clip(3).pictures()]
    frames[0].save("uneven.webp", save_all=True, append_images=frames[1:], duration=[40, 900, 40], lossless=True)
    code, printed, errors = film("video", *arguments)
    assert (code, printed) == (2, "") and files_in(tmp_path) == ["text.webp", "uneven.webp"]
    assert message in errors and errors.count("\n") == 1


def test_rates_that_a_model_or_a_format_does_not_know_are_warned_of(film: Run) -> None:
    code, _, errors = film("video", "ball", "--fps", 48, "-o", "x.gif")
    assert code == 0 and "48 frames/s were never seen in training" in errors and "unequal times" in errors


def test_invisible_characters_are_taken_out_with_a_warning(film: Run) -> None:
    code, _, errors = film("video", "ba\u200bll", "-o", "x.webp")
    assert code == 0 and "removed 1 control character (U+200B) from the prompt" in errors
    assert read_metadata("x.webp")["prompt"] == "ball"


def test_a_model_is_described(film: Run) -> None:
    code, printed, _ = film("models", "show", "noise")
    assert code == 0 and "unet: VideoUNetConfig at 8 pixels" in printed and "frames 6" in printed


def test_without_a_model_the_way_to_one_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / "nothing")
    code, _, errors = run("video", "ball")
    assert code == 2
    assert "there is no model of moving pictures yet: `text2x train make-a-video` makes one" in errors
    assert "--model runs/make-a-video" in errors


# Python and documentation


def test_in_python_a_call_gives_the_clip(film: Run, tmp_path: Path) -> None:
    folder = tmp_path / ".models" / "noise"
    made = text2x.video("ball", model=folder, seed=4)
    assert isinstance(made, Video) and made.frames.shape == (6, 4, SIZE, SIZE)
    again: Any = text2x.load(folder)
    assert np.array_equal(again.generate(text2x.VideoRequest("ball", seed=4))[0].media.frames, made.frames)
    with pytest.warns(UserWarning, match="48 frames/s were never seen"):
        text2x.video("ball", model=folder, seed=4, fps=48)


def test_every_field_has_a_flag_and_a_line_in_the_documentation(run: Run) -> None:
    page = (ROOT / "docs" / "video.md").read_text("utf-8")
    flags = [flag for field in dataclasses.fields(VideoRequest) for flag in field.metadata["flags"]]
    for flag in (*flags, "--between", "--preview", "--json", "--format", "--no-metadata", "--device", "--threads"):
        for name in flag.split("/"):
            assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(name)}(?![\w-])[^`\n]*`", page), f"docs lack {name}"
