"""EnCodec and the Descript codec load as transformers writes them: the same codes, and the same sound within 1e-4."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from text2x.coding import load_audio_codec
from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.networks.dac import DAC
from text2x.published.audio_codecs import codec_config, import_codec, load_published_codec

pytestmark = pytest.mark.medium

ENCODEC = {
    "num_filters": 4, "hidden_size": 8, "upsampling_ratios": [5, 4, 2], "codebook_size": 16, "sampling_rate": 4000,
    "target_bandwidths": [0.4, 1.2],
}  # fmt: skip
# As MusicGen's at 32 kHz, and the layers of the 48 kHz model
VARIANTS: dict[str, dict[str, Any]] = {
    "24kHz": {},
    "32kHz": {"use_causal_conv": False, "use_conv_shortcut": False},
    "stereo": {"norm_type": "time_group_norm", "use_causal_conv": False, "audio_channels": 2, "num_residual_layers": 2},
}
DAC_SETTINGS = {
    "encoder_hidden_size": 4, "decoder_hidden_size": 32, "downsampling_ratios": [2, 4, 5], "n_codebooks": 3,
    "codebook_size": 32, "codebook_dim": 4, "sampling_rate": 4000,
}  # fmt: skip


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The package; its import takes seconds."""
    return pytest.importorskip("transformers")


def shaken(network: Any, flat: float = 0.3, matrices: float = 1.0) -> Any:
    """With random numbers wherever there are a zero or a one."""
    buffers = [(name, value) for name, value in network.named_buffers() if name.endswith("embed")]
    for name, value in [*network.named_parameters(), *buffers]:
        is_flat = value.ndim < 3 or name.endswith("alpha")  # Snake divides by alpha, which must not come near 0
        value.data.add_(torch.randn_like(value), alpha=flat if is_flat else matrices * value[0].numel() ** -0.5)
    return network.eval()


def sound(channels: int, frames: int) -> torch.Tensor:
    return torch.randn(2, channels, frames, generator=torch.Generator().manual_seed(4)) * 0.4


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_encodec_gives_the_codes_and_the_sound_of_transformers(name: str, transformers: Any, tmp_path: Path) -> None:
    config = transformers.EncodecConfig(**ENCODEC, **VARIANTS[name])
    theirs = shaken(transformers.EncodecModel(config))
    theirs.save_pretrained(tmp_path)
    for bandwidth, books in ((None, 3), (0.4, 1)):
        ours = load_published_codec(tmp_path, bandwidth)
        assert (ours.codebooks, ours.cardinality, ours.rate, ours.hop) == (books, 16, 4000, 40)
        for frames in (800, 811, 37):
            x = sound(config.audio_channels, frames)
            codes = theirs.encode(x, bandwidth=bandwidth or 1.2).audio_codes[0]
            assert torch.equal(ours.encode(x), codes)
            assert codes.unique().numel() > 1 or frames == 37
            wanted = theirs.decode(codes[None], [None]).audio_values
            torch.testing.assert_close(ours.decode(codes), wanted.clamp(-1, 1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("normed", [False, True], ids=["plain", "weight norm"])
@torch.no_grad()
def test_the_descript_codec_gives_the_codes_and_the_sound_of_transformers(
    normed: bool, transformers: Any, tmp_path: Path
) -> None:
    theirs = shaken(transformers.DacModel(transformers.DacConfig(**DAC_SETTINGS)), 0.1, 0.5)
    if normed:
        theirs.apply_weight_norm()
    theirs.save_pretrained(tmp_path)
    ours = load_published_codec(tmp_path)
    assert (ours.codebooks, ours.cardinality, ours.rate, ours.hop) == (3, 32, 4000, 40)
    x = sound(1, 40 * 30)
    codes = theirs.encode(x).audio_codes
    assert torch.equal(ours.encode(x), codes) and codes.unique().numel() > 4
    wanted = theirs.decode(audio_codes=codes).audio_values
    made = ours.decode(codes)
    torch.testing.assert_close(made[:, 0, : wanted.shape[1]], wanted, atol=1e-4, rtol=1e-4)
    assert made.shape[2] == 1200 and wanted.shape[1] > 1150
    few = theirs.encode(x, n_quantizers=2).audio_codes
    torch.testing.assert_close(
        ours.decode(few)[:, 0, : wanted.shape[1]], theirs.decode(audio_codes=few).audio_values, atol=1e-4, rtol=1e-4
    )


def test_a_sample_of_the_descript_codec_depends_on_its_context_alone() -> None:
    config, _ = codec_config({"model_type": "dac", **DAC_SETTINGS})
    network = DAC(config).double()  # type: ignore[arg-type]
    middle, frames = network.context + 1, 2 * network.context + 3
    latents = torch.randn(1, network.config.latent, frames, dtype=torch.float64, requires_grad=True)
    made = network.decoder(latents)[0, 0, middle * 40 : (middle + 1) * 40]
    heard = torch.autograd.grad(made.square().sum(), latents)[0][0].abs().sum(0).nonzero().flatten()
    assert middle - network.context <= heard.min() and heard.max() <= middle + network.context
    x = torch.randn(1, 1, (2 * network.encoder_context + 3) * 40, dtype=torch.float64, requires_grad=True)
    middle = network.encoder_context + 1
    made = network.encoder(x)[0, :, middle].square().sum()
    heard = torch.autograd.grad(made, x)[0].flatten().nonzero() // 40
    assert middle - network.encoder_context <= heard.min() and heard.max() <= middle + network.encoder_context


def test_a_published_codec_is_kept_as_a_folder_of_ours(transformers: Any, tmp_path: Path) -> None:
    shaken(transformers.EncodecModel(transformers.EncodecConfig(**ENCODEC))).save_pretrained(tmp_path / "theirs")
    model = import_codec(tmp_path / "theirs", tmp_path / "ours", "small", "MIT")
    x = sound(1, 400)
    ours, theirs = load_audio_codec(tmp_path / "ours"), load_published_codec(tmp_path / "theirs")
    assert torch.equal(ours.encode(x), theirs.encode(x)) and ours.rate == model.rate == 4000
    assert read_json(tmp_path / "ours" / "recipe.json")["type"] == "CodecModel"


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    settings = {"model_type": "encodec", **ENCODEC}
    for change, message in (
        ({"model_type": "mimi"}, "config.json is of 'mimi'"),
        ({"normalize": True}, "48 kHz"),
        ({"norm_type": "layer"}, "the norm 'layer'"),
        ({"codebook_dim": 4}, "codes of 4 and latents of 8"),
    ):
        with pytest.raises(InputError, match=message):
            codec_config({**settings, **change})
    with pytest.raises(InputError, match="no bandwidth of 3.0 kbit/s; it has 0.4, 1.2"):
        codec_config(settings, 3.0)
    write_json(tmp_path / "config.json", settings)
    with pytest.raises(InputError, match="has no weights"):
        load_published_codec(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "encodec"
