"""What a training loop needs of the machine: seeds, precision, batches made ahead, signals, a folder of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from text2x.errors import InputError


class Ahead:
    """`batch_at` with the next step's batch made in a thread meanwhile; the batches are the same."""

    def __init__(self, batch_at: Callable[[int], Any]) -> None:
        self.make = batch_at
        self.thread = ThreadPoolExecutor(1)
        self.next: tuple[int, Future[Any]] | None = None

    def __call__(self, step: int) -> Any:
        """The batch of a step."""
        ready = self.next[1].result() if self.next and self.next[0] == step else self.make(step)
        self.next = (step + 1, self.thread.submit(self.make, step + 1))
        return ready


def seed_of(seed: int, step: int, stream: str) -> int:
    """A seed of 63 bits for one stream of random numbers of one step."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {step} {stream}".encode(), digest_size=8).digest(), "big") >> 1


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32: on a GPU since Ampere, on a CPU with AMX or AVX-512."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capable = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))


def can_compile(device: torch.device) -> bool:
    """Whether compiling is worth its minute of waiting and the compiler for it is there: on a GPU, with Triton."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


@contextmanager
def stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM calls `stop`, the next one ends the program as usual."""
    kinds = (signal.SIGINT, signal.SIGTERM)

    def first(number: int, frame: Any) -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        stop()

    try:
        before = {kind: signal.signal(kind, first) for kind in kinds}
    except ValueError:  # not in the main thread, where no signal arrives
        before = {}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def folder_alone(folder: Path) -> Iterator[None]:
    """Within the block no other training can use the folder; the lock ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror}; give another one") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another training is at work in {folder}; end it, or give another folder") from error
        except OSError:  # a file system without locks
            pass
        yield
