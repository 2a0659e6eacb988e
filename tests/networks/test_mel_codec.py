"""Mel frames as latents: those of the whole however they are cut, a vocoder as the way back, loops, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from text2x.audio_codecs import AudioLatentCodec, decode_circular, encode_circular
from text2x.coding import latent_moments, load_audio_codec, mel_codec_of
from text2x.config import from_dict, to_dict
from text2x.data.audioset import AudioBatchConfig, AudioBatches
from text2x.data.tones import tones
from text2x.errors import InputError
from text2x.networks.mel_codec import MelCodec, MelCodecConfig
from text2x.networks.source_vocoder import SourceVocos, SourceVocosConfig
from text2x.networks.vocoder import VocosConfig
from text2x.recipes.running import train
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram
from text2x.vocoding import NeuralVocoder, load_vocoder

STFT = STFTConfig(64, 64, 16)
MEL = MelConfig(8000, STFT, bands=12, high=4000.0)
CONFIG = MelCodecConfig(MEL, VocosConfig(12, 16, 2, stft=STFT), frames=2)


@pytest.fixture
def codec() -> AudioLatentCodec:
    torch.manual_seed(4)
    return AudioLatentCodec(MelCodec(CONFIG).eval().requires_grad_(False), 8000, (-3.0,) * 24, (0.5,) * 24, chunk=16)


def sound(samples: int) -> Tensor:
    return 0.3 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(2))


def test_a_latent_is_two_mel_frames_side_by_side(codec: AudioLatentCodec) -> None:
    heard = sound(640)
    mel = mel_spectrogram(heard[:, 0], MEL)[0]  # [12, 40]
    latents = codec.encode(heard)[0]
    assert (codec.hop, codec.latent_channels, latents.shape) == (32, 24, (24, 20))
    torch.testing.assert_close(latents[:12] / 0.5 - 3.0, mel[:, 0::2])
    torch.testing.assert_close(latents[12:] / 0.5 - 3.0, mel[:, 1::2])


def test_the_way_back_is_the_vocoder_of_these_frames(codec: AudioLatentCodec) -> None:
    heard = sound(640)
    assert isinstance(codec.network, MelCodec)
    expected = codec.network.vocoder(mel_spectrogram(heard[:, 0], MEL)).clamp(-1, 1)
    made = codec.decode(codec.encode(heard))
    torch.testing.assert_close(made[0], expected, atol=1e-5, rtol=1e-4)
    assert made.abs().max() > 0.001


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_stream_has_the_samples_of_the_whole_bit_for_bit(codec: AudioLatentCodec, size: int) -> None:
    latents = codec.encode(sound(64 * 32))
    pieces = list(codec.stream(latents[0].split(size, dim=-1)))
    assert torch.equal(torch.cat(pieces, dim=-1), codec.decode(latents)[0])


def test_windows_of_long_sounds_have_the_latents_of_the_whole(codec: AudioLatentCodec) -> None:
    heard = sound(32 * 1100 - 5)
    torch.testing.assert_close(codec.encode(heard)[0], ((codec.network.moments(heard)[0] + 3.0) * 0.5)[0])


def test_a_loop_that_is_rolled_has_its_latents_and_sound_rolled(codec: AudioLatentCodec) -> None:
    heard = sound(40 * 32)
    latents = encode_circular(codec, heard)
    rolled = encode_circular(codec, heard.roll(7 * 32, dims=-1))
    torch.testing.assert_close(rolled, latents.roll(7, dims=-1), atol=1e-4, rtol=1e-4)
    made = decode_circular(codec, latents)
    again = decode_circular(codec, rolled)
    assert made.shape == heard.shape
    torch.testing.assert_close(again, made.roll(7 * 32, dims=-1), atol=1e-4, rtol=1e-4)


def test_moments_make_the_latents_of_real_sound_as_wide_as_noise(codec: AudioLatentCodec) -> None:
    clips = AudioBatches(tones(8, 8000), AudioBatchConfig(4, frames=2048, hop=32, gain=(0.0, 0.0)))
    assert isinstance(codec.network, MelCodec)
    shift, scale = latent_moments(codec.network, map(clips.batch_at, range(4)))
    fitted = AudioLatentCodec(codec.network, 8000, shift, scale)
    made = torch.cat([fitted.encode(clips.batch_at(at).samples[:, None]) for at in range(4)])
    assert abs(float(made.mean())) < 0.1 and 0.8 < float(made.std()) < 1.2


def test_its_shape_is_kept_as_json() -> None:
    assert from_dict(MelCodecConfig, to_dict(CONFIG), where="x") == CONFIG


def test_a_folder_of_a_vocoder_is_a_codec_of_its_frames(tmp_path: Path) -> None:
    few = ["training.steps=1", "training.evaluate_every=0", "training.sample_every=0", "training.batch_size=2"]
    train("debug-vocoder", settings=few, folder=tmp_path / "run")
    codec, vocoder = load_audio_codec(tmp_path / "run"), load_vocoder(tmp_path / "run")
    assert isinstance(codec, AudioLatentCodec) and codec.latent_channels == 80
    heard = torch.from_numpy(tones(1, 8000).samples(0))[None]
    heard = heard[:, : heard.shape[1] // 128 * 128]
    expected = vocoder(mel_spectrogram(heard, vocoder.mel)).clamp(-1, 1)
    assert np.allclose(codec.decode(codec.encode(heard[:, None]))[0], expected, atol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    shape = SourceVocosConfig()
    with pytest.raises(InputError, match="sings one note at a time; for sounds of all kinds take one without"):
        mel_codec_of(NeuralVocoder(SourceVocos(shape), MelConfig()))
    with pytest.raises(InputError, match=r"network\.frames is 0"):
        MelCodecConfig(frames=0)
    with pytest.raises(InputError, match="the vocoder has 80 bands and hop 160, the mel 12 and 16"):
        MelCodecConfig(MEL)
