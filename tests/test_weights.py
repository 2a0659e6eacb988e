"""Small weights: what is lost by packing them, and that nothing else is."""

import pytest
import torch

from text2x.weights import pack, unpack


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {
        "conv.weight": torch.randn(6, 3, 3, 3) * torch.logspace(-4, 1, 6)[:, None, None, None],
        "bias": torch.randn(6),
    }


def test_float32_comes_back_as_it_was(state):
    back = unpack(pack(state, "float32"))
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_int8_is_within_half_a_step_of_each_output_channel(state):
    back = unpack(pack(state, "int8"))
    largest = state["conv.weight"].flatten(1).abs().amax(1)
    error = (back["conv.weight"] - state["conv.weight"]).flatten(1).abs().amax(1)
    # half a step, and the rounding of the scale itself to float16 (2^-11 of at most 127 steps)
    assert (error <= largest / 127 * 0.5 + largest * 2.0**-11 + 127 * 2.0**-25).all()
    assert set(back) == set(state)


def test_int8_keeps_vectors_in_float16(state):
    packed = pack(state, "int8")
    assert packed["conv.weight"].dtype == torch.int8
    assert packed["bias"].dtype == torch.float16
    assert torch.equal(unpack(packed)["bias"], state["bias"].half().float())


def test_a_row_of_zeros_stays_zero():
    assert not unpack(pack({"weight": torch.zeros(3, 4)}, "int8"))["weight"].any()
