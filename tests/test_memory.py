"""Counting the bytes of tensors that are alive."""

from __future__ import annotations

import torch
from torch import nn

from text2x.memory import LiveBytes, weight_bytes


def test_the_peak_is_what_was_alive_at_once_and_views_and_weights_count_nothing() -> None:
    weight = torch.randn(100, 100)
    with LiveBytes() as held:
        one = torch.zeros(1000)
        two = one.view(10, 100)
        assert held.live == 4000
        del one
        assert held.live == 4000 and two.numel() == 1000  # a view keeps it
        three = two @ weight
        del two, three
        assert held.live == 0
        weight.add_(1)
    assert held.peak == 8000 and held.live == 0


def test_layers_are_counted_in_inference_mode_too() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
    x = torch.zeros(1, 4, 16, 16)
    with torch.inference_mode(), LiveBytes() as held:
        made = network(x)
    assert made.numel() == 1024 and held.live == 4096
    assert held.peak == 2 * 8 * 256 * 4  # the first layer's result and its rectified one
    count = sum(each.numel() for each in network.parameters())
    assert weight_bytes([network, network[0], None, "no module"]) == 4 * count
