"""Precision, recall, density and coverage counted by hand, and on sets with a known share of bad items."""

import numpy as np
import pytest

from text2x.errors import InputError
from text2x.metrics.manifold import clipped_manifold, expected_coverage, manifold
from text2x.metrics.neighbours import nearest


def line(*numbers: float) -> np.ndarray:
    return np.array(numbers)[:, None]


def test_figures_on_a_line_are_those_counted_by_hand():
    reference = line(0, 1, 2, 3, 4, 5, 6, 7, 8, 10)  # radii with k = 1: 1 each, but 2 of the last
    pictures = line(0.5, 0.5, 20, 21, 22, 23, 24, 25, 26, 12)  # radii: 0, 0, then 1 each, but 8 of the last
    figures = manifold(pictures, reference, "x", k=1)
    assert figures["precision"].value == 0.3  # 0.5 twice, and 12, which lies on the ball around 10
    assert figures["density"].value == pytest.approx((2 + 2 + 1) / 10)
    assert figures["coverage"].value == 0.3  # 0, 1 and 10
    assert figures["recall"].value == 0.6  # 4 to 8 and 10: within 8 of 12
    assert figures["density"].space == "x, k 1" and figures["density"].n == 10


def test_a_set_against_itself_is_all_precise_recalled_and_covered():
    rows = np.random.default_rng(0).normal(size=(100, 3))
    figures = manifold(rows, rows, "x")
    assert [figures[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    clipped = clipped_manifold(rows, rows, "x")
    assert clipped["clipped density"].value == 1


def test_alike_sets_have_a_density_of_one_and_the_coverage_of_theory():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 800, 4))
    figures = manifold(x, y, "x")
    assert figures["density"].value == pytest.approx(1, abs=0.08)
    misses = np.prod([(800 - i) / (1600 - i) for i in range(1, 6)])  # Naeem et al. 2020, eq. 9
    assert figures["coverage"].value == pytest.approx(1 - misses, abs=0.02)


def test_clipped_figures_fall_with_the_share_of_bad_pictures():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500, 4))
    for good in (1.0, 0.6, 0.2):
        pictures = x.copy()
        pictures[int(500 * good) :] += 1000
        figures = clipped_manifold(pictures, y, "x")
        for name in ("clipped density", "clipped coverage"):
            assert figures[name].value == pytest.approx(good, abs=0.06), (name, good)
            assert figures[name].low <= figures[name].value <= figures[name].high


def test_an_outlier_of_the_reference_raises_density_but_not_clipped_density():
    rng = np.random.default_rng(0)
    reference = np.concatenate([rng.normal(size=(200, 2)), [[300.0, 0]]])  # its ball is as wide as it is far away
    pictures = rng.normal(size=(200, 2)) + [150, 0]
    assert manifold(pictures, reference, "x")["precision"].value > 0.9
    clipped = clipped_manifold(pictures, reference, "x")
    assert clipped["clipped density"].value == 0
    assert clipped["clipped coverage"].value < 0.01
    assert clipped_manifold(pictures + 1000, reference, "x")["clipped coverage"].value == 0


def test_the_coverage_of_a_perfect_sampler_is_its_mean_over_draws():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        ball = np.sort(np.abs(rng.uniform(-1, 1, 49)))[4]  # up to the 5th nearest of the 49 other items
        found.append(min((np.abs(rng.uniform(-1, 1, 30)) <= ball).sum(), 5) / 5)
    assert expected_coverage(30, 5, 50) == pytest.approx(np.mean(found), abs=3 * np.std(found) / np.sqrt(200))
    assert expected_coverage(0, 5, 50) == 0 and expected_coverage(1e6, 5, 50) > 0.999


def test_neighbours_are_those_of_all_distances_and_an_equal_row_is_at_exactly_zero(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 6)), rng.normal(size=(40, 6)) + 1000
    y[7] = x[3] = 1e3 / 7
    distances, places = nearest(x, y, 3)
    everything = np.linalg.norm(x[:, None] - y, axis=2)
    assert distances == pytest.approx(np.sort(everything, axis=1)[:, :3])
    assert distances[3, 0] == 0 and places[3, 0] == 7
    monkeypatch.setattr("text2x.metrics.neighbours.CHUNK", 7)
    again, others = nearest(y, y, 2, same=True)
    apart = np.linalg.norm(y[:, None] - y, axis=2) + np.diag([np.inf] * 40)
    assert (others[:, 0] == apart.argmin(1)).all() and again == pytest.approx(np.sort(apart, 1)[:, :2])


def test_too_few_items_for_the_neighbours_are_refused():
    with pytest.raises(InputError, match="k 5 in x: 49 items are too few, at least 50"):
        manifold(np.zeros((49, 2)), np.zeros((60, 2)), "x")
    with pytest.raises(InputError, match="k is 0"):
        clipped_manifold(np.zeros((49, 2)), np.zeros((60, 2)), "x", k=0)
