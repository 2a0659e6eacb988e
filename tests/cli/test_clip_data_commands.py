"""`text2x data prepare video-folder` and animated-emoji: what is made, said and refused."""

from pathlib import Path

import pytest
from painter import Run, files_in

from moving_discs import circling, disc
from text2x.data import load_clips

pytest.importorskip("cv2")


def test_a_folder_of_videos_is_prepared_and_listed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("ball", "wheel"):
        circling().save(tmp_path / "mine" / f"{name}.webp")
        (tmp_path / "mine" / f"{name}.txt").write_text(f"a {name}\n")
    disc(lambda t: (16, 16)).save(tmp_path / "mine" / "rock.webp")
    (tmp_path / "mine" / "rock.txt").write_text("a rock\n")
    (tmp_path / "mine" / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "mine" / "bad.txt").write_text("a plum\n")
    options = ["--name", "toys", "--size", 16, "--fps", 6, "--frames", 4, "--fit", "crop"]
    code, printed, errors = run("data", "prepare", "video-folder", "mine", *options)
    assert code == 0
    folder = tmp_path / ".cache" / "toys"
    assert printed.startswith(f"{folder}\n2 clips of 2 concepts, 8 frames; 1 stand still, 1 left out, in ")
    assert "bad.mp4" in errors and "first 4 frames" in errors
    assert [item.frames for item in load_clips(folder).items] == [4, 4]
    _, printed, _ = run("data")
    assert f"toys            your own moving pictures\n                {folder}\n" in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["emoji", "--fps", "8"], "--fps means nothing for emoji"),
        (["emoji", "--skin-tones"], "--skin-tones means nothing for emoji"),
        (["folder", "mine", "--frames", "8"], "--frames means nothing for folder"),
        (["animated-emoji", "--style", "noto"], "--style means nothing for animated-emoji"),
        (["animated-emoji", "mine"], "DIR means nothing for animated-emoji"),
        (["animated-emoji", "--packages", "mine"], "mine holds no"),
        (["animated-emoji", "--fps", "0"], "rate is 0"),
        (["video-folder", "mine", "--packages", "mine"], "--packages means nothing for video-folder"),
        (["video-folder"], "say where the videos are"),
        (["video-folder", "mine", "--frames", "1"], "1 frames a clip are too few"),
        (["video-folder", "mine"], "no usable video"),
        (["video-foldr", "mine"], "video-folder"),
    ],
)
def test_clips_that_cannot_be_prepared_are_one_line(run: Run, tmp_path: Path, arguments: list[str], named: str) -> None:
    (tmp_path / "mine").mkdir()
    code, printed, errors = run("data", "prepare", *arguments)
    assert (code, printed) == (2, "")
    assert named in errors and errors.count("\n") == 1
    assert not (tmp_path / ".cache").exists() or not files_in(tmp_path / ".cache")
