"""Evaluating sounds and music: what is asked, figures beside real sounds, noise and chance, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data.audioset import AudioSet, Clip, in_memory
from text2x.data.composing import compose
from text2x.data.scores import Score
from text2x.errors import InputError
from text2x.evaluating import (
    SoundPlan,
    SoundReport,
    SoundSubject,
    evaluate_sounds,
    sound_instruments,
    sound_set,
    sound_subject,
    write_sound_report,
)
from text2x.evaluating.music_measuring import Heard, dealt, melody_figures
from text2x.evaluating.sound_asking import asked_of_sounds, drawn_sounds, real_sounds
from text2x.evaluating.sound_measuring import SoundInstruments
from text2x.media import Image
from text2x.metrics.sound_judge import reserved, sound_judge
from text2x.requests import Result
from text2x.sound_requests import MusicRequest, SoundRequest
from tiny_labels import CONFIG, RATE, labelled_sounds
from tiny_sounds import sounds as tiny_model

pytestmark = pytest.mark.medium
CLIPS = labelled_sounds()
NOTHING = "retrieval: none here"


class Copier:
    """Gives the real sound of the caption, with noise that the seed decides."""

    def __init__(self, clips: AudioSet, spread: float = 0.0) -> None:
        self.clips, self.spread = clips, spread
        self.index = {clip.text: number for number, clip in enumerate(clips.clips)}
        self.asked: list[SoundRequest | MusicRequest] = []

    def generate(self, request: SoundRequest | MusicRequest, on_step: object = None) -> list[Result]:
        self.asked.append(request)
        assert request.seed is not None and request.seconds is not None
        size = round(request.seconds * self.clips.rate)
        real = np.zeros(size, np.float32)
        known = self.clips.samples(self.index[request.prompt], 0, size)
        real[: len(known)] = known
        seeds = range(request.seed, request.seed + request.count)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        made = [real + self.spread * rng.standard_normal(size).astype(np.float32) for rng in rngs]
        return [Result(Audio(each, self.clips.rate), seed) for each, seed in zip(made, seeds, strict=True)]


def subject(spread: float = 0.0) -> SoundSubject:
    return SoundSubject("copier", Copier(CLIPS, spread), "sound", RATE, 0.7)


@pytest.fixture(scope="module")
def instruments() -> SoundInstruments:
    return SoundInstruments(sound_judge(CLIPS, CONFIG), None, (NOTHING,))


@pytest.fixture(scope="module")
def report(instruments: SoundInstruments) -> SoundReport:
    return evaluate_sounds(subject(), CLIPS, instruments, SoundPlan(prompts=6, seeds=2))


def test_captions_of_clips_that_the_judge_has_not_heard_are_asked_for_in_one_order() -> None:
    few, many = (asked_of_sounds(CLIPS, count, 0.7) for count in (2, 1000))
    learned = set(reserved(CLIPS)[0].tolist())
    assert not learned & set(many.items) and many.parts.count("held-out") == len(CLIPS.split("held-out"))
    for part in ("train", "held-out"):
        first = [text for text, own in zip(many.prompts, many.parts, strict=True) if own == part]
        assert [text for text, own in zip(few.prompts, few.parts, strict=True) if own == part] == first[:2]
    assert many.missing[0].startswith("train: 1000 captions were asked for, it has ") and not few.missing
    lengths = CLIPS.lengths[list(many.items)] / RATE
    assert np.allclose(many.seconds, lengths)
    assert set(asked_of_sounds(CLIPS, 2, 0.5).seconds) == {0.5}


def test_each_prompt_has_seeds_of_its_own() -> None:
    asked = asked_of_sounds(CLIPS, 2, 0.7)
    model = Copier(CLIPS, 0.1)
    made = drawn_sounds(SoundSubject("copier", model, "sound", RATE, 0.7), asked, 3)
    assert [each.seed for each in model.asked] == [0, 100, 200, 300] and len(made.sounds) == 12
    with pytest.raises(InputError, match="seeds is 101"):
        drawn_sounds(subject(), asked, 101)


def test_a_copy_of_the_real_sound_is_as_good_as_the_real_one_and_noise_is_not(report: SoundReport) -> None:
    for part in ("train", "held-out"):
        found = report.figures[part]
        name = "class accuracy, top 1"
        assert found["generated"][name].value >= 0.8 and found["real"][name].value >= 0.8
        assert found["noise"][name].value <= 0.6 and 0 < found["chance"][name].value < 1
        assert found["generated"]["silent sounds"].value == 0 and found["generated"][name].n == 12
    assert report.figures["train"]["generated"]["copies"].value == 1
    assert report.figures["train"]["generated"]["nearest ratio"].value < 0.1
    assert "nearest ratio" not in report.figures["train"]["real"]
    assert 0.3 < report.figures["held-out"]["real"]["nearest ratio"].value < 3
    assert any("at least 50 are needed" in each for each in report.left_out) and NOTHING in report.left_out


def test_a_report_is_written_with_every_figure_and_a_spectrogram_of_every_source(
    report: SoundReport, tmp_path: Path
) -> None:
    paths = write_sound_report(report, tmp_path, "text2x evaluate copier")
    assert [path.name for path in paths] == ["report.md", "report.json", "sheet.png"]
    values = json.loads(paths[1].read_text())
    assert values["figures"]["held-out"]["generated"]["class accuracy, top 1"]["n"] == 12
    assert values["real_time_factor"] >= 0 and values["prompts"] == {"train": 6, "held-out": 6}
    page = paths[0].read_text()
    assert "## Held out" in page and "| class accuracy, top 1 | 12 |" in page and "$ text2x evaluate copier" in page
    assert Image.read(paths[2]).width > 3 * 112


def test_what_makes_no_sound_and_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="painter makes neither sound nor music"):
        sound_subject("painter", object())
    with pytest.raises(InputError, match="text2x data prepare nowhere"):
        sound_set("nowhere", tmp_path)
    model = sound_subject("tiny", tiny_model(tmp_path / "m", "music"))
    assert (model.kind, model.rate, model.seconds, model.melodies) == ("music", 8000, 0.2, True)


# Music


def rendered(score: Score, rate: int) -> Audio:
    """The notes as decaying tones."""
    wave = np.zeros(round(score.seconds * rate))
    for note in score.pitched():
        times = np.arange(round(min(note.duration + 0.1, score.seconds - note.onset) * rate)) / rate
        hertz = 440 * 2 ** ((note.pitch - 69) / 12)
        tone = np.sin(2 * np.pi * hertz * times) * np.exp(-5 * times) * np.minimum(1, times / 0.005)
        start = round(note.onset * rate)
        wave[start : start + len(tone)] += tone[: len(wave) - start] * note.velocity / 127
    return Audio(0.8 * wave / np.abs(wave).max(), rate)


@pytest.fixture(scope="module")
def music() -> tuple[AudioSet, dict[str, Score]]:
    scores = [compose(0, number, 4.0) for number in range(36)]
    parts = ((Clip(each.key, 0, 1, each.key, f"piece {each.key}", label=each.mode), each) for each in scores)
    clips = in_memory("pieces", RATE, ((clip, rendered(score, RATE)) for clip, score in parts))
    return clips, {each.key: each for each in scores}


def test_music_is_held_against_its_scores(music: tuple[AudioSet, dict[str, Score]]) -> None:
    clips, scores = music
    model = SoundSubject("copier", Copier(clips), "music", RATE, 4.0, melodies=True)
    found = evaluate_sounds(model, clips, SoundInstruments(None, None, (), scores), SoundPlan(prompts=4))
    held = found.figures["held-out"]
    assert held["generated"]["key score"].value == held["real"]["key score"].value > held["chance"]["key score"].value
    assert held["generated"]["tempo accuracy"].value > held["noise"]["tempo accuracy"].value
    assert found.figures["train"]["generated"]["overlap of notes"].value == 1  # copies of training pieces
    assert held["generated"]["overlap of notes"].value < 0.7
    assert {"generated", "real", "chance"} == set(found.figures["melodies"])
    assert isinstance(model.generator.asked[-1], MusicRequest) and model.generator.asked[-1].melody is not None


def test_a_melody_that_is_followed_is_told_from_one_that_is_not(music: tuple[AudioSet, dict[str, Score]]) -> None:
    clips, scores = music
    items = list(range(6))
    given = real_sounds(clips, items, 4.0)
    pieces = [scores[clips.keys[item]] for item in items]
    right = melody_figures(Heard({"generated": given, "real": given}, pieces, ["x"] * 6))
    wrong = melody_figures(Heard({"generated": given[1:] + given[:1], "real": given}, pieces, ["x"] * 6))
    for name in ("onset agreement", "pitch-class agreement"):
        assert right["generated"][name].value > wrong["generated"][name].value + 0.2
    assert right["generated"]["pitch-class agreement"].value == 1
    assert abs(right["chance"]["onset agreement"].value - wrong["generated"]["onset agreement"].value) < 0.3


def test_chance_deals_what_is_found_to_other_pieces() -> None:
    assert dealt([1, 2, 3], ["a", "b", "c"], lambda found, true: float(found == "abc".index(true) + 1)) == [0.0] * 6
    assert dealt([1], ["a"], lambda found, true: 1.0) == []


def test_a_set_without_labels_or_a_sentence_encoder_still_gives_what_it_can() -> None:
    clips = in_memory(
        "alike", RATE, ((Clip(f"{n}", 0, 1, f"{n}", "noise", label="x"), CLIPS.audio(n)) for n in range(8))
    )
    found = sound_instruments(clips, config=CONFIG)
    assert found.judge is None and any("has 1 labels" in each for each in found.left_out)
