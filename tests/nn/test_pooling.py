"""Attention pooling: a mean where all keys are alike, blind to padding, the same bits in any batch; in the UNet too."""

from dataclasses import replace

import torch

from text2x.conditioning import Conditioning
from text2x.networks.unet import UNet, UNetConfig
from text2x.nn.pooling import AttentionPooling


def test_with_keys_that_are_alike_the_pool_is_of_the_mean_value() -> None:
    torch.manual_seed(0)
    pooling = AttentionPooling(12, 16)
    assert pooling.attention.text_key_value is not None
    torch.nn.init.zeros_(pooling.attention.text_key_value.weight[:16])  # every key the same: equal weights
    context = torch.randn(3, 5, 12)
    values = pooling.attention.text_key_value(pooling.norm_context(context))[..., 16:]
    expected = pooling.out(pooling.norm(pooling.attention.out(values.mean(1))))
    torch.testing.assert_close(pooling(context), expected, atol=1e-5, rtol=0)


def test_padding_has_no_influence_and_a_row_has_the_same_bits_in_any_batch() -> None:
    torch.manual_seed(0)
    pooling, context = AttentionPooling(384, 128), torch.randn(5, 32, 384)
    mask = torch.arange(32) < torch.tensor([2, 7, 32, 5, 9])[:, None]
    with torch.no_grad():
        expected = pooling(context, mask)
        noisy = torch.where(mask[..., None], context, 9 * torch.randn_like(context))
        assert torch.equal(pooling(noisy, mask), expected)
        assert not torch.allclose(pooling(noisy), expected)
        for rows in ([0], [3], [1, 0], [4, 2, 3]):
            assert torch.equal(pooling(context[rows], mask[rows]), expected[rows])


def test_in_a_unet_it_is_off_by_default_and_tells_it_of_the_text_without_attention() -> None:
    plain = UNetConfig(width=16, multipliers=(1, 2), attention_levels=(), context_width=10)
    names = set(UNet(plain).state_dict())
    assert not any("pooling" in name for name in names)
    torch.manual_seed(0)
    network = UNet(replace(plain, pooled_context=True))
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    assert set(network.state_dict()) - names == {f"pooling.{name}" for name in network.pooling.state_dict()}  # type: ignore[union-attr]
    x, t = torch.randn(2, 4, 8, 8), torch.rand(2)
    told = [Conditioning(torch.randn(2, 3, 10)) for _ in range(2)]
    one, other = (network(x, t, each) for each in told)
    assert (one - other).abs().mean() > 1e-4
    assert torch.equal(network(x, t, network.prepare(told[0])), one)
