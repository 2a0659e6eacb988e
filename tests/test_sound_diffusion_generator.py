"""SoundDiffusionGenerator: one seed, one sound; loops without a seam; what is known stays bit for bit; bad input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.audio_codecs import decode_circular
from text2x.diffusion.samplers import SAMPLERS
from text2x.errors import InputError
from text2x.library import info, load
from text2x.requests import ImageRequest, Progress
from text2x.sound_diffusion_generator import SoundDiffusionGenerator, within_full_scale
from text2x.sound_requests import MusicRequest, SoundRequest
from tiny_sound_flow import HOP, RATE, WINDOW, sound_flow
from tiny_sounds import tone

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> SoundDiffusionGenerator:
    return sound_flow(tmp_path_factory.mktemp("flow") / "noise")


def made(generator: SoundDiffusionGenerator, **fields: object) -> np.ndarray:
    return generator.generate(SoundRequest("rain", **{"seed": 3, **fields}))[0].media.samples  # type: ignore[arg-type]


def test_an_item_is_the_same_alone_and_among_others_and_seeds_differ(generator: SoundDiffusionGenerator) -> None:
    several = generator.generate(SoundRequest("rain", seed=3, count=3))
    assert [each.seed for each in several] == [3, 4, 5]
    alone = generator.generate(SoundRequest("rain", seed=5))[0]
    assert np.array_equal(alone.media.samples, several[2].media.samples)
    assert not np.array_equal(several[0].media.samples, several[1].media.samples)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_makes_the_same_sound_of_the_same_seed(generator: SoundDiffusionGenerator, sampler: str) -> None:
    one = made(generator, sampler=sampler, steps=2)
    assert np.isfinite(one).all() and np.array_equal(one, made(generator, sampler=sampler, steps=2))


def test_a_sound_has_the_seconds_that_are_asked_for_whatever_its_windows(generator: SoundDiffusionGenerator) -> None:
    for seconds in (0.1, 0.1234, 0.75):  # the last is several windows
        assert made(generator, seconds=seconds).shape == (1, round(seconds * RATE))
    plan = generator.plan(SoundRequest("rain", seed=1, seconds=0.75))
    places = plan.layout.places()
    assert len(places) > 3 and {len(each) for each in places} == {WINDOW}
    assert set(torch.cat(places).tolist()) == set(range(plan.layout.frames))


def test_guidance_of_one_is_the_prompt_alone_and_more_leads_away_from_the_negative_one(
    generator: SoundDiffusionGenerator,
) -> None:
    alone = generator.generate(SoundRequest("rain", seed=3, guidance=1, negative="thunder"))[0]
    assert np.array_equal(alone.media.samples, made(generator, guidance=1))
    assert alone.warnings == ("guidance is 1, so the negative prompt is ignored: 'thunder'",)
    assert not np.array_equal(made(generator, guidance=4), made(generator, guidance=4, negative="thunder"))
    assert not np.array_equal(made(generator, guidance=4), alone.media.samples)


def test_forms_of_guidance_work_and_those_that_need_another_network_say_so(generator: SoundDiffusionGenerator) -> None:
    plain = made(generator, guidance=4)
    assert np.array_equal(plain, made(generator, guidance="cfg:4"))
    for form in ("apg:4", "cfg:4,interval=0.2-0.7", "cfg:4,rescale=0.7"):
        assert not np.array_equal(plain, made(generator, guidance=form))
    with pytest.raises(InputError, match="guidance classifier needs a network that this model does not come with"):
        made(generator, guidance="classifier:2")
    with pytest.raises(InputError, match="leave it out"):
        made(generator, guidance="cfg:4,threshold=0.99")


def test_words_and_seconds_matter(generator: SoundDiffusionGenerator) -> None:
    wind = generator.generate(SoundRequest("wind", seed=3))[0].media.samples
    assert not np.array_equal(wind, made(generator))
    assert not np.array_equal(made(generator, seconds=0.1), made(generator, seconds=0.15)[:, : round(0.1 * RATE)])


# Loops


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.6])
def test_the_end_of_a_loop_leads_into_its_beginning(generator: SoundDiffusionGenerator, seconds: float) -> None:
    loop = made(generator, loop=True, seconds=seconds, steps=4)[0]
    assert len(loop) == round(seconds * RATE / HOP) * HOP
    steps = np.abs(np.diff(loop))
    assert abs(loop[0] - loop[-1]) <= steps.max()
    twice = np.concatenate([loop, loop])
    bends = np.abs(np.diff(twice, 2))  # at the seam no sharper than elsewhere
    assert bends[len(loop) - 2 : len(loop)].max() <= 1.001 * np.abs(np.diff(loop, 2)).max()


def test_rolling_the_noise_of_a_loop_rolls_the_sound(generator: SoundDiffusionGenerator) -> None:
    plan = generator.plan(SoundRequest("rain", seed=3, loop=True, seconds=0.16, guidance=2))
    latents, turned = generator.latents(plan, 0), 7
    network, codec = generator.network, generator.codec
    t, told = torch.full((1,), 0.6), generator._told(plan, True)[torch.tensor([0])]
    there = network(latents, t, told, circular=True)
    back = network(latents.roll(turned, -1), t, told, circular=True)
    torch.testing.assert_close(back, there.roll(turned, -1), atol=1e-4, rtol=1e-4)
    assert (network(latents.roll(turned, -1), t, told) - there.roll(turned, -1)).abs().max() > 1e-3
    sound, rolled = (decode_circular(codec, each) for each in (latents, latents.roll(turned, -1)))
    torch.testing.assert_close(rolled, sound.roll(turned * HOP, -1), atol=1e-5, rtol=1e-5)


def test_a_loop_has_whole_frames_and_says_so(generator: SoundDiffusionGenerator) -> None:
    result = generator.generate(SoundRequest("rain", seed=3, loop=True, seconds=0.123))[0]
    assert result.warnings == ("a loop has whole frames of 4 ms: 0.123 s are made 0.124 s",)
    assert result.media.frames == 31 * HOP and result.settings["loop"] is True


# From a sound


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_repainting_keeps_every_other_sample_bit_for_bit(generator: SoundDiffusionGenerator, seconds: float) -> None:
    known = tone(seconds)
    whole = made(generator, init=known, repaint="0.05-0.1011")
    inside = slice(400, round(0.1011 * RATE))
    keep = np.ones(known.frames, dtype=bool)
    keep[inside] = False
    assert np.array_equal(whole[:, keep], known.samples[:, keep])
    assert np.abs(whole[:, inside] - known.samples[:, inside]).max() > 0.05
    steps = np.abs(np.diff(whole[0]))
    assert max(steps[399], steps[inside.stop - 1]) <= steps[inside].max()
    assert not np.array_equal(whole, made(generator, init=known, repaint="0.05-0.1011", seed=4))


def test_repainting_the_end_of_a_sound_makes_a_loop_of_it(generator: SoundDiffusionGenerator) -> None:
    known = Audio(np.linspace(-0.8, 0.8, 1600), RATE)
    loop = made(generator, init=known, repaint="0.15-0.2", loop=True)
    assert np.array_equal(loop[:, :1200], known.samples[:, :1200])
    assert abs(loop[0, 0] - loop[0, -1]) < 0.3 < abs(known.samples[0, 0] - known.samples[0, -1])


def test_strength_says_how_far_to_go_and_none_gives_the_sound_back(generator: SoundDiffusionGenerator) -> None:
    known = tone(0.2)
    assert np.array_equal(made(generator, init=known, strength=0), known.samples)
    near, far = (made(generator, init=known, strength=each, steps=8) for each in (0.1, 0.9))
    assert near.shape == far.shape == known.samples.shape
    codec = generator.codec
    through = codec.decode(codec.encode(known.tensor()[None]))[0].numpy()
    assert np.abs(near - through).mean() < np.abs(far - through).mean()
    from_noise = made(generator, init=known, strength=1)
    assert np.array_equal(from_noise, made(generator, init=tone(0.2, 500.0), strength=1))


def test_what_is_gone_on_from_is_kept_and_matters(generator: SoundDiffusionGenerator) -> None:
    known = tone(0.1011)
    whole = made(generator, continuation=known, seconds=0.3)
    assert whole.shape[1] == 2400 and np.array_equal(whole[:, : known.frames], known.samples)
    assert not np.array_equal(whole, made(generator, continuation=tone(0.1011, 900.0), seconds=0.3))
    assert made(generator, continuation=known).shape[1] == known.frames + round(0.2 * RATE)
    with pytest.raises(InputError, match=r"seconds is 0\.1, of the whole, and the sound to go on from lasts 0\.20"):
        generator.generate(SoundRequest("rain", continuation=tone(0.2), seconds=0.1))


def test_sound_of_other_rates_and_channels_and_silence_are_told(generator: SoundDiffusionGenerator) -> None:
    wide = Audio(np.tile(tone(0.1, rate=44_100).samples, (6, 1)), 44_100)
    result = generator.generate(SoundRequest("rain", init=wide, strength=0.5))[0]
    told = "the sound given has 44100 Hz and 6 channels; this model makes 8000 Hz and 1 channel of it"
    assert result.media.rate == RATE and result.warnings == (told,)
    silent = generator.generate(SoundRequest("rain", init=Audio(np.zeros(800), RATE)))[0]
    assert silent.warnings == ("the sound to begin from is silent",) and silent.settings["strength"] == 0.6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"repaint": "0.3-0.4"}, r"repaint is 0.3-0.4 and the sound lasts 0.20 s; give times within it"),
        ({"repaint": "0.1-0.4"}, r"repaint is 0.1-0.4 and the sound lasts 0.20 s"),
        ({"seconds": 0.5}, r"seconds is 0.5 and the sound to begin from lasts 0.20; to go on from it give --repaint"),
        ({"sampler": "magic"}, "magic"),
    ],
)
def test_what_a_sound_cannot_give_is_refused(
    generator: SoundDiffusionGenerator, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        made(generator, init=tone(0.2), **fields)


def test_what_is_cut_or_ignored_is_told(generator: SoundDiffusionGenerator) -> None:
    short = generator.generate(SoundRequest("rain", seed=1, init=tone(0.2), seconds=0.1, strength=0.5))[0]
    assert short.media.frames == 800 and "what comes after 0.1 s is cut" in short.warnings[0]
    codes = generator.generate(SoundRequest("rain", seed=1, top_k=3, temperature=0.5))[0]
    assert [each.split(" is given")[0] for each in codes.warnings] == ["temperature", "top_k"]
    late = generator.generate(
        SoundRequest("rain", seed=1, init=tone(0.1), repaint=(0.1, 0.2), seconds=0.2, strength=0.5)
    )[0]
    assert late.warnings == ("strength is 0.5 and is ignored: a part that is made was never in the sound",)
    long = generator.generate(SoundRequest("a door that slams again and again in a long and empty hall", seed=1))[0]
    assert "the prompt is too long for this model; dropped:" in long.warnings[0]


def test_what_would_clip_is_quieter_as_a_whole(tmp_path: Path) -> None:
    sound = np.array([[0.5, -2.0, 1.0]], np.float32)
    made = within_full_scale(sound)
    assert np.abs(made).max() == pytest.approx(10 ** (-1 / 20)) and np.allclose(made / made[0, 0], sound / 0.5)
    assert np.array_equal(within_full_scale(sound / 2), sound / 2)
    generator = sound_flow(tmp_path / "loud")
    generator.codec = replace(generator.codec, scale=tuple(each / 30 for each in generator.codec.scale))
    loud = generator.generate(SoundRequest("rain", seed=1))[0].media.samples
    assert np.abs(loud).max() == pytest.approx(10 ** (-1 / 20)) and (np.abs(loud) > 0.88).sum() < 20


# Around it


def test_a_folder_is_found_by_name_and_music_is_made_by_music(tmp_path: Path) -> None:
    own = sound_flow(tmp_path / "tunes", "music")
    assert info("tunes", tmp_path).kind == own.kind == "music"
    loaded = load("tunes", "cpu", tmp_path)
    asked = MusicRequest("rain", seed=2, melody=tone(0.5))
    result = loaded.generate(asked)[0]  # type: ignore[arg-type]
    assert result.warnings == ("melody is given and is ignored: tunes is a model of diffusion, not of codes",)
    assert np.array_equal(result.media.samples, own.generate(asked)[0].media.samples)
    with pytest.raises(InputError, match="tunes makes music; ask for it with: text2x music PROMPT"):
        loaded.generate(ImageRequest("rain"))


def test_progress_is_told_step_by_step(generator: SoundDiffusionGenerator) -> None:
    seen: list[Progress] = []
    generator.generate(SoundRequest("rain", seed=1, count=2, steps=4), seen.append)
    assert [(each.step, each.steps, each.items) for each in seen] == [
        (step, 4, (item,)) for item in (0, 1) for step in (1, 2, 3, 4)
    ]
