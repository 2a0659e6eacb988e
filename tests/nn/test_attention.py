"""Attention against torch's own, its masks, and the text keys and values in front. Float32, tolerance 1e-5."""

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.nn.attention import Attention

B, S, L, WIDTH, TEXT, HEADS = 2, 6, 5, 24, 10, 3


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """x, text and a mask that hides the last two tokens of the first item."""
    mask = torch.ones(B, L, dtype=torch.bool)
    mask[0, 3:] = False
    return torch.randn(B, S, WIDTH), torch.randn(B, L, TEXT), mask


def torch_attention(ours: Attention, keys_values: nn.Linear) -> nn.MultiheadAttention:
    """torch's module with our weights, where keys and values come from one layer."""
    width = keys_values.in_features
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, kdim=width, vdim=width)
    key, value = keys_values.weight.chunk(2)
    if theirs.in_proj_weight is not None:
        theirs.in_proj_weight.data.copy_(torch.cat([ours.query.weight, key, value]))
    else:
        for target, source in zip(("q", "k", "v"), (ours.query.weight, key, value), strict=True):
            getattr(theirs, f"{target}_proj_weight").data.copy_(source)
    assert theirs.in_proj_bias is not None
    theirs.in_proj_bias.data.copy_(torch.cat([ours.query.bias, keys_values.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


def test_self_attention_equals_torchs() -> None:
    ours, (x, _, _) = Attention(WIDTH, HEADS, qk_norm=False), inputs()
    assert ours.key_value is not None
    expected, _ = torch_attention(ours, ours.key_value)(x, x, x)
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=0)


def test_cross_attention_equals_torchs_with_its_mask() -> None:
    ours, (x, context, mask) = Attention(WIDTH, HEADS, "cross", TEXT, qk_norm=False), inputs()
    assert ours.text_key_value is not None
    expected, _ = torch_attention(ours, ours.text_key_value)(x, context, context, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, ours.text_keys_values(context), mask), expected, atol=1e-5, rtol=0)


def test_joint_attention_is_attention_over_the_text_and_x_in_one_softmax() -> None:
    ours, (x, context, mask) = Attention(WIDTH, HEADS, "joint", TEXT), inputs()
    text_key, text_value = ours.text_keys_values(context)
    assert ours.key_value is not None and ours.query_scale is not None
    query = nn.functional.normalize(ours.query(x).unflatten(-1, (HEADS, -1)).transpose(1, 2), dim=-1) * 8**0.5
    key, value = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in ours.key_value(x).chunk(2, dim=-1))
    key = nn.functional.normalize(key, dim=-1) * 8**0.5  # unit root mean square of 8 channels
    scores = query @ torch.cat([text_key, key], dim=2).transpose(-1, -2) / 8**0.5
    scores[..., :L].masked_fill_(~mask[:, None, None], -torch.inf)
    expected = ours.out((scores.softmax(-1) @ torch.cat([text_value, value], dim=2)).transpose(1, 2).flatten(2))
    torch.testing.assert_close(ours(x, (text_key, text_value), mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("text", ["joint", "cross"])
def test_masked_tokens_have_no_influence(text: str) -> None:
    attention, (x, context, mask) = Attention(WIDTH, HEADS, text, TEXT), inputs()  # type: ignore[arg-type]
    other = torch.where(mask[..., None], context, 100 * torch.randn_like(context))
    results = [attention(x, attention.text_keys_values(each), mask) for each in (context, other)]
    assert torch.equal(*results)
    unmasked = [attention(x, attention.text_keys_values(each)) for each in (context, other)]
    assert not torch.allclose(*unmasked)
    shorter = attention(x[:1], attention.text_keys_values(context[:1, :3]))
    torch.testing.assert_close(results[0][:1], shorter, atol=1e-5, rtol=0)


def test_without_text_joint_is_self_attention_and_cross_is_zero() -> None:
    x, context, _ = inputs()
    joint, alone = Attention(WIDTH, HEADS, "joint", TEXT), Attention(WIDTH, HEADS)
    alone.load_state_dict(joint.state_dict(), strict=False)
    assert torch.equal(joint(x), alone(x))
    assert not torch.allclose(joint(x, joint.text_keys_values(context)), alone(x))
    assert not Attention(WIDTH, HEADS, "cross", TEXT)(x).any()


def test_with_query_key_norm_the_length_of_queries_and_keys_does_not_matter() -> None:
    x, _, _ = inputs()
    for qk_norm in (True, False):
        attention = Attention(WIDTH, HEADS, qk_norm=qk_norm)
        before = attention(x)
        attention.query.weight.data.mul_(30)
        attention.query.bias.data.mul_(30)
        assert torch.allclose(attention(x), before, atol=1e-5) == qk_norm


@pytest.mark.parametrize("text", ["none", "joint", "cross"])
def test_training_in_bfloat16_has_the_gradients_of_float32(text: str) -> None:
    attention, (x, context, mask) = Attention(WIDTH, HEADS, text, TEXT), inputs()  # type: ignore[arg-type]

    def result_and_gradients() -> list[Tensor]:
        attention.zero_grad()
        keys_values = None if text == "none" else attention.text_keys_values(context)
        y = attention(x, keys_values, mask)
        y.float().square().sum().backward()
        gradients = [parameter.grad for parameter in attention.parameters() if parameter.ndim == 2]
        return [y.detach().float(), *(gradient.clone() for gradient in gradients if gradient is not None)]

    exact = result_and_gradients()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = result_and_gradients()
    assert len(exact) == len(rounded) >= 4
    for ours, reference in zip(rounded, exact, strict=True):
        assert (ours - reference).norm() < 0.02 * reference.norm()  # bfloat16 keeps 8 bits


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match="width 24 .* 5"):
        Attention(24, 5)


def test_attention_without_text_refuses_to_project_text() -> None:
    with pytest.raises(ValueError, match="takes no text"):
        Attention(WIDTH, HEADS).text_keys_values(torch.zeros(1, 1, TEXT))
