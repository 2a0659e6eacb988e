"""Priors in use: on a mixture whose best estimate is known they draw its embeddings; losses, fitting and settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioning
from text2x.config import from_dict, to_dict
from text2x.data.batches import Batch
from text2x.errors import InputError
from text2x.networks.prior import DiffusionPrior
from text2x.networks.prior_tokens import TokenPrior
from text2x.priors import Prior, PriorLoss, PriorRecipe, PriorSampling, PriorText, build_prior, fit_prior
from text2x.recipes.dalle2 import debug_dalle2_prior, debug_dalle2_prior_ar
from text2x.text_conditioner import MiniLMConfig

pytestmark = pytest.mark.medium

D, TOKENS = 32, 12
WORDS = {"": 0, "sun": 1, "moon": 2}


class Tokens:
    """A text encoder of three words; enough for a prior."""

    def __call__(self, prompts: Sequence[str], styles: object = None, augmentations: object = None) -> Conditioning:
        context = torch.zeros(len(prompts), TOKENS, 384)
        for row, prompt in enumerate(prompts):
            context[row, :2, WORDS[prompt]] = 4.0
        mask = (torch.arange(TOKENS) < 2).expand(len(prompts), -1)
        return Conditioning(context, mask)

    def truncated(self, prompt: str) -> str | None:
        return None


def texts(prompts: Sequence[str], styles: object = None) -> Tensor:
    """A direction for each word."""
    return F.one_hot(torch.tensor([WORDS[prompt] for prompt in prompts]), D).float()


def recipe_of(autoregressive: bool, **sampling: object) -> PriorRecipe:
    made = debug_dalle2_prior_ar() if autoregressive else debug_dalle2_prior()
    return replace(made, sampling=replace(PriorSampling(steps=8), **sampling))  # type: ignore[arg-type]


def pictures() -> tuple[Tensor, list[str]]:
    """Embeddings near their word's direction: of the sun along number 1 and 5 or 1 and 6, of the moon 2 and 7 or 8."""
    rng = torch.Generator().manual_seed(0)
    words = ["sun", "moon"] * 64
    points = texts(words) + 0.05 * torch.randn(128, D, generator=rng)
    for row in range(128):
        points[row, 5 + 2 * (row % 2) + (row // 2) % 2] += 0.8
    return F.normalize(points, dim=1), words


def batch_of(rows: list[int], words: list[str]) -> Batch:
    none = torch.zeros(len(rows), 4, 1, 1)
    return Batch(none, tuple(words[row] for row in rows), (None,) * len(rows), None, torch.tensor(rows))


def trained(autoregressive: bool, steps: int) -> Prior:
    """A prior that has seen the pictures often enough."""
    recipe, (table, words) = recipe_of(autoregressive), pictures()
    torch.manual_seed(0)
    network = build_prior(recipe)
    fit_prior(network, recipe, table, texts(words))
    text = PriorText(Tokens(), texts)
    loss = PriorLoss(network, text, recipe, table)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for step in range(steps):
        rng = torch.Generator().manual_seed(step)
        rows = torch.randint(128, (48,), generator=rng).tolist()
        dropped = [words[row] if place >= 5 else "" for place, row in enumerate(range(128))]
        loss(batch_of(rows, dropped), rng)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    return Prior(recipe, network.eval(), text)


@pytest.mark.medium
@pytest.mark.parametrize("autoregressive", [False, True], ids=["diffusion", "autoregressive"])
def test_a_trained_prior_draws_both_kinds_of_pictures_of_each_word(autoregressive: bool) -> None:
    prior = trained(autoregressive, 150 if autoregressive else 400)
    table, words = pictures()
    for word, kinds in (("sun", (5, 6)), ("moon", (7, 8))):
        drawn = prior.draw(word, None, list(range(20)))
        assert torch.allclose(drawn.norm(dim=1), torch.ones(20), atol=1e-5)
        own, other = (drawn[:, WORDS[each]].mean() for each in (word, "moon" if word == "sun" else "sun"))
        assert own > 0.5 and other < 0.2
        firsts = (drawn[:, kinds[0]] > drawn[:, kinds[1]]).sum()
        assert 2 <= int(firsts) <= 18  # a mean of both kinds would be neither
        near = (drawn @ table.T).amax(1)
        assert float(near.mean()) > 0.85


@pytest.mark.parametrize("autoregressive", [False, True], ids=["diffusion", "autoregressive"])
def test_one_item_is_drawn_from_its_seed_alone(autoregressive: bool) -> None:
    recipe = recipe_of(autoregressive, guidance=3.0)
    torch.manual_seed(0)
    network = build_prior(recipe).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    prior = Prior(recipe, network, PriorText(Tokens(), texts))
    together = prior.draw("sun", None, [3, 4, 5])
    assert torch.equal(prior.draw("sun", None, [4]), together[1:2])
    assert not torch.equal(together[0], together[1])
    single = replace(prior, recipe=replace(recipe, sampling=replace(recipe.sampling, guidance=1.0)))
    assert not torch.equal(single.draw("sun", None, [3, 4, 5]), together)
    stochastic = replace(prior, recipe=replace(recipe, sampling=replace(recipe.sampling, sampler="ddpm")))
    assert torch.equal(stochastic.draw("sun", None, [3, 4])[1:], stochastic.draw("sun", None, [4]))


def test_embeddings_are_scaled_to_the_variance_of_pixels_or_whitened() -> None:
    recipe, (table, words) = recipe_of(False), pictures()
    network = build_prior(recipe)
    assert isinstance(network, DiffusionPrior)
    fit_prior(network, recipe, table, texts(words))
    scaled = network.scaled(table)
    assert float(scaled.square().mean().sqrt()) == pytest.approx(17.2 / 32, rel=1e-4)
    assert torch.allclose(scaled, table * 17.2 / 32 * math.sqrt(D), atol=1e-5)
    fit_prior(network, replace(recipe, scaling="whitened"), table, texts(words))
    white = network.scaled(table)
    assert torch.allclose(white.mean(0), torch.zeros(D), atol=1e-5)
    assert torch.allclose(white.std(0), torch.ones(D), atol=1e-3)


def test_the_first_loss_of_an_untrained_prior_is_that_of_knowing_nothing() -> None:
    table, words = pictures()
    batch, rng = batch_of(list(range(128)), words), torch.Generator().manual_seed(0)
    for autoregressive in (False, True):
        recipe = recipe_of(autoregressive)
        torch.manual_seed(0)
        network = build_prior(recipe)
        fit_prior(network, recipe, table, texts(words))
        if isinstance(network, TokenPrior):
            torch.nn.init.zeros_(network.logits_out.weight)
            torch.nn.init.zeros_(network.logits_out.bias)
            expected = math.log(network.config.buckets)
        else:
            torch.nn.init.zeros_(network.image_out.weight)
            torch.nn.init.zeros_(network.image_out.bias)
            expected = float(network.scaled(table).square().mean())
        loss = PriorLoss(network, PriorText(Tokens(), texts), recipe, table)
        assert float(loss(batch, rng)["loss"].detach()) == pytest.approx(expected, rel=1e-4)
        held_out = loss.held_out([batch], seed=0)
        assert held_out["held_out"] == pytest.approx(expected, rel=1e-4)


def test_a_recipe_is_the_same_after_saving_and_what_does_not_fit_is_refused() -> None:
    for recipe in (recipe_of(False), recipe_of(True)):
        assert from_dict(PriorRecipe, to_dict(recipe)) == recipe
        with pytest.raises(InputError, match="tokens is 12 and conditioner.max_tokens 16"):
            build_prior(replace(recipe, conditioner=MiniLMConfig(max_tokens=16, vector=False)))
    with pytest.raises(InputError, match="candidates 0"):
        PriorSampling(candidates=0)
