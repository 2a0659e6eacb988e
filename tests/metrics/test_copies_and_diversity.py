"""Copies that were planted, and the spread of pictures that was put in."""

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.copies import copies
from text2x.metrics.diversity import diversity, spread
from text2x.metrics.intervals import wilson


def test_planted_copies_are_found_and_shown_first():
    rng = np.random.default_rng(0)
    training, fresh = rng.normal(size=(300, 50)), rng.normal(size=(40, 50))
    fresh[5] = training[17]
    fresh[9] = training[200] + 0.01 * rng.normal(size=50)
    found = copies(fresh, training, "pixels")
    assert found.rate.value == 2 / 40
    assert (found.rate.low, found.rate.high) == wilson(2 / 40, 40)
    assert found.worst(2) == [(5, 17), (9, 200)]
    assert found.distances[5] == 0 and found.ratios[5] == 0
    held_out = copies(rng.normal(size=(40, 50)), training, "pixels")
    assert held_out.rate.value == 0 and held_out.ratios.min() > 0.5


def test_the_limit_is_a_third_of_the_second_distance():
    training = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    pictures = torch.tensor([[0.9, 0.0], [1.1, 0.0]])  # 0.9 / 3.1 and 1.1 / 2.9
    found = copies(pictures, training, "x")
    assert found.ratios == pytest.approx([0.9 / 3.1, 1.1 / 2.9])
    assert found.rate.value == 0.5 and "< 0.33" in found.rate.space


def test_a_copy_of_a_drawing_that_comes_twice_is_seen_with_groups_only():
    training = np.array([[0.0, 0.0], [0.0, 0.1], [5.0, 0.0], [6.0, 0.0]])
    picture = np.array([[0.0, 0.04]])
    assert copies(picture, training, "x").rate.value == 0
    found = copies(picture, training, "x", groups=["apple", "apple", "car", "car"])
    assert found.rate.value == 1 and found.worst(1) == [(0, 0)]
    assert found.ratios[0] == pytest.approx(0.04 / np.hypot(5, 0.04))


def test_two_equal_training_pictures_do_not_hide_their_copy():
    assert copies(np.zeros((1, 2)), np.zeros((2, 2)), "x").rate.value == 1


def test_diversity_is_the_mean_distance_within_a_prompt_and_spread_between_prompts():
    pictures = np.array([[0.0], [2.0], [10.0], [16.0], [100.0]])
    figure = diversity(pictures, ["a", "a", "b", "b", "c"], "x")
    assert figure.value == (2 + 6) / 2 and (figure.low, figure.high) == (2, 6)
    assert figure.n == 2 and "1 prompts with one picture left out" in figure.note
    three = diversity(np.array([[0.0], [1.0], [3.0]]), "aaa", "x")
    assert three.value == (1 + 2 + 3) / 3
    apart = spread(pictures[:4], ["a", "a", "b", "b"], "x")
    assert apart.value == pytest.approx((10 + 16 + 8 + 14) / 4)


def test_diversity_falls_with_what_guidance_takes_away():
    rng = np.random.default_rng(0)
    centres, noise = rng.normal(size=(50, 1, 8)), rng.normal(size=(50, 4, 8))
    prompts = [i for i in range(50) for _ in range(4)]
    free, guided = (diversity((centres + s * noise).reshape(200, 8), prompts, "x") for s in (1, 0.25))
    assert guided.value == pytest.approx(free.value / 4)
    assert guided.high < free.low


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: copies(np.ones((1, 2)), np.ones((1, 2)), "x"), "1 items are too few, at least 2"),
        (lambda: copies(np.ones((1, 2)), np.ones((3, 4)), "x"), "2 features an item against 4"),
        (lambda: copies(np.ones((1, 2)), np.ones((3, 2)), "x", groups="aaa"), "all 3 training pictures are of one"),
        (lambda: copies(np.ones((1, 2)), np.ones((3, 2)), "x", groups="ab"), "3 training pictures, 2 groups"),
        (lambda: copies(np.ones((1, 2)), np.ones((3, 2)), "x", ratio=2), "ratio is 2; it lies between 0 and 1"),
        (lambda: diversity(np.ones((3, 2)), "abc", "x"), "take at least 2 seeds a prompt"),
        (lambda: spread(np.ones((3, 2)), "aaa", "x"), "take at least 2 prompts"),
    ],
)
def test_mistakes_are_named_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
