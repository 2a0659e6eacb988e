"""The benchmark of codecs on a codec of random weights: bits are counted, floor and ceiling are where they must be."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tiny_sound_flow import tiny_latent_codec
from tiny_sounds import BOOKS, CODES, HOP, RATE, tiny_codec, tone

pytestmark = pytest.mark.medium
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "codec.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_codecs", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_codes_cost_their_bits_and_opus_its_packets(benchmark: ModuleType) -> None:
    clip = tone(0.6)
    ways = benchmark.ways_of(tiny_codec())
    assert list(ways) == ["1 of 2 codebooks", "2 of 2 codebooks", "Opus, 6 kbit/s asked", "floor: noise",
                          "ceiling: itself"]  # fmt: skip
    kilobits, _, means = benchmark.measured(ways["2 of 2 codebooks"], [clip])
    bits = BOOKS * (CODES - 1).bit_length() * RATE / HOP / 1000
    assert kilobits == pytest.approx(bits, rel=0.05) and means["mel"].value > 0
    spent, _, opus = benchmark.measured(ways["Opus, 6 kbit/s asked"], [clip])
    assert 3 < spent < 15
    own = benchmark.measured(ways["ceiling: itself"], [clip])[2]
    floor = benchmark.measured(ways["floor: noise"], [clip])[2]
    assert own["mel"].value == 0 < opus["mel"].value < floor["mel"].value


def test_latents_have_no_bit_rate(benchmark: ModuleType) -> None:
    kilobits, _, means = benchmark.measured(benchmark.ways_of(tiny_latent_codec())["latents"], [tone(0.6)])
    assert np.isnan(kilobits) and means["convergence"].n == 1
