"""Intervals against published values and against how often they hold the truth."""

import math

import numpy as np
import pytest

from text2x.errors import InputError
from text2x.metrics.intervals import (
    blocks,
    bootstrap,
    jackknife,
    mean,
    paired_difference,
    rate,
    ratio_of_means,
    student,
    wilson,
)
from text2x.metrics.metric import Metric, exact, rows_of, same_length, to_json


def test_wilsons_interval_has_its_published_values():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1), abs=1e-4)


def test_items_of_one_group_count_once_in_the_interval_of_a_share():
    hits = [1, 1, 0, 0] * 5
    alone, grouped = rate(hits, "x"), rate(hits, "x", [i // 4 for i in range(20)])
    assert alone.value == grouped.value == 0.5
    assert (grouped.low, grouped.high) == pytest.approx(wilson(0.5, 5))
    assert grouped.high - grouped.low > alone.high - alone.low
    assert grouped.n == 20 and "5 groups" in grouped.note


def test_the_bootstrap_of_a_mean_agrees_with_its_standard_error():
    values = np.random.default_rng(0).normal(3, 2, 400)
    figure = mean(values, "x")
    half = 1.96 * values.std() / 20
    assert figure.value == values.mean()
    assert figure.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_a_bootstrap_depends_on_its_seed_alone_however_much_is_drawn_at_a_time(monkeypatch):
    values = np.arange(50.0)
    first = bootstrap(lambda drawn: values[drawn].mean(1), 50, seed=1)
    assert first == bootstrap(lambda drawn: values[drawn].mean(1), 50, seed=1)
    assert first != bootstrap(lambda drawn: values[drawn].mean(1), 50, seed=2)
    monkeypatch.setattr("text2x.metrics.intervals.CHUNK", 50 * 7)
    assert first == bootstrap(lambda drawn: values[drawn].mean(1), 50, seed=1)


def test_paired_differences_are_narrow_where_items_agree():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 200)  # how hard each prompt is, the same for both
    first, second = hard + 1 + rng.normal(0, 0.1, 200), hard
    figure = paired_difference(first, second, "x")
    assert figure.value == pytest.approx(1, abs=0.03)
    assert figure.low > 0.9 and figure.high < 1.1


def test_a_ratio_of_means_weighs_items_by_their_size():
    figure = ratio_of_means(np.array([1.0, 30.0]), np.array([1.0, 10.0]), "x")
    assert figure.value == pytest.approx(31 / 11)
    assert figure.low == 1 and figure.high == 3
    with pytest.raises(InputError, match="mean 0; it must be above 0"):
        ratio_of_means(np.ones(3), np.zeros(3), "x")


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(1).normal(size=10)
    low, high = jackknife(values.mean(), [np.delete(values, i).mean() for i in range(10)])
    half = 2.262 * values.std(ddof=1) / math.sqrt(10)  # 2.262: t of 9 degrees of freedom
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-3)


def test_students_quantiles_are_those_of_the_tables():
    for freedom, quantile in [(4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (1000, 1.962)]:
        assert student(freedom) == pytest.approx(quantile, abs=2e-3)


def test_blocks_hold_every_item_once():
    parts = blocks(53, 10, 0)
    assert sorted(np.concatenate(parts)) == list(range(53))
    assert {len(part) for part in parts} == {5, 6}


def test_a_figure_that_is_not_finite_is_refused_and_others_become_json():
    with pytest.raises(InputError, match="'x' over 7 items is not finite"):
        Metric(math.nan, 0, 1, 7, "x")
    plain = to_json({"a": {"b": exact(0.01, 100, "x", "chance")}})
    expected = {"value": 0.01, "low": 0.01, "high": 0.01, "n": 100, "space": "x", "note": "chance"}
    assert plain == {"a": {"b": expected}}


def test_mistakes_in_features_are_named_with_their_numbers():
    with pytest.raises(InputError, match=r"one row an item; got \[3\]"):
        rows_of(np.ones(3), "x")
    with pytest.raises(InputError, match="x: 3 items are too few, at least 5"):
        rows_of(np.ones((3, 2)), "x", 5)
    with pytest.raises(InputError, match="1 of 3 items have values that are not finite"):
        rows_of(np.array([[1.0], [np.nan], [2.0]]), "x")
    with pytest.raises(InputError, match="got 2 prompts, 1 pictures"):
        same_length({"prompts": "ab", "pictures": "a"})
    with pytest.raises(InputError, match="4 blocks are too few"):
        jackknife(0.0, [0.0] * 4)
    with pytest.raises(InputError, match=r"a share of 1\.5 of 3"):
        wilson(1.5, 3)
    for undefined in (lambda: rate([], "x"), lambda: mean([], "x")):
        with pytest.raises(InputError, match="give at least 1"):
            undefined()
