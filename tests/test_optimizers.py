"""Learning rates by hand, which parameter goes where, clipping, and optimiser states that come back."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.optimizers import (
    build_optimizers,
    clip_gradients,
    group_parameters,
    learning_rate,
    load_optimizer_state,
    optimizer_state,
    set_learning_rate,
)
from text2x.training_config import TrainingConfig

CONFIG = TrainingConfig(steps=110, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.2)


class Net(nn.Module):
    """One of each kind of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 8)
        self.patch = nn.Conv1d(8, 8, 1)
        self.blocks = nn.ModuleList([nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8))])
        self.out = nn.Linear(8, 3)
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [B, L] -> [B, L, 3]."""
        x = self.patch(self.embedding(ids).mT).mT
        for block in self.blocks:
            x = x + F.silu(block(x))
        return self.out(x) * self.frozen


def test_the_rate_rises_to_its_peak_and_ends_at_its_share() -> None:
    assert learning_rate(0, CONFIG) == pytest.approx(0.1)
    assert learning_rate(9, CONFIG) == pytest.approx(1.0)
    assert learning_rate(10, CONFIG) == pytest.approx(1.0)
    for decay in ("cosine", "linear"):
        assert learning_rate(60, replace(CONFIG, decay=decay)) == pytest.approx(0.6)
        assert learning_rate(110, replace(CONFIG, decay=decay)) == pytest.approx(0.2)
        assert learning_rate(500, replace(CONFIG, decay=decay)) == pytest.approx(0.2)
    quarter = 0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2
    assert learning_rate(35, CONFIG) == pytest.approx(quarter)
    assert learning_rate(35, replace(CONFIG, decay="linear")) == pytest.approx(0.8)
    assert learning_rate(109, replace(CONFIG, decay="constant")) == 1.0


def test_a_run_shorter_than_its_warm_up_has_rates() -> None:
    short = replace(CONFIG, steps=5)
    assert [learning_rate(step, short) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert learning_rate(0, replace(CONFIG, warmup_steps=0)) == 1.0


def test_parameters_are_grouped_by_what_they_are() -> None:
    net = Net()
    names = {value: name for name, value in net.named_parameters()}
    matrices, decayed, plain = ([names[value] for value in group] for group in group_parameters(net))
    assert matrices == ["blocks.0.1.weight"]
    assert decayed == ["patch.weight", "out.weight"]
    assert sorted(plain) == [
        *("blocks.0.0.bias", "blocks.0.0.weight", "blocks.0.1.bias", "embedding.weight", "out.bias", "patch.bias"),
    ]


def test_kernels_of_numbered_blocks_go_with_the_matrices() -> None:
    matrices, decayed, _ = group_parameters(nn.ModuleDict({"in": nn.Conv1d(2, 2, 3), "0": nn.Conv2d(2, 4, 3)}))
    assert [list(value.shape) for value in matrices] == [[4, 2, 3, 3]]
    assert [list(value.shape) for value in decayed] == [[2, 2, 3]]


def test_weights_decay_and_biases_gains_and_embeddings_do_not() -> None:
    for kind in ("adamw", "muon"):
        net = Net()
        before = {name: value.detach().clone() for name, value in net.named_parameters()}
        optimizers = build_optimizers(net, TrainingConfig(optimizer=kind, learning_rate=0.1, weight_decay=0.5))
        for value in net.parameters():
            value.grad = torch.zeros_like(value)
        for optimizer in optimizers:
            optimizer.step()
        shrunk = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
        assert shrunk == {"blocks.0.1.weight", "patch.weight", "out.weight"}
        torch.testing.assert_close(net.out.weight, before["out.weight"] * 0.95)


def test_gradients_are_scaled_to_the_largest_norm_and_left_alone_below_it() -> None:
    values = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True), torch.zeros(1)]
    values[0].grad, values[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip_gradients(values, 10.0) == 5.0
    assert values[0].grad.tolist() == [3, 0]
    assert clip_gradients(values, 1.0) == 5.0
    assert values[0].grad.tolist() == pytest.approx([0.6, 0])
    assert values[1].grad.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_an_optimiser_goes_on_bit_for_bit_from_its_saved_state(kind: str) -> None:
    config = TrainingConfig(optimizer=kind)
    ids, target = torch.randint(5, (4, 6)), torch.randn(4, 6, 3)

    def train(net: Net, optimizers: list[torch.optim.Optimizer], steps: range) -> None:
        for step in steps:
            set_learning_rate(optimizers, 0.01 / (1 + step))
            (net(ids) - target).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

    first, second = Net(), Net()
    optimizers = build_optimizers(first, config)
    train(first, optimizers, range(5))
    second.load_state_dict(first.state_dict())
    others = build_optimizers(second, config)
    state = {name: value.clone() for name, value in optimizer_state(first, optimizers).items()}
    load_optimizer_state(second, others, state)
    train(first, optimizers, range(5, 10))
    train(second, others, range(5, 10))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert optimizer_state(first, optimizers).keys() == optimizer_state(second, others).keys()


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_loss_falls(kind: str) -> None:
    net = Net()
    ids = torch.randint(5, (4, 6))
    target = F.one_hot(ids % 3, 3).float()
    optimizers = build_optimizers(net, TrainingConfig(optimizer=kind, learning_rate=0.02))
    losses = []
    for _ in range(60):
        loss = (net(ids) - target).square().mean()
        losses.append(float(loss.detach()))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_parts_learn_at_their_share_of_the_rate_and_the_first_entry_that_fits_counts(kind: str) -> None:
    net = Net()
    config = TrainingConfig(optimizer=kind, rates=(("blocks.", 0.5), ("out.weight", 3.0), ("out.", 0.0)))
    optimizers = build_optimizers(net, config)
    set_learning_rate(optimizers, 0.1)
    names = {value: name for name, value in net.named_parameters()}
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    rates = {names[value]: group["lr"] for group in groups for value in group["params"]}
    given = {name: rates.pop(name) for name in list(rates) if name.startswith(("blocks.", "out."))}
    assert given.pop("out.weight") == pytest.approx(0.3) and given.pop("out.bias") == 0
    assert len(given) == 4 and set(given.values()) == {0.05}
    assert set(rates.values()) == {0.1}


@pytest.mark.parametrize("share", [-1.0, math.inf, math.nan])
def test_a_share_of_the_rate_that_is_no_size_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="gives 'out.' the share"):
        TrainingConfig(rates=(("out.", share),))
