"""Public npm packages that data sets are made of: version and hash pinned, fetched by npm, kept outside the tree."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from text2x.errors import InputError

TIMEOUT = 600  # seconds for one download


class Pinned(Protocol):
    """A package of known content."""

    @property
    def sha256(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Package:
    """A pinned npm package; `sha256` is that of the .tgz file that `npm pack` writes."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What `npm pack` calls the file: the scope joined by a dash."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


def fetch(package: Package, cache: Path, packages: Path | None = None) -> Path:
    """The package's .tgz: from the folder `packages` if given, else from `cache`, else by `npm pack` into `cache`."""
    if packages is not None:
        path = packages / package.file_name
        if not path.is_file():
            raise InputError(f"{packages} holds no {package.file_name}; put it there or leave out --packages")
        return checked(path, package)
    path = cache / package.file_name
    if path.is_file() and _sha256(path) == package.sha256:
        return path
    _pack(package, cache)
    return checked(path, package)


def read_json(tarball: Path, member: str) -> Any:
    """One JSON file of a package, by its path inside it; nothing is unpacked to disk."""
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            file = archive.extractfile(f"package/{member}")
            if file is None:
                raise KeyError(member)
            return json.load(file)
    except KeyError:
        raise InputError(f"{tarball} holds no {member}; fetch the package again") from None


def members(tarball: Path) -> tuple[str, ...]:
    """Paths of all files inside a package."""
    with tarfile.open(tarball, "r:gz") as archive:
        return tuple(name.removeprefix("package/") for name in archive.getnames())


def _pack(package: Package, cache: Path) -> None:
    npm = shutil.which("npm")
    spec = f"{package.name}@{package.version}"
    way_out = f"or fetch {package.file_name} elsewhere and give its folder with --packages DIR"
    if npm is None:
        raise InputError(f"npm is needed to fetch {spec} and was not found; install Node.js (it brings npm), {way_out}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [npm, "pack", "--silent", "--ignore-scripts", spec]
        try:
            done = subprocess.run(command, cwd=aside, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            raise InputError(f"npm took more than {TIMEOUT} s for {spec}; try again, {way_out}") from None
        written = Path(aside) / package.file_name
        if done.returncode != 0 or not written.is_file():
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise InputError(f"npm could not fetch {spec} ({lines[0]}); check the network, {way_out}")
        written.replace(cache / package.file_name)


def checked(path: Path, package: Pinned) -> Path:
    """The path, once its content is what was pinned."""
    found = _sha256(path)
    if found != package.sha256:
        wanted = f"{package.sha256[:12]}…"
        raise InputError(f"{path} has sha256 {found[:12]}…, expected {wanted}; delete it and prepare the data again")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
