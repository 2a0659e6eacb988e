"""The autoencoder of sound and its bottlenecks: what a sample depends on, codes by hand, gradients, what is refused."""

import math

import pytest
import torch

from text2x.errors import InputError
from text2x.networks.audio_codec import (
    AudioCodec,
    AudioCodecConfig,
    GaussianConfig,
    Up,
    divergence,
    drawn_codebooks,
    sampled,
)
from text2x.networks.residual_quantizer import ResidualQuantizer, ResidualQuantizerConfig

SMALL = AudioCodecConfig(4, (2, 4), latent=12, bottleneck=ResidualQuantizerConfig(3, 16, 4))


def test_a_frame_is_hop_samples_and_a_last_part_counts_as_one() -> None:
    codec = AudioCodec(SMALL).eval()
    codes = codec.encode(torch.randn(2, 1, 8 * 5 + 1))
    assert codes.shape == (2, 3, 6) and codes.dtype == torch.int64 and int(codes.max()) < 16
    assert codec.decode(codes).shape == (2, 1, 48)
    assert (AudioCodecConfig().hop, codec.hop, codec.codebooks, codec.cardinality) == (320, 8, 3, 16)


@pytest.mark.parametrize("config", [SMALL, AudioCodecConfig(2, (3, 5), dilations=(1,), latent=4)])
def test_a_sample_depends_on_the_frames_of_its_context_and_on_no_other(config: AudioCodecConfig) -> None:
    codec, frames = AudioCodec(config).double(), 41
    latents = torch.randn(1, config.latent, frames, dtype=torch.float64, requires_grad=True)
    made = codec.decoder(latents)[0, 0, 20 * config.hop : 21 * config.hop]
    heard = torch.autograd.grad(made.square().sum(), latents)[0][0].abs().sum(0).nonzero().flatten()
    assert 20 - config.context <= heard.min() and heard.max() <= 20 + config.context
    assert config.context - 1 <= 20 - heard.min() or config.context - 1 <= heard.max() - 20  # and is not much too wide


@pytest.mark.parametrize("config", [SMALL, AudioCodecConfig(2, (3, 5), dilations=(1,), latent=4)])
def test_a_latent_depends_on_the_sound_of_its_context_and_on_no_other(config: AudioCodecConfig) -> None:
    codec = AudioCodec(config).double()
    x = torch.randn(1, 1, 41 * config.hop, dtype=torch.float64, requires_grad=True)
    heard = torch.autograd.grad(codec.encoded(x)[0, :, 20].square().sum(), x)[0].flatten().nonzero() // config.hop
    assert 20 - config.encoder_context <= heard.min() and heard.max() <= 20 + config.encoder_context


def test_upsampling_is_a_transposed_convolution_three_ratios_wide() -> None:
    up = Up(2, 3)
    x = torch.randn(1, 4, 7)
    weight = up.conv.weight.unflatten(0, (2, 3)).permute(2, 0, 3, 1).flip(2).flatten(2)  # [4, 2, 9]
    bias = up.conv.bias
    assert bias is not None
    wanted = torch.nn.functional.conv_transpose1d(torch.nn.functional.elu(x), weight, stride=3, padding=3)
    wanted = wanted + bias.reshape(2, 3).repeat(1, 7)
    torch.testing.assert_close(up(x), wanted)


# The quantiser


def quantizer() -> ResidualQuantizer:
    """Two codebooks in two dimensions which are the latents themselves."""
    made = ResidualQuantizer(2, ResidualQuantizerConfig(2, 4, 2))
    for book in made.books:
        for layer in (book.into, book.back):  # type: ignore[union-attr]
            layer.weight.data, layer.bias.data = torch.eye(2), torch.zeros(2)  # type: ignore[union-attr]
    books = [[[2.0, 0], [0, 2], [-2, 0], [0, -2]], [[0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1]]]
    for book, codes in zip(made.books, books, strict=True):
        book.codes.weight.data = torch.tensor(codes)  # type: ignore[union-attr]
    return made


def test_codes_are_those_whose_direction_is_nearest_and_the_next_book_has_the_rest() -> None:
    latents = torch.tensor([[1.9, 0.2], [0.3, 2.2]]).T[None]  # frames (1.9, 0.2) and (0.3, 2.2)
    codes = quantizer().encode(latents)
    assert codes.tolist() == [[[0, 1], [1, 0]]]  # (2, 0) leaves (-0.1, 0.2); (0, 2) leaves (0.3, 0.2)
    torch.testing.assert_close(quantizer().decode(codes), torch.tensor([[[2.0, 0.1], [0.1, 2.0]]]))
    out = quantizer()(latents)
    assert torch.equal(out.codes, codes)
    torch.testing.assert_close(out.latents, quantizer().decode(codes))
    first = (0.1**2 + 0.2**2 + 0.3**2 + 0.2**2) / 4
    second = (0.1**2 + 0.1**2 + 0.2**2 + 0.2**2) / 4
    assert out.commitment.item() == pytest.approx(first + second, rel=1e-4) == out.codebook.item()


def test_an_item_may_use_the_first_codebooks_only() -> None:
    latents = torch.randn(2, 2, 5)
    out = quantizer()(latents, torch.tensor([1, 2]))
    torch.testing.assert_close(out.latents[:1], quantizer().decode(out.codes[:1, :1]))
    torch.testing.assert_close(out.latents[1:], quantizer().decode(out.codes[1:]))


def test_gradients_go_straight_through_and_codes_learn_by_their_own_loss_alone() -> None:
    made = quantizer()
    latents = torch.randn(1, 2, 3, requires_grad=True)
    out = made(latents, torch.tensor([1]))
    out.latents.sum().backward(retain_graph=True)
    torch.testing.assert_close(latents.grad, torch.ones(1, 2, 3))
    assert made.books[0].codes.weight.grad is None  # type: ignore[union-attr]
    out.codebook.backward()
    torch.testing.assert_close(latents.grad, torch.ones(1, 2, 3))
    assert made.books[0].codes.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_dropout_draws_how_many_codebooks_are_used() -> None:
    draw = drawn_codebooks(4000, ResidualQuantizerConfig(4, dropout=0.5), torch.Generator().manual_seed(0))
    shares = torch.bincount(draw, minlength=5) / 4000
    torch.testing.assert_close(shares, torch.tensor([0, 0.125, 0.125, 0.125, 0.625]), atol=0.02, rtol=0)
    assert (drawn_codebooks(9, ResidualQuantizerConfig(4, dropout=0.0), torch.Generator()) == 4).all()


# The Gaussian


def test_the_divergence_is_that_of_gaussians() -> None:
    mean, variance = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[4.0], [1.0]]])
    assert float(divergence(mean, variance.log())) == pytest.approx(0.5 * (1 + 4 - 1 - math.log(4)))
    assert float(divergence(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4))) == 0
    assert torch.equal(sampled(mean, variance.log(), torch.ones(1, 2, 1)), mean + torch.tensor([[[2.0], [1.0]]]))


def test_a_gaussian_bottleneck_gives_means_and_variances_a_frame() -> None:
    codec = AudioCodec(AudioCodecConfig(4, (2, 4), bottleneck=GaussianConfig(6)))
    mean, log_variance = codec.moments(torch.randn(2, 1, 80))
    assert mean.shape == log_variance.shape == (2, 6, 10) and codec.decoded(mean).shape == (2, 1, 80)
    assert codec.codebooks == codec.cardinality == 0


def test_shapes_that_cannot_be_are_refused() -> None:
    for wrong in ({"width": 3}, {"ratios": ()}, {"ratios": (1, 2)}, {"kernel": 4}, {"dilations": (0,)}):
        with pytest.raises(InputError, match="network"):
            AudioCodecConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="5 codebooks of 1 codes"):
        ResidualQuantizerConfig(5, 1)
    with pytest.raises(InputError, match="0 channels"):
        GaussianConfig(0)
