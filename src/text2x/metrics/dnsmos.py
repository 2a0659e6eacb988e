"""DNSMOS P.835 and P.808: what a network trained on listeners' opinions says of speech, 1 to 5. No listener was asked.

Reddy et al. 2022 (P.835) and 2021 (P.808); the networks are those of the package speechmos (MIT), run by onnxruntime.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric
from text2x.signal import hz_to_mel, mel_to_hz

RATE = 16_000
LENGTH = 9.01  # seconds that the networks hear at a time, moved on by one second; shorter sounds are repeated
PARTS = ("overall", "signal", "background", "p808")
# From the networks' outputs to opinions, highest power first (speechmos.dnsmos, of Microsoft's DNS-Challenge)
SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)
BANDS, SIZE, HOP = 120, 321, 160  # of the P.808 network's spectrogram; the odd size is the package's
RANGE = 80.0  # dB below the loudest: the floor of the P.808 network's spectrogram
SPACE = "DNSMOS"
INSTALL = "get them with: pip install onnxruntime, then pip install --no-deps speechmos"


@dataclass(frozen=True)
class Dnsmos:
    """Both networks, loaded."""

    primary: Any
    p808: Any

    def __call__(self, sound: Audio) -> dict[str, float]:
        """Opinions of one sound, by PARTS: means over its windows."""
        samples = np.clip(sound.to_mono().resample(RATE).samples[0], -1, 1)
        length = int(LENGTH * RATE)
        while len(samples) < length:
            samples = np.append(samples, samples)
        starts = range(0, (int(len(samples) // RATE - LENGTH) + 1) * RATE, RATE)
        found = [self._window(samples[start : start + length]) for start in starts if start + length <= len(samples)]
        return dict(zip(PARTS, np.mean(found, axis=0).tolist(), strict=True))

    def _window(self, samples: NDArray[np.float32]) -> tuple[float, float, float, float]:
        heard = self.primary.run(None, {"input_1": samples[None].astype(np.float32)})[0][0]
        signal, background, overall = (
            float(np.polyval(curve, value)) for curve, value in zip((SIGNAL, BACKGROUND, OVERALL), heard, strict=True)
        )
        p808 = self.p808.run(None, {"input_1": spectrogram(samples[:-160])[None].astype(np.float32)})[0][0][0]
        return overall, signal, background, float(p808)


def spectrogram(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """[F, BANDS] the P.808 network's input: mel power in dB below the loudest, 40 dB below it as 0."""
    padded = np.pad(np.asarray(samples, np.float64), SIZE // 2)
    window = np.hanning(SIZE + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP] * window
    power = np.square(np.abs(np.fft.rfft(frames, SIZE)))
    mel = power @ _filters()
    decibels = 10 * np.log10(np.maximum(mel, 1e-10))
    decibels -= decibels.max()
    return (np.maximum(decibels, -RANGE) + 40) / 40


def _filters() -> NDArray[np.float64]:
    """[bins, BANDS] Slaney's filters at the frequencies of an odd transform."""
    points = mel_to_hz(np.linspace(0, float(hz_to_mel(RATE / 2, "slaney")), BANDS + 2), "slaney")
    bins = np.fft.rfftfreq(SIZE, 1 / RATE)[:, None]
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (points[2:] - points[:-2])


def load_dnsmos() -> Dnsmos:
    """The networks, from where the package lies; it is not imported, and nothing is fetched."""
    found = importlib.util.find_spec("speechmos")
    if found is None or found.origin is None or importlib.util.find_spec("onnxruntime") is None:
        raise InputError(f"speechmos and onnxruntime are needed for DNSMOS and are not installed; {INSTALL}")
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    folder = Path(found.origin).parent / "dnsmos_models"
    sessions = [
        onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
    ]
    return Dnsmos(*sessions)


def dnsmos(sounds: Sequence[Audio]) -> dict[str, Metric]:
    """Means over sounds by PARTS, with intervals."""
    measure = load_dnsmos()
    each = [measure(sound) for sound in sounds]
    return {part: mean([one[part] for one in each], SPACE) for part in PARTS}
