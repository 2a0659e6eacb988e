"""The published FastPitch: parity with a plain reference on random weights, its quirks one by one, its names."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.fastpitch import FastPitch, FastPitchConfig

CONFIG = FastPitchConfig(
    num_characters=17, num_speakers=2, mel_bands=8, hidden=16, feed_forward=24, encoder_layers=2, decoder_layers=3,
    heads=2, predictor_hidden=12,
)  # fmt: skip
Weights = dict[str, Tensor]


def attention(w: Weights, name: str, x: Tensor, heads: int) -> Tensor:
    """Multi-head attention of one sequence [T, C], written out."""
    queries, keys, values = (x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"]).chunk(3, dim=1)
    width = x.shape[1] // heads
    heard = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = torch.softmax(queries[:, part] @ keys[:, part].T / math.sqrt(width), dim=1)
        heard.append(scores @ values[:, part])
    return torch.cat(heard, dim=1) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def conv(w: Weights, name: str, x: Tensor) -> Tensor:
    """A convolution over the rows of [T, C], written as a sum over its taps."""
    kernel = w[f"{name}.weight"]  # [O, C, K]
    reach = kernel.shape[2] // 2
    padded = F.pad(x, (0, 0, reach, reach))
    taps = [padded[tap : tap + len(x)] @ kernel[:, :, tap].T for tap in range(kernel.shape[2])]
    return torch.stack(taps).sum(0) + w[f"{name}.bias"]


def layers(w: Weights, name: str, x: Tensor, count: int) -> Tensor:
    for place in range(count):
        at = f"{name}.fft_layers.{place}"
        heard = attention(w, f"{at}.self_attn", x, CONFIG.heads)
        x = norm(w, f"{at}.norm1", x + heard + heard)
        x = norm(w, f"{at}.norm2", x + conv(w, f"{at}.conv2", conv(w, f"{at}.conv1", x).clamp_min(0)))
    return x


def predictor(w: Weights, name: str, x: Tensor) -> Tensor:
    for place in (1, 2):
        x = conv(w, f"{name}.conv_{place}", x).clamp_min(0)
        centred = x - x.mean(1, keepdim=True)
        x = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-4)
        x = x * w[f"{name}.norm_{place}.gamma"][0, :, 0] + w[f"{name}.norm_{place}.beta"][0, :, 0]
    return conv(w, f"{name}.proj", x)[:, 0]


def reference(w: Weights, characters: list[int], speaker: int, length_scale: float, semitones: float = 0.0) -> Tensor:
    """Log-mels [T, M] of one sentence, step by step."""
    states = layers(w, "encoder.encoder", w["emb.weight"][characters], CONFIG.encoder_layers)
    states = states + w["emb_g.weight"][speaker]
    exact = (predictor(w, "duration_predictor", states).exp() - 1) * length_scale
    durations = [max(1.0, each) for each in exact.tolist()]
    pitch = predictor(w, "pitch_predictor", states) + semitones
    states = states + conv(w, "pitch_emb", pitch[:, None])
    frames = []
    for state, duration in zip(states, durations, strict=True):
        frames += [state] * round(duration)
    table = w["pos_encoder.pe"][0, :, : len(frames)].T
    x = torch.stack(frames) * math.sqrt(CONFIG.hidden) + table
    made = layers(w, "decoder.decoder.transformer_block", x, CONFIG.decoder_layers)
    return conv(w, "decoder.decoder.postnet", made)


def network() -> FastPitch:
    torch.manual_seed(3)
    made = FastPitch(CONFIG)
    for name, parameter in made.named_parameters():
        if parameter.ndim == 1 or "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if "gamma" in name or "norm" in name else 0.0, std=0.3)
    torch.nn.init.constant_(made.duration_predictor.proj.bias, 1.3)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("length_scale", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("speaker", [0, 1])
def test_it_gives_what_a_plain_reference_gives(speaker: int, length_scale: float) -> None:
    made = network()
    characters = [3, 1, 4, 1, 5, 9, 2, 6, 5, 0, 16]
    states = made.states(torch.tensor([characters]), torch.tensor([speaker]))
    durations = made.durations(states, length_scale)
    mel = made.mel(states, made.pitch(states), durations)
    wanted = reference(dict(made.state_dict()), characters, speaker, length_scale)
    assert mel.shape == (1, CONFIG.mel_bands, len(wanted)) and len(wanted) > len(characters)
    torch.testing.assert_close(mel[0].T, wanted, rtol=1e-4, atol=1e-5)


def test_pitch_can_be_moved_though_the_original_has_no_control_for_it() -> None:
    made = network()
    states = made.states(torch.tensor([[3, 1, 4, 1, 5]]), torch.tensor([0]))
    mel = made.mel(states, made.pitch(states) + 0.75, made.durations(states))
    wanted = reference(dict(made.state_dict()), [3, 1, 4, 1, 5], 0, 1.0, semitones=0.75)
    torch.testing.assert_close(mel[0].T, wanted, rtol=1e-4, atol=1e-5)


def test_the_table_of_positions_multiplies_where_the_paper_divides() -> None:
    table = network().pos_encoder.pe[0]  # [C, frames]
    frequency = 10_000 ** (6 / CONFIG.hidden)
    assert table[6, 5].item() == pytest.approx(math.sin(5 * frequency), abs=1e-4)
    assert table[7, 5].item() == pytest.approx(math.cos(5 * frequency), abs=1e-4)


def test_no_character_is_shorter_than_a_frame() -> None:
    made = network()
    torch.nn.init.constant_(made.duration_predictor.proj.bias, -3.0)
    states = made.states(torch.tensor([[3, 1, 4]]), torch.tensor([0]))
    assert made.durations(states).tolist() == [[1, 1, 1]]


def test_a_sentence_beyond_the_table_is_refused_with_the_way_out() -> None:
    made = network()
    states = made.states(torch.tensor([[3, 1]]), torch.tensor([0]))
    with pytest.raises(InputError, match="would last 5,001 frames.*cut it in two"):
        made.mel(states, made.pitch(states), torch.tensor([[5000, 1]]))


def test_its_names_and_shapes_are_those_of_the_published_files() -> None:
    with torch.device("meta"):
        published = FastPitch(FastPitchConfig(num_characters=88)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in published.items()}
    assert shapes["emb_g.weight"] == (2, 512)
    assert shapes["encoder.encoder.fft_layers.5.self_attn.in_proj_weight"] == (1536, 512)
    assert shapes["decoder.decoder.transformer_block.fft_layers.5.conv1.weight"] == (1024, 512, 3)
    assert shapes["decoder.decoder.postnet.weight"] == (80, 512, 1)
    assert shapes["duration_predictor.norm_1.gamma"] == (1, 256, 1)
    assert shapes["pitch_emb.weight"] == (512, 1, 3)
    assert shapes["pos_encoder.pe"] == (1, 512, 5000)
    assert len(shapes) == 2 + 12 * 12 + 2 + 1 + 2 * 10 + 2
