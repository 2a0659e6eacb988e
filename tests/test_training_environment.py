"""Signals, seeds and batches made ahead: what the training loop needs of the machine."""

import os
import signal
import time
from pathlib import Path

import pytest

from text2x.errors import InputError
from text2x.training_environment import Ahead, folder_alone, seed_of, stop_signals


def test_a_second_ctrl_c_ends_at_once(request: pytest.FixtureRequest) -> None:
    stops = []
    given = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born ignoring it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, given))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_signals(lambda: stops.append(1)):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert stops == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_as_before_after_the_block() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_signals(lambda: None):
        assert signal.getsignal(signal.SIGINT) not in before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_folder_is_free_again_after_the_block(tmp_path: Path) -> None:
    with folder_alone(tmp_path), pytest.raises(InputError, match="another training"), folder_alone(tmp_path):
        raise AssertionError("both are in")
    with folder_alone(tmp_path):
        pass


def test_a_batch_that_fails_ahead_fails_in_its_own_step() -> None:
    def batch_at(step: int) -> int:
        if step == 1:
            raise KeyError(step)
        return step

    ahead = Ahead(batch_at)
    assert ahead(0) == 0
    with pytest.raises(KeyError):
        ahead(1)
    ahead.thread.shutdown()


def test_batches_made_ahead_are_the_same_batches() -> None:
    made: list[int] = []

    def batch_at(step: int) -> int:
        made.append(step)
        return step * step

    ahead = Ahead(batch_at)
    assert [ahead(step) for step in (0, 1, 2, 7, 8)] == [0, 1, 4, 49, 64]
    ahead.thread.shutdown()
    assert sorted(made) == [0, 1, 2, 3, 7, 8, 9]


def test_seeds_differ_by_seed_step_and_stream() -> None:
    seeds = {seed_of(seed, step, stream) for seed in range(5) for step in range(50) for stream in ("a", "b")}
    assert len(seeds) == 500
    assert all(0 <= each < 2**63 for each in seeds)
    assert seed_of(1, 2, "a") == seed_of(1, 2, "a")
