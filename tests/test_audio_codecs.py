"""Codecs of sound: streams and batches bit for bit, stereo, any rate and channels, what is refused."""

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.audio_codecs import (
    AudioLatentCodec,
    NeuralTokenCodec,
    StereoTokenCodec,
    chunks,
    decode_audio,
    encode_audio,
)
from text2x.errors import InputError
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig, GaussianConfig
from text2x.networks.residual_quantizer import ResidualQuantizerConfig

SMALL = AudioCodecConfig(4, (2, 4), latent=12, bottleneck=ResidualQuantizerConfig(3, 16, 4))


def tokens(chunk: int = 10) -> NeuralTokenCodec:
    torch.manual_seed(3)
    return NeuralTokenCodec(AudioCodec(SMALL).eval().requires_grad_(False), 8000, chunk)


def latents(chunk: int = 10) -> AudioLatentCodec:
    torch.manual_seed(3)
    network = AudioCodec(AudioCodecConfig(4, (2, 4), bottleneck=GaussianConfig(5))).eval().requires_grad_(False)
    return AudioLatentCodec(network, 8000, tuple(0.1 * k for k in range(5)), (2.0,) * 5, chunk)


def sound(count: int, channels: int, frames: int) -> torch.Tensor:
    return torch.randn(count, channels, frames, generator=torch.Generator().manual_seed(5)) * 0.3


@pytest.mark.parametrize("make", [tokens, latents], ids=["tokens", "latents"])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_stream_has_the_samples_of_the_whole_bit_for_bit(make: type, size: int) -> None:
    codec = make()
    codes = codec.encode(sound(1, 1, 8 * 64))
    whole = codec.decode(codes)[0]
    assert whole.shape == (1, 8 * 64)
    assert torch.equal(torch.cat(list(codec.stream(codes[0].split(size, dim=-1))), dim=-1), whole)


def test_windows_change_nothing_but_the_order_of_sums() -> None:
    codec = tokens()
    codes = torch.randint(0, 16, (1, 3, 64), generator=torch.Generator().manual_seed(1))
    one_pass = codec.network.decode(codes).clamp(-1, 1)
    assert one_pass.abs().mean() > 0.01
    torch.testing.assert_close(codec.decode(codes), one_pass, atol=1e-5, rtol=1e-4)


def test_a_stream_gives_sound_before_the_last_code_is_there() -> None:
    codec, read = tokens(chunk=16), []

    def coming():
        for place in range(30):
            read.append(place)
            yield torch.zeros(3, 1, dtype=torch.int64)

    first = next(codec.stream(coming()))
    assert first.shape == (1, 16) and len(read) == 2 + SMALL.context < 30  # an eighth of a chunk


@pytest.mark.parametrize("make", [tokens, latents], ids=["tokens", "latents"])
def test_an_item_is_the_same_alone_and_in_a_batch(make: type) -> None:
    codec, x = make(), sound(3, 1, 211)
    codes = codec.encode(x)
    made = codec.decode(codes)
    for place in range(3):
        assert torch.equal(codec.encode(x[place : place + 1])[0], codes[place])
        assert torch.equal(codec.decode(codes[place : place + 1])[0], made[place])


def test_long_sounds_are_encoded_in_windows_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, x = latents(), sound(1, 1, 8 * 50 - 3)
    whole = codec.encode(x)
    monkeypatch.setattr("text2x.audio_codecs.ENCODED", 8)
    torch.testing.assert_close(codec.encode(x), whole, atol=1e-5, rtol=1e-4)


def test_the_first_codebooks_alone_make_sound_too() -> None:
    codec = tokens()
    codes = codec.encode(sound(1, 1, 160))
    assert codec.decode(codes[:, :1]).shape == (1, 1, 160)
    assert codec.kilobits == pytest.approx(3 * 4 * 1000 / 1000)  # three codes of 4 bits, a thousand times a second


def test_latents_are_means_less_the_shift_times_the_scale() -> None:
    codec, x = latents(), sound(1, 1, 160)
    mean = codec.network.moments(x)[0]
    wanted = (mean - torch.tensor([0, 0.1, 0.2, 0.3, 0.4])[:, None]) * 2
    torch.testing.assert_close(codec.encode(x), wanted)
    torch.testing.assert_close(codec.decode(wanted), codec.network.decoded(mean).clamp(-1, 1), atol=1e-5, rtol=1e-4)


# Stereo


def test_stereo_interleaves_left_and_right_codebook_by_codebook() -> None:
    mono, x = tokens(), sound(2, 2, 200)
    stereo = StereoTokenCodec(mono)
    codes = stereo.encode(x)
    assert codes.shape == (2, 6, 25) and stereo.codebooks == 6
    for side in range(2):
        assert torch.equal(codes[:, side::2], mono.encode(x[:, side : side + 1]))
    whole = stereo.decode(codes)
    assert torch.equal(whole[:, :1], mono.decode(codes[:, 0::2]))
    assert torch.equal(torch.cat(list(stereo.stream(codes[0].split(4, dim=-1))), dim=-1), whole[0])


# Sound of any kind


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 6), (11_025, 1)])
def test_sound_of_any_rate_and_channels_is_read(rate: int, channels: int) -> None:
    given = Audio(np.random.default_rng(0).normal(0, 0.1, (channels, rate // 5)), rate)
    for codec in (tokens(), StereoTokenCodec(tokens()), latents()):
        codes = encode_audio(codec, given)
        assert codes.shape[-1] == 200
        made = decode_audio(codec, codes, seconds=0.19)
        assert (made.rate, made.channels, made.frames) == (8000, codec.channels, 1520)


def test_what_is_no_sound_and_what_are_no_codes_is_refused() -> None:
    codec = tokens()
    with pytest.raises(InputError, match=r"shape \[1, 2, 80\]; this codec reads \[B, 1, T\]"):
        codec.encode(sound(1, 2, 80))
    with pytest.raises(InputError, match="at least 1"):
        codec.encode(torch.zeros(1, 1, 0))
    with pytest.raises(InputError, match="codes from 0 to 16 are out of range"):
        codec.decode(torch.full((1, 3, 2), 16).index_fill(2, torch.tensor([0]), 0))
    with pytest.raises(InputError, match=r"this codec reads \[1 to 3, S\]"):
        codec.decode(torch.zeros(1, 4, 2, dtype=torch.int64))
    with pytest.raises(InputError, match="5 codebooks are not stereo"):
        StereoTokenCodec(codec).decode(torch.zeros(1, 5, 2, dtype=torch.int64))
    with pytest.raises(InputError, match="no codes to make sound of"):
        decode_audio(codec, torch.zeros(3, 0, dtype=torch.int64))
    assert codec.decode(torch.zeros(1, 3, 0, dtype=torch.int64)).shape == (1, 1, 0)


def test_without_a_finite_context_a_stream_waits_for_all() -> None:
    pieces = [torch.zeros(2, 3), torch.ones(2, 2)]
    windows = list(chunks(pieces, 2, None))
    assert len(windows) == 1 and windows[0][1:] == (0, 5) and torch.equal(windows[0][0], torch.cat(pieces, -1))
    assert not list(chunks([], 2, None)) and not list(chunks([], 2, 1))
