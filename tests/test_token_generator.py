"""TokenGenerator: one seed, one sound; streams are the whole; known sound is kept; windows, melody, stereo."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.token_generator import TokenGenerator, TokenSampling, gone_on
from text2x.tokens import guided
from tiny_sounds import HOP, RATE, sounds, tiny_codec, tone

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> TokenGenerator:
    return sounds(tmp_path_factory.mktemp("sounds") / "noise")


@pytest.fixture(scope="module")
def musician(tmp_path_factory: pytest.TempPathFactory) -> TokenGenerator:
    return sounds(tmp_path_factory.mktemp("music") / "tunes", "music")


def made(generator: TokenGenerator, **fields: object) -> np.ndarray:
    ask = SoundRequest if generator.kind == "sound" else MusicRequest
    return generator.generate(ask("rain", **{"seed": 3, **fields}))[0].media.samples  # type: ignore[arg-type]


def test_an_item_is_the_same_alone_and_among_others_and_seeds_differ(generator: TokenGenerator) -> None:
    several = generator.generate(SoundRequest("rain", seed=3, count=3))
    assert [each.seed for each in several] == [3, 4, 5]
    alone = generator.generate(SoundRequest("rain", seed=5))[0]
    assert np.array_equal(alone.media.samples, several[2].media.samples)
    assert not np.array_equal(several[0].media.samples, several[1].media.samples)


def test_a_sound_has_the_seconds_that_are_asked_for(generator: TokenGenerator) -> None:
    for seconds in (0.1, 0.1234, 0.75):  # the last is two and a half windows
        assert made(generator, seconds=seconds).shape == (1, round(seconds * RATE))
    assert made(generator).shape[1] == round(0.2 * RATE)


def test_a_stream_is_the_whole_and_its_beginning_does_not_wait_for_its_end(generator: TokenGenerator) -> None:
    parts = list(generator.generate_stream(SoundRequest("rain", seed=3, seconds=0.7)))
    frames = [each.frames // HOP for each in parts]
    assert frames == [2, 4, 8, *[16] * 10, 1]  # the first small, 175 in all
    assert np.array_equal(np.concatenate([each.samples for each in parts], 1), made(generator, seconds=0.7))
    seen: list[int] = []
    stream = generator.generate_stream(SoundRequest("rain", seed=3, seconds=0.7), lambda each: seen.append(each.step))
    next(iter(stream))
    assert 0 < seen[-1] < 0.7 * RATE / HOP / 2


def test_greedy_codes_are_those_of_the_network_without_a_cache(generator: TokenGenerator) -> None:
    frames, special = 9, generator.network.config.codes
    plan = generator.plan(SoundRequest("rain", seed=1, seconds=frames * HOP / RATE + 0.07, temperature=0, guidance=1))
    codes = torch.cat(list(generator.codes(plan, 0)), 1)[:, :frames]
    sequence = torch.full((1, 2, frames + 2), special)
    with torch.no_grad():
        for step in range(1, frames + 2):
            logits = generator.network(sequence[:, :, :step], generator.network.prepare())[0, :, -1]
            for book in range(2):
                if 1 + book <= step < 1 + book + frames:
                    sequence[0, book, step] = logits[book].argmax()
    expected = generator.pattern.separate(sequence)[0]
    assert torch.equal(codes[:, : frames - 1], expected[:, : frames - 1])


def test_what_is_gone_on_from_is_kept_bit_for_bit_and_matters(generator: TokenGenerator) -> None:
    known = tone(0.1011)
    whole = made(generator, continuation=known, seconds=0.3)
    assert whole.shape[1] == 2400 and np.array_equal(whole[:, : known.frames], known.samples)
    other = made(generator, continuation=tone(0.1011, 1000.0), seconds=0.3)
    assert not np.array_equal(whole[:, known.frames :], other[:, known.frames :])
    jump = abs(whole[0, known.frames] - whole[0, known.frames - 1])
    assert jump < 0.2 + 2 * np.abs(np.diff(whole[0])).mean()
    stream = list(generator.generate_stream(SoundRequest("rain", seed=3, continuation=known, seconds=0.3)))
    assert np.array_equal(np.concatenate([each.samples for each in stream], 1), whole)


def test_the_first_new_sample_is_near_the_last_known_one() -> None:
    known, decoded = Audio(np.full(100, 0.5), RATE), np.zeros((1, 400), np.float32)
    parts = [decoded[:, :37], decoded[:, 37:150], decoded[:, 150:]]
    whole = np.concatenate(list(gone_on(parts, known, RATE)), 1)
    assert np.array_equal(whole[:, :100], known.samples) and abs(whole[0, 100] - 0.5) < 0.02
    assert np.all(np.diff(whole[0, 100:140]) < 0) and not whole[0, 140:].any()


def test_too_few_seconds_to_go_on_silence_and_other_rates_and_channels(generator: TokenGenerator) -> None:
    with pytest.raises(InputError, match=r"seconds is 0\.1, of the whole, and the sound to go on from lasts 0\.20"):
        generator.generate(SoundRequest("rain", continuation=tone(0.2), seconds=0.1))
    silent = generator.generate(SoundRequest("rain", continuation=Audio(np.zeros(800), RATE)))[0]
    assert silent.warnings == ("the sound to go on from is silent",) and silent.media.seconds == pytest.approx(0.3)
    wide = Audio(np.tile(tone(0.1, rate=44_100).samples, (6, 1)), 44_100)
    assert generator.generate(SoundRequest("rain", continuation=wide))[0].media.rate == RATE


def test_what_is_for_diffusion_is_told_to_be_ignored(generator: TokenGenerator) -> None:
    result = generator.generate(SoundRequest("rain", seed=1, steps=7, loop=True))[0]
    assert [each.split(" is given")[0] for each in result.warnings] == ["steps", "loop"]
    assert result.settings["guidance"] == 3.0 and result.settings["seconds"] == pytest.approx(0.2)


def test_forms_of_guidance_of_diffusion_are_refused(generator: TokenGenerator) -> None:
    with pytest.raises(InputError, match="guidance is 'apg:4'; noise is a model of codes and takes a number, as 3"):
        made(generator, guidance="apg:4")


def test_guidance_is_that_of_the_two_logits_and_one_is_off(musician: TokenGenerator) -> None:
    one = made(musician, melody=tone(0.5), guidance=1)
    three = made(musician, melody=tone(0.5), guidance=3)
    assert not np.array_equal(one, three)
    a, b = torch.randn(4), torch.randn(4)
    torch.testing.assert_close(guided(a, b, 3), b + 3 * (a - b))


def test_a_melody_is_followed_and_one_without_pitch_is_refused(musician: TokenGenerator) -> None:
    assert not np.array_equal(made(musician, melody=tone(0.5)), made(musician, melody=tone(0.5, 311.0)))
    with pytest.raises(InputError, match="the melody is silent"):
        made(musician, melody=Audio(np.zeros(4000), RATE))


def test_a_model_without_melodies_says_that_it_ignores_one(generator: TokenGenerator) -> None:
    result = generator.generate(MusicRequest("rain", seed=3, melody=tone(0.5)))[0]
    assert result.warnings == ("melody is given and is ignored: noise follows none",)
    assert np.array_equal(result.media.samples, made(generator))


def test_a_stereo_model_makes_two_channels_by_codebooks_in_turn(tmp_path: Path) -> None:
    wide = sounds(tmp_path / "wide", "music", stereo=True)
    assert wide.pattern.delays == (0, 0, 1, 1)
    samples = made(wide)
    assert samples.shape[0] == 2 and not np.array_equal(samples[0], samples[1])
    known = tone(0.1)
    assert np.array_equal(made(wide, continuation=known)[:, : known.frames], np.tile(known.samples, (2, 1)))
    parts = list(wide.generate_stream(MusicRequest("rain", seed=3)))
    assert np.array_equal(np.concatenate([each.samples for each in parts], 1), samples)


def test_sampling_that_cannot_move_on_is_refused() -> None:
    with pytest.raises(InputError, match="keep is below window"):
        TokenSampling(window=4.0, keep=4.0)


def test_a_network_that_copies_continues_a_pattern() -> None:
    """An oracle in closed form: heads that give the last code of their codebook repeat the prompt's last frame."""
    network = TokenLM(TokenLMConfig(2, 16, 36, 1, 2))
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
        network.norm.weight.fill_(1)
        for book in range(2):
            for code in range(16):
                network.embeddings[book].weight[code, 18 * book + code] = 100.0
                network.heads[book].weight[code, 18 * book + code] = 1.0
    generator = TokenGenerator("copy", "sound", network.eval(), None, tiny_codec(), TokenSampling())
    plan = generator.plan(SoundRequest("x", seed=0, continuation=tone(0.05), seconds=0.1, temperature=0, guidance=1))
    plan = dataclasses.replace(plan, prompt=torch.tensor([[1, 2, 3, 4, 5], [7, 7, 8, 9, 9]]))
    codes = torch.cat(list(generator.codes(plan, 0)), 1)
    assert codes.shape == (2, 25) and torch.equal(codes[:, :5], plan.prompt)
    assert codes[:, 5:].unique(dim=1).T.tolist() == [[5, 9]]
