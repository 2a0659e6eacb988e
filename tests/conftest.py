"""What holds for every test: one thread, the same random numbers each time, no network, no files of the user's own."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported, and inherited by the commands that tests start. Each of pytest's processes has one core.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"
SOURCE = str(Path(__file__).resolve().parents[1] / "src")  # commands that tests start run this tree, installed or not
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Models, prepared data and caches live in a folder of this test session."""
    root = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TEXT2X_MODELS", "TEXT2X_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            folder = root / name.lower()
            folder.mkdir()
            patch.setenv(name, str(folder))
        yield root


@pytest.fixture(autouse=True)
def same_numbers_each_time() -> None:
    """Seed torch and give it one thread, if a test has loaded it at all."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine, or the look-up of a name for one, fails the test."""

    def guarded(original: Any, host_of: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            host = host_of(arguments)
            if host is not None and not _is_here(str(host)):
                raise AssertionError(f"a test reached for the network: {host}")
            return original(*arguments, **options)

        return call

    def peer(arguments: Any) -> Any:
        return arguments[1][0] if arguments[0].family in (socket.AF_INET, socket.AF_INET6) else None

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect, peer))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex, peer))
    monkeypatch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo, lambda arguments: arguments[0]))


def _is_here(host: str) -> bool:
    return host in ("", "localhost", "::", "::1", "0.0.0.0") or host.startswith("127.")
