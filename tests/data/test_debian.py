from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from text2x.data.debian import (
    HEADER,
    MAGIC,
    DebianPackage,
    contents,
    fetch_debian,
    fetch_programs,
    read_member,
    unpack,
)
from text2x.errors import InputError


def member(name: str, data: bytes) -> bytes:
    """One file of an ar archive."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    assert len(header) == HEADER
    return header + data + b"\n" * (len(data) % 2)


def deb(files: dict[str, bytes], kind: str = "xz", links: dict[str, str] | None = None) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{kind}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    control = member("debian-binary", b"2.0\n") + member("control.tar.xz", b"odd")
    return MAGIC + control + member(f"data.tar.{kind}", data.getvalue())


@pytest.fixture
def package(tmp_path: Path) -> DebianPackage:
    content = deb({"usr/share/words.txt": b"hello", "usr/share/more.txt": b"more"})
    made = DebianPackage("tiny-words", "1:2.0-1", hashlib.sha256(content).hexdigest())
    (tmp_path / made.file_name).write_bytes(content)
    return made


def test_a_package_is_named_as_apt_names_it(package: DebianPackage):
    assert package.file_name == "tiny-words_1%3a2.0-1_all.deb"


@pytest.mark.parametrize("kind", ["xz", "gz"])
def test_files_are_read_out_of_a_package_in_place(tmp_path: Path, kind: str):
    path = tmp_path / "a.deb"
    path.write_bytes(deb({"usr/share/words.txt": b"hello"}, kind))
    with contents(path) as archive:
        assert read_member(archive, "usr/share/words.txt") == b"hello"
        with pytest.raises(InputError, match="holds no usr/other"):
            read_member(archive, "usr/other")


def test_a_package_is_taken_from_the_given_folder_or_the_cache(tmp_path: Path, package: DebianPackage):
    path = tmp_path / package.file_name
    assert fetch_debian(package, tmp_path / "empty", tmp_path) == path
    assert fetch_debian(package, tmp_path) == path
    with pytest.raises(InputError, match=r"holds no tiny-words_1%3a2.0-1_all.deb.*--packages"):
        fetch_debian(package, tmp_path, tmp_path / "empty")


def test_a_package_of_another_content_is_refused(tmp_path: Path, package: DebianPackage):
    path = tmp_path / package.file_name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="sha256"):
        fetch_debian(package, tmp_path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", MAGIC, MAGIC + b"x" * 30, MAGIC + b" " * 60])
def test_what_is_no_package_is_one_line(tmp_path: Path, content: bytes):
    path = tmp_path / "a.deb"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught, contents(path):
        pass
    assert "a.deb" in str(caught.value) and "\n" not in str(caught.value)


def test_a_package_that_was_cut_off_is_one_line(tmp_path: Path):
    path = tmp_path / "a.deb"
    path.write_bytes(deb({"usr/a": bytes(range(256)) * 50})[:-40])
    with pytest.raises(InputError, match="fetch it again"), contents(path) as archive:
        read_member(archive, "usr/a")


def test_packages_are_unpacked_whole_and_nothing_leaves_the_folder(tmp_path: Path):
    path, other = tmp_path / "a.deb", tmp_path / "b.deb"
    links = {"usr/lib/near": "words.txt", "etc/far": "/etc/passwd", "usr/up": "../../../outside"}
    path.write_bytes(deb({"usr/lib/words.txt": b"hello", "../outside.txt": b"no"}, links=links))
    other.write_bytes(deb({"usr/lib/more.txt": b"more"}))
    root = tmp_path / "cache" / "root"
    unpack([path, other], root)
    found = {each.relative_to(root).as_posix() for each in root.rglob("*") if not each.is_dir()}
    assert found == {"usr/lib/words.txt", "usr/lib/near", "usr/lib/more.txt"}
    assert [each.name for each in root.parent.iterdir()] == ["root"]
    unpack([other], root)
    assert not (root / "usr/lib/words.txt").exists()


def test_without_apt_the_message_says_how_to_go_on(
    tmp_path: Path, package: DebianPackage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"use a Debian system, or fetch tiny-words.*--packages DIR"):
        fetch_debian(package, tmp_path / "cache")
    with pytest.raises(InputError, match="or install festival yourself"):
        fetch_programs(["festival"], tmp_path / "cache")


def fake_apt(folder: Path, script: str) -> None:
    path = folder / "apt-get"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_apt_says_when_it_fails_is_passed_on(
    tmp_path: Path, package: DebianPackage, monkeypatch: pytest.MonkeyPatch
):
    fake_apt(tmp_path, "echo 'W: careful' >&2; echo 'E: Version not found' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(InputError, match=r"\(Version not found\); run apt-get update") as caught:
        fetch_debian(package, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_apt_fetched_is_checked_and_kept(tmp_path: Path, package: DebianPackage, monkeypatch: pytest.MonkeyPatch):
    fake_apt(tmp_path, f"cp {tmp_path}/*.deb .")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert fetch_debian(package, tmp_path / "cache") == tmp_path / "cache" / package.file_name
    fake_apt(tmp_path, "exit 1")
    assert fetch_debian(package, tmp_path / "cache").is_file()


def test_a_program_comes_with_what_the_machine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listed = "echo 'Inst libthing:amd64 (1 x)'; echo 'Inst thing (2 x)'; echo 'Conf thing (2 x)'"
    fetched = 'for each in $@; do case $each in -*|download) ;; *) touch "${each%%:*}_1_amd64.deb";; esac; done'
    fake_apt(tmp_path, f'case "$*" in *install*) {listed};; *) {fetched};; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    paths = fetch_programs(["thing"], tmp_path / "cache")
    assert [path.name for path in paths] == ["libthing_1_amd64.deb", "thing_1_amd64.deb"]
