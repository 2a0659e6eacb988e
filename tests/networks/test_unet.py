"""What is particular to the UNet; what it shares with the DiT is in test_denoising_networks.py."""

import pytest
import torch
from torch import nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.unet import UNet, UNetConfig
from text2x.nn.blocks import num_groups
from text2x.nn.embeddings import TimeEmbedding

SMALL = UNetConfig(in_channels=3, out_channels=3, width=16, multipliers=(1, 2), attention_levels=(1,), head_width=16)


@pytest.mark.medium  # importing diffusers takes seconds
def test_with_diffusers_weights_the_output_is_diffusers() -> None:
    config = UNetConfig(
        width=32, multipliers=(1, 2, 3), attention_levels=(1,), head_width=16, context_width=12, vector_width=6
    )
    theirs = pytest.importorskip("diffusers").UNet2DConditionModel(
        block_out_channels=(32, 64, 96),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "ResnetDownsampleBlock2D"),
        up_block_types=("ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        layers_per_block=1,
        attention_head_dim=16,
        cross_attention_dim=12,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        projection_class_embeddings_input_dim=6,
    )
    ours = UNet(UNetConfig(**{**config.__dict__, "qk_norm": False}))
    ours.embedding = TimeEmbedding(128, vector_width=6, frequencies=32)  # theirs has as many frequencies as channels
    copy_weights(ours, theirs.eval())
    x, t, vector = torch.randn(2, 4, 16, 8), torch.tensor([0.2, 0.7]), torch.randn(2, 6)
    context = nn.functional.layer_norm(torch.randn(2, 5, 12), (12,))
    assert sum(parameter.numel() for parameter in ours.parameters()) == 2 * 12 + sum(
        parameter.numel() for parameter in theirs.parameters()
    )  # ours has a norm of the context
    with torch.no_grad():
        expected = theirs(x, 1000 * t, context, class_labels=vector).sample
        result = ours(x, t, Conditioning(context, None, vector))
    assert expected.std() > 0.1
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def copy_weights(ours: UNet, theirs: nn.Module) -> None:
    """Give ours the weights of diffusers' UNet, and theirs our numbers of groups."""

    def copy(target: nn.Module, *sources: nn.Module) -> None:
        for name, parameter in target.named_parameters():
            parameter.data.copy_(torch.cat([source.get_parameter(name) for source in sources]))

    def copy_block(mine: nn.Module, other: nn.Module) -> None:
        names = ("norm1", "conv1", "time_emb_proj", "norm2", "conv2")
        for name, source in zip(("norm_in", "conv_in", "modulation", "norm_out", "conv_out"), names, strict=True):
            copy(getattr(mine, name), getattr(other, source))
        if other.conv_shortcut is not None:
            copy(mine.skip, other.conv_shortcut)

    def copy_level(mine: nn.Module, other: nn.Module) -> None:
        resample = getattr(other, "downsamplers", None) or getattr(other, "upsamplers", None)
        assert (mine.resample is None) == (resample is None)
        pairs = list(zip(mine.blocks, other.resnets, strict=True))
        for pair in pairs if resample is None else [*pairs, (mine.resample, resample[0])]:
            copy_block(*pair)
        attentions = getattr(other, "attentions", ())
        for block, source in zip(mine.attentions, attentions, strict=True):
            copy(block.norm, source.group_norm)
            copy(block.attention.query, source.to_q)
            copy(block.attention.key_value, source.to_k, source.to_v)
            copy(block.attention.text_key_value, source.add_k_proj, source.add_v_proj)
            copy(block.attention.out, source.to_out[0])

    for target, source in (
        (ours.embedding.mlp, theirs.time_embedding),
        (ours.embedding.vector, theirs.class_embedding),
    ):
        assert target is not None
        copy(target[0], source.linear_1)
        copy(target[2], source.linear_2)
    for name, source in (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")):
        copy(getattr(ours, name), getattr(theirs, source))
    levels = [*ours.down, ours.middle, *ours.up]
    for level, source in zip(levels, [*theirs.down_blocks, theirs.mid_block, *theirs.up_blocks], strict=True):
        copy_level(level, source)
    for module in theirs.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = num_groups(module.num_channels)


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
