"""Files appear whole or not at all; broken safetensors are told apart in one line."""

import os
from pathlib import Path

import pytest
import torch

from text2x.errors import InputError
from text2x.files import (
    check_tensors,
    file_hash,
    load_tensors,
    read_json,
    save_tensors,
    write_bytes,
    write_json,
    write_text,
    written_aside,
)


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "zwei ü")
    assert path.read_text("utf-8") == "zwei ü"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_bytes(path, b"old")
    with pytest.raises(KeyError), written_aside(path) as aside:
        assert aside.suffix == ".png"
        aside.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    write_text(tmp_path / "real", "one")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "two"


@pytest.mark.parametrize("name", ["folder", "file/inside", "zero\0byte", "x" * 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write .*; choose another place"):
        write_text(tmp_path / name, "text")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No space left"), written_aside(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"0" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_json_comes_back_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "ü", "values": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"name": "ü", "values": [1, 2.5, None]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_unreadable_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    for name, message in (("a.json", "not readable JSON"), ("b.json", "is missing"), (".", "cannot be read")):
        with pytest.raises(InputError, match=message):
            read_json(tmp_path / name)


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    whole = torch.randn(6, 4)
    tensors = {
        "whole": whole,
        "same": whole,
        "part": whole[2:4],
        "across": whole.T,
        "half": whole.half(),
        "count": torch.tensor(3),
        "none": torch.zeros(0, 5),
    }
    digest = save_tensors(tmp_path / "a.safetensors", tensors, {"made by": "a test"})
    assert digest == file_hash(tmp_path / "a.safetensors")
    loaded = load_tensors(tmp_path / "a.safetensors", digest)
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)


def broken(path: Path, fault: str) -> None:
    """Damage a safetensors file."""
    data = path.read_bytes()
    if fault == "gone":
        path.unlink()
        return
    header = int.from_bytes(data[:8], "little")
    damaged = {
        "empty": b"",
        "text": b"not a weight file at all, but some text",
        "header cut": data[: 8 + header // 2],
        "cut": data[:-1],
        "longer": data + b"\0",
        "header not JSON": data[:8] + b"x" * header + data[8 + header :],
        "wrong type": data.replace(b'"F32"', b'"X32"'),
    }
    path.write_bytes(damaged[fault])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gone", "is missing"),
        ("empty", "no safetensors file"),
        ("text", "no safetensors file"),
        ("header cut", "is cut off"),
        ("cut", "is cut off: .* bytes instead of"),
        ("longer", "is too long"),
        ("header not JSON", "its header is not readable"),
        ("wrong type", "no readable safetensors"),
    ],
)
def test_each_fault_of_a_weight_file_is_told_in_one_line(tmp_path: Path, fault: str, message: str) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"weight": torch.ones(4, 4)})
    check_tensors(path)
    broken(path, fault)
    with pytest.raises(InputError, match=message) as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_is_found_by_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = save_tensors(path, {"weight": torch.ones(4, 4)})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    load_tensors(path)
    with pytest.raises(InputError, match="its SHA-256 is"):
        load_tensors(path, digest)
