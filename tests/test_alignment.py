from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.alignment import (
    diagonal_prior,
    forward_sum_loss,
    monotonic_alignment,
    needed_frames,
    path,
    rounded,
    symbol_means,
)
from text2x.errors import InputError


def all_alignments(optional: list[bool], frames: int) -> list[tuple[int, ...]]:
    """Every way to share out the frames; no two neighbours without any."""
    found = []
    for durations in itertools.product(range(frames + 1), repeat=len(optional)):
        allowed = all(each or free for each, free in zip(durations, optional, strict=True))
        apart = all(a or b for a, b in itertools.pairwise(durations))
        if sum(durations) == frames and allowed and apart:
            found.append(durations)
    return found


def total(scores: torch.Tensor, durations: tuple[int, ...]) -> float:
    order = [symbol for symbol, count in enumerate(durations) for _ in range(count)]
    return sum(float(scores[symbol, frame]) for frame, symbol in enumerate(order))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(4, 6), st.booleans())
def test_the_search_finds_the_best_of_all_alignments(seed: int, symbols: int, frames: int, free: bool):
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randn(symbols, frames, generator=rng)
    optional = (torch.rand(symbols, generator=rng) < 0.5) & free
    every = all_alignments(optional.tolist(), frames)
    made = monotonic_alignment(scores[None], torch.tensor([symbols]), torch.tensor([frames]), optional[None])[0]
    assert tuple(made.tolist()) in every
    assert total(scores, tuple(made.tolist())) == pytest.approx(max(total(scores, each) for each in every), abs=1e-5)


def test_an_item_is_aligned_alike_alone_and_in_a_batch_with_longer_ones():
    rng = torch.Generator().manual_seed(1)
    scores = torch.randn(3, 7, 20, generator=rng)
    counts, frames = torch.tensor([7, 4, 5]), torch.tensor([20, 9, 13])
    made = monotonic_alignment(scores, counts, frames)
    assert made.sum(1).tolist() == frames.tolist()
    for item, (count, stop) in enumerate(zip(counts.tolist(), frames.tolist(), strict=True)):
        own = scores[item : item + 1, :count, :stop]
        alone = monotonic_alignment(own, torch.tensor([count]), torch.tensor([stop]))[0]
        assert made[item, :count].tolist() == alone.tolist()
        assert not made[item, count:].any()


def test_what_is_beyond_an_item_is_not_looked_at():
    scores = torch.zeros(1, 3, 6)
    scores[:, 2:], scores[:, :, 4:] = math.nan, math.inf
    made = monotonic_alignment(scores, torch.tensor([2]), torch.tensor([4]))
    assert made[0, 2] == 0 and int(made.sum()) == 4


def test_durations_that_made_the_scores_are_found_again():
    durations = torch.tensor([[3, 1, 5, 2], [2, 2, 1, 6]])
    scores = path(durations) * 10
    assert monotonic_alignment(scores, torch.tensor([4, 4]), durations.sum(1)).equal(durations)


def test_too_few_frames_and_scores_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="2 frames cannot be aligned with 3 symbols; at least 3 are needed"):
        monotonic_alignment(torch.zeros(1, 3, 2), torch.tensor([3]), torch.tensor([2]))
    with pytest.raises(InputError, match="not finite"):
        monotonic_alignment(torch.full((1, 2, 2), math.nan), torch.tensor([2]), torch.tensor([2]))


@given(st.lists(st.booleans(), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_the_fewest_frames_are_just_enough(optional: list[bool]):
    fewest = needed_frames(optional)
    assert all_alignments(optional, fewest)
    assert fewest == 1 or not all_alignments(optional, fewest - 1)


def test_the_path_marks_each_frame_once():
    made = path(torch.tensor([[2, 0, 3], [1, 1, 0]]))
    assert made.shape == (2, 3, 5)
    assert made[0].argmax(0).tolist() == [0, 0, 2, 2, 2]
    assert made.sum(1).tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


def test_a_symbols_pitch_is_the_mean_of_its_voiced_frames():
    values = torch.tensor([[100.0, 0, 200, 0, 0, 50]])
    assert symbol_means(values, torch.tensor([[3, 2, 1]])).tolist() == [[150, 0, 50]]


def test_rounding_errors_of_durations_do_not_add_up():
    ends = [0.013 * (i + 1) for i in range(100)]
    made = rounded(ends, 0.01)
    for i in range(1, 101):
        assert abs(sum(made[:i]) - ends[i - 1] / 0.01) <= 0.5 + 1e-9
    assert rounded([0.02, 0.031], 0.01, total=9) == [2, 7]
    assert rounded([0.02, 0.5, 0.6], 0.01, total=9) == [2, 7, 0]


def test_the_forward_sum_is_the_sum_over_all_alignments():
    rng = torch.Generator().manual_seed(3)
    scores = torch.randn(1, 3, 5, generator=rng)
    logs = scores[0].double().log_softmax(0)
    sums = [sum(float(logs[s, f]) for f, s in enumerate(order)) for order in _orders(3, 5)]
    expected = -math.log(sum(math.exp(each) for each in sums)) / 3
    loss = forward_sum_loss(scores, torch.tensor([3]), torch.tensor([5]), blank=-1e4)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def _orders(symbols: int, frames: int) -> list[list[int]]:
    every = all_alignments([False] * symbols, frames)
    return [[s for s, count in enumerate(durations) for _ in range(count)] for durations in every]


def test_the_forward_sum_teaches_scores_to_be_monotonic():
    rng = torch.Generator().manual_seed(5)
    scores = torch.randn(1, 4, 12, generator=rng).requires_grad_()
    optimizer = torch.optim.Adam([scores], lr=0.2)
    counts, frames = torch.tensor([4]), torch.tensor([12])
    for _ in range(60):
        optimizer.zero_grad()
        loss = forward_sum_loss(scores, counts, frames)
        loss.backward()
        optimizer.step()
    order = scores.detach()[0].argmax(0)
    assert float(loss.detach()) < 0.3 and bool((order.diff() >= 0).all())


def test_the_prior_is_a_distribution_that_moves_along_the_diagonal():
    prior = diagonal_prior(6, 30).exp()
    assert torch.allclose(prior.sum(0), torch.ones(30), atol=1e-5)
    means = (prior * torch.arange(6.0)[:, None]).sum(0)
    assert bool((means.diff() > 0).all()) and float(means[0]) < 0.5 and float(means[-1]) > 4.5
