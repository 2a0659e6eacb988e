"""One line on standard error and exit code 2 for what cannot be done, and no half-written file."""

import os
import stat
import sys
from pathlib import Path

import pytest
from painter import Painter, Run, files_in

import text2x.cli.image
from text2x.requests import ImageRequest, OnStep, Result

BAD = [
    (["image"], "no prompt"),
    (["image", ""], "empty"),
    (["image", "a\x07b"], "U+0007"),
    (["image", "a\x1b[2Jb"], "U+001B"),
    (["image", "a\udcff"], "Unicode"),
    (["image", "x" * 1_000_000], "1,000,000 characters"),
    (["image", "a", "--negative", "\x00"], "NUL"),
    (["image", "a", "--size", "0"], "8 to 4096"),
    (["image", "a", "--size", "99999999999"], "8 to 4096"),
    (["image", "a", "--size", "big"], "--size"),
    (["image", "a", "-n", "0"], "1 to 1000"),
    (["image", "a", "--seed", "-1"], "seed is -1"),
    (["image", "a", "--guidance", "nan"], "guidance 'nan' is not known"),
    (["image", "a", "--guidance", "cfg:99"], "the scale is 99"),
    (["image", "a", "--also", "hat::x"], "the weight 'x'"),
    (["image", "a", "--guidance-interval", "0.9", "0.1"], "low < high"),
    (["image", "a", "--style", "oil"], "unknown style 'oil'; known: plain"),
    (["image", "a", "--model", "emoij"], "did you mean emoji?"),
    (["image", "a", "--model", "\x1b]0;x\x07"], "unknown model"),
    (["image", "a", "--model", "./none"], "no model folder"),
    (["image", "a", "--colour", "red"], "--colour"),
    (["image", "a", "--format", "gif"], "png, webp or jpg"),
    (["image", "a", "-o", "a.gif"], "end the name in"),
    (["image", "a", "-o", "a.png", "--format", "jpg"], "disagree"),
    (["image", "a", "-o", "none/a.png"], "there is no folder none"),
    (["image", "a", "-o", "file/a.png"], "file is a file"),
    (["image", "a", "-o", "/proc/a.png"], "/proc"),
    (["image", "a", "-o", "-", "-n", "2"], "one picture"),
    (["image", "a", "-o", "-", "--json"], "nothing else"),
    (["image", "a", "--grid", "taken"], "names a file"),
    (["image", "a", "--prompts", "missing.txt"], "missing.txt"),
    (["image", "a", "--prompts", "taken"], "taken"),
    (["image", "--prompts", "/dev/zero"], "/dev/zero"),
    (["image", "a", "--threads", "0"], "threads is 0"),
    (["imag", "a"], "Did you mean 'image'"),
    (["models", "show", "emoj"], "did you mean emoji or emoji-gan?"),
    (["models", "show", "taken"], "recipe.json is missing"),
    (["data", "prepare", "emojis"], "did you mean emoji?"),
    (["data", "prepare", "folder"], "where the pictures are"),
    (["train", "debgu"], "did you mean debug?"),
    (["train", "debug", "--folder", "file"], "file is a file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "named"), BAD, ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else ""
)
def test_bad_input_is_one_line_on_standard_error_and_exit_code_2(
    run: Run, tmp_path: Path, arguments: list[str], named: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    before = files_in(tmp_path)
    code, printed, errors = run(*arguments)
    assert code == 2
    assert printed == ""
    assert errors.startswith("text2x: ") and errors.endswith("\n") and errors[:-1].isprintable()
    assert named in errors
    assert len(errors) < 400
    assert files_in(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_one_line_and_exit_code_2(run: Run) -> None:
    code, printed, errors = run("image", "a", "-o", "/dev/full")
    assert (code, printed) == (2, "")
    assert errors == "text2x: cannot write /dev/full: No space left on device; give another place with -o\n"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_said_before_any_work_is_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, errors = run("image", "a", "-o", "locked/a.png")
    assert code == 2 and "cannot be written to" in errors


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_fills_up_leaves_no_part_of_a_file(run: Run, tmp_path: Path) -> None:
    import resource
    import signal

    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))  # enough for the message
    try:
        code, _, errors = run("image", "a", "-o", "a.png", "--negative", "b" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert code == 2 and "cannot write" in errors and "a.png: File too large" in errors
    assert [path.name for path in tmp_path.iterdir()] == [".models"]


def test_an_interruption_is_exit_code_130_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            raise KeyboardInterrupt

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Interrupted())
    code, printed, errors = run("image", "a")
    assert (code, printed, errors) == (130, "", "text2x: interrupted\n")


def test_a_mistake_in_the_program_itself_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            raise ZeroDivisionError

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Broken())
    with pytest.raises(ZeroDivisionError):
        run("image", "a")
