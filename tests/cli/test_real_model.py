"""The command line and the library with a real model: a network with random weights in a model folder."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import text2x
from text2x.cli import main
from text2x.config import to_dict
from text2x.files import read_json, save_tensors, write_json
from text2x.media import Image, read_metadata
from text2x.recipe import Model, Stage, WeightFile, build_network
from text2x.recipes.running import recipe_for
from text2x.requests import Progress
from text2x.weights import pack

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model, called dots."""
    parent = tmp_path_factory.mktemp("models")
    recipe = recipe_for("debug")
    recipe = replace(recipe, sampling=replace(recipe.sampling, steps=3), network=replace(recipe.network, width=16))
    torch.manual_seed(0)
    state = {name: torch.randn_like(value) * 0.1 for name, value in build_network(recipe).state_dict().items()}
    sha256 = save_tensors(parent / "dots" / "base.safetensors", pack(state, "float16"))
    count = sum(value.numel() for value in state.values())
    weights = {"base.safetensors": WeightFile(sha256, "float16", count)}
    model = Model("dots", "Random dots.", "CC0-1.0", (Stage(recipe, "base.safetensors"),), weights, size=16)
    write_json(parent / "dots" / "recipe.json", to_dict(model))
    return parent


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXT2X_MODELS", str(models))


def test_the_command_makes_pictures_in_a_process_and_prints_one_object() -> None:
    command = [
        sys.executable,
        "-m",
        "text2x",
        "image",
        "a red dot",
        "-n",
        "2",
        "--seed",
        "7",
        "--model",
        "dots",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    assert values["files"] == ["out/a-red-dot-1.png", "out/a-red-dot-2.png"]
    assert (values["model"], values["seed"], values["warnings"]) == ("dots", 7, [])
    about = read_metadata("out/a-red-dot-2.png")
    assert (about["prompt"], about["seed"], about["model"], about["steps"]) == ("a red dot", 8, "dots", 3)


def test_one_seed_gives_the_same_bytes_alone_and_in_a_batch_with_any_number_of_threads() -> None:
    assert main(["image", "a red dot", "-n", "3", "--seed", "7", "--model", "dots", "-o", "batch.png"]) == 0
    assert main(["image", "a red dot", "--seed", "8", "--model", "dots", "-o", "alone.png", "--threads", "2"]) == 0
    assert Path("alone.png").read_bytes() == Path("batch-2.png").read_bytes()
    assert Path("batch-1.png").read_bytes() != Path("batch-2.png").read_bytes()


def test_what_the_file_says_makes_the_same_picture_again(models: Path) -> None:
    main(["image", "a dot", "--seed", "5", "--model", "dots", "--guidance", "3", "--steps", "2", "-o", "a.png"])
    about = read_metadata("a.png")
    fields = {name: value for name, value in about.items() if name not in ("model", "version")}
    again = text2x.load(models / about["model"]).generate(text2x.ImageRequest.from_dict(fields))
    assert np.array_equal(again[0].media.to_uint8(), Image.read("a.png").to_uint8())


def test_a_picture_in_one_line_of_python(models: Path) -> None:
    image = text2x.image("a red dot", model=models / "dots", seed=3, steps=2)
    assert image._repr_png_().startswith(b"\x89PNG")
    with pytest.warns(UserWarning, match="does not fit"):
        text2x.image("a red dot and " * 30, model=models / "dots", seed=3, steps=1)


def test_steps_and_estimates_are_reported(models: Path) -> None:
    seen: list[Progress] = []
    request = text2x.ImageRequest("a dot", seed=1, steps=3, count=2)
    text2x.load(models / "dots").generate(request, seen.append)
    assert [progress.items[0] for progress in seen if progress.step == progress.steps] == [0, 1]
    assert seen[-1].estimate()[0].width == 16


def failing(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that must fail and write nothing."""
    before = sorted(Path().rglob("*"))
    assert main(list(arguments)) == 2
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and printed.err.startswith("text2x: ")
    assert sorted(Path().rglob("*")) == before
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--sampler", "eulr"], "did you mean euler?"),
        (["--style", "oil"], "unknown style 'oil'; known: large, small"),
        (["--size", "4096"], "size is 4096"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_what_the_model_cannot_do_is_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert named in failing(capfd, "image", "a dot", "--model", "dots", *arguments)


def break_model(folder: Path, how: str) -> None:
    recipe = read_json(folder / "recipe.json")
    stage = recipe["stages"][0]["recipe"]
    weights = folder / "base.safetensors"
    if how == "missing weights":
        weights.unlink()
    elif how == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "changed":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    elif how == "another shape":
        stage["network"]["width"] = 32
    elif how == "another tensor":
        stage["network"]["multipliers"] = [1, 2, 2]
    elif how == "unknown field":
        stage["network"]["colour"] = "red"
    elif how == "wrong type":
        stage["size"] = "large"
    elif how == "no stages":
        recipe["stages"] = []
    elif how == "weights of another name":
        recipe["stages"][0]["weights"] = "other.safetensors"
    elif how == "foreign":
        recipe = {"_class_name": "StableDiffusionPipeline", "weights": recipe["weights"]}
    write_json(folder / "recipe.json", recipe)


BROKEN = [
    "missing weights", "cut off", "changed", "another shape", "another tensor", "unknown field", "wrong type",
    "no stages", "weights of another name", "foreign",
]  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_model_is_one_line_that_names_the_folder(
    capfd: pytest.CaptureFixture[str], models: Path, tmp_path: Path, how: str
) -> None:
    shutil.copytree(models / "dots", tmp_path / "broken")
    break_model(tmp_path / "broken", how)
    assert "broken" in failing(capfd, "image", "a dot", "--model", "./broken")
