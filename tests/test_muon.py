"""Muon: orthogonal updates of the size of AdamW's, for matrices and kernels alike."""

import pytest
import torch
from torch import nn

from text2x.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix).float())
    assert values.min() > 0.5
    assert values.max() < 1.3  # the published coefficients end between about 0.7 and 1.2


def test_an_update_keeps_the_singular_vectors():
    left, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))
    right, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    matrix = left @ torch.diag(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.5, 1.0])) @ right.T
    core = left.T @ orthogonal(matrix).float() @ right
    assert (core - torch.diag(core.diagonal())).abs().max() < 0.05


def test_the_update_has_the_root_mean_square_of_adamw():
    weight = nn.Parameter(torch.zeros(32, 64))
    weight.grad = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=1.0, weight_decay=0.0).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.3)


def test_a_kernel_is_updated_as_the_matrix_that_it_is():
    gradient = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    kernel, matrix = nn.Parameter(torch.ones(8, 4, 3, 3)), nn.Parameter(torch.ones(8, 36))
    kernel.grad, matrix.grad = gradient, gradient.flatten(1)
    Muon([kernel, matrix], lr=0.1).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"\[3\]"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_it_solves_a_linear_regression():
    generator = torch.Generator().manual_seed(0)
    truth, x = torch.randn(4, 8, generator=generator), torch.randn(64, 8, generator=generator)
    layer = nn.Linear(8, 4, bias=False)
    optimizer = Muon(layer.parameters(), lr=0.1, weight_decay=0.0)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        loss = (layer(x) - x @ truth.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-2
