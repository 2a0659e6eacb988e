"""Fundamental frequency by frame: YIN's difference function, and the smoothest path through its dips. Hz, 0: no voice.

Frame f is centred on sample (f + 1/2) hop, as the frames of `signal` are, so T samples have T // hop of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError

CANDIDATES = 6  # dips a frame that a path can choose from
CHUNK = 512  # frames at a time


@dataclass(frozen=True)
class PitchConfig:
    """What is looked for, and how a path is chosen; `low` and `high` are in Hz, `window` in seconds.

    The cost of a voiced frame is its dip (0: perfectly periodic, 1: noise), that of a silent one is `unvoiced`, and
    changes cost `jump` an octave and `switch` when voice begins or ends.
    """

    low: float = 60.0
    high: float = 500.0
    window: float = 0.032
    unvoiced: float = 0.5
    jump: float = 1.5
    switch: float = 0.2
    octave: float = 0.02  # cost of each octave below `high`: of equal dips the one of the shorter period is the pitch
    quiet: float = -45.0  # dB below the loudest frame: no voice is looked for there


def track(samples: NDArray[np.floating], rate: int, hop: int, config: PitchConfig | None = None) -> NDArray[np.float32]:
    """The pitch of one channel [T] as [T // hop] in Hz, 0 where there is no voice.

    The difference function is that of de Cheveigné and Kawahara 2002 (YIN), Eq. 6 to 8, with parabolic interpolation;
    its dips are joined by the cheapest path, as in Mauch and Dixon 2014 (pYIN).
    """
    config = config or PitchConfig()
    if not 0 < config.low < config.high < rate / 4:
        raise InputError(f"pitch from {config.low} to {config.high} Hz cannot be found at {rate} Hz")
    frames = len(samples) // hop
    if frames == 0:
        return np.zeros(0, np.float32)
    longest = int(np.ceil(rate / config.low)) + 1
    shortest = max(2, int(rate / config.high))
    width = round(config.window * rate)
    usual = round(rate / np.sqrt(config.low * config.high))  # the lag at which frames are in the middle
    before = max(0, (width + usual - hop) // 2)
    padded = np.pad(np.asarray(samples, np.float64), (before, width + longest))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, width + longest)[: frames * hop : hop]
    levels = np.square(pieces[:, usual // 2 : usual // 2 + width]).mean(1)
    loud = levels > max(levels.max() * 10 ** (config.quiet / 10), 1e-10)
    pitches = np.zeros((frames, CANDIDATES))
    costs = np.full((frames, CANDIDATES), np.inf)
    for start in range(0, frames, CHUNK):
        part = slice(start, start + CHUNK)
        dips = _normalised_difference(pieces[part], width, longest)
        pitches[part], costs[part] = _candidates(dips, rate, shortest, config)
    costs[~loud] = np.inf
    return _cheapest(pitches, costs, config).astype(np.float32)


def _normalised_difference(pieces: NDArray[np.float64], width: int, longest: int) -> NDArray[np.float64]:
    """[F, longest + 1]: the cumulative mean normalised difference of each lag; 1 at lag 0 (YIN, Eq. 8)."""
    size = 1 << (width + longest).bit_length()
    near = np.fft.rfft(pieces[:, :width], size)
    correlation = np.fft.irfft(np.fft.rfft(pieces, size) * near.conj(), size)[:, : longest + 1]
    energy = np.pad(np.cumsum(np.square(pieces), axis=1), ((0, 0), (1, 0)))
    powers = energy[:, width : width + longest + 1] - energy[:, : longest + 1]
    difference = np.maximum(powers[:, :1] + powers - 2 * correlation, 0)
    lags = np.arange(1, longest + 1)
    means = np.cumsum(difference[:, 1:], axis=1) / lags
    normalised = np.divide(difference[:, 1:], means, out=np.ones_like(means), where=means > 1e-12)
    return np.pad(normalised, ((0, 0), (1, 0)), constant_values=1.0)


def _candidates(
    dips: NDArray[np.float64], rate: int, shortest: int, config: PitchConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitches and costs [F, CANDIDATES] of the deepest dips; missing ones cost infinitely much."""
    left, middle, right = dips[:, shortest - 1 : -2], dips[:, shortest:-1], dips[:, shortest + 1 :]
    lags = np.arange(shortest, shortest + middle.shape[1])
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=bend > 1e-12).clip(-0.5, 0.5)
    depth = np.maximum(middle - (left - right) * shift / 4, 0)
    pitch = rate / (lags + shift)
    cost = depth + config.octave * np.log2(config.high / pitch).clip(0)
    cost = np.where((middle < left) & (middle <= right), cost, np.inf)
    chosen = np.argpartition(cost, CANDIDATES, axis=1)[:, :CANDIDATES]
    return np.take_along_axis(pitch, chosen, 1), np.take_along_axis(cost, chosen, 1)


def _cheapest(pitches: NDArray[np.float64], costs: NDArray[np.float64], config: PitchConfig) -> NDArray[np.float64]:
    """[F] the path of least cost through candidates and silence (the last state), by Viterbi."""
    frames, states = costs.shape
    octaves = np.log2(np.where(np.isfinite(costs), pitches, 1.0).clip(1e-3))
    total = np.append(costs[0], config.unvoiced)
    came = np.zeros((frames, states + 1), np.int64)
    change = np.full((states + 1, states + 1), config.switch)
    change[states, states] = 0
    for frame in range(1, frames):
        change[:states, :states] = config.jump * np.abs(octaves[frame - 1][:, None] - octaves[frame][None])
        ways = total[:, None] + change
        came[frame] = ways.argmin(0)
        total = ways.min(0) + np.append(costs[frame], config.unvoiced)
    found = np.zeros(frames)
    state = int(total.argmin())
    for frame in range(frames - 1, -1, -1):
        found[frame] = pitches[frame, state] if state < states else 0.0
        state = int(came[frame, state])
    return found
