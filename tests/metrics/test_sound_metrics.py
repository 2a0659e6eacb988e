"""Figures of sounds on sounds whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.sounds import (
    Scaling,
    mel_kernel_distance,
    mel_statistics,
    nearest_ratio,
    train_classifier,
)

pytestmark = pytest.mark.medium
RATE = 16_000


def tones(count: int, hertz: float, seed: int) -> list[torch.Tensor]:
    """Decaying tones around a pitch."""
    rng = np.random.default_rng(seed)
    times = torch.arange(RATE // 2) / RATE
    return [
        torch.sin(2 * math.pi * hertz * rng.uniform(0.9, 1.1) * times) * torch.exp(-times * rng.uniform(2, 8))
        for _ in range(count)
    ]


def noises(count: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(RATE // 2, generator=generator) * 0.1 for _ in range(count)]


def test_statistics_do_not_depend_on_level_and_are_finite_for_silence_and_short_sounds():
    sound = tones(1, 400, 0)[0]
    rows = mel_statistics([sound, sound * 0.1, torch.zeros(RATE), sound[:50]])
    assert rows.shape == (4, 189) and np.isfinite(rows).all()
    assert np.abs(rows[0] - rows[1]).max() < 1e-3
    assert rows[3, -1] == pytest.approx(math.log(50 / RATE))


def test_sounds_of_wrong_shape_are_refused():
    with pytest.raises(InputError, match=r"sound 1 has the shape \[2, 100\]"):
        mel_statistics([torch.zeros(100), torch.zeros(2, 100)])


def test_the_kernel_distance_is_about_zero_for_alike_and_large_for_other_sounds():
    real, same, other = (mel_statistics(each) for each in (tones(60, 400, 0), tones(60, 400, 1), noises(60, 2)))
    alike, apart = mel_kernel_distance(same, real), mel_kernel_distance(other, real)
    assert alike.low < 0.2 and apart.low > 10 * abs(alike.value) and apart.space == "log-mel statistics"


def test_a_classifier_learns_what_can_be_told_apart_and_nothing_else():
    train = mel_statistics([*tones(20, 300, 0), *tones(20, 1500, 1), *noises(20, 2)])
    labels = [label for label in ("low", "high", "noise") for _ in range(20)]
    judge = train_classifier(train, labels)
    unseen = mel_statistics([*tones(10, 300, 3), *tones(10, 1500, 4), *noises(10, 5)])
    truth = [label for label in ("low", "high", "noise") for _ in range(10)]
    assert judge.accuracy(unseen, truth).value == 1.0
    assert judge.accuracy(unseen, truth, truth).note == "interval over 3 groups"
    assert judge.chance(truth).value == pytest.approx(1 / 3)
    assert np.allclose(judge.probabilities(unseen).sum(1), 1)
    shuffled = [str(label) for label in np.random.default_rng(0).permutation(labels)]
    assert train_classifier(train, shuffled).accuracy(unseen, truth).value < 0.8
    again = train_classifier(train, labels)
    assert np.array_equal(judge.weights, again.weights)


def test_one_label_cannot_be_told_apart():
    with pytest.raises(InputError, match="1 labels cannot be told apart"):
        train_classifier(np.zeros((3, 4)), ["a", "a", "a"])


def test_scaling_brings_features_to_mean_zero_and_spread_one():
    rows = np.random.default_rng(0).normal(3, 5, (200, 4))
    scaled = Scaling.of(rows)(rows)
    assert np.allclose(scaled.mean(0), 0) and np.allclose(scaled.std(0), 1)


def test_the_nearest_ratio_is_one_for_new_items_and_near_zero_for_copies():
    rng = np.random.default_rng(0)
    training, held_out, new = (rng.normal(size=(150, 6)) for _ in range(3))
    fresh = nearest_ratio(new, training, held_out)
    assert fresh.low < 1 < fresh.high
    assert nearest_ratio(training[:50], training, held_out).value < 1e-3
    assert nearest_ratio(training[:50] + 0.01, training, held_out).value < 0.1
