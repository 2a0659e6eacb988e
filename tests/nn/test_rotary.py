"""Rotary positions: products depend on distances along each axis, lengths are kept, any size goes."""

import pytest
import torch

from text2x.errors import InputError
from text2x.nn.rotary import angles, positions, rotation, sines

HEAD = 16


def products(query: torch.Tensor, key: torch.Tensor, at: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    """Inner products of one query and one key, turned to each pair of points: [S]."""

    def turned(x: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return rotation(angles(points, HEAD).double())(x.expand(1, 1, len(points), HEAD))[0, 0]

    return (turned(query, at) * turned(key, to)).sum(-1)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_shift_of_both_positions_changes_nothing(dims: int) -> None:
    query, key = torch.randn(2, HEAD).double()
    at, to = (torch.randint(0, 50, (20, dims)).float() for _ in range(2))
    shift = torch.randint(0, 50, (1, dims)).float()
    expected = products(query, key, at, to)
    torch.testing.assert_close(products(query, key, at + shift, to + shift), expected, atol=1e-4, rtol=0)
    for axis in range(dims):
        moved = to + torch.eye(dims)[axis]
        assert (products(query, key, at, moved) - expected).abs().min() > 1e-4


def test_the_angles_of_an_axis_are_its_positions_times_geometric_frequencies() -> None:
    angle = angles(torch.tensor([[2.0, 5.0]]), HEAD)  # 8 pairs, 4 for each axis
    expected = [position * 10_000 ** (-i / 4) for position in (2, 5) for i in range(4)]
    torch.testing.assert_close(angle[0], torch.tensor(expected))


def test_lengths_are_kept_and_position_zero_is_not_turned() -> None:
    x = torch.randn(2, 3, 12, HEAD)
    turned = rotation(angles(positions((3, 4)), HEAD))(x)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, :, 0], x[:, :, 0])
    assert not torch.allclose(turned[:, :, 1:], x[:, :, 1:])


def test_positions_run_over_the_last_axis_first() -> None:
    assert positions((2, 1, 3)).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 0], [1, 0, 1], [1, 0, 2]]


def test_channels_left_over_are_not_turned() -> None:
    angle = angles(positions((2, 2, 2)), HEAD)  # 8 pairs, 2 for each of 3 axes
    assert angle.shape == (8, 8)
    assert angle[-1, :6].all() and not angle[:, 6:].any()


def test_the_absolute_embedding_tells_all_positions_apart() -> None:
    embedding = sines(angles(positions((16, 16)), 64))
    assert embedding.shape == (256, 64)
    assert (torch.cdist(embedding, embedding) + 100 * torch.eye(256)).min() > 0.5


@pytest.mark.parametrize(("width", "dims"), [(15, 1), (4, 3), (2, 2)])
def test_heads_without_a_pair_for_each_axis_are_refused(width: int, dims: int) -> None:
    with pytest.raises(InputError, match=f"head width {width} .* {dims} axes"):
        angles(torch.zeros(1, dims), width)
