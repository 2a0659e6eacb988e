"""What a voice learns by: each loss against its formula, padding without effect, alignments found, learning."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from text2x.acoustics import AcousticObjective, Speaking, flow_denoiser, measure, window_starts, windowed
from text2x.data.speech_batches import SpeechBatch
from text2x.diffusion.schedules import expand
from text2x.errors import InputError
from text2x.networks.acoustic import Acoustic, AcousticConfig, FlowConfig, FlowDecoder, ParallelConfig, TextSideConfig
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram

RATE, HOP = 8000, 80
MEL = MelConfig(RATE, STFTConfig(256, 256, HOP), bands=16, high=4000.0)
TEXT = TextSideConfig(
    num_phones=8, width=32, layers=2, kernel=5, dropout=0.0, predictor_width=16, predictor_dropout=0.0
)
PLAIN = AcousticObjective(phone_dropout=0.0)


def tones(ids: list[list[int]], durations: list[list[int]]) -> SpeechBatch:
    """Phone p is a tone of 400 p Hz; odd ones have a voice."""
    longest = max(len(row) for row in ids)
    total = max(sum(row) for row in durations)
    samples = torch.zeros(len(ids), total * HOP)
    for row, (own, lengths) in enumerate(zip(ids, durations, strict=True)):
        at = 0
        for phone, length in zip(own, lengths, strict=True):
            n = torch.arange(length * HOP)
            samples[row, at : at + length * HOP] = 0.5 * torch.sin(2 * math.pi * 400 * phone * n / RATE)
            at += length * HOP

    def padded(rows: list[list[int]]) -> Tensor:
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    counts = torch.tensor([len(row) for row in ids])
    known = padded(ids)
    pitch = torch.where((known > 0) & (known % 2 == 1), (100.0 + 10 * known).log(), 0.0)
    frames = torch.tensor([sum(row) for row in durations])
    zeros = torch.zeros(len(ids), dtype=torch.long)
    texts = tuple("" for _ in ids)
    frame_pitch = torch.zeros(len(ids), total)
    return SpeechBatch(
        known, counts, padded(durations), pitch, frame_pitch, samples, frames, zeros, zeros, zeros, texts
    )


BATCH = tones([[1, 2, 3, 4], [5, 6]], [[10, 8, 12, 6], [9, 14]])
TWO = tones([[1, 2, 3, 4], [5, 6, 7, 1]], [[10, 8, 12, 6], [9, 9, 9, 9]])


def network(decoder: ParallelConfig | FlowConfig = ParallelConfig(2), seed: int = 0) -> Acoustic:  # noqa: B008
    torch.manual_seed(seed)
    made = Acoustic(AcousticConfig(TEXT, decoder, mel_bands=16))
    measure(made, [BATCH], MEL)
    return made


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_statistics_are_those_of_the_frames_that_there_are() -> None:
    made = network()
    mel = mel_spectrogram(BATCH.samples, MEL)
    frames = torch.cat([mel[0, :, :36], mel[1, :, :23]], dim=1)
    torch.testing.assert_close(made.mel_mean, frames.mean(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made.mel_std, frames.std(1, unbiased=False), rtol=1e-4, atol=1e-4)
    heard = torch.tensor([110.0, 130.0, 150.0]).log()
    assert made.pitch_range.tolist() == pytest.approx([float(heard.mean()), float(heard.std())], abs=1e-5)


def test_what_is_foretold_is_judged_by_log_durations_and_the_pitch_of_voiced_phones() -> None:
    made = network()
    speaking = Speaking(made, PLAIN, MEL)
    losses = speaking(BATCH, rng())
    ready = speaking.prepare(BATCH, None)
    duration, pitch, voiced = (each.detach() for each in made.text.foretell(ready.states, ready.phones.mask))
    items = [(0, each) for each in range(4)] + [(1, each) for each in range(2)]
    assert BATCH.durations is not None
    wanted = sum((duration[i] - math.log(1 + int(BATCH.durations[i]))) ** 2 for i in items) / 6
    assert float(losses["duration"]) == pytest.approx(float(wanted), rel=1e-5)
    normal = {1: 110, 3: 130, 5: 150}
    mean, deviation = made.pitch_range.tolist()
    errors = [
        (pitch[i] - (math.log(normal[int(BATCH.phones[i])]) - mean) / deviation) ** 2
        for i in items
        if int(BATCH.phones[i]) in normal
    ]
    assert float(losses["pitch"]) == pytest.approx(float(sum(errors) / 3), rel=1e-4)
    chances = [torch.sigmoid(voiced[i]) if int(BATCH.phones[i]) in normal else torch.sigmoid(-voiced[i]) for i in items]
    assert float(losses["voiced"]) == pytest.approx(float(-torch.stack(chances).log().mean()), rel=1e-4)


@pytest.mark.parametrize("decoder", [ParallelConfig(2), FlowConfig(width=16, layers=2, mean_layers=1)])
def test_padding_changes_no_loss(decoder: ParallelConfig | FlowConfig) -> None:
    speaking = Speaking(network(decoder), PLAIN, MEL)
    one = tones([[5, 6]], [[9, 14]])
    wide = SpeechBatch(
        torch.nn.functional.pad(one.phones, (0, 3)),
        one.phone_counts,
        torch.nn.functional.pad(one.durations, (0, 3)),
        torch.nn.functional.pad(one.pitch, (0, 3)),
        torch.nn.functional.pad(one.frame_pitch, (0, 20)),
        torch.nn.functional.pad(one.samples, (0, 1600)),
        one.frame_counts,
        one.speakers,
        one.languages,
        one.items,
        one.texts,
    )
    plain, padded = (speaking(each, rng()) for each in (one, wide))
    for name in plain:
        if name != "mel":  # the last frame's window reaches into what follows
            assert float(padded[name].detach()) == pytest.approx(float(plain[name].detach()), rel=0.02), name


def test_the_flows_loss_is_the_error_of_x_0_over_the_frames_that_there_are() -> None:
    made = network(FlowConfig(width=16, layers=2, mean_layers=1))
    torch.nn.init.normal_(made.decoder.network.out.weight, std=0.3)  # type: ignore[union-attr]
    speaking = Speaking(made, replace(PLAIN, weighting="uniform"), MEL)
    losses = speaking(BATCH, rng(4))
    ready = speaking.prepare(BATCH, None)
    decoder = made.decoder
    assert isinstance(decoder, FlowDecoder)
    condition = decoder.condition(speaking.frames(ready), ready.expansion.mask)
    drawn = rng(4)
    uniform = (torch.randperm(2, generator=drawn) + torch.rand(2, generator=drawn)) / 2
    noise = torch.randn(ready.features.shape, generator=drawn) * ready.expansion.mask
    t = expand(uniform, noise)
    x_t = (1 - t) * ready.features + t * noise
    error = decoder.network(x_t, uniform, condition).detach() - ready.features
    total = error[0, :, :36].square().sum() + error[1, :, :23].square().sum()
    assert float(losses["flow"]) == pytest.approx(float(total / (16 * (36 + 23))), rel=1e-4)


def test_a_window_is_cut_where_it_begins_and_zeros_follow_the_end() -> None:
    x = torch.arange(12.0).reshape(2, 1, 6)
    assert windowed(x, torch.tensor([1, 4]), 3)[:, 0].tolist() == [[1, 2, 3], [10, 11, 0]]
    starts = [window_starts(torch.tensor([10, 2]), 4, rng(seed)).tolist() for seed in range(60)]
    assert {first for first, _ in starts} == set(range(7)) and {second for _, second in starts} == {0}


def test_a_flow_that_is_trained_on_windows_as_long_as_the_speech_is_trained_on_all_of_it() -> None:
    made = network(FlowConfig(width=16, layers=2, mean_layers=1))
    whole, window, short = (
        Speaking(made, replace(PLAIN, crop=crop), MEL)(BATCH, rng(2))["flow"] for crop in (None, 36, 8)
    )
    assert torch.equal(whole, window) and not torch.equal(whole, short)


def test_a_flow_decoders_estimate_begins_at_its_mean() -> None:
    made = network(FlowConfig(width=16, layers=2, mean_layers=1))
    speaking = Speaking(made, PLAIN, MEL)
    ready = speaking.prepare(BATCH, None)
    assert isinstance(made.decoder, FlowDecoder)
    condition = made.decoder.condition(speaking.frames(ready), ready.expansion.mask)
    denoise = flow_denoiser(made.decoder).denoise(condition)
    torch.testing.assert_close(denoise(torch.randn(2, 16, 36), torch.tensor([1.0, 1.0])), condition.mean)


def test_a_step_depends_on_its_batch_and_seed_alone() -> None:
    speaking = Speaking(network(FlowConfig(width=16, layers=2, mean_layers=1)), AcousticObjective(), MEL)
    first, again, other = (speaking(BATCH, rng(seed))["loss"] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def learned(speaking: Speaking, batch: SpeechBatch, steps: int, rate: float = 5e-3) -> list[float]:
    optimizer = torch.optim.AdamW(speaking.acoustic.parameters(), rate)
    values = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = speaking(batch, rng(step))["loss"]
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    return values


@pytest.mark.medium
@pytest.mark.parametrize("decoder", [ParallelConfig(2), FlowConfig(width=32, layers=2, mean_layers=1)])
def test_tones_are_learned_with_their_durations(decoder: ParallelConfig | FlowConfig) -> None:
    speaking = Speaking(network(decoder), PLAIN, MEL)
    before = speaking.held_out((TWO,))
    learned(speaking, TWO, 80, rate=1e-2)
    after = speaking.held_out((TWO,))
    assert after["held_out"] < before["held_out"] / 2
    assert after["held_out/mel"] < before["held_out/mel"] * 0.7
    assert after["held_out/durations"] < before["held_out/durations"] / 2


@pytest.mark.medium
def test_where_nobody_gave_durations_they_are_found() -> None:
    speaking = Speaking(network(), PLAIN, MEL)
    learned(speaking, replace(TWO, durations=None), 60, rate=1e-2)
    found = speaking.prepare(replace(TWO, durations=None), None).durations
    assert TWO.durations is not None
    assert (found - TWO.durations).abs().max() <= 2  # a window is three hops long
    assert found.sum(1).tolist() == [36, 36]


def test_a_mark_may_have_no_frame() -> None:
    speaking = Speaking(network(), PLAIN, MEL, marks=(7,))
    batch = tones([[1, 7, 2]], [[6, 0, 6]])
    found = speaking.prepare(replace(batch, durations=None), None).durations
    assert found[0, 0] >= 1 <= found[0, 2] and found.sum() == 12


@pytest.mark.parametrize(("change", "message"), [({"weighting": "none"}, "'none'"), ({"phone_dropout": 1.0}, "is 1.0")])
def test_settings_that_mean_nothing_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(PLAIN, **change)  # type: ignore[arg-type]
