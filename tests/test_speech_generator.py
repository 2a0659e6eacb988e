"""Speech: the laws of seeds and streams, what speed, pitch and pauses do, true times of words, and what is refused."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.requests import Result
from text2x.speech_generator import SpeechGenerator, edge_factors, gain_curve, piece_seed
from text2x.speech_models import build_speech_generator
from text2x.speech_requests import SpeechRequest
from tiny_voices import voice, write_voice

pytestmark = pytest.mark.medium

TEXT = "Go left, then stop. Two red lights!\n\nGo on."
Say = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SpeechGenerator]:
    @lru_cache
    def build(kind: str) -> SpeechGenerator:
        return voice(tmp_path_factory.mktemp("voices") / kind, kind.removesuffix("-plain"), "plain" not in kind)

    return build


@pytest.fixture
def say(made: Callable[[str], SpeechGenerator]) -> Say:
    def call(text: str = TEXT, kind: str = "parallel", **fields: object) -> Result:
        return made(kind).generate(SpeechRequest(text, **{"seed": 3, **fields}))[0]  # type: ignore[arg-type]

    return call


def heard(result: Result) -> np.ndarray:
    return result.media.samples[0]


@pytest.mark.parametrize("kind", ["parallel", "flow", "gan", "parallel-plain"])
def test_the_whole_is_its_chunks_bit_for_bit(made: Callable[[str], SpeechGenerator], kind: str) -> None:
    request = SpeechRequest(TEXT, seed=3)
    whole = made(kind).generate(request)[0]
    chunks = list(made(kind).generate_stream(request))
    assert len(chunks) > 3
    assert np.array_equal(np.concatenate([chunk.audio.samples for chunk in chunks], axis=1), whole.media.samples)
    begins = np.cumsum([0, *(chunk.audio.frames for chunk in chunks)])[:-1] / made(kind).rate
    assert [chunk.begin for chunk in chunks] == pytest.approx(list(begins))
    assert whole.timestamps is not None
    assert tuple(word for chunk in chunks for word in chunk.words) == whole.timestamps.words


@pytest.mark.parametrize("kind", ["flow", "gan"])
def test_one_seed_one_result_and_another_seed_another(say: Say, kind: str) -> None:
    first, again, other = (heard(say(kind=kind, seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(heard(say(kind=kind, seed=3, temperature=0)), heard(say(kind=kind, seed=4, temperature=0)))


@pytest.mark.parametrize("kind", ["parallel", "flow", "gan"])
def test_the_number_of_threads_changes_nothing(say: Say, kind: str) -> None:
    one = heard(say(kind=kind))
    torch.set_num_threads(2)
    assert np.array_equal(heard(say(kind=kind)), one)


def test_the_first_sentence_does_not_depend_on_what_follows(made: Callable[[str], SpeechGenerator]) -> None:
    alone = made("flow").generate(SpeechRequest("Go left, then stop.", seed=9))[0].media.samples
    more = made("flow").generate(SpeechRequest("Go left, then stop. And go on.", seed=9))[0].media.samples
    assert np.array_equal(more[:, : alone.shape[1]], alone)
    assert piece_seed(9, 0) == 9 and len({piece_seed(9, place) for place in range(100)}) == 100


def test_words_are_where_they_stand_in_the_text_and_when_they_are_said(say: Say) -> None:
    result = say()
    stamps = result.timestamps
    assert stamps is not None and stamps.duration == pytest.approx(result.media.seconds)
    assert [word.text for word in stamps.words] == ["Go", "left", "then", "stop", "Two", "red", "lights", "Go", "on"]
    assert all(stamps.text[word.start : word.stop] == word.text for word in stamps.words)
    assert [word.text for word in stamps.words if word.last] == ["stop", "lights", "on"]
    for before, after in zip(stamps.words, stamps.words[1:], strict=False):
        assert before.begin < before.end <= after.begin
    for word in stamps.words:
        assert word.phones[0].begin == word.begin and word.phones[-1].end == word.end
        assert all(a.end == b.begin for a, b in zip(word.phones, word.phones[1:], strict=False))
    assert [phone.phone for phone in stamps.words[1].phones] == ["L", "EH1", "F", "T"]


def test_twice_the_speed_is_half_the_time(say: Say) -> None:
    plain, fast, slow = (say(speed=speed) for speed in (1, 2, 0.5))
    assert plain.timestamps and fast.timestamps and slow.timestamps
    for other, factor in ((fast, 0.5), (slow, 2)):
        assert other.timestamps is not None
        wanted = [(word.end - word.begin) * factor for word in plain.timestamps.words]
        found = [word.end - word.begin for word in other.timestamps.words]
        assert found == pytest.approx(wanted, abs=0.025)  # whole frames of 10 ms, at least one a phone
    assert fast.media.seconds < plain.media.seconds * 0.6 < slow.media.seconds * 0.4


def test_pitch_changes_the_sound_and_not_the_time(say: Say) -> None:
    plain, high = say(), say(pitch=4)
    assert plain.timestamps == high.timestamps
    assert not np.array_equal(heard(plain), heard(high))


@pytest.mark.parametrize(("pause", "text"), [(0.3, "Go left [pause 0.3s] now."), (2.0, "Go left [pause 2s] now.")])
def test_a_pause_lasts_as_long_as_it_says(say: Say, pause: float, text: str) -> None:
    stamps = say(text).timestamps
    assert stamps is not None
    left, now = stamps.words[1], stamps.words[2]
    assert now.begin - left.end == pytest.approx(pause, abs=0.011)


def test_silence_at_both_ends_is_kept(say: Say) -> None:
    result = say('<speak><break time="1s"/>Go.<break time="2s"/></speak>', ssml=True)
    assert result.timestamps is not None
    word = result.timestamps.words[0]
    assert word.begin == pytest.approx(1, abs=0.011)
    assert 2 <= result.media.seconds - word.end < 2.12  # behind the pause that a sentence ends with
    assert not heard(result)[:7000].any() and not heard(result)[-14000:].any()


def test_prosody_of_a_part_changes_that_part(say: Say) -> None:
    def of(text: str) -> tuple[list[float], np.ndarray]:
        result = say(f"<speak>{text}</speak>", ssml=True)
        assert result.timestamps is not None
        return [word.end - word.begin for word in result.timestamps.words], heard(result)

    plain, sound = of("Go left and right.")
    slow, _ = of('Go <prosody rate="50%">left</prosody> and right.')
    assert slow[1] == pytest.approx(2 * plain[1], abs=0.025)
    assert (slow[0], slow[2]) == pytest.approx((plain[0], plain[2]), abs=0.011)
    _, loud = of('Go <prosody volume="+6dB">left</prosody> and right.')
    ratio = np.abs(loud).sum() / np.abs(sound).sum()
    assert 1.05 < ratio < 2


def test_a_curve_of_gains_is_flat_within_phones_and_has_no_step() -> None:
    curve = gain_curve([0, 20, 0], [10, 10, 10], hop=80, rate=8000)
    assert curve is not None
    assert curve[400] == pytest.approx(1) and curve[1200] == pytest.approx(10) and curve[2000] == pytest.approx(1)
    assert np.abs(np.diff(curve)).max() <= 9 / 80 + 1e-6 and len(curve) == 2400
    assert gain_curve([0, 0], [3, 3], 80, 8000) is None


def test_edges_rise_from_zero_and_do_not_depend_on_the_chunks() -> None:
    whole = edge_factors(100, 10, 0, 100)
    parts = np.concatenate([edge_factors(100, 10, first, first + 25) for first in range(0, 100, 25)])
    assert np.array_equal(whole, parts) and np.array_equal(whole, whole[::-1])
    assert whole[0] == pytest.approx(0.05) and (whole[10:90] == 1).all()


def test_ssml_is_told_in_the_words_that_are_said(say: Say) -> None:
    stamps = say('<speak>Go <break time="200ms"/> <sub alias="left">L</sub> now.</speak>', ssml=True).timestamps
    assert stamps is not None and "<" not in stamps.text
    assert all(stamps.text[word.start : word.stop] == word.text for word in stamps.words)


def test_progress_counts_the_text(made: Callable[[str], SpeechGenerator]) -> None:
    seen: list[tuple[int, int]] = []
    made("parallel").generate(SpeechRequest(TEXT, seed=1), lambda each: seen.append((each.step, each.steps)))
    assert [steps for _, steps in seen] == [len(TEXT)] * 3
    assert [step for step, _ in seen] == sorted({step for step, _ in seen}) and seen[-1][0] == len(TEXT)


def test_a_voice_and_a_language_are_chosen_by_name(say: Say) -> None:
    low, high = say(voice="low"), say(voice="high")
    assert not np.array_equal(heard(low), heard(high)) and low.settings["voice"] == "low"
    hindi = say("नमस्ते", language="hi")
    assert hindi.timestamps is not None and hindi.timestamps.words[0].text == "नमस्ते"
    assert np.array_equal(heard(say("नमस्ते")), heard(hindi))  # told by the script


def test_a_phone_that_was_never_heard_has_a_stand_in(say: Say) -> None:
    result = say("A vision.")
    assert result.timestamps is not None
    assert "ZH" in [phone.phone for phone in result.timestamps.words[1].phones]


def test_what_changes_nothing_is_a_warning(say: Say) -> None:
    warnings = say(kind="parallel", steps=9, temperature=0.5).warnings
    assert [each.split(" is ")[0] for each in warnings] == ["steps", "temperature"]
    assert say(kind="flow", steps=9, temperature=0.5).warnings == ()
    assert say(kind="gan", steps=9).warnings == ("steps is 9 and is ignored: this voice takes no steps",)
    assert any("grinning face" in each for each in say("Go 😀 on.").warnings)


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("Go.", {"voice": "lw"}, "unknown voice 'lw'; did you mean low"),
        ("Go.", {"language": "te"}, "does not speak Telugu; it speaks en .English., hi .Hindi."),
        ("Go.", {"language": "xx"}, "'xx' cannot be read"),
        ("...", {}, "only punctuation"),
        ("😀😀", {}, "only emoji"),
        ("привет", {}, "Cyrillic"),
        ("<speak>Go <brk/></speak>", {"ssml": True}, "line 1"),
    ],
)
def test_what_cannot_be_said_is_refused_in_one_line(
    say: Say, text: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        say(text, **fields)
    assert "\n" not in str(caught.value)


def test_a_vocoder_for_other_mels_is_refused(tmp_path: Path) -> None:
    folder = write_voice(tmp_path / "voice")
    values = read_json(folder / "recipe.json")
    values["vocoder"]["mel"]["low"] = 50.0
    write_json(folder / "recipe.json", values)
    with pytest.raises(InputError, match="train one with the same"):
        build_speech_generator(values, folder)
