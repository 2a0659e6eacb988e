"""Averaged weights against the recursion in plain numbers; states that come back."""

import pytest
import torch
from torch import nn

from text2x.nn.averaging import Averages, warmed_decay


def test_the_average_follows_its_recursion() -> None:
    module = nn.Linear(1, 1, bias=False)
    averages = Averages(module, (0.5, 0.99))
    with torch.no_grad():
        expected = {decay: float(module.weight) for decay in (0.5, 0.99)}
        for step in range(1, 40):
            module.weight.fill_(step**0.5)
            averages.update(step)
            for decay in expected:
                kept = min(decay, (1 + step) / (10 + step))
                expected[decay] = kept * expected[decay] + (1 - kept) * step**0.5
    for decay, value in expected.items():
        assert float(averages.state(decay)["weight"]) == pytest.approx(value, rel=1e-5)


def test_the_decay_warms_up_to_its_own_value() -> None:
    assert warmed_decay(0.999, 0) == 0.1
    assert warmed_decay(0.999, 10) == 0.55
    assert warmed_decay(0.999, 1_000_000) == 0.999


def test_one_update_for_many_steps_forgets_as_much_as_many_updates() -> None:
    module = nn.Linear(3, 2)
    often, seldom = Averages(module, (0.9,)), Averages(module, (0.9,))
    with torch.no_grad():
        module.weight.mul_(3)
    for _ in range(8):
        often.update(10_000)
    seldom.update(10_000, steps=8)
    torch.testing.assert_close(often.state(0.9), seldom.state(0.9), rtol=1e-5, atol=1e-6)


def test_a_decay_of_zero_is_the_weights_themselves() -> None:
    module = nn.Linear(3, 2)
    averages = Averages(module, (0.0,))
    with torch.no_grad():
        module.weight.mul_(3)
    averages.update(1)
    assert torch.equal(averages.state(0.0)["weight"], module.weight)


def test_averages_are_float32_and_what_is_not_trained_is_as_in_the_module() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).bfloat16()
    module[0].bias.requires_grad_(False)
    averages = Averages(module, (0.9,))
    module[1].running_mean.fill_(5)
    module[0].bias.fill_(7)
    averages.update(1)
    state = averages.state(0.9)
    assert state.keys() == module.state_dict().keys()
    assert state["0.weight"].dtype == torch.float32
    assert state["1.running_mean"].tolist() == [5, 5]
    assert state["0.bias"].tolist() == [7, 7]


def test_loaded_averages_go_on_bit_for_bit() -> None:
    module = nn.Linear(3, 2)
    first = Averages(module, (0.9, 0.99))
    with torch.no_grad():
        module.weight.add_(1)
    first.update(5)
    second = Averages(module, (0.9, 0.99))
    for decay in (0.9, 0.99):
        second.load(decay, {name: value.clone() for name, value in first.state(decay).items()})
    for each in (first, second):
        each.update(6)
    for decay in (0.9, 0.99):
        assert torch.equal(first.state(decay)["weight"], second.state(decay)["weight"])
