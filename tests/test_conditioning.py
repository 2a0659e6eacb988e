"""Conditions: fields that are off stay off, batches are joined and cut along their first axis."""

import pytest
import torch

from text2x.conditioning import Conditioning, concatenate


def condition(batch: int = 3, **changes: torch.Tensor | None) -> Conditioning:
    """A condition of four tokens of width two, a vector of width five and one channel."""
    values: dict[str, torch.Tensor | None] = {
        "context": torch.randn(batch, 4, 2),
        "context_mask": torch.rand(batch, 4) < 0.5,
        "vector": torch.randn(batch, 5),
        "channels": torch.randn(batch, 1, 6, 6),
    }
    return Conditioning(**{**values, **changes})


def test_everything_is_off_unless_it_is_given() -> None:
    assert [Conditioning().context, Conditioning().context_mask, Conditioning().vector] == [None, None, None]
    assert Conditioning().channels is None


def test_moving_to_another_type_leaves_masks_and_absent_fields_alone() -> None:
    moved = condition(channels=None).to("cpu", torch.bfloat16)
    assert moved.context is not None and moved.context.dtype == torch.bfloat16
    assert moved.vector is not None and moved.vector.dtype == torch.bfloat16
    assert moved.context_mask is not None and moved.context_mask.dtype == torch.bool
    assert moved.channels is None


def test_moving_without_a_type_keeps_every_value() -> None:
    given = condition()
    moved = given.to("cpu")
    for name in ("context", "context_mask", "vector", "channels"):
        assert torch.equal(getattr(moved, name), getattr(given, name))


def test_items_are_selected_in_every_field() -> None:
    given = condition(4)
    for index in (slice(1, 3), torch.tensor([3, 0]), torch.tensor([True, False, True, False])):
        chosen = given[index]
        for name in ("context", "context_mask", "vector", "channels"):
            assert torch.equal(getattr(chosen, name), getattr(given, name)[index])
    assert condition(vector=None)[:1].vector is None


def test_joined_batches_come_apart_again() -> None:
    first, second = condition(2), condition(3)
    both = concatenate([first, second])
    for part, begin, end in ((first, 0, 2), (second, 2, 5)):
        for name in ("context", "context_mask", "vector", "channels"):
            assert torch.equal(getattr(both[begin:end], name), getattr(part, name))


def test_a_field_that_only_some_batches_have_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="vector is set in 1 of 2 conditionings"):
        concatenate([condition(), condition(vector=None)])
    assert concatenate([condition(vector=None), condition(vector=None)]).vector is None


def test_other_channels_change_nothing_else() -> None:
    given = condition()
    changed = given.with_channels(torch.zeros(3, 2, 6, 6))
    assert changed.channels is not None and changed.channels.shape == (3, 2, 6, 6)
    assert changed.context is given.context and changed.vector is given.vector
    assert given.channels is not None and given.channels.shape == (3, 1, 6, 6)
