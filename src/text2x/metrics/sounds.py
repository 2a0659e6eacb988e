"""Sounds judged in features of their own: log-mel statistics, a classifier of labels, and the nearest neighbours.

Log-mel statistics are no features of any published score: a kernel distance in them is never a FAD. Sounds are [T]
float32 in [-1, 1]; features are [N, D], one row a sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.errors import InputError
from text2x.metrics.distances import kernel_distance
from text2x.metrics.intervals import bootstrap, mean, rate
from text2x.metrics.metric import Metric, Rows, exact, rows_of, same_length, same_width
from text2x.metrics.neighbours import nearest
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram

SPACE = "log-mel statistics"
BANDS, CEPSTRA = 40, 20
PARTS, ENVELOPE = 4, 8  # in which the cepstra and the level over time are told
LEAST_SECONDS = 0.128  # shorter sounds are followed by silence: eight frames
FLOOR = 1e-4  # -80 dBFS: what lies below it is not heard beside the sound
SILENT, QUIET = 10 ** (-50 / 20), 10 ** (-60 / 20)
NEAR = 1e-6  # distances below it are copies
DECAY, ROUNDS = 3e-3, 150  # weight of the squared weights, and most iterations of the solver


def mel_statistics(sounds: Sequence[Tensor], sample_rate: int = 16_000) -> NDArray[np.float64]:
    """[N, 189]: the mean of 40 log-mel bands, 20 cepstra (mean, spread, change, four parts), level over time, seconds.

    The level of a sound is taken away first: its loudest band is at 0.
    """
    rows = []
    for number, sound in enumerate(sounds):
        if sound.ndim != 1 or not len(sound):
            raise InputError(f"sound {number} has the shape {list(sound.shape)}; [T] samples are needed")
        rows.append(_statistics(sound, sample_rate))
    return rows_of(np.stack(rows) if rows else np.zeros((0, 1)), SPACE)


def _statistics(sound: Tensor, sample_rate: int) -> NDArray[np.float64]:
    config = MelConfig(sample_rate, STFTConfig(1024, 1024, 256), BANDS, 40.0, sample_rate / 2, floor=FLOOR)
    least = round(LEAST_SECONDS * sample_rate)
    samples = torch.nn.functional.pad(sound.float(), (0, max(0, least - len(sound))))
    samples = samples / samples.abs().max().clamp_min(1e-6)
    mel = mel_spectrogram(samples[None], config)[0].double()  # [bands, F]
    mel = mel - mel.max()
    places = (torch.arange(BANDS, dtype=torch.float64) + 0.5) * torch.pi / BANDS
    waves = torch.cos(places * torch.arange(CEPSTRA)[:, None]) * (2 / BANDS) ** 0.5
    cepstra = waves @ mel  # [cepstra, F]
    parts = torch.nn.functional.adaptive_avg_pool1d(cepstra[None], PARTS)[0].flatten()
    level = torch.nn.functional.adaptive_avg_pool1d(mel.mean(0)[None, None], ENVELOPE)[0, 0]
    change = (cepstra[:, 1:] - cepstra[:, :-1]).abs().mean(1)
    seconds = torch.tensor([np.log(len(sound) / sample_rate)], dtype=torch.float64)
    return torch.cat([mel.mean(1), cepstra.mean(1), cepstra.std(1), change, parts, level, seconds]).numpy()


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and spread of features, so that each counts alike."""

    middle: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, features: Rows) -> Scaling:
        """That of the rows given."""
        rows = rows_of(features, SPACE, 2)
        return cls(rows.mean(0), np.maximum(rows.std(0), 1e-6))

    @classmethod
    def shared(cls, features: Rows, space: str = SPACE) -> Scaling:
        """That of features with one unit, as those of a network: one spread for all, so that none is blown up."""
        rows = rows_of(features, space, 2)
        spread = max(float(np.sqrt(rows.var(0).mean())), 1e-6)
        return cls(rows.mean(0), np.full(rows.shape[1], spread))

    def __call__(self, features: Rows) -> NDArray[np.float64]:
        """Features of mean 0 and spread 1 where those it was made of are."""
        return (rows_of(features, SPACE) - self.middle) / self.spread


def mel_kernel_distance(made: Rows, real: Rows, seed: int = 0) -> Metric:
    """Kernel distance of two sets of log-mel statistics, each feature scaled by the real ones.

    Compare it with that of real held-out sounds of the same number only.
    """
    scaling = Scaling.of(real)
    return kernel_distance(scaling(made), scaling(real), SPACE, seed)


# Silence


def silent(sounds: Sequence[Tensor], groups: Sequence[str] | None = None) -> Metric:
    """Share of sounds [T] whose largest sample is below -50 dBFS."""
    hits = [float(float(sound.abs().max()) < SILENT) for sound in sounds]
    return rate(hits, "peak below -50 dBFS", groups)


def silent_part(sounds: Sequence[Tensor], sample_rate: int = 16_000, seed: int = 0) -> Metric:
    """Mean over sounds of the share of their frames of 10 ms in which every sample is below -60 dBFS."""
    size = max(1, round(0.01 * sample_rate))
    shares = []
    for sound in sounds:
        frames = torch.nn.functional.pad(sound.abs(), (0, -len(sound) % size)).view(-1, size).amax(1)
        shares.append(float((frames < QUIET).double().mean()))
    return mean(shares, "frames of 10 ms below -60 dBFS", seed)


# Labels


@dataclass(frozen=True, eq=False)
class SoundClassifier:
    """A linear classifier of scaled features; `weights` [D + 1, labels], the last row constant."""

    labels: tuple[str, ...]
    scaling: Scaling
    weights: NDArray[np.float64]

    def probabilities(self, features: Rows) -> NDArray[np.float64]:
        """[N, labels], each row adding up to 1."""
        rows = self.scaling(features)
        scores = rows @ self.weights[:-1] + self.weights[-1]
        raised = np.exp(scores - scores.max(1, keepdims=True))
        return raised / raised.sum(1, keepdims=True)

    def predict(self, features: Rows) -> list[str]:
        """The likeliest label of each row."""
        return [self.labels[place] for place in self.probabilities(features).argmax(1)]

    def accuracy(self, features: Rows, labels: Sequence[str], groups: Sequence[str] | None = None) -> Metric:
        """Share of sounds that are taken for what they should be; Wilson's interval, over groups where given."""
        same_length({"features": features, "labels": labels})
        told = self.predict(features)
        hits = [float(one == other) for one, other in zip(told, labels, strict=True)]
        return rate(hits, f"{SPACE}, {len(self.labels)} labels", groups)

    def chance(self, labels: Sequence[str]) -> Metric:
        """The accuracy of always saying the commonest of the labels."""
        if not labels:
            raise InputError("the commonest of 0 labels is not defined; give at least 1")
        most = max(Counter(labels).values())
        return exact(most / len(labels), len(labels), f"{SPACE}, the commonest label")


def train_classifier(features: Rows, labels: Sequence[str], decay: float = DECAY) -> SoundClassifier:
    """Logistic regression over all labels with squared weights held small; the same on every run.

    Train it on the training split alone; its accuracy on real held-out sounds is the ceiling of what it can say.
    """
    same_length({"features": features, "labels": labels})
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise InputError(f"{len(names)} labels cannot be told apart; give sounds of at least 2")
    scaling = Scaling.of(features)
    rows = torch.from_numpy(scaling(features))
    x = torch.cat([rows, torch.ones(len(rows), 1, dtype=torch.float64)], dim=1)
    y = torch.tensor([names.index(label) for label in labels])
    weights = torch.zeros(x.shape[1], len(names), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> float:
        solver.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weights, y) + decay * weights[:-1].square().sum() / 2
        value.backward()
        return float(value.detach())

    solver.step(loss)
    return SoundClassifier(names, scaling, weights.detach().numpy())


# Copies


def nearest_ratio(
    made: Rows, training: Rows, held_out: Rows | None = None, space: str = SPACE, seed: int = 0
) -> Metric:
    """Geometric mean of (distance to the nearest training item) / (distance to the nearest held-out item).

    Far below 1 a model repeats what it was trained on. The nearest of more items is nearer, so that something new may
    have a ratio below 1: read it beside that of the held-out items themselves (`held_out` None: `made` are they), each
    without itself.
    """
    scaling = Scaling.of(training)
    own = held_out is None
    x, y, z = (scaling(each) for each in (made, training, made if held_out is None else held_out))
    same_width(x, z, "nearest ratio")
    if own and len(x) < 2:
        raise InputError(f"{len(x)} held-out items have no neighbours among themselves; at least 2 are needed")
    seen, unseen = (np.maximum(nearest(x, other, 1, same)[0][:, 0], NEAR) for other, same in ((y, False), (z, own)))
    logs = np.log(seen) - np.log(unseen)
    low, high = bootstrap(lambda drawn: logs[drawn].mean(1), len(logs), seed)
    values = np.exp([logs.mean(), low, high])
    return Metric(float(values[0]), float(values[1]), float(values[2]), len(logs), space)
