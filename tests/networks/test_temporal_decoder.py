"""The autoencoder of Stable Video Diffusion: chunks of frames, memory, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.networks.temporal_decoder import TemporalAutoencoder, TemporalAutoencoderConfig

CONFIG = TemporalAutoencoderConfig(width=32, multipliers=(1, 2), blocks_per_level=2)


def built() -> TemporalAutoencoder:
    torch.manual_seed(0)
    return TemporalAutoencoder(CONFIG).eval()


def latents(frames: int, count: int = 1) -> Tensor:
    return torch.randn(count, 4, frames, 4, 4, generator=torch.Generator().manual_seed(frames))


def largest_made(network: nn.Module, z: Tensor, together: int) -> int:
    """Numbers in the largest tensor that any layer gives while latents are decoded."""
    sizes: list[int] = []
    hooks = [
        each.register_forward_hook(lambda module, inputs, made: sizes.append(made.numel()))
        for each in network.modules()
        if each is not network
    ]
    with torch.no_grad():
        network.decode(z, together)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    return max(sizes)


@torch.no_grad()
def test_chunks_are_decoded_as_if_each_were_a_clip_of_its_own() -> None:
    network, z = built(), latents(5, 2)
    made = network.decode(z, together=2)
    assert made.shape == (2, 3, 5, 8, 8)
    for begin in (0, 2, 4):
        assert torch.equal(made[:, :, begin : begin + 2], network.decode(z[:, :, begin : begin + 2]))
    whole = network.decode(z)
    assert torch.equal(whole, network.decode(z, together=5)) and not torch.allclose(whole, made)


def test_what_decoding_holds_does_not_grow_with_the_frames_when_they_come_in_chunks() -> None:
    network = built()
    assert largest_made(network, latents(4), 2) == largest_made(network, latents(16), 2)
    assert largest_made(network, latents(16), 16) == 8 * largest_made(network, latents(16), 2)


def test_with_gradients_the_same_is_made_and_all_of_the_decoder_learns() -> None:
    network, z = built(), latents(3).requires_grad_()
    made = network.decode(z, together=2)
    with torch.no_grad():
        assert torch.equal(made, network.decode(z, together=2))
    made.square().sum().backward()
    assert z.grad is not None and z.grad.any()
    assert all(each.grad is not None and each.grad.any() for each in network.decoder.parameters())


@torch.no_grad()
def test_frames_are_encoded_each_on_its_own() -> None:
    network = built()
    clip = torch.rand(1, 3, 3, 8, 8, generator=torch.Generator().manual_seed(2)) * 2 - 1
    mean, log_variance = network.encode(clip)
    assert mean.shape == log_variance.shape == (1, 4, 3, 4, 4)
    for frame in range(3):
        assert torch.equal(network.encode(clip[:, :, frame : frame + 1])[0][:, :, 0], mean[:, :, frame])
    assert network(clip).shape == clip.shape


def test_what_does_not_fit_is_refused() -> None:
    network = built()
    with pytest.raises(InputError, match=r"size \(7, 8\) does not fit this autoencoder: take multiples of 2"):
        network.encode(torch.zeros(1, 3, 2, 7, 8))
    with pytest.raises(InputError, match="frames decoded together are 0"):
        network.decode(latents(2), together=0)
