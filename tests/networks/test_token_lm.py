"""The language model over codes: causality, the cache, text and what is put in front, and parity with MusicGen."""

import pytest
import torch

from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM, TokenLMConfig, positions

SMALL = TokenLMConfig(codebooks=3, codes=11, width=16, depth=2, num_heads=2, context_width=6, prepended_width=5)


def network(config: TokenLMConfig = SMALL) -> TokenLM:
    torch.manual_seed(0)
    return TokenLM(config).eval()


def codes(batch: int = 2, steps: int = 7) -> torch.Tensor:
    return torch.randint(0, 12, (batch, 3, steps), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_step_depends_on_those_before_it_alone() -> None:
    model, given = network(), codes()
    told = model.prepare(torch.randn(2, 4, 6))
    whole = model(given, told)
    assert whole.shape == (2, 3, 7, 11)
    other = given.clone()
    other[:, :, 4:] = 0
    assert torch.equal(model(other, told)[:, :, :4], whole[:, :, :4])
    assert not torch.allclose(model(other, told)[:, :, 4:], whole[:, :, 4:])


@torch.no_grad()
@pytest.mark.parametrize("sizes", [(1,) * 7, (3, 1, 3), (2, 5)])
def test_with_the_cache_new_steps_come_out_as_in_the_whole(sizes: tuple[int, ...]) -> None:
    model, given = network(), codes()
    told = model.prepare(torch.randn(2, 4, 6), None, torch.randn(2, 3, 5))
    whole = model(given, told)
    cache, begin, parts = model.new_cache(), 0, []
    for size in sizes:
        parts.append(model(given[:, :, begin : begin + size], told, cache))
        begin += size
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, atol=1e-5, rtol=1e-5)
    assert cache.steps == 7 + 3


@torch.no_grad()
def test_text_and_what_is_put_in_front_matter_and_masked_tokens_do_not() -> None:
    model, given = network(), codes()
    text, mask = torch.randn(2, 4, 6), torch.tensor([[True, True, False, False], [True] * 4])
    whole = model(given, model.prepare(text, mask))
    changed = text.clone()
    changed[0, 2:] = 50
    assert torch.equal(model(given, model.prepare(changed, mask))[0], whole[0])
    assert not torch.allclose(model(given, model.prepare(changed))[0], whole[0])
    empty = model(given, model.prepare(text, torch.zeros(2, 4, dtype=torch.bool)))
    assert torch.isfinite(empty).all()
    front = model(given, model.prepare(text, mask, torch.randn(2, 3, 5)))
    assert front.shape == whole.shape and not torch.allclose(front, whole)


def test_a_network_that_cannot_be_built_says_why() -> None:
    with pytest.raises(InputError, match="width is 18; it must be even and a multiple of num_heads, 4"):
        TokenLM(TokenLMConfig(width=18, num_heads=4))


def test_positions_go_on_where_they_were() -> None:
    assert torch.equal(positions(3, 4, 8), positions(0, 7, 8)[3:])


@torch.no_grad()
@pytest.mark.medium
def test_logits_are_those_of_musicgens_decoder() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.MusicgenDecoderConfig(
        vocab_size=11, hidden_size=16, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, num_codebooks=3,
        pad_token_id=11, bos_token_id=11, activation_function="gelu",
    )  # fmt: skip
    reference = transformers.MusicgenForCausalLM(config).eval()
    model = network(TokenLMConfig(codebooks=3, codes=11, width=16, depth=2, num_heads=2, context_width=16))
    state = model.state_dict()
    theirs = {name: torch.randn_like(value) * 0.2 for name, value in reference.state_dict().items()}
    theirs = {name: value + (1 if name.endswith("norm.weight") else 0) for name, value in theirs.items()}
    reference.load_state_dict(theirs)
    for book in range(3):
        state[f"embeddings.{book}.weight"] = theirs[f"model.decoder.embed_tokens.{book}.weight"]
        state[f"heads.{book}.weight"] = theirs[f"lm_heads.{book}.weight"]
    for at in range(2):
        own, their = f"layers.{at}.", f"model.decoder.layers.{at}."
        joined = [theirs[f"{their}self_attn.{each}_proj.weight"] for each in "qkv"]
        state[f"{own}attention.query_key_value.weight"] = torch.cat(joined)
        state[f"{own}attention.out.weight"] = theirs[f"{their}self_attn.out_proj.weight"]
        state[f"{own}cross.query.weight"] = theirs[f"{their}encoder_attn.q_proj.weight"]
        joined = [theirs[f"{their}encoder_attn.{each}_proj.weight"] for each in "kv"]
        state[f"{own}cross.key_value.weight"] = torch.cat(joined)
        state[f"{own}cross.out.weight"] = theirs[f"{their}encoder_attn.out_proj.weight"]
        state[f"{own}into.weight"] = theirs[f"{their}fc1.weight"]
        state[f"{own}out.weight"] = theirs[f"{their}fc2.weight"]
        for ours, name in (
            ("norm_attention", "self_attn_layer_norm"),
            ("norm_cross", "encoder_attn_layer_norm"),
            ("norm_feed_forward", "final_layer_norm"),
        ):
            for kind in ("weight", "bias"):
                state[f"{own}{ours}.{kind}"] = theirs[f"{their}{name}.{kind}"]
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = theirs[f"model.decoder.layer_norm.{kind}"]
    state["context.weight"], state["context.bias"] = torch.eye(16), torch.zeros(16)
    model.load_state_dict(state)
    given, text = codes(), torch.randn(2, 4, 16)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    expected = reference(
        given.reshape(-1, 7), encoder_hidden_states=text * mask[..., None], encoder_attention_mask=mask
    ).logits  # [B K, S, V]
    found = model(given, model.prepare(text, mask.bool()))
    torch.testing.assert_close(found, expected.unflatten(0, (2, 3)), atol=1e-4, rtol=1e-4)
