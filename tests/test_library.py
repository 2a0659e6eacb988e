"""Model folders: what is found by name, and a one-line error for each way in which a folder can be broken."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from text2x.errors import InputError
from text2x.library import check_weights, info, load, models, read_recipe, resolve_device

CARD = """---
license: CC-BY-4.0
---
# Pears

Draws pears. It draws nothing else.
"""


def make_model(parent: Path, name: str = "pear") -> Path:
    """A folder in which everything but the network is as it should be."""
    folder = parent / name
    folder.mkdir(parents=True)
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.int8)}, folder / "base.safetensors")
    digest = hashlib.sha256((folder / "base.safetensors").read_bytes()).hexdigest()
    write_recipe(folder, {"name": name, "weights": {"base.safetensors": {"sha256": digest}}})
    (folder / "README.md").write_text(CARD)
    return folder


def write_recipe(folder: Path, recipe: object) -> None:
    (folder / "recipe.json").write_text(json.dumps(recipe))


def test_a_model_is_found_by_name_and_by_folder(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    for found in (info("pear", tmp_path), info(folder), info(str(folder))):
        assert (found.name, found.folder, found.shipped, found.problem) == ("pear", folder, False, None)
        assert (found.licence, found.summary) == ("CC-BY-4.0", "Draws pears.")
        assert found.num_bytes == sum(path.stat().st_size for path in folder.iterdir())
        assert found.card == CARD


def test_what_the_recipe_says_of_licence_and_purpose_comes_before_the_card(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    write_recipe(folder, {"licence": "MIT", "summary": "Pears."})
    assert (info(folder).licence, info(folder).summary) == ("MIT", "Pears.")
    (folder / "README.md").unlink()
    write_recipe(folder, {})
    assert (info(folder).licence, info(folder).summary, info(folder).card) == ("unknown", "", "")


def test_all_models_are_listed_and_broken_ones_with_their_problem(tmp_path: Path) -> None:
    make_model(tmp_path, "pear")
    (make_model(tmp_path, "apple") / "recipe.json").write_text("{")
    (tmp_path / "no-model").mkdir()
    own = [found for found in models(tmp_path) if not found.shipped]
    assert [found.name for found in own] == ["apple", "pear"]
    assert own[0].problem is not None and "JSON" in own[0].problem
    assert own[1].problem is None


def test_an_unknown_name_is_answered_with_its_neighbours(tmp_path: Path) -> None:
    make_model(tmp_path)
    with pytest.raises(InputError, match="unknown model 'paer'; did you mean pear"):
        load("paer", folder=tmp_path)


def test_a_whole_folder_passes(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    check_weights(folder, read_recipe(folder))


def break_folder(folder: Path, how: str) -> None:
    weights, recipe = folder / "base.safetensors", json.loads((folder / "recipe.json").read_text())
    whole = weights.read_bytes()
    if how == "no recipe":
        (folder / "recipe.json").unlink()
    elif how == "diffusers":
        (folder / "recipe.json").rename(folder / "model_index.json")
    elif how == "recipe cut off":
        (folder / "recipe.json").write_text(json.dumps(recipe)[:-5])
    elif how == "recipe binary":
        (folder / "recipe.json").write_bytes(b"\xff\xfe\x00")
    elif how == "recipe deep":
        (folder / "recipe.json").write_text("[" * 100_000)
    elif how == "recipe a list":
        write_recipe(folder, [recipe])
    elif how == "no weights named":
        write_recipe(folder, {"name": "pear"})
    elif how == "weights a list":
        write_recipe(folder, {**recipe, "weights": ["base.safetensors"]})
    elif how == "weights missing":
        weights.unlink()
    elif how == "weights empty":
        weights.write_bytes(b"")
    elif how == "weights a few bytes":
        weights.write_bytes(whole[:5])
    elif how == "header cut off":
        weights.write_bytes(whole[:40])
    elif how == "weights cut off":
        weights.write_bytes(whole[:-1])
    elif how == "weights too long":
        weights.write_bytes(whole + b"\0")
    elif how == "weights no safetensors":
        weights.write_bytes(b"PK\x03\x04" + bytes(1000))
    elif how == "header no object":
        weights.write_bytes((9).to_bytes(8, "little") + b"[1, 2, 3]")
    elif how == "header without offsets":
        weights.write_bytes((9).to_bytes(8, "little") + b'{"a": {}}')
    elif how == "weights changed":
        weights.write_bytes(whole[:-1] + b"\x01")
    elif how == "weights outside":
        write_recipe(folder, {**recipe, "weights": {"../other.safetensors": {}}})
    elif how == "weights absolute":
        write_recipe(folder, {**recipe, "weights": {"/etc/other.safetensors": {}}})
    elif how == "weights a pickle":
        write_recipe(folder, {**recipe, "weights": {"base.bin": {}}})


BROKEN = {
    "no recipe": "recipe.json is missing", "diffusers": "looks like a diffusers model", "recipe cut off": "JSON",
    "recipe binary": "JSON", "recipe deep": "JSON", "recipe a list": "object", "no weights named": "names none",
    "weights a list": "names none", "weights missing": "lacks the file base", "weights empty": "no safetensors",
    "weights a few bytes": "no safetensors", "header cut off": "cut off", "weights cut off": "cut off",
    "weights too long": "too long", "weights no safetensors": "safetensors", "header no object": "header",
    "header without offsets": "header", "weights changed": "SHA-256", "weights outside": "inside",
    "weights absolute": "inside", "weights a pickle": "inside",
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_folder_is_one_line_that_says_what_is_wrong(tmp_path: Path, how: str) -> None:
    folder = make_model(tmp_path)
    break_folder(folder, how)
    with pytest.raises(InputError) as caught:
        load(folder)
    message = str(caught.value)
    assert BROKEN[how] in message and str(folder) in message
    assert message.isprintable()


def test_the_weights_of_a_training_run_are_its_averages(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    write_recipe(folder, {"name": "pear"})
    (folder / "averages").mkdir()
    (folder / "base.safetensors").rename(folder / "averages" / "0.99.safetensors")
    check_weights(folder, read_recipe(folder))
    path = folder / "averages" / "0.99.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut off"):
        check_weights(folder, read_recipe(folder))


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "", "cpu:1"])
def test_a_device_that_is_not_there_is_an_input_error(device: str) -> None:
    with pytest.raises(InputError):
        resolve_device(device)
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
