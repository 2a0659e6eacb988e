"""Codecs: what they standardise by hand, sizes, pictures of three channels, and what is refused."""

from dataclasses import replace

import pytest
import torch

from text2x.codecs import Identity, LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.autoencoder import AutoencoderConfig
from tiny_latents import SHAPE, codec_config, tiny_codec


def pictures(count: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 4, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_codec_of_pixels_changes_nothing() -> None:
    x = pictures()
    assert Identity().encode(x) is x and Identity().decode(x) is x and Identity().factor == 1


def test_latents_are_the_means_less_the_shift_times_the_scale_channel_by_channel() -> None:
    codec, x = tiny_codec(), pictures()
    mean, _ = codec.network.encode(x)
    latents = codec.encode(x)
    assert codec.factor == 4 and latents.shape == (2, 4, 4, 4)
    for channel in range(4):
        by_hand = (mean[:, channel] - 0.1 * channel) * 2
        torch.testing.assert_close(latents[:, channel], by_hand)


def test_decoding_undoes_shift_and_scale_and_stays_in_range() -> None:
    codec, x = tiny_codec(), pictures()
    made = codec.decode(codec.encode(x))
    plain = codec.network.decode(codec.network.encode(x)[0])
    torch.testing.assert_close(made, plain.clamp(-1, 1), atol=1e-5, rtol=1e-5)
    assert codec.decode(100 * torch.randn(1, 4, 4, 4)).abs().max() == 1


def test_an_autoencoder_without_alpha_sees_pictures_on_black_and_makes_opaque_ones() -> None:
    codec = tiny_codec(replace(SHAPE, in_channels=3, out_channels=3))
    x = pictures()
    changed = x.clone()
    changed[:, 3] = 1
    assert torch.equal(codec.encode(x), codec.encode(changed))
    made = codec.decode(codec.encode(x))
    assert made.shape == x.shape and (made[:, 3] == 1).all()


def test_a_codec_is_the_same_after_saving() -> None:
    config = replace(codec_config(), sha256="ab", hole_mask=True)
    assert from_dict(LatentCodecConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("shift", "scale", "channels", "message"),
    [
        ((0.0,), (1.0,) * 4, 4, "codec.shift is .* must be 4 finite"),
        ((0.0,) * 4, (1.0, 1.0, 0.0, 1.0), 4, "codec.scale is .* above 0"),
        ((0.0,) * 4, (float("nan"),) * 4, 4, "codec.scale is .* finite"),
        ((0.0,) * 4, (1.0,) * 4, 1, "has 1 channels; pictures have 3"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(shift, scale, channels: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LatentCodecConfig(AutoencoderConfig(channels, channels), shift, scale)
