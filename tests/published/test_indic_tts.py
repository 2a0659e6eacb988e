"""Folders of Indic-TTS, small and of random weights: read to the last tensor, spoken by, refused where foreign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.files import load_tensors, save_tensors
from text2x.library import info, load_voice
from text2x.networks.fastpitch import FastPitch, FastPitchConfig
from text2x.networks.hifigan import HiFiGAN, HiFiGANConfig
from text2x.published.indic_tts import characters_of, import_indic_tts, is_indic_tts
from text2x.speech_models import FastPitchRecipe
from text2x.speech_requests import SpeechRequest

LETTERS = "अआइउएकगतदनपबमयरलवसह\u093e\u093f\u0941\u0947\u094d\u0902"
MARKS = "!¡'(),-.:;¿? "
CHARACTERS = {
    "characters_class": "TTS.tts.models.vits.VitsCharacters", "pad": "<PAD>", "eos": "<EOS>", "bos": "<BOS>",
    "blank": "<BLNK>", "characters": LETTERS, "punctuations": MARKS, "phonemes": None, "is_unique": False,
    "is_sorted": True,
}  # fmt: skip
AUDIO = {"sample_rate": 22050, "fft_size": 1024, "hop_length": 256, "num_mels": 80, "signal_norm": False}
NETWORK = FastPitchConfig(
    num_characters=len(LETTERS) + len(MARKS) + 2, hidden=16, feed_forward=24, encoder_layers=1, decoder_layers=2,
    predictor_hidden=12,
)  # fmt: skip
VOCODER = HiFiGANConfig(width=16, edge=5)


class Foreign:
    """Something that is no tensor."""


def normed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the norm apart, as the published files have them, and a discriminator's beside them."""
    made: dict[str, Tensor] = {"model_d.0.weight": torch.zeros(3)}
    for name, value in state.items():
        if name.endswith(".weight"):
            norm = value.flatten(1).norm(dim=1).reshape(-1, *[1] * (value.ndim - 1))
            made[f"model_g.{name}_g"], made[f"model_g.{name}_v"] = norm, value * 3
        else:
            made[f"model_g.{name}"] = value
    return made


def save(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)


@pytest.fixture(scope="module")
def networks() -> tuple[FastPitch, HiFiGAN]:
    torch.manual_seed(2)
    acoustic, vocoder = FastPitch(NETWORK), HiFiGAN(VOCODER)
    nn.init.constant_(acoustic.duration_predictor.proj.bias, 1.5)
    return acoustic.eval(), vocoder.eval()


@pytest.fixture
def published(tmp_path: Path, networks: tuple[FastPitch, HiFiGAN]) -> Path:
    """A folder called hi, as the archives hold it."""
    folder = tmp_path / "hi"
    aligner = {"aligner.key_layer.0.weight": torch.zeros(2, 2, 3)}
    model = {**networks[0].state_dict(), **aligner}
    extras = {"config": {"model": "fast_pitch"}, "step": 7, "optimizer": {"state": {}}}
    save(folder / "fastpitch" / "best_model.pth", {"model": model, **extras})
    save(folder / "fastpitch" / "speakers.pth", {"female": 0, "male": 1})
    encoder = {"hidden_channels_ffn": 24, "num_heads": 1, "num_layers": 1, "dropout_p": 0.1}
    arguments = {
        "hidden_channels": 16, "encoder_params": encoder, "decoder_params": {**encoder, "num_layers": 2},
        "encoder_type": "fftransformer", "decoder_type": "fftransformer", "use_pitch": True,
    }  # fmt: skip
    values = {"model": "fast_pitch", "audio": AUDIO, "characters": CHARACTERS, "model_args": arguments}
    (folder / "fastpitch" / "config.json").write_text(json.dumps(values))
    save(folder / "hifigan" / "best_model.pth", {"model": normed(dict(networks[1].state_dict())), "step": 9})
    about = {
        "generator_model": "hifigan_generator", "audio": AUDIO,
        "generator_model_params": {"upsample_factors": [8, 8, 2, 2], "upsample_kernel_sizes": [16, 16, 4, 4],
                                   "upsample_initial_channel": 16, "resblock_kernel_sizes": [3, 7, 11],
                                   "resblock_dilation_sizes": [[1, 3, 5]] * 3, "resblock_type": "1"},
    }  # fmt: skip
    (folder / "hifigan" / "config.json").write_text(json.dumps(about))
    return folder


def test_every_tensor_that_speaking_needs_arrives(
    published: Path, tmp_path: Path, networks: tuple[FastPitch, HiFiGAN]
) -> None:
    assert is_indic_tts(published) and not is_indic_tts(tmp_path)
    model = import_indic_tts(published, tmp_path / "voice")
    recipe = model.acoustic
    assert isinstance(recipe, FastPitchRecipe) and recipe.network == NETWORK
    assert (recipe.speakers, recipe.language, model.name) == (("female", "male"), "hi", "indic-tts-hi")
    for file, network in zip(("acoustic", "vocoder"), networks, strict=True):
        found = load_tensors(tmp_path / "voice" / f"{file}.safetensors")
        wanted = network.state_dict()
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, msg=name)


def test_an_imported_voice_speaks_as_its_networks_do(
    published: Path, tmp_path: Path, networks: tuple[FastPitch, HiFiGAN]
) -> None:
    import_indic_tts(published, tmp_path / "voice")
    assert info(tmp_path / "voice").kind == "speech" and info(tmp_path / "voice").licence.startswith("MIT")
    generator = load_voice(tmp_path / "voice")
    assert (generator.rate, generator.voices, generator.languages) == (22050, ("female", "male"), ("hi",))
    result = generator.generate(SpeechRequest("नमन।", voice="male", seed=0))[0]
    ids = {each: place for place, each in enumerate(characters_of({"characters": CHARACTERS}))}
    characters = torch.tensor([[ids[each] for each in "नमन."]])
    acoustic, vocoder = networks
    with torch.inference_mode():
        states = acoustic.states(characters, torch.tensor([1]))
        durations = acoustic.durations(states)
        samples = vocoder(acoustic.mel(states, acoustic.pitch(states), durations))[0]
    edge = 110  # samples that rise from silence, and as many that fall to it
    made = torch.from_numpy(result.media.samples[0].copy())
    assert len(made) == len(samples) == 256 * int(durations.sum())
    torch.testing.assert_close(made[edge:-edge], samples[edge:-edge], rtol=1e-4, atol=1e-5)
    assert result.timestamps is not None and result.timestamps.words[0].end == pytest.approx(
        256 / 22050 * int(durations[0, :3].sum())
    )


def test_characters_are_numbered_as_the_original_numbers_them() -> None:
    vits = characters_of({"characters": {**CHARACTERS, "characters": "ba"}})
    assert vits == ("<PAD>", *MARKS, "b", "a", "<BLNK>")
    plain = {**CHARACTERS, "characters": "ba", "characters_class": "TTS.tts.utils.text.characters.Graphemes"}
    assert characters_of({"characters": plain}) == ("<PAD>", "<EOS>", "<BOS>", "<BLNK>", "a", "b", *MARKS)


def test_safetensors_are_taken_before_a_checkpoint(published: Path, tmp_path: Path) -> None:
    tensors = torch.load(published / "fastpitch" / "best_model.pth", weights_only=True)["model"]
    save_tensors(published / "fastpitch" / "best_model.safetensors", tensors)
    (published / "fastpitch" / "best_model.pth").write_bytes(b"not to be read")
    assert import_indic_tts(published, tmp_path / "voice", name="mine", language="mr").name == "mine"


def broken_weights(folder: Path) -> None:
    save(folder / "fastpitch" / "best_model.pth", {"model": {"emb.weight": Foreign()}})


def cut_off(folder: Path) -> None:
    path = folder / "hifigan" / "best_model.pth"
    path.write_bytes(path.read_bytes()[:500])


def changed(part: str, key: str, value: Any) -> Any:
    def change(folder: Path) -> None:
        path = folder / part / "config.json"
        values = json.loads(path.read_text())
        inner = values["audio"] if key in AUDIO else values["model_args"] if key == "encoder_type" else values
        inner[key] = value
        path.write_text(json.dumps(values))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (broken_weights, "more than plain tensors, or is damaged"),
        (cut_off, "more than plain tensors, or is damaged"),
        (lambda folder: (folder / "hifigan" / "best_model.pth").unlink(), "lacks best_model.pth"),
        (lambda folder: (folder / "fastpitch" / "config.json").write_text("["), "not readable JSON"),
        (
            lambda folder: save(folder / "fastpitch" / "speakers.pth", {"a": 0}),
            "names 1 speakers and its weights",
        ),
        (changed("fastpitch", "sample_rate", 16000), "audio.sample_rate 16000; Indic-TTS has 22050"),
        (changed("fastpitch", "encoder_type", "residual_conv_bn"), "only 'fftransformer' is read"),
        (changed("fastpitch", "characters", {**CHARACTERS, "characters": "ab"}), "the two files are not of one model"),
        (changed("hifigan", "generator_model", "melgan_generator"), "only hifigan_generator is read"),
    ],
)
def test_what_is_not_the_published_layout_is_refused_and_nothing_is_written(
    published: Path, tmp_path: Path, change: Any, message: str
) -> None:
    change(published)
    with pytest.raises(InputError, match=message) as caught:
        import_indic_tts(published, tmp_path / "voice")
    assert "\n" not in str(caught.value) and not (tmp_path / "voice").exists()
