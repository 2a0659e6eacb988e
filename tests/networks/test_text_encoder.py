"""The trainable text transformer: padding, pooling, and that it learns."""

import pytest
import torch

from text2x.networks.text_encoder import TextTransformer, TextTransformerConfig

SMALL = TextTransformerConfig(vocabulary=20, tokens=8, width=32, layers=2, heads=2)


def make(config=SMALL):
    torch.manual_seed(0)
    return TextTransformer(config)


def ids_and_mask(rows=3, valid=5):
    ids = torch.randint(0, 20, (rows, 8), generator=torch.Generator().manual_seed(1))
    return ids, (torch.arange(8) < valid).expand(rows, 8)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_ids_behind_the_mask_have_no_influence(pooling):
    network = make(TextTransformerConfig(vocabulary=20, tokens=8, width=32, layers=2, heads=2, pooling=pooling))
    ids, mask = ids_and_mask()
    other = torch.where(mask, ids, (ids + 7) % 20)
    assert not torch.equal(ids, other)
    for left, right in zip(network(ids, mask), network(other, mask), strict=True):
        assert torch.equal(left, right)


def test_every_token_influences_every_state_because_there_is_no_causal_mask():
    network = make()
    ids, mask = ids_and_mask(rows=1)
    other = ids.clone()
    other[0, 4] = (other[0, 4] + 1) % 20
    change = (network(ids, mask)[0] - network(other, mask)[0]).abs().amax(-1)[0]  # [L]
    assert (change > 1e-6).all()


def test_the_order_of_tokens_matters():
    network = make()
    ids, mask = ids_and_mask(rows=1)
    swapped = ids.clone()
    swapped[0, [1, 2]] = swapped[0, [2, 1]]
    assert ids[0, 1] != ids[0, 2]
    assert (network(ids, mask)[1] - network(swapped, mask)[1]).abs().max() > 1e-5


def test_last_pools_the_last_position_and_mean_the_tokens():
    ids, mask = ids_and_mask()
    states, pooled = make()(ids, mask)
    assert torch.equal(pooled, states[:, -1])
    states, pooled = make(TextTransformerConfig(20, 8, 32, 2, 2, pooling="mean"))(ids, mask)
    torch.testing.assert_close(pooled, states[:, :5].mean(1))


def test_states_have_unit_variance_at_the_start():
    states, _ = make()(*ids_and_mask())
    torch.testing.assert_close(states.var(-1, unbiased=False), torch.ones(3, 8), atol=1e-2, rtol=0)


def test_the_result_of_an_item_does_not_depend_on_its_batch():
    network = make()
    ids, mask = ids_and_mask(rows=9)
    together = network(ids, mask)
    for i in range(9):
        alone = network(ids[i : i + 1], mask[i : i + 1])
        assert torch.equal(alone[0][0], together[0][i]) and torch.equal(alone[1][0], together[1][i])


def test_another_length_is_refused():
    with pytest.raises(ValueError, match=r"ids are \(1, 4\), expected \[B, 8\]"):
        make()(torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.bool))
