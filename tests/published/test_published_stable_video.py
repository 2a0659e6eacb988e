"""Stable Video Diffusion's UNet and autoencoder on random weights: ours with theirs gives what diffusers gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from random_networks import saved, shaken
from torch import nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.files import save_tensors, write_json
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet, SpatioTemporalUNetConfig
from text2x.networks.temporal_decoder import TemporalAutoencoder, TemporalAutoencoderConfig
from text2x.published.importing import import_folder, read_network
from text2x.published.stable_video import (
    video_autoencoder_config,
    video_autoencoder_weights,
    video_unet_config,
    video_unet_weights,
)

pytestmark = pytest.mark.medium  # importing diffusers takes seconds
HERE = Path("folder")
TOLERANCE = 1e-4
SMALL: dict[str, Any] = {
    "block_out_channels": (32, 64, 64),
    "down_block_types": (
        "CrossAttnDownBlockSpatioTemporal",
        "CrossAttnDownBlockSpatioTemporal",
        "DownBlockSpatioTemporal",
    ),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    "layers_per_block": 1,
    "cross_attention_dim": 12,
    "num_attention_heads": (2, 4, 4),
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24,
}
AUTOENCODER: dict[str, Any] = {"block_out_channels": (32, 64, 64), "down_block_types": ("DownEncoderBlock2D",) * 3}


def unet_of(theirs: Any) -> SpatioTemporalUNet:
    config, weights = video_unet_weights(saved(theirs), theirs.state_dict(), HERE)
    network = SpatioTemporalUNet(config)
    network.load_state_dict(weights)
    return network.eval()


def autoencoder_of(theirs: Any) -> TemporalAutoencoder:
    config, weights = video_autoencoder_weights(saved(theirs), theirs.state_dict(), HERE)
    network = TemporalAutoencoder(config)
    network.load_state_dict(weights)
    return network.eval()


def count(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize(
    "changed", [{}, {"layers_per_block": 2, "transformer_layers_per_block": [2, 1, 1]}], ids=["plain", "deep"]
)
@pytest.mark.parametrize("tokens", [1, 5])
@torch.no_grad()
def test_a_unet_with_diffusers_weights_gives_its_output(diffusers: Any, changed: dict[str, Any], tokens: int) -> None:
    torch.manual_seed(0)
    theirs = shaken(diffusers.UNetSpatioTemporalConditionModel(**{**SMALL, **changed}))
    ours = unet_of(theirs)
    assert count(ours) == count(theirs)
    x, first = torch.randn(2, 4, 5, 8, 16), torch.randn(2, 4, 5, 8, 16)
    context, numbers = torch.randn(2, tokens, 12), torch.tensor([[6.0, 127.0, 0.02], [24.0, 3.0, 0.3]])
    t = torch.tensor([0.1, 0.8])
    given = torch.cat([x, first], 1).transpose(1, 2)
    expected = theirs(given, ours.told_time(t), context, numbers).sample.transpose(1, 2)
    made = ours(x, t, Conditioning(context, None, numbers, first))
    assert expected.std() > 0.1
    torch.testing.assert_close(made, expected, atol=TOLERANCE, rtol=1e-4)
    prepared = ours.prepare(Conditioning(context, None, numbers, first))
    assert torch.equal(ours(x, t, prepared), made)


def test_time_is_told_as_the_scheduler_of_stable_video_diffusion_tells_it(diffusers: Any) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_type="continuous",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
    )
    scheduler.set_timesteps(5)
    with torch.device("meta"):
        network = SpatioTemporalUNet(video_unet_config({**SMALL, "block_out_channels": [32, 64, 64]}))
    t = torch.linspace(1, 0, 5)
    torch.testing.assert_close(network.told_time(t), scheduler.timesteps.float(), atol=1e-4, rtol=1e-4)
    alpha, sigma = network.config.schedule(t.double())
    torch.testing.assert_close((sigma / alpha).float(), scheduler.sigmas[:-1].float(), atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_an_autoencoder_with_diffusers_weights_gives_its_output(diffusers: Any) -> None:
    torch.manual_seed(0)
    for layers in (1, 2):
        theirs = shaken(diffusers.AutoencoderKLTemporalDecoder(**AUTOENCODER, layers_per_block=layers))
        ours = autoencoder_of(theirs)
        assert count(ours) == count(theirs)
        clip = torch.rand(2, 3, 3, 8, 16) * 2 - 1
        latents = theirs.encode(clip.transpose(1, 2).flatten(0, 1)).latent_dist
        mean, log_variance = (each.transpose(1, 2).flatten(0, 1) for each in ours.encode(clip))
        torch.testing.assert_close(mean, latents.mean, atol=TOLERANCE, rtol=1e-4)
        torch.testing.assert_close(log_variance, latents.logvar, atol=TOLERANCE, rtol=1e-4)
        expected = theirs.decode(latents.mean, num_frames=3).sample.unflatten(0, (2, 3)).transpose(1, 2)
        made = ours.decode(mean.unflatten(0, (2, 3)).transpose(1, 2))
        assert expected.std() > 0.1
        torch.testing.assert_close(made, expected, atol=TOLERANCE, rtol=1e-4)


def test_the_published_sizes_are_built_with_the_published_number_of_parameters(diffusers: Any) -> None:
    with torch.device("meta"):
        assert count(SpatioTemporalUNet(SpatioTemporalUNetConfig())) == count(
            diffusers.UNetSpatioTemporalConditionModel()
        )
        published = {"block_out_channels": (128, 256, 512, 512), "down_block_types": ("DownEncoderBlock2D",) * 4}
        theirs = diffusers.AutoencoderKLTemporalDecoder(**published, layers_per_block=2)
        assert count(TemporalAutoencoder(TemporalAutoencoderConfig())) == count(theirs)


@torch.no_grad()
def test_a_folder_is_imported_and_read_back(diffusers: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for theirs in (
        shaken(diffusers.UNetSpatioTemporalConditionModel(**SMALL)),
        shaken(diffusers.AutoencoderKLTemporalDecoder(**AUTOENCODER)),
    ):
        name = type(theirs).__name__
        theirs.save_pretrained(tmp_path / name)
        made = import_folder(tmp_path / name, tmp_path / f"our-{name}")
        assert (made.kind, made.what, made.parameters) == ("network", name, count(theirs))
        network = read_network(tmp_path / f"our-{name}")
        expected = unet_of(theirs) if "UNet" in name else autoencoder_of(theirs)
        for key, value in expected.state_dict().items():
            assert torch.equal(network.state_dict()[key], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act_fn": "gelu"}, "act_fn of this UNetSpatioTemporalConditionModel is 'gelu'; text2x has no such setting"),
        ({"down_block_types": ["DownBlock2D"] * 3}, "DownBlock2D"),
        ({"up_block_types": ["UpBlockSpatioTemporal"] * 3}, "not its down_block_types backwards"),
        ({"projection_class_embeddings_input_dim": 25}, "is 25; it must be a multiple of 8"),
        ({"layers_per_block": [1, 2, 2]}, "the same at every level"),
    ],
)
def test_settings_that_we_have_not_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        video_unet_config({**SMALL, **change})


def test_an_autoencoder_of_other_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="text2x has DownEncoderBlock2D at each level"):
        video_autoencoder_config({**AUTOENCODER, "down_block_types": ["AttnDownEncoderBlock2D"] * 3})
    write_json(tmp_path / "config.json", {"_class_name": "AutoencoderKLTemporalDecoder", **AUTOENCODER})
    save_tensors(tmp_path / "diffusion_pytorch_model.safetensors", {"loss.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="lacks decoder"):
        import_folder(tmp_path, tmp_path.parent / "ours")
