"""Patches and back."""

import pytest
import torch
from torch.nn import functional as F

from text2x.nn.patches import from_patches, to_patches


@pytest.mark.parametrize(("patch", "sizes"), [((4,), (12,)), ((2, 3), (4, 9)), ((1, 2, 4), (3, 4, 8))])
def test_patches_and_back_is_x(patch: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *sizes)
    assert torch.equal(from_patches(to_patches(x, patch), patch, sizes), x)


def test_patches_are_those_of_unfold() -> None:
    x = torch.randn(2, 3, 8, 12)
    assert torch.equal(to_patches(x, (4, 4)), F.unfold(x, 4, stride=4).transpose(1, 2))
