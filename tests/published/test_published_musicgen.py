"""MusicGen and AudioGen as they are published: random weights generate the same codes here and in transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.files import read_json
from text2x.library import info, load
from text2x.published.musicgen import import_musicgen, is_musicgen
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.token_generator import TokenGenerator
from text2x.token_models import build_token_generator

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.medium

PROMPT, FRAMES = "calm piano", 12
RATIOS = {"16k": [8, 5, 4, 2]}


def tokenizer() -> Any:
    """Words of a few letters, as a fast tokenizer that T5 could have."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "calm": 3, "piano": 4, "drums": 5}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])  # type: ignore[assignment]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def reference(channels: int = 1, text_width: int = 24) -> Any:
    """A MusicGen of random weights, large enough that greedy choices differ."""
    torch.manual_seed(0)
    text = transformers.T5Config(
        vocab_size=99, d_model=text_width, d_ff=32, d_kv=8, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    sound = transformers.EncodecConfig(
        hidden_size=16, codebook_dim=16, codebook_size=32, num_filters=4, sampling_rate=16000,
        upsampling_ratios=RATIOS["16k"], target_bandwidths=[1.0], num_lstm_layers=1, use_causal_conv=False,
        use_conv_shortcut=False,
    )  # fmt: skip
    decoder = transformers.MusicgenDecoderConfig(
        vocab_size=32, hidden_size=128, ffn_dim=96, num_hidden_layers=2, num_attention_heads=2,
        num_codebooks=4 * channels, pad_token_id=32, bos_token_id=32, audio_channels=channels,
    )  # fmt: skip
    config = transformers.MusicgenConfig(text_encoder=text, audio_encoder=sound, decoder=decoder)
    model = transformers.MusicgenForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("decoder."):
                value.add_(torch.randn_like(value) * 0.2)
        for name, value in model.named_buffers():
            if name.endswith(("codebook.embed", "embed_avg")):
                value.copy_(torch.randn_like(value))
    settings = model.generation_config
    settings.guidance_scale, settings.do_sample = 3.0, False
    settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = 32
    return model


def written(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def generator(source: Path, target: Path) -> TokenGenerator:
    import_musicgen(source, target)
    return build_token_generator(read_json(target / "recipe.json"), target)


@torch.no_grad()
def expected_sound(model: Any, prompt: str = PROMPT) -> np.ndarray:
    ids = tokenizer()(prompt, return_tensors="pt").input_ids
    latest = model.config.decoder.num_codebooks // model.config.decoder.audio_channels - 1
    return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=FRAMES + latest).numpy()


@pytest.mark.parametrize(("channels", "text_width"), [(1, 24), (2, 24), (1, 128)])
def test_greedy_music_is_that_of_transformers(tmp_path: Path, channels: int, text_width: int) -> None:
    model = reference(channels, text_width)
    found = generator(written(tmp_path / "theirs", model), tmp_path / "ours")
    expected = expected_sound(model)[0]
    assert expected.shape[-1] % 320 == 0
    seconds = expected.shape[-1] / 16_000
    made = found.generate(MusicRequest(PROMPT, seconds=seconds, seed=0, temperature=0, guidance=3))[0].media
    assert made.rate == 16_000 and made.samples.shape == expected.shape
    np.testing.assert_allclose(made.samples, expected.clip(-1, 1), atol=2e-4)
    assert np.abs(made.samples).max() > 1e-3
    other = found.generate(MusicRequest("drums", seconds=seconds, seed=0, temperature=0, guidance=3))[0].media
    assert not np.allclose(other.samples, made.samples, atol=1e-3)


def test_an_imported_folder_is_a_model_of_music_that_may_be_moved(tmp_path: Path) -> None:
    source = written(tmp_path / "theirs", reference())
    assert is_musicgen(source) and not is_musicgen(tmp_path)
    import_musicgen(source, tmp_path / "ours", "CC-BY-NC-4.0", "int8")
    (tmp_path / "ours").rename(tmp_path / "moved")
    found = info(tmp_path / "moved")
    assert (found.kind, found.licence) == ("music", "CC-BY-NC-4.0")
    made = load(tmp_path / "moved", "cpu").generate(MusicRequest(PROMPT, seconds=0.2, seed=1))  # type: ignore[arg-type]
    assert made[0].media.frames == 3200


def as_audiocraft(model: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights of a MusicGen by the names that audiocraft gives them."""
    state = model.state_dict()
    lm: dict[str, torch.Tensor] = {}
    for kind in ("weight", "bias"):
        lm[f"condition_provider.conditioners.description.output_proj.{kind}"] = state[f"enc_to_dec_proj.{kind}"]
        lm[f"out_norm.{kind}"] = state[f"decoder.model.decoder.layer_norm.{kind}"]
    for book in range(model.config.decoder.num_codebooks):
        lm[f"emb.{book}.weight"] = state[f"decoder.model.decoder.embed_tokens.{book}.weight"]
        lm[f"linears.{book}.weight"] = state[f"decoder.lm_heads.{book}.weight"]
    names = {"norm1": "self_attn_layer_norm", "norm_cross": "encoder_attn_layer_norm", "norm2": "final_layer_norm"}
    for number in range(model.config.decoder.num_hidden_layers):
        ours, theirs = f"transformer.layers.{number}", f"decoder.model.decoder.layers.{number}"
        for one, other in (("self_attn", "self_attn"), ("cross_attention", "encoder_attn")):
            joined = torch.cat([state[f"{theirs}.{other}.{each}_proj.weight"] for each in "qkv"])
            lm[f"{ours}.{one}.in_proj_weight"] = joined
            lm[f"{ours}.{one}.out_proj.weight"] = state[f"{theirs}.{other}.out_proj.weight"]
        for one, other in (("linear1", "fc1"), ("linear2", "fc2")):
            lm[f"{ours}.{one}.weight"] = state[f"{theirs}.{other}.weight"]
        for one, other in names.items():
            for kind in ("weight", "bias"):
                lm[f"{ours}.{one}.{kind}"] = state[f"{theirs}.{other}.{kind}"]
    return lm, codec_as_audiocraft(model)


def codec_as_audiocraft(model: Any) -> dict[str, torch.Tensor]:
    """The weights of its codec by the names that audiocraft gives them."""
    codec: dict[str, torch.Tensor] = {}
    for key, value in model.audio_encoder.state_dict().items():
        name = key.replace("encoder.layers", "encoder.model").replace("decoder.layers", "decoder.model")
        turned = name.startswith("decoder.") and value.ndim == 3 and is_transposed(model, key)
        inner = "convtr.convtr" if turned or is_transposed(model, key) else "conv.conv"
        name = name.replace(".conv.", f".{inner}.").replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        name = name.replace("quantizer.layers.", "quantizer.vq.layers.").replace(".codebook.", "._codebook.")
        codec[name] = value
    return codec


def is_transposed(model: Any, key: str) -> bool:
    """Whether a tensor of the codec is of a transposed convolution."""
    parts = key.split(".")
    if parts[:2] != ["decoder", "layers"]:
        return False
    return type(model.audio_encoder.decoder.layers[int(parts[2])]).__name__ == "EncodecConvTranspose1d"


def test_audiocrafts_state_dicts_make_the_sound_of_the_same_weights(tmp_path: Path) -> None:
    model = reference()
    ours = generator(written(tmp_path / "theirs", model), tmp_path / "ours")
    lm, codec = as_audiocraft(model)
    folder = tmp_path / "audiogen"
    folder.mkdir()
    torch.save({"best_state": lm, "xp.cfg": "solver: audiogen"}, folder / "state_dict.bin")
    with pytest.raises(InputError, match=r"lacks compression_state_dict\.bin, the codec"):
        import_musicgen(folder, tmp_path / "none")
    torch.save({"best_state": codec, "xp.cfg": "solver: compression"}, folder / "compression_state_dict.bin")
    with pytest.raises(InputError, match=r"copy the T5 of width 24"):
        import_musicgen(folder, tmp_path / "none")
    model.text_encoder.save_pretrained(folder / "text")
    tokenizer().save_pretrained(folder / "text")
    assert is_musicgen(folder)
    made = generator(folder, tmp_path / "made")
    assert made.kind == "sound" and made.rate == 16_000
    fields = {"prompt": PROMPT, "seconds": 0.3, "seed": 4}
    one = made.generate(SoundRequest.from_dict(fields))[0].media.samples
    other = ours.generate(MusicRequest.from_dict({**fields, "top_k": made.sampling.top_k}))[0].media.samples
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_not_read_says_so(tmp_path: Path) -> None:
    source = written(tmp_path / "theirs", reference())
    text = (source / "config.json").read_text()
    (source / "config.json").write_text(text.replace('"model_type": "musicgen"', '"model_type": "musicgen_other"'))
    with pytest.raises(InputError, match="'musicgen_other', which is not read"):
        import_musicgen(source, tmp_path / "none")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "state_dict.bin").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds more than plain tensors, or is damaged"):
        import_musicgen(broken, tmp_path / "none")
    assert not (tmp_path / "none").exists()
