"""The priors' networks: parity with diffusers' PriorTransformer, causality, batches, principal components, buckets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.diffusion.schedules import Betas
from text2x.errors import InputError
from text2x.networks.prior import DiffusionPrior, PriorConfig, causal_mask
from text2x.networks.prior_tokens import TokenPrior, TokenPriorConfig

CONFIG = PriorConfig(embedding=16, context_width=16, tokens=8, width=32, depth=2, num_heads=4)
TOKENS = TokenPriorConfig(
    embedding=12, components=5, buckets=8, dots=4, context_width=16, tokens=8, width=32, depth=2, num_heads=4
)


def told(count: int, width: int, seed: int = 0) -> Conditioning:
    """Prompts of 2 to 8 tokens."""
    rng = torch.Generator().manual_seed(seed)
    mask = torch.arange(8) < torch.randint(2, 9, (count, 1), generator=rng)
    return Conditioning(
        torch.randn(count, 8, 16, generator=rng), mask, torch.randn(count, width, generator=rng)
    )  # fmt: skip


def filled(network: torch.nn.Module, std: float = 0.1) -> torch.nn.Module:
    """Weights that are nowhere zero."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return network.eval()


NAMES = {
    "time_embedding.linear_1": "time.0", "time_embedding.linear_2": "time.2", "proj_in": "image_in",
    "embedding_proj": "text_in", "encoder_hidden_states_proj": "tokens_in", "norm_in": "norm_in",
    "norm_out": "norm_out", "proj_to_clip_embeddings": "image_out",
}  # fmt: skip
BLOCK = {
    "norm1": "attention_norm", "attn1.to_out.0": "attention_out", "norm3": "norm", "ff.net.0.proj": "hidden",
    "ff.net.2": "out",
}  # fmt: skip


def from_diffusers(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Our names for the weights of a PriorTransformer."""
    made = {
        "positions": state["positional_embedding"][0], "query": state["prd_embedding"][0],
        "mean": state["clip_mean"][0], "std": state["clip_std"][0],
    }  # fmt: skip
    for kind in ("weight", "bias"):
        made |= {f"{own}.{kind}": state[f"{name}.{kind}"] for name, own in NAMES.items() if f"{name}.{kind}" in state}
        for place in range(depth):
            begin = f"transformer_blocks.{place}"
            made |= {f"blocks.{place}.{own}.{kind}": state[f"{begin}.{name}.{kind}"] for name, own in BLOCK.items()}
            parts = [state[f"{begin}.attn1.to_{part}.{kind}"] for part in "qkv"]
            made[f"blocks.{place}.query_key_value.{kind}"] = torch.cat(parts)
    return made


@pytest.mark.medium
@pytest.mark.parametrize("norm_in", [False, True])
def test_it_computes_what_the_prior_transformer_of_diffusers_does(norm_in: bool) -> None:
    from diffusers import PriorTransformer

    theirs = PriorTransformer(
        num_attention_heads=4, attention_head_dim=8, num_layers=2, embedding_dim=16, num_embeddings=8,
        norm_in_type="layer" if norm_in else None,
    )  # fmt: skip
    filled(theirs, 0.3)
    own = DiffusionPrior(
        PriorConfig(16, context_width=16, tokens=8, width=32, depth=2, num_heads=4, norm_in=norm_in, num_steps=1000)
    )
    own.load_state_dict(from_diffusers(theirs.state_dict(), 2))
    own.eval()
    x, conditioning = torch.randn(3, 16), told(3, 16)
    steps = torch.tensor([0, 500, 999])
    with torch.no_grad():
        expected = theirs(
            x, steps, conditioning.vector, conditioning.context, conditioning.context_mask
        ).predicted_image_embedding  # fmt: skip
        made = own(x, (steps + 1) / Betas().num_steps, conditioning)
        assert torch.allclose(made, expected, atol=2e-5)
        assert torch.allclose(own.unscaled(made), theirs.post_process_latents(expected), atol=2e-5)


def test_a_row_has_the_same_bits_in_every_batch() -> None:
    prior, conditioning = filled(DiffusionPrior(CONFIG)), told(7, 16)
    x, t = torch.randn(7, 16), torch.rand(7)
    with torch.no_grad():
        together = prior(x, t, conditioning)
        for row in range(7):
            one = slice(row, row + 1)
            assert torch.equal(prior(x[one], t[one], conditioning[one]), together[one])


def test_every_input_reaches_the_estimate_and_padding_does_not() -> None:
    prior, conditioning = filled(DiffusionPrior(CONFIG)), told(1, 16)
    assert conditioning.context is not None and conditioning.vector is not None
    mask = torch.tensor([[True] * 4 + [False] * 4])
    first = conditioning.context.clone()
    x, t = torch.randn(1, 16), torch.tensor([0.4])

    def estimate(context: Tensor, vector: Tensor, x: Tensor, t: Tensor) -> Tensor:
        with torch.no_grad():
            return prior(x, t, Conditioning(context, mask, vector))

    plain = estimate(first, conditioning.vector, x, t)
    padded, changed = first.clone(), first.clone()
    padded[:, 5] += 1
    changed[:, 3] += 1
    assert torch.equal(estimate(padded, conditioning.vector, x, t), plain)
    for other in (
        estimate(changed, conditioning.vector, x, t),
        estimate(first, conditioning.vector + 1, x, t),
        estimate(first, conditioning.vector, x + 1, t),
        estimate(first, conditioning.vector, x, t + 0.1),
    ):
        assert not torch.equal(other, plain)


def test_the_mask_lets_each_position_see_itself_and_what_is_before_it() -> None:
    mask = causal_mask(torch.tensor([[True, True, False]]), 2)[0, 0]
    seen = mask == 0
    assert seen.tolist() == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, True, False, False, False],
        [True, True, False, True, False],
        [True, True, False, True, True],
    ]


def test_scaling_is_undone() -> None:
    prior = DiffusionPrior(CONFIG)
    prior.mean.normal_()
    prior.std.uniform_(0.5, 2.0)
    x = torch.randn(5, 16)
    assert torch.allclose(prior.unscaled(prior.scaled(x)), x, atol=1e-6)


def test_a_width_that_heads_do_not_divide_and_a_context_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="30"):
        DiffusionPrior(PriorConfig(width=30, num_heads=4))
    with pytest.raises(ValueError, match="8 tokens"):
        DiffusionPrior(CONFIG).prepare(Conditioning(torch.zeros(1, 5, 16), torch.ones(1, 5) > 0, torch.zeros(1, 16)))


# The autoregressive prior


def fitted(config: TokenPriorConfig = TOKENS) -> tuple[TokenPrior, Tensor]:
    """A prior fitted to points that are spread by 12, 11, ... 1 along unknown axes."""
    rng = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=rng))[0]
    points = (torch.randn(2000, 12, generator=rng) * torch.arange(12, 0, -1)) @ turn.T + 3
    prior = TokenPrior(config)
    prior.fit(points, points[:, 0])
    return prior, points


def test_components_are_orthonormal_and_ordered_by_how_far_the_data_is_spread() -> None:
    prior, points = fitted()
    assert torch.allclose(prior.axes @ prior.axes.T, torch.eye(5), atol=1e-5)
    spreads = ((points - prior.mean) @ prior.axes.T).std(0)
    assert torch.allclose(spreads, torch.tensor([12.0, 11.0, 10.0, 9.0, 8.0]), rtol=0.1)
    assert (spreads[:-1] > spreads[1:]).all()


def test_what_is_left_out_is_the_variance_of_the_last_components() -> None:
    full = TokenPriorConfig(
        embedding=12, components=5, buckets=4096, dots=4, context_width=16, tokens=8, width=32, depth=1, num_heads=4
    )
    prior, points = fitted(full)
    lost = (prior.restored(prior.quantised(points)) - points).square().sum(1).mean()
    assert float(lost) == pytest.approx(sum(n * n for n in range(1, 8)), rel=0.1)


def test_buckets_are_at_most_half_a_bucket_wrong_and_the_ends_hold_what_lies_beyond() -> None:
    prior, points = fitted()
    buckets = prior.quantised(points)
    assert buckets.amin() == 0 and buckets.amax() == 7
    width = (prior.highs - prior.lows) / 8
    parts = (points - prior.mean) @ prior.axes.T
    back = (prior.restored(buckets) - prior.mean) @ prior.axes.T
    assert ((parts - back).abs() <= width * 0.5001).all()
    far = prior.mean + 1000 * prior.axes[:1]
    assert prior.quantised(far)[0, 0] == 7 and torch.equal(prior.quantised(prior.restored(buckets)), buckets)


def test_dot_products_fall_into_buckets_of_equal_number() -> None:
    prior, points = fitted()
    counts = prior.dot_buckets(points[:, 0]).bincount(minlength=4)
    assert counts.min() > 480 and counts.max() < 520


def test_a_component_is_guessed_from_those_before_it_alone() -> None:
    prior, conditioning = filled(TokenPrior(TOKENS)), told(2, 12)
    dots, buckets = torch.tensor([3, 0]), torch.randint(8, (2, 4))
    with torch.no_grad():
        logits = prior(conditioning, dots, buckets)
        other = buckets.clone()
        other[:, 2] = (other[:, 2] + 1) % 8
        changed = prior(conditioning, dots, other)
        first = prior(conditioning, dots, buckets[:, :0])
    assert logits.shape == (2, 5, 8) and first.shape == (2, 1, 8)
    assert torch.equal(logits[:, :3], changed[:, :3]) and not torch.equal(logits[:, 3], changed[:, 3])
    assert torch.allclose(first[:, 0], logits[:, 0], atol=1e-5)
    with torch.no_grad():
        assert not torch.equal(prior(conditioning, 3 - dots, buckets)[:, 0], logits[:, 0])
