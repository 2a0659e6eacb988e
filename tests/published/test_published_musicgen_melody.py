"""MusicGen's melody models as transformers writes them: random weights make the same music along the same melody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_published_musicgen import FRAMES, PROMPT, codec_as_audiocraft, tokenizer

from text2x.audio import Audio
from text2x.chroma import ChromaConfig, melody_chroma
from text2x.errors import InputError
from text2x.files import read_json
from text2x.published.musicgen import import_musicgen, is_musicgen
from text2x.sound_requests import MusicRequest
from text2x.token_generator import TokenGenerator
from text2x.token_models import build_token_generator

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.medium
RATE, WINDOW, HOP, LENGTH = 16_000, 2048, 1024, 20


def reference(channels: int) -> Any:
    """A model of random weights, large enough that greedy choices differ."""
    torch.manual_seed(0)
    text = transformers.T5Config(
        vocab_size=99, d_model=24, d_ff=32, d_kv=8, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    sound = transformers.EncodecConfig(
        hidden_size=16, codebook_dim=16, codebook_size=32, num_filters=4, sampling_rate=RATE,
        upsampling_ratios=[8, 5, 4, 2], target_bandwidths=[1.0], num_lstm_layers=1, use_causal_conv=False,
        use_conv_shortcut=False,
    )  # fmt: skip
    decoder = transformers.MusicgenMelodyDecoderConfig(
        vocab_size=32, hidden_size=128, ffn_dim=96, num_hidden_layers=2, num_attention_heads=2,
        num_codebooks=4 * channels, pad_token_id=32, bos_token_id=32, audio_channels=channels,
    )  # fmt: skip
    config = transformers.MusicgenMelodyConfig(
        text_encoder=text, audio_encoder=sound, decoder=decoder, num_chroma=12, chroma_length=LENGTH
    )
    model = transformers.MusicgenMelodyForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith(("decoder.", "audio_enc_to_dec_proj.", "enc_to_dec_proj.")):
                value.add_(torch.randn_like(value) * 0.2)
        for name, value in model.named_buffers():
            if name.endswith(("codebook.embed", "embed_avg")):
                value.copy_(torch.randn_like(value))
    settings = model.generation_config
    settings.guidance_scale, settings.do_sample = 3.0, False
    settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = 32
    return model


def generator(model: Any, folder: Path) -> TokenGenerator:
    model.save_pretrained(folder / "theirs")
    tokenizer().save_pretrained(folder / "theirs")
    extractor = {"sampling_rate": RATE, "n_fft": WINDOW, "hop_length": HOP}
    (folder / "theirs" / "preprocessor_config.json").write_text(json.dumps(extractor))
    assert is_musicgen(folder / "theirs")
    import_musicgen(folder / "theirs", folder / "ours")
    return build_token_generator(read_json(folder / "ours" / "recipe.json"), folder / "ours")


def tune() -> Audio:
    """Three notes and a rest."""
    times = np.arange(RATE // 4) / RATE
    notes = [np.sin(2 * np.pi * hertz * times) for hertz in (262, 330, 392)]
    return Audio(np.concatenate([*notes, np.zeros(RATE // 3)]) * 0.5, RATE)


@torch.no_grad()
def expected_sound(model: Any, features: torch.Tensor | None) -> np.ndarray:
    ids = tokenizer()(PROMPT, return_tensors="pt").input_ids
    latest = model.config.decoder.num_codebooks // model.config.decoder.audio_channels - 1
    given = {} if features is None else {"input_features": features}
    mask = torch.ones_like(ids)
    return model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=FRAMES + latest, **given)[0].numpy()


@pytest.mark.parametrize("channels", [1, 2])
def test_greedy_music_along_a_melody_and_without_one_is_that_of_transformers(tmp_path: Path, channels: int) -> None:
    model = reference(channels)
    ours = generator(model, tmp_path)
    features = melody_chroma(tune().tensor()[0], ChromaConfig(RATE, WINDOW, HOP))[None]
    silent = features.sum(-1) == 0
    assert silent.any() and not silent.all() and features.shape[1] < LENGTH
    features[silent, 0] = 1  # as MusicGen tells silence
    made = {}
    for name, melody, given in (("along", tune(), features), ("without", None, None)):
        expected = expected_sound(model, given)
        request = MusicRequest(PROMPT, seconds=expected.shape[-1] / RATE, seed=0, temperature=0, guidance=3,
                               melody=melody)  # fmt: skip
        made[name] = ours.generate(request)[0].media.samples
        np.testing.assert_allclose(made[name], expected.clip(-1, 1), atol=2e-4)
    assert np.abs(made["along"] - made["without"]).max() > 1e-3


def test_an_imported_model_follows_melodies_in_windows_of_the_trained_length(tmp_path: Path) -> None:
    ours = generator(reference(1), tmp_path)
    assert ours.melody == ChromaConfig(RATE, WINDOW, HOP, first_for_none=True)
    assert ours.melody is not None and ours.melody.frames(ours.sampling.window) == LENGTH
    made = ours.generate(MusicRequest(PROMPT, seconds=2.5, seed=1, melody=tune()))[0]
    assert made.media.frames == round(2.5 * RATE) and not made.warnings
    with pytest.raises(InputError, match="the melody is silent"):
        ours.generate(MusicRequest(PROMPT, seconds=0.2, melody=Audio(np.zeros(RATE), RATE)))


def as_audiocraft(model: Any) -> dict[str, torch.Tensor]:
    """The language model's weights by the names that audiocraft gives them."""
    state, lm = model.state_dict(), {}
    conditions = "condition_provider.conditioners"
    for kind in ("weight", "bias"):
        lm[f"{conditions}.description.output_proj.{kind}"] = state[f"enc_to_dec_proj.{kind}"]
        lm[f"{conditions}.self_wav.output_proj.{kind}"] = state[f"audio_enc_to_dec_proj.{kind}"]
        lm[f"out_norm.{kind}"] = state[f"decoder.model.decoder.layer_norm.{kind}"]
    for book in range(model.config.decoder.num_codebooks):
        lm[f"emb.{book}.weight"] = state[f"decoder.model.decoder.embed_tokens.{book}.weight"]
        lm[f"linears.{book}.weight"] = state[f"decoder.lm_heads.{book}.weight"]
    for number in range(model.config.decoder.num_hidden_layers):
        ours, theirs = f"transformer.layers.{number}", f"decoder.model.decoder.layers.{number}"
        joined = [state[f"{theirs}.self_attn.{each}_proj.weight"] for each in "qkv"]
        lm[f"{ours}.self_attn.in_proj_weight"] = torch.cat(joined)
        names = {"self_attn.out_proj": "self_attn.out_proj", "linear1": "fc1", "linear2": "fc2"}
        lm |= {f"{ours}.{one}.weight": state[f"{theirs}.{other}.weight"] for one, other in names.items()}
        for one, other in {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm"}.items():
            lm |= {f"{ours}.{one}.{kind}": state[f"{theirs}.{other}.{kind}"] for kind in ("weight", "bias")}
    return lm


def test_audiocrafts_weights_of_a_melody_model_are_those_of_transformers(tmp_path: Path) -> None:
    model = reference(1)
    theirs = generator(model, tmp_path).network.state_dict()
    folder = tmp_path / "audiocraft"
    folder.mkdir()
    torch.save({"best_state": as_audiocraft(model)}, folder / "state_dict.bin")
    torch.save({"best_state": codec_as_audiocraft(model)}, folder / "compression_state_dict.bin")
    model.text_encoder.save_pretrained(folder / "text")
    tokenizer().save_pretrained(folder / "text")
    import_musicgen(folder, tmp_path / "made")
    made = build_token_generator(read_json(tmp_path / "made" / "recipe.json"), tmp_path / "made")
    assert made.melody == ChromaConfig(32_000, 2**14, 2**12, first_for_none=True)
    assert made.melody is not None and made.melody.frames(made.sampling.window) == 235
    ours = made.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
