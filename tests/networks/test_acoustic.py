"""Acoustic networks: durations and frames in closed form, padding without effect, what a decoder begins as."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.acoustic import (
    Acoustic,
    AcousticConfig,
    FlowConfig,
    FlowDecoder,
    ParallelConfig,
    Phones,
    TextSideConfig,
    durations_of,
)
from text2x.networks.acoustic_blocks import ConvNeXt1d, Expansion, Neighbours, mask_of

TEXT = TextSideConfig(num_phones=12, num_languages=2, num_speakers=3, width=16, layers=2, kernel=5, predictor_width=8)


def network(decoder: ParallelConfig | FlowConfig) -> Acoustic:
    torch.manual_seed(1)
    made = Acoustic(AcousticConfig(TEXT, decoder, mel_bands=6)).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.2)
    return made


def phones(ids: list[list[int]]) -> Phones:
    counts = torch.tensor([len(row) for row in ids])
    padded = torch.zeros(len(ids), int(counts.max()), dtype=torch.long)
    for row, own in enumerate(ids):
        padded[row, : len(own)] = torch.tensor(own)
    zeros = torch.zeros(len(ids), dtype=torch.long)
    return Phones(padded, mask_of(counts, padded.shape[1]), zeros, zeros + 1)


def test_a_phone_is_repeated_for_its_frames() -> None:
    expansion = Expansion(torch.tensor([[2, 0, 3], [1, 1, 0]]))
    x = torch.tensor([[[10.0, 20.0, 30.0]], [[1.0, 2.0, 3.0]]])
    assert expansion(x)[:, 0].tolist() == [[10, 10, 30, 30, 30], [1, 2, 0, 0, 0]]
    assert expansion.offset[0].tolist() == [0, 1, 0, 1, 2]
    assert expansion.duration[0].tolist() == [2, 2, 3, 3, 3]
    assert expansion.mask[:, 0].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


@given(st.lists(st.floats(0, 60), min_size=1, max_size=30), st.floats(0.25, 4))
@settings(max_examples=60, deadline=None)
def test_rounded_durations_are_as_long_together_as_the_exact_ones(exact: list[float], speed: float) -> None:
    logarithms = torch.tensor([exact], dtype=torch.float64).add(1).log()
    durations = durations_of(logarithms, speed, least=0)
    assert abs(int(durations.sum()) - sum(exact) / speed) <= 0.5 + 1e-6
    assert (durations >= 0).all()
    assert (durations_of(logarithms, speed) >= 1).all()


def test_a_phone_may_have_a_speed_and_a_least_duration_of_its_own() -> None:
    logarithms = torch.tensor([[10.0, 10.0, 0.0]]).add(1).log()
    assert durations_of(logarithms, torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([[1, 1, 0]])).tolist() == [[10, 5, 0]]


def test_neighbours_are_a_convolution_of_width_three() -> None:
    layer = Neighbours(5, 7)
    x = torch.randn(2, 9, 5)
    kernel = layer.linear.weight.unflatten(1, (3, 5)).permute(0, 2, 1)  # [7, 5, 3]
    wanted = torch.nn.functional.conv1d(x.transpose(1, 2), kernel, layer.linear.bias, padding=1).transpose(1, 2)
    torch.testing.assert_close(layer(x), wanted)


def test_a_block_that_is_told_something_begins_as_the_identity() -> None:
    x, mask = torch.randn(2, 16, 9), torch.ones(2, 1, 9)
    block = ConvNeXt1d(16, embedding_width=4)
    assert torch.equal(block(x, mask, torch.randn(2, 4)), x)


@pytest.mark.parametrize("decoder", [ParallelConfig(2), FlowConfig(width=12, layers=3, mean_layers=1)])
def test_an_item_is_the_same_whatever_it_is_padded_by(decoder: ParallelConfig | FlowConfig) -> None:
    made = network(decoder)

    def frames(told: Phones, durations: Tensor) -> Tensor:
        states = made.text(told)
        _, pitch, voiced = made.text.foretell(states, told.mask)
        expansion = Expansion(durations)
        x = made.text.frames(states, pitch, (voiced > 0).float(), expansion)
        if isinstance(made.decoder, FlowDecoder):
            condition = made.decoder.condition(x, expansion.mask)
            noise = torch.full((1, 6, x.shape[2]), 0.5)
            return made.decoder.network(noise.expand(len(x), -1, -1), torch.full((len(x),), 0.3), condition)
        return made.decoder(x, expansion.mask)

    alone = frames(phones([[3, 4, 5]]), torch.tensor([[2, 3, 1]]))
    together = frames(phones([[3, 4, 5], [1, 2, 3, 4, 5, 6]]), torch.tensor([[2, 3, 1, 0, 0, 0], [3, 3, 3, 3, 3, 3]]))
    torch.testing.assert_close(together[:1, :, :6], alone, rtol=1e-5, atol=1e-5)
    assert together[0, :, 6:].abs().max() == 0
    assert together[1, :, 6:].abs().min() > 0


def test_a_flow_begins_as_what_is_best_for_a_gaussian_around_the_mean() -> None:
    made = Acoustic(AcousticConfig(TEXT, FlowConfig(width=12, layers=3, spread=0.7), mel_bands=6))
    states, mask = torch.randn(2, 16, 9), torch.ones(2, 1, 9)
    assert isinstance(made.decoder, FlowDecoder)
    condition = made.decoder.condition(states, mask)
    x = torch.randn(2, 6, 9)
    at_noise = made.decoder.network(x, torch.tensor([1.0, 1.0]), condition)
    torch.testing.assert_close(at_noise, condition.mean)
    at_data = made.decoder.network(x, torch.tensor([0.0, 0.0]), condition)
    torch.testing.assert_close(at_data, x)
    precision, known = 1 / 0.7**2, (0.6 / 0.4) ** 2  # of the prior, and of x_t = 0.6 x_0 + 0.4 noise about x_0
    best = (precision * condition.mean + known * x / 0.6) / (precision + known)
    torch.testing.assert_close(made.decoder.network(x, torch.tensor([0.4, 0.4]), condition), best)


def test_speaker_language_and_pitch_change_what_is_said() -> None:
    made = network(ParallelConfig(2))
    told = phones([[3, 4, 5]])
    other = Phones(told.ids, told.mask, told.language + 1, told.speaker)
    another = Phones(told.ids, told.mask, told.language, told.speaker + 1)
    states = made.text(told)
    assert (made.text(other) - states).abs().max() > 1e-3 < (made.text(another) - states).abs().max()
    expansion, voiced = Expansion(torch.tensor([[2, 2, 2]])), torch.tensor([[1.0, 1.0, 0.0]])
    low, high = (made.text.frames(states, torch.full((1, 3), pitch), voiced, expansion) for pitch in (0.0, 1.0))
    moved = (high - low).abs().amax(1)[0]
    assert moved[:4].min() > 1e-3 and moved[4:].max() == 0  # a phone without voice has no pitch


def test_what_is_foretold_teaches_the_states_nothing() -> None:
    made = Acoustic(AcousticConfig(TEXT, mel_bands=6))
    told = phones([[3, 4, 5]])
    sum(each.sum() for each in made.text.foretell(made.text(told), told.mask)).backward()
    assert made.text.phone.weight.grad is None
    assert made.text.duration.out.weight.grad is not None


def test_features_and_log_mels_are_inverse_and_normalised_by_band() -> None:
    made = Acoustic(AcousticConfig(TEXT, mel_bands=3))
    made.mel_mean.copy_(torch.tensor([-5.0, -4.0, -3.0]))
    made.mel_std.copy_(torch.tensor([1.0, 2.0, 4.0]))
    mel = torch.tensor([[[-5.0], [0.0], [1.0]]])
    assert made.features(mel)[0, :, 0].tolist() == [0, 2, 1]
    torch.testing.assert_close(made.log_mel(made.features(mel)), mel)
    assert made.pitch_features(torch.tensor([5.0, 5.25])).tolist() == pytest.approx([0, 1])


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match=r"text.kernel is 4; it must be odd"):
        TextSideConfig(num_phones=3, kernel=4)
    with pytest.raises(InputError, match=r"text.num_speakers is 0"):
        TextSideConfig(num_phones=3, num_speakers=0)


def test_places_run_from_a_phones_first_frame_to_its_last() -> None:
    made = network(ParallelConfig(1))
    places = made.text.places
    places.linear.weight.copy_(torch.eye(4).repeat(4, 1))
    places.linear.bias.zero_()
    share, sine, cosine, length = places(torch.tensor([[0.0, 1.0, 2.0]]), torch.full((1, 3), 3.0))[0, :4]
    assert share.tolist() == pytest.approx([-2 / 3, 0, 2 / 3])
    assert sine.tolist() == pytest.approx([0.5, 1, 0.5])
    assert cosine.tolist() == pytest.approx([math.sqrt(3) / 2, 0, -math.sqrt(3) / 2], abs=1e-6)
    assert length.tolist() == pytest.approx([math.log(3) / 3] * 3)
