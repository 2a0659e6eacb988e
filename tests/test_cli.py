"""The command line: files and names, what is printed where, and one line with exit code 2 for what cannot be done."""

import dataclasses
import io
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import text2x.cli.image
from text2x.cli import main
from text2x.cli.options import field_options
from text2x.cli.terminal import ProgressLine, TerminalPreview, half_blocks, seconds
from text2x.media import Image, read_metadata
from text2x.requests import ImageRequest, OnStep, Progress, Result, unknown

Run = Callable[..., tuple[int, str, str]]


class Painter:
    """A generator without a network: one colour a seed, in as many steps as are asked for."""

    def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
        if request.style not in (None, "plain"):
            raise unknown("style", request.style, ["plain"])
        seed = request.seeded().seed or 0
        steps = request.steps or 3
        results = []
        for item in range(request.count):
            image = paint(request.prompt, seed + item, request.size or 16)
            for step in range(steps if on_step is not None else 0):
                assert on_step is not None
                on_step(Progress(step + 1, steps, "base", (item,), lambda image=image: [image]))
            warnings = ("the style is ignored",) if request.style else ()
            results.append(Result(image, seed + item, warnings, {"base": 0.25}, {"steps": steps, "guidance": 1.0}))
        return results


def paint(prompt: str, seed: int, size: int) -> Image:
    """A half-transparent picture that depends on the prompt and the seed alone."""
    colours = np.random.default_rng([len(prompt), *prompt.encode(), seed]).integers(0, 256, 4, dtype=np.uint8)
    return Image.from_uint8(np.broadcast_to(colours | [0, 0, 0, 64], (size, size, 4)).astype(np.uint8))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder with a model called emoji; gives exit code, standard output and error."""
    models = tmp_path / ".models"
    (models / "emoji").mkdir(parents=True)
    (models / "emoji" / "recipe.json").write_text('{"name": "emoji", "summary": "Paints.", "licence": "CC0-1.0"}')
    monkeypatch.setenv("TEXT2X_MODELS", str(models))
    monkeypatch.setenv("TEXT2X_CACHE", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Painter())

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(each) for each in arguments])
        output = capfd.readouterr()
        return code, output.out, output.err

    return call


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("[!.]*")
        if ".models" not in path.parts and path.is_file()
    )


# Where pictures go


def test_a_picture_is_called_after_its_prompt_and_its_place_seed_and_time_are_printed(run: Run, tmp_path: Path) -> None:
    code, printed, errors = run("image", "a Red Apple!", "--seed", 5)
    assert (code, errors) == (0, "")
    assert files_in(tmp_path) == ["out/a-red-apple.png"]
    assert Image.read("out/a-red-apple.png").to_uint8().tolist() == paint("a Red Apple!", 5, 16).to_uint8().tolist()
    assert printed.splitlines()[0] == "out/a-red-apple.png  seed 5"
    assert re.fullmatch(
        r"1 picture of 16 x 16 pixels by emoji in [\d.]+ s, [\d.]+ s of it loading", printed.splitlines()[1]
    )


def test_a_seed_that_was_drawn_is_printed_and_gives_the_same_file_again(run: Run, tmp_path: Path) -> None:
    _, printed, _ = run("image", "apple", "-o", "a.png")
    seed = re.findall(r"seed (\d+)", printed)[0]
    run("image", "apple", "-o", "b.png", "--seed", seed)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    _, printed, _ = run("image", "apple", "-o", "c.png")
    assert re.findall(r"seed (\d+)", printed)[0] != seed


def test_several_pictures_are_numbered_and_each_has_the_next_seed(run: Run, tmp_path: Path) -> None:
    _, printed, _ = run("image", "apple", "-n", 3, "--seed", 7)
    assert files_in(tmp_path) == ["out/apple-1.png", "out/apple-2.png", "out/apple-3.png"]
    assert re.findall(r"seed (\d+)", printed) == ["7", "8", "9"]
    run("image", "apple", "--seed", 8, "-o", "alone.png")
    assert Path("alone.png").read_bytes() == Path("out/apple-2.png").read_bytes()


def test_many_pictures_are_written_while_the_rest_is_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tiring(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            if request.seed == 16:
                raise KeyboardInterrupt
            return super().generate(request)

    _, printed, _ = run("image", "apple", "-n", 20, "--seed", 0, "--size", 8)
    assert re.findall(r"seed (\d+)", printed) == [str(seed) for seed in range(20)]
    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Tiring())
    code, _, _ = run("image", "apple", "-n", 20, "--seed", 0, "--size", 8, "-o", "new/")
    assert code == 130 and len(files_in(tmp_path / "new")) == 16
    assert Path("new/apple-16.png").read_bytes() == Path("out/apple-16.png").read_bytes()


def test_another_picture_of_the_same_prompt_takes_a_free_number_and_the_same_one_its_old_name(
    run: Run, tmp_path: Path
) -> None:
    for seed in (1, 2, 1, 2, 3):
        run("image", "apple", "--seed", seed)
    assert files_in(tmp_path) == ["out/apple-2.png", "out/apple-3.png", "out/apple.png"]
    assert read_metadata("out/apple.png")["seed"] == 1 and read_metadata("out/apple-3.png")["seed"] == 3


def test_a_given_name_is_overwritten(run: Run, tmp_path: Path) -> None:
    for seed in (1, 2):
        run("image", "apple", "--seed", seed, "-o", "x.png")
    assert files_in(tmp_path) == ["x.png"] and read_metadata("x.png")["seed"] == 2


def test_writing_goes_through_a_link_and_keeps_it(run: Run) -> None:
    Path("real.png").write_bytes(b"old")
    Path("link.png").symlink_to("real.png")
    run("image", "apple", "--seed", 1, "-o", "link.png")
    assert Path("link.png").is_symlink() and read_metadata("real.png")["seed"] == 1


def test_a_given_name_is_numbered_for_several_pictures(run: Run, tmp_path: Path) -> None:
    run("image", "apple", "-n", 2, "-o", "x.webp")
    assert files_in(tmp_path) == ["x-1.webp", "x-2.webp"]


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_that_is_given_takes_the_pictures_and_is_made_if_need_be(run: Run, tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "here").mkdir()
    run("image", "apple", "-o", "here" if make else "here/")
    assert files_in(tmp_path) == ["here/apple.png"]


def test_a_name_without_an_ending_gets_that_of_the_format(run: Run, tmp_path: Path) -> None:
    run("image", "apple", "-o", "x")
    run("image", "apple", "-o", "y", "--format", "webp")
    run("image", "apple", "--format", "jpeg")
    assert files_in(tmp_path) == ["out/apple.jpg", "x.png", "y.webp"]
    assert Path("y.webp").read_bytes()[8:12] == b"WEBP" and Path("out/apple.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_picture_goes_to_standard_output_and_all_words_to_standard_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed))
    code, _, errors = run("image", "apple", "--seed", 1, "-o", "-", "--format", "webp")
    Path("x.webp").write_bytes(printed.getvalue())
    assert code == 0 and read_metadata("x.webp")["seed"] == 1
    assert "seed 1" in errors and files_in(Path()) == ["x.webp"]


# Prompts


def test_quoted_prompts_are_one_picture_each_and_unquoted_words_are_one_prompt(run: Run, tmp_path: Path) -> None:
    run("image", "a cat", "a dog", "bird")
    assert files_in(tmp_path) == ["out/a-cat-1.png", "out/a-dog-1.png", "out/bird-1.png"]
    run("image", "a", "red", "fox", "-o", "new/")
    assert files_in(tmp_path / "new") == ["a-red-fox.png"]


def test_prompts_come_from_a_file_and_from_standard_input_with_one_seed_for_all(run: Run, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("# fruit\na pear\n\na plum\n", encoding="utf-8")
    code, printed, _ = run("image", "--prompts", "prompts.txt")
    assert code == 0 and files_in(tmp_path / "out") == ["a-pear-1.png", "a-plum-1.png"]
    assert len(set(re.findall(r"seed (\d+)", printed))) == 1
    code, _, _ = run("image", "a fig", "--prompts", "-", "-o", "two/", stdin="a क\na fig".encode())
    assert code == 0 and files_in(tmp_path / "two") == ["a-fig-1.png", "a-fig-2.png", "a-क-1.png"]


def test_invisible_characters_are_taken_out_with_a_warning(run: Run) -> None:
    code, _, errors = run("image", "app\u200ble")
    assert code == 0 and errors == "text2x: warning: removed 1 control character (U+200B) from the prompt\n"
    assert read_metadata("out/apple.png")["prompt"] == "apple"


# What files and JSON say


@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_a_file_says_how_to_make_it_again(run: Run, kind: str) -> None:
    run("image", "apple", "--seed", 3, "-n", 2, "--negative", "pear", "--size", 32, "--format", kind)
    about = read_metadata(f"out/apple-2.{kind}")
    version = about.pop("version")
    assert re.fullmatch(r"\d+\.\d+.*", version)
    expected = {
        "prompt": "apple",
        "negative": "pear",
        "seed": 4,
        "model": "emoji",
        "steps": 3,
        "guidance": 1.0,
        "size": 32,
    }
    assert about == expected


def test_metadata_can_be_left_out(run: Run) -> None:
    run("image", "apple", "-o", "a.png", "--grid", "g.png", "--no-metadata")
    for name in ("a.png", "g.png"):
        assert read_metadata(name) == {} and b"apple" not in Path(name).read_bytes()


def test_json_is_one_object_on_standard_output_and_nothing_else(run: Run) -> None:
    code, printed, errors = run("image", "apple", "pie and cream", "-n", 2, "--seed", 7, "--style", "plain", "--json")
    values = json.loads(printed)
    assert code == 0 and errors == "" and printed.count("\n") == 1
    assert values["files"] == [
        "out/apple-1.png",
        "out/apple-2.png",
        "out/pie-and-cream-1.png",
        "out/pie-and-cream-2.png",
    ]
    assert (values["seed"], values["seeds"], values["model"]) == (7, [7, 8, 7, 8], "emoji")
    assert values["warnings"] == ["the style is ignored"]
    assert values["timings"]["base"] == 1.0
    assert {"load", "generate", "write", "total"} <= values["timings"].keys()
    assert all(Path(file).is_file() for file in values["files"])


def test_a_grid_shows_all_pictures_and_says_what_is_on_it(run: Run) -> None:
    _, printed, _ = run("image", "a cat", "a dog", "-n", 3, "--seed", 1, "--grid", "sheet.png")
    assert "sheet.png" in printed.splitlines()
    sheet = Image.read("sheet.png")
    assert sheet.width > sheet.height > 200
    about = read_metadata("sheet.png")
    assert about["prompt"] == "a cat | a dog" and about["seeds"] == [1, 2, 3, 1, 2, 3]


def test_a_preview_file_is_there_while_the_picture_is_made_and_not_after(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    class Watcher(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            assert on_step is not None
            on_step(Progress(1, 1, "base", (0,), lambda: [paint("x", 0, 16)]))
            seen.append(files_in(tmp_path))
            return super().generate(request)

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Watcher())
    run("image", "apple", "--preview")
    assert seen == [["out/apple.preview.png"]]
    assert files_in(tmp_path) == ["out/apple.png"]


# Bad input

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
    (["image", "a", "--guidance", "nan"], "guidance is nan"),
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
    (["models", "show", "emoj"], "did you mean emoji?"),
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


# Models


def test_models_are_listed_and_shown(run: Run) -> None:
    code, printed, _ = run("models")
    assert code == 0 and re.search(r"^emoji +\d+\.\d MiB +CC0-1\.0 +Paints\.$", printed, re.MULTILINE)
    code, printed, _ = run("models", "show", "emoji")
    assert code == 0 and "CC0-1.0" in printed and "Paints." in printed
    code, printed, _ = run("models", "--json")
    assert "emoji" in [each["name"] for each in json.loads(printed)]
    code, printed, _ = run("models", "show", "emoji", "--json")
    assert json.loads(printed)["recipe"]["licence"] == "CC0-1.0"


def test_samplers_are_listed_with_a_line_each(run: Run) -> None:
    from text2x.diffusion.samplers import SAMPLERS

    _, printed, _ = run("samplers")
    assert [line.split()[0] for line in printed.splitlines()] == list(SAMPLERS)
    assert all(len(line.split()) > 3 for line in printed.splitlines())


def test_data_sets_and_recipes_are_listed(run: Run) -> None:
    from text2x.data import DATASETS
    from text2x.recipes import RECIPES

    _, printed, _ = run("data")
    assert all(name in printed for name in DATASETS)
    _, printed, _ = run("train")
    assert [line.split()[0] for line in printed.splitlines()] == list(RECIPES)


# Flags


def test_every_field_of_a_request_has_its_flags_and_help() -> None:
    options = field_options(ImageRequest)
    for field in dataclasses.fields(ImageRequest):
        if field.name == "prompt":
            continue
        option = options[field.name].annotation.__metadata__[0]
        assert (option.default, *(option.param_decls or ())) == field.metadata["flags"]
        assert option.help.startswith(field.metadata["help"])
        assert options[field.name].default == field.default


# As a process


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "text2x", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


@pytest.mark.medium
def test_help_and_version_come_quickly_from_a_process() -> None:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        done = process("--help")
        times.append(time.perf_counter() - begin)
        assert done.returncode == 0 and "image" in done.stdout
    assert min(times) < 1.0  # 0.35 s on an idle machine; tests may share theirs
    assert re.fullmatch(r"text2x \d+\.\d+.*\n", process("--version").stdout)


def test_errors_of_a_process_have_exit_code_2_and_no_traceback() -> None:
    done = process("image", "a", "--size", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "text2x: size is 0; it must be a whole number from 8 to 4096\n"


@pytest.mark.medium
def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m text2x image --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.medium
def test_completion_of_a_shell_is_offered() -> None:
    done = process(
        env={**os.environ, "_TEXT2X_COMPLETE": "complete_bash", "COMP_WORDS": "text2x im", "COMP_CWORD": "1"}
    )
    assert done.stdout.strip() == "image"


# The terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_half_blocks_have_two_pixels_a_character_and_leave_transparent_ones_empty() -> None:
    straight = np.zeros((4, 2, 4), dtype=np.uint8)
    straight[0, 0] = straight[3, 1] = (255, 0, 0, 255)
    straight[2:, 0] = (0, 0, 255, 255)
    first, second = half_blocks(Image.from_uint8(straight))
    assert first == "\x1b[0m\x1b[38;2;255;0;0m▀\x1b[0m \x1b[0m"
    assert second == "\x1b[38;2;0;0;255m\x1b[48;2;0;0;255m▀\x1b[0m\x1b[38;2;255;0;0m▄\x1b[0m"


def test_a_large_picture_is_drawn_small_enough_and_over_the_last_one() -> None:
    terminal = Terminal()
    preview = TerminalPreview(terminal, columns=10)
    preview(paint("x", 0, 100))
    rows = terminal.getvalue().count("\n")
    assert rows == 5
    preview(paint("x", 1, 100))
    assert f"\x1b[{rows}A" in terminal.getvalue()


def test_progress_is_one_line_in_a_terminal_and_silent_elsewhere() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        line = ProgressLine(4, stream)
        line(Progress(5, 10, "base", (1,), list))
        line(Progress(10, 10, "base", (1,), list))
        line.clear()
    assert file.getvalue() == ""
    assert "picture 2 of 4, base 5/10" in terminal.getvalue() and "base 10/10" in terminal.getvalue()
    terminal_line = ProgressLine(4, terminal)
    terminal_line.before = 3
    terminal_line(Progress(1, 1, "base", (0,), list))
    assert "picture 4 of 4" in terminal.getvalue()
    terminal_line.clear()
    assert "\n" not in terminal.getvalue() and terminal.getvalue().endswith("\x1b[K")


def test_durations_are_written_as_a_person_reads_them() -> None:
    assert [seconds(value) for value in (0.123, 12.34, 125)] == ["0.12 s", "12.3 s", "2 min 05 s"]


# Data


def test_a_folder_of_pictures_is_prepared_and_listed_and_what_is_unreadable_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("apple", "pear"):
        paint(name, 0, 16).save(tmp_path / "mine" / f"{name}.png")
        (tmp_path / "mine" / f"{name}.txt").write_text(f"a {name}\n")
    (tmp_path / "mine" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "mine" / "bad.txt").write_text("a plum\n")
    code, printed, errors = run("data", "prepare", "folder", "mine", "--name", "fruit", "--size", 16)
    assert code == 0
    assert printed.startswith(f"{tmp_path / '.cache' / 'fruit'}\n2 pictures of 2 concepts in 1 style, 1 left out, in ")
    assert len(errors.splitlines()) == 1 and "bad.png" in errors
    _, printed, _ = run("data")
    assert "fruit" in printed and str(tmp_path / ".cache" / "fruit") in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["emoji", "--fit", "crop"], "--fit means nothing for emoji"),
        (["folder", "mine", "--style", "noto"], "--style means nothing for folder"),
        (["folder", "mine", "--fit", "bend"], "pad or crop"),
        (["folder", "none"], "none is no folder"),
        (["folder", "mine", "--size", "2"], "size 2"),
        (["folder", "mine", "--name", "../x"], "'../x'"),
        (["folder", "mine"], "no usable picture"),
    ],
)
def test_data_that_cannot_be_prepared_is_one_line(run: Run, tmp_path: Path, arguments: list[str], named: str) -> None:
    (tmp_path / "mine").mkdir()
    code, printed, errors = run("data", "prepare", *arguments)
    assert (code, printed) == (2, "")
    assert named in errors and errors.count("\n") == 1
    assert not (tmp_path / ".cache").exists() or not files_in(tmp_path / ".cache")
