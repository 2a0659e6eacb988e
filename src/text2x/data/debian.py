"""Debian packages that data sets are made of: fetched by apt, read in place or unpacked into a folder, never installed.

Packages of data are pinned by version and hash; programs are what the machine's own apt offers and has checked.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from text2x.data.packages import TIMEOUT, checked
from text2x.errors import InputError
from text2x.files import file_hash

MAGIC = b"!<arch>\n"  # deb(5): an ar archive of debian-binary, control.tar and data.tar
HEADER = 60  # bytes before each member of an ar archive


@dataclass(frozen=True)
class DebianPackage:
    """A pinned package for all architectures."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What apt calls the file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"


def fetch_debian(package: DebianPackage, cache: Path, packages: Path | None = None) -> Path:
    """The package's .deb: from the folder `packages` if given, else from `cache`, else by apt into `cache`."""
    if packages is not None:
        path = packages / package.file_name
        if not path.is_file():
            raise InputError(f"{packages} holds no {package.file_name}; put it there or leave out --packages")
        return checked(path, package)
    path = cache / package.file_name
    if path.is_file() and file_hash(path) == package.sha256:
        return path
    way_out = f"or fetch {package.file_name} elsewhere and give its folder with --packages DIR"
    _download([f"{package.name}={package.version}"], cache, way_out)
    if not path.is_file():
        raise InputError(f"apt fetched no {package.file_name}; run apt-get update and try again, {way_out}")
    return checked(path, package)


@contextmanager
def contents(path: Path) -> Iterator[tarfile.TarFile]:
    """The files of a .deb as a tar archive that can be read at will; what is no such file raises InputError."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{path} is no Debian package; fetch it again")
            while header := file.read(HEADER):
                name = header[:16].decode("ascii", "replace").strip().rstrip("/")
                size = int(header[48:58])
                if name.startswith("data.tar"):
                    break
                file.seek(size + size % 2, 1)
            else:
                raise InputError(f"{path} holds no files; fetch it again")
            with tempfile.TemporaryFile() as data:
                if data.write(file.read(size)) < size:
                    raise InputError(f"{path} is cut off; fetch it again")
                data.seek(0)
                with tarfile.open(fileobj=data, mode="r:*") as archive:
                    yield archive
    except (OSError, ValueError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a Debian package ({error}); fetch it again") from error


def read_member(archive: tarfile.TarFile, member: str) -> bytes:
    """One file of a package, by its path from the root without a leading slash."""
    try:
        file = archive.extractfile(f"./{member}")
    except KeyError:
        file = None
    if file is None:
        raise InputError(f"the Debian package holds no {member}; it is of another version than expected")
    return file.read()


def unpack(paths: Sequence[Path], folder: Path) -> None:
    """The files of packages below a folder, which appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        for path in paths:
            with contents(path) as archive:
                archive.extractall(Path(aside) / "root", filter=_inside)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(aside) / "root").rename(folder)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Files, folders and links that stay inside; links to absolute places of a real system are left out."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def fetch_programs(names: Sequence[str], cache: Path) -> list[Path]:
    """The .deb files of programs and of all that they need and this machine lacks, by apt into `cache`."""
    apt = _apt(f"or install {' '.join(names)} yourself")
    command = [apt, "-s", "-q", "-o", "Debug::NoLocking=1", "install", "--no-install-recommends", *names]
    done = _run(command, cache, "look up " + " ".join(names))
    needed = [line.split()[1] for line in done.splitlines() if line.startswith("Inst ")]
    place = cache / "programs"
    _download(needed, place, f"or install {' '.join(names)} yourself")
    found = [path for name in needed for path in place.glob(f"{name.partition(':')[0]}_*.deb")]
    if len({path.name.partition("_")[0] for path in found}) < len(needed):
        raise InputError(f"apt fetched {len(found)} of {len(needed)} packages; run apt-get update and try again")
    return found


def _download(specs: Sequence[str], cache: Path, way_out: str) -> None:
    """Let apt write .deb files into `cache`."""
    apt = _apt(way_out)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        _run([apt, "-q", "download", *specs], Path(aside), "fetch " + " ".join(specs), way_out)
        for path in Path(aside).glob("*.deb"):
            path.replace(cache / path.name)


def _apt(way_out: str) -> str:
    apt = shutil.which("apt-get")
    if apt is None:
        raise InputError(
            f"apt-get is needed to fetch Debian packages and was not found; use a Debian system, {way_out}"
        )
    return apt


def _run(command: Sequence[str], folder: Path, what: str, way_out: str = "or use another mirror") -> str:
    """What apt prints; its own words where it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"apt took more than {TIMEOUT} s to {what}; try again, {way_out}") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
        why = said[0].removeprefix("E: ") if said else f"exit code {done.returncode}"
        raise InputError(f"apt could not {what} ({why}); run apt-get update and check the network, {way_out}")
    return done.stdout
