"""Stable Diffusion's UNet and autoencoder on random weights: ours with theirs gives what diffusers gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from random_networks import filled, saved, shaken
from torch import nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.published.settings import autoencoder_config, unet_config
from text2x.published.stable_diffusion import autoencoder_weights, unet_weights

pytestmark = pytest.mark.medium  # importing diffusers takes seconds
HERE = Path("folder")
TOLERANCE = 1e-4
SMALL: dict[str, Any] = {
    "block_out_channels": (32, 64, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 12,
}
UNETS: dict[str, dict[str, Any]] = {
    "SD 1.x": {"attention_head_dim": 8},
    "SD 2.x": {"attention_head_dim": [2, 4, 4], "use_linear_projection": True},
    "inpainting": {"attention_head_dim": 4, "in_channels": 9},
    "SDXL": {
        "attention_head_dim": [2, 4, 8],
        "use_linear_projection": True,
        "transformer_layers_per_block": [1, 2, 3],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 10 + 6 * 4,
    },
}


@pytest.mark.parametrize("name", UNETS)
def test_a_unet_with_diffusers_weights_gives_its_output(diffusers: Any, name: str) -> None:
    theirs = shaken(diffusers.UNet2DConditionModel(**SMALL, **UNETS[name]))
    ours = filled(unet_weights(saved(theirs), theirs.state_dict(), HERE))
    assert sum(each.numel() for each in ours.parameters()) == sum(each.numel() for each in theirs.parameters())
    x, context = torch.randn(2, 4, 16, 8), torch.randn(2, 7, 12)
    steps = torch.tensor([0, 742])
    channels = torch.randn(2, 5, 16, 8) if name == "inpainting" else None
    vector, added = None, None
    if name == "SDXL":
        pooled, ids = torch.randn(2, 10), torch.randint(0, 1024, (2, 6))
        added = {"text_embeds": pooled, "time_ids": ids}
        vector = torch.cat([pooled, theirs.add_time_proj(ids.flatten()).reshape(2, -1)], 1)
    with torch.no_grad():
        given = x if channels is None else torch.cat([x, channels], 1)
        expected = theirs(given, steps, context, added_cond_kwargs=added).sample
        made = ours(x, (steps + 1) / 1000, Conditioning(context, None, vector, channels))
    assert expected.std() > 0.1
    torch.testing.assert_close(made, expected, atol=TOLERANCE, rtol=0)


def test_padded_tokens_of_the_text_are_hidden_by_the_mask_as_by_theirs(diffusers: Any) -> None:
    theirs = shaken(diffusers.UNet2DConditionModel(**SMALL, attention_head_dim=4))
    ours = filled(unet_weights(saved(theirs), theirs.state_dict(), HERE))
    x, context, steps = torch.randn(2, 4, 8, 8), torch.randn(2, 7, 12), torch.tensor([10, 900])
    mask = torch.arange(7) < torch.tensor([[4], [7]])
    with torch.no_grad():
        expected = theirs(x, steps, context, encoder_attention_mask=mask).sample
        made = ours(x, (steps + 1) / 1000, Conditioning(context, mask))
        unmasked = ours(x, (steps + 1) / 1000, Conditioning(context))
    torch.testing.assert_close(made, expected, atol=TOLERANCE, rtol=0)
    assert (unmasked[0] - expected[0]).abs().max() > 10 * TOLERANCE


AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (32, 64, 64),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 2,
    "norm_num_groups": 8,
}


@pytest.mark.parametrize("changed", [{}, {"mid_block_add_attention": False, "latent_channels": 16}], ids=str)
@pytest.mark.parametrize("quantization", [True, False])
def test_an_autoencoder_with_diffusers_weights_gives_its_output(
    diffusers: Any, changed: dict[str, Any], quantization: bool
) -> None:
    quant = {"use_quant_conv": quantization, "use_post_quant_conv": quantization}
    theirs = shaken(diffusers.AutoencoderKL(**{**AUTOENCODER, **changed, **quant}))
    ours = filled(autoencoder_weights(saved(theirs), theirs.state_dict(), HERE))
    x = torch.rand(2, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        expected = theirs.encode(x).latent_dist
        mean, log_variance = ours.encode(x)
        torch.testing.assert_close(mean, expected.mean, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(log_variance, expected.logvar, atol=TOLERANCE, rtol=0)
        decoded = theirs.decode(expected.mean).sample
        torch.testing.assert_close(ours.decode(expected.mean), decoded, atol=TOLERANCE, rtol=0)
    assert decoded.std() > 0.1 and expected.mean.std() > 0.1
    assert sum(each.numel() for each in ours.parameters()) == sum(each.numel() for each in theirs.parameters())


def test_the_older_names_of_the_autoencoders_attention_are_known(diffusers: Any) -> None:
    theirs = shaken(diffusers.AutoencoderKL(**AUTOENCODER))
    new = theirs.state_dict()
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, value in new.items():
        for now, before in older.items():
            if f".{now}." in name:
                name = name.replace(now, before)
                value = value[..., None, None] if value.ndim == 2 else value  # they were convolutions of width 1
        old[name] = value
    assert old.keys() != new.keys()
    values = saved(theirs)
    _, expected = autoencoder_weights(values, new, HERE)
    for name, value in autoencoder_weights(values, old, HERE)[1].items():
        assert torch.equal(value, expected[name])


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    from text2x.networks.autoencoder import Autoencoder
    from text2x.networks.cross_unet import CrossUNet

    published = {"block_out_channels": [320, 640, 1280, 1280]}
    sizes = {
        "SD 1.x": ({"cross_attention_dim": 768, "attention_head_dim": 8}, 859_520_964),
        "SD 1.x inpainting": ({"cross_attention_dim": 768, "in_channels": 9}, 859_535_364),
        "SD 2.x": (
            {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True},
            865_910_724,
        ),
    }
    with torch.device("meta"):
        for settings, count in sizes.values():
            network: nn.Module = CrossUNet(unet_config({**published, **settings}))
            assert sum(each.numel() for each in network.parameters()) == count
        levels = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
        network = Autoencoder(
            autoencoder_config({"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, **levels})
        )
        assert sum(each.numel() for each in network.parameters()) == 83_653_863


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act_fn": "gelu"}, "act_fn of this UNet2DConditionModel is 'gelu'; text2x has only 'silu'"),
        ({"encoder_hid_dim": 64}, "encoder_hid_dim .* is 64; text2x has no such setting"),
        ({"attention_head_dim": [8, 8]}, r"attention_head_dim .* is \[8, 8\]; it must be a number, or 3 of them"),
        ({"block_out_channels": [32, 48, 64]}, "each must be a multiple of the first"),
        ({"up_block_types": ["UpBlock2D"] * 3}, "not its down_block_types backwards"),
        ({"down_block_types": ["AttnDownBlock2D"] * 3}, "AttnDownBlock2D"),
        ({"class_embed_type": "timestep"}, "text2x has one of projection, text_time"),
        ({"layers_per_block": [1, 2, 2]}, "the same at every level"),
    ],
)
def test_settings_that_we_have_not_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        unet_config({**SMALL, **change})


def test_weights_that_do_not_fit_the_settings_are_refused_by_name(diffusers: Any) -> None:
    theirs = diffusers.AutoencoderKL(**AUTOENCODER)
    tensors, values = theirs.state_dict(), saved(theirs)
    lacking = {name: value for name, value in tensors.items() if name != "quant_conv.bias"}
    with pytest.raises(InputError, match=r"folder lacks quant_conv\.bias"):
        autoencoder_weights(values, lacking, HERE)
    with pytest.raises(InputError, match=r"folder has loss\.weight, which"):
        autoencoder_weights(values, {**tensors, "loss.weight": torch.zeros(1)}, HERE)
    with pytest.raises(
        InputError, match=r"quant_conv\.weight \[8, 8, 3, 3\]; its settings say the shape \[8, 8, 1, 1\]"
    ):
        autoencoder_weights(values, {**tensors, "quant_conv.weight": torch.zeros(8, 8, 3, 3)}, HERE)
