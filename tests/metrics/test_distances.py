"""Distances of Gaussians, whose values are known in closed form."""

import itertools

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.distances import frechet_distance, gaussian_distance, kernel_distance, principal_components


def test_the_kernel_distance_is_the_unbiased_estimate_by_two_loops():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(53, 3)), rng.normal(0.5, 2, (61, 3))

    def kernel(a, b):
        return (a @ b / 3 + 1) ** 3

    own = np.mean([kernel(a, b) for a, b in itertools.permutations(x, 2)])
    others = np.mean([kernel(a, b) for a, b in itertools.permutations(y, 2)])
    both = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(x, y, "x").value == pytest.approx(own + others - 2 * both)


def test_the_kernel_distance_of_shifted_gaussians_has_its_value_in_closed_form():
    shift = 0.7
    # (xy + 1)^3 compares the first three moments: 3 (m1)^2 + 3 (m2)^2 + (m3)^2 of their differences.
    truth = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2
    held, values = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        figure = kernel_distance(rng.normal(shift, 1, (300, 1)), rng.normal(0, 1, (300, 1)), "x")
        held += figure.low <= truth <= figure.high
        values.append(figure.value)
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / np.sqrt(40))
    assert held >= 34  # of 40; 95 % are 38


def test_the_kernel_distance_of_alike_sets_is_zero_on_average_and_below_it_half_of_the_time():
    values = []
    for seed in range(40):
        x, y = np.random.default_rng(seed).normal(size=(2, 100, 4))
        values.append(kernel_distance(x, y, "x").value)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(40)
    assert 8 <= sum(value < 0 for value in values) <= 36


def test_which_block_an_item_is_in_moves_the_interval_but_not_the_value():
    x, y = np.random.default_rng(0).normal(size=(2, 200, 4))
    first, second = (kernel_distance(x, y, "x", seed) for seed in (0, 1))
    assert first.value == pytest.approx(second.value, abs=1e-12)
    assert first.low != second.low


def test_the_frechet_distance_of_gaussians_has_its_value_in_closed_form():
    rng = np.random.default_rng(0)
    scale, shift = np.array([3.0, 2.0, 1.0]), np.array([1.0, 0.0, -2.0])
    reference = rng.normal(size=(20_000, 3)) * scale
    pictures = rng.normal(size=(20_000, 3)) * scale * 2 + shift
    truth = (shift**2).sum() + (scale**2).sum()  # (2 s - s)^2 an axis
    figure = frechet_distance(pictures, reference, "x", dims=3)
    assert figure.value == pytest.approx(truth, rel=0.03)
    assert figure.low < truth < figure.high and figure.high - figure.low < 0.1 * truth
    assert "3 principal components" in figure.space


def test_covariances_that_do_not_commute_are_compared_rightly():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 4))
    x, y = rng.normal(size=(500, 4)) @ a, rng.normal(size=(500, 4)) @ b
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).real).sum()  # the trace of (C1 C2)^1/2
    truth = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * root
    assert gaussian_distance(x, y) == pytest.approx(truth)
    assert gaussian_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_components_are_the_references_and_the_same_from_either_side():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 60)) * np.geomspace(1, 1e-3, 60)
    wide, tall = principal_components(rows, 5), np.linalg.svd(rows - rows.mean(0))[2][:5].T
    assert np.abs((wide * tall).sum(0)) == pytest.approx(np.ones(5))
    many = rng.normal(size=(100, 60)) * np.geomspace(1, 1e-3, 60)
    directions = principal_components(many, 5)
    assert directions.T @ directions == pytest.approx(np.eye(5), abs=1e-9)
    assert np.abs((directions * np.linalg.svd(many - many.mean(0))[2][:5].T).sum(0)) == pytest.approx(np.ones(5))


def test_too_few_items_are_refused_with_their_number_and_the_least():
    x = torch.zeros(99, 20)
    with pytest.raises(InputError, match="10 dimensions of x: 99 items are too few, at least 100"):
        frechet_distance(torch.zeros(100, 20), x, "x", dims=10)
    with pytest.raises(InputError, match="49 items are too few, at least 50"):
        kernel_distance(x[:49], x, "x")
    with pytest.raises(InputError, match="20 features an item against 3"):
        kernel_distance(x, torch.zeros(60, 3), "x")
    with pytest.raises(InputError, match="x has 20 features, take 1 to 20"):
        frechet_distance(torch.zeros(300, 20), torch.zeros(300, 20), "x", dims=21)
