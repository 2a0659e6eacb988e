"""What is particular to the UNet; what it shares with the DiT is in test_denoising_networks.py."""

import pytest
import torch

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.unet import UNet, UNetConfig

SMALL = UNetConfig(in_channels=3, out_channels=3, width=16, multipliers=(1, 2), attention_levels=(1,), head_width=16)


def test_video_is_halved_in_space_only_so_any_number_of_frames_goes() -> None:
    network = UNet(UNetConfig(dims=3, in_channels=3, out_channels=3, width=8, multipliers=(1, 2), attention_levels=()))
    assert network(torch.randn(1, 3, 5, 4, 6), torch.rand(1), Conditioning()).shape == (1, 3, 5, 4, 6)


@pytest.mark.parametrize(("levels", "blocks", "count"), [((), 1, 0), ((1,), 1, 4), ((0, 1), 2, 11)])
def test_attention_is_where_the_configuration_says(levels: tuple[int, ...], blocks: int, count: int) -> None:
    config = UNetConfig(width=16, multipliers=(1, 2), attention_levels=levels, blocks_per_level=blocks, context_width=6)
    network = UNet(config)  # each level has `blocks` on the way down and one more on the way up; one is in the middle
    assert len(list(network.attention_blocks())) == count
    assert len(network.prepare(Conditioning(context=torch.randn(1, 2, 6))).keys_values) == count


def test_patches_of_pixels_become_channels_first() -> None:
    network = UNet(UNetConfig(width=16, multipliers=(1, 2), attention_levels=(), patch=2))
    assert network.conv_in.weight.shape[1] == 4 * 4
    assert network(torch.randn(1, 4, 8, 12), torch.rand(1), Conditioning()).shape == (1, 4, 8, 12)
    with pytest.raises(InputError, match="patch is 2 with dims 1"):
        UNet(UNetConfig(dims=1, patch=2))


def test_four_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="dims is 4"):
        UNet(UNetConfig(dims=4))


def test_the_names_of_the_weights_are_those_of_saved_models() -> None:
    names = UNet(SMALL).state_dict()
    for name in (
        "embedding.mlp.0.weight",
        "conv_in.weight",
        "down.0.blocks.0.norm_in.weight",
        "down.0.resample.conv_in.weight",
        "down.1.attentions.0.attention.query_scale",
        "middle.blocks.1.modulation.weight",
        "middle.attentions.0.attention.key_value.weight",
        "up.0.blocks.1.skip.weight",
        "norm_out.weight",
        "conv_out.bias",
    ):
        assert name in names, name
