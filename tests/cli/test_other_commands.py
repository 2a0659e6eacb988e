"""The other commands, the flags, and the command as a process."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from painter import Run, files_in, paint

from text2x.cli.models import describe
from text2x.cli.options import field_options
from text2x.requests import ImageRequest

# Models


def test_what_a_model_takes_from_others_is_shown() -> None:
    prior = {"recipe": {"name": "dalle2-prior"}, "weights": "dalle2-prior.safetensors"}
    told = dict(describe({"upsampler": "emoji", "clip": "emoji-clip", "prior": prior}))
    assert told["enlarged"] == "by the upsamplers of emoji" and told["clip"] == "that of emoji-clip"
    assert told["prior"] == "dalle2-prior, in this folder"
    assert not describe({"upsampler": None, "clip": None})


def test_models_are_listed_and_shown(run: Run) -> None:
    code, printed, _ = run("models")
    assert code == 0 and re.search(r"^mine +\d+\.\d MiB +CC0-1\.0 +Paints\.$", printed, re.MULTILINE)
    assert re.search(r"^emoji +\d+\.\d MiB +CC-BY-4\.0 +Small", printed, re.MULTILINE)
    code, printed, _ = run("models", "show", "mine")
    assert code == 0 and "CC0-1.0" in printed and "Paints." in printed
    code, printed, _ = run("models", "--json")
    names = [each["name"] for each in json.loads(printed)]
    assert names[0] == "emoji" and names[-1] == "mine"  # the shipped ones first
    code, printed, _ = run("models", "show", "mine", "--json")
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


# Flags


def test_every_field_of_a_request_has_its_flags_and_help() -> None:
    options = field_options(ImageRequest)
    for field in dataclasses.fields(ImageRequest):
        if field.name in ("prompt", "edit"):  # an argument, and what other commands make
            assert field.name not in options
            continue
        option = options[field.name].annotation.__metadata__[0]
        assert (option.default, *(option.param_decls or ())) == field.metadata["flags"]
        assert option.help.startswith(field.metadata["help"])
        assert options[field.name].default == (field.default or None if field.name == "also" else field.default)


# As a process


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "text2x", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


@pytest.mark.medium
def test_help_and_version_come_quickly_from_a_process() -> None:
    times = []
    for _ in range(3):
        before = os.times()
        done = process("--help")
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        times.append(spent)  # seconds of a core, which a busy machine does not lengthen as it does the wall clock's
        assert done.returncode == 0 and "image" in done.stdout
    assert min(times) < 1.0  # 0.35 s on an idle machine
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
