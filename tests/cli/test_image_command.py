"""`text2x image`: where pictures go, what prompts it takes, what files and JSON say."""

import dataclasses
import io
import json
import re
import sys
from pathlib import Path

import pytest
from painter import Painter, Run, files_in, paint

import text2x.cli.image
from text2x.media import Image, read_metadata
from text2x.requests import ImageRequest, OnStep, Progress, Result

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


def test_the_class_that_a_classifier_was_asked_for_is_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Guided(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            results = super().generate(request, on_step)
            return [dataclasses.replace(each, settings={**each.settings, "class": "red apple"}) for each in results]

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Guided())
    _, printed, _ = run("image", "apple", "--seed", 5)
    assert printed.splitlines()[0] == "out/apple.png  seed 5  class red apple"
    _, printed, _ = run("image", "apple", "--seed", 5, "--json")
    assert json.loads(printed)["classes"] == ["red apple"]
