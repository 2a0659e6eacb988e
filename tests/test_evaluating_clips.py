"""Evaluating models of clips: what is asked, which real clips stand beside them, figures that are known, the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from some_shapes import some_shapes
from text2x.data.imageset import hash_unit
from text2x.errors import InputError
from text2x.evaluating import (
    ClipPlan,
    ClipReport,
    ClipSubject,
    Instruments,
    asked_of_clips,
    clip_set,
    clip_size,
    clip_subject,
    data_set,
    drawn_clips,
    evaluate_clips,
    write_clip_report,
)
from text2x.evaluating.clip_asking import real_clips, row_of
from text2x.evaluating.clip_measuring import real_roles
from text2x.metrics.features import pixels
from text2x.moving import Video
from text2x.requests import Result
from text2x.video_requests import VideoRequest
from tiny_videos import videos

pytest.importorskip("cv2")
pytestmark = pytest.mark.medium

CLIPS = some_shapes()
ROWS = {item.captions[0]: row for row, item in enumerate(CLIPS.items)}


class Copier:
    """Shows the real clip that is asked for, from anywhere in it, a little noisy; `frozen` shows its first frame."""

    def __init__(self, spread: float = 0.0, frozen: bool = False, takes_pictures: bool = True) -> None:
        self.spread, self.frozen, self.takes_pictures = spread, frozen, takes_pictures

    def generate(self, request: VideoRequest, on_step: object = None) -> list[Result]:
        if request.image is not None and not self.takes_pictures:
            raise InputError("copier is a GAN and makes clips of words alone: leave image out")
        assert request.seed is not None
        whole = CLIPS.frames(ROWS[request.prompt]).astype(np.float32) / 127.5 - 1
        made = []
        for seed in range(request.seed, request.seed + request.count):
            begin = int(12 * hash_unit(f"{request.prompt}{seed}"))
            frames = whole if request.loop else np.roll(whole, -begin, 0)[:8]
            frames = np.repeat(frames[:1], 8, 0) if self.frozen else frames
            frames = frames + self.spread * np.random.default_rng(seed).standard_normal(frames.shape, np.float32)
            if request.image is not None:
                frames = np.concatenate([request.image.pixels[None], frames[1:]])
            made.append(Result(Video(np.clip(frames, -1, 1), 12.0), seed, settings={"steps": 1, "prompt": "x"}))
        return made


def subject(generator: object) -> ClipSubject:
    return ClipSubject("copier", generator, 16, 8, 12.0)


def reported(generator: object, prompts: int = 20, seeds: int = 2) -> ClipReport:
    instruments = Instruments((pixels(8),), left_out=("R-precision: no judge",))
    return evaluate_clips(subject(generator), CLIPS, instruments, ClipPlan(prompts, seeds, given=3))


@pytest.fixture(scope="module")
def good() -> ClipReport:
    return reported(Copier(0.01))


def test_more_prompts_ask_the_same_and_more_and_a_concept_comes_twice_only_after_all_came_once() -> None:
    few, many = (asked_of_clips(CLIPS, subject(None), count) for count in (5, 30))
    for part, concepts in (("train", 27), ("unseen-concepts", 3)):
        own = [name for name, each in zip(many.prompts, many.parts, strict=True) if each == part]
        assert own[:5] == [name for name, each in zip(few.prompts, few.parts, strict=True) if each == part]
        assert len(set(own)) == len(own)
        named = [each for each, other in zip(many.concepts, many.parts, strict=True) if other == part]
        assert len(set(named[:concepts])) == concepts
    assert many.missing == ("unseen-concepts: 30 prompts were asked for, it has 12",)
    assert all(
        CLIPS.items[row_of(CLIPS, *key)].captions[0] == key[0] for key in zip(many.prompts, many.parts, strict=True)
    )


def test_real_clips_have_one_role_each_and_are_windows_as_long_as_the_models_clips() -> None:
    real = real_roles(CLIPS, subject(None))
    assert real.told == "54 training clips, since only 12 are held out"
    both = {each.tobytes() for each in real.reference.frames} & {each.tobytes() for each in real.others.frames}
    assert not both and real.held_out is not None and len(real.held_out) == 12
    assert real.reference.frames.shape == (54, 8, 4, 16, 16) and set(real.others.parts) == {"train"}
    row = ROWS["red circle sliding"]
    window = real_clips(CLIPS, [row], replace(subject(None), rate=6.0))
    assert window.rates == (6.0,)  # every second frame, to be as fast as the model's
    whole = CLIPS.frames(row)
    place = next(i for i in range(12) if np.array_equal(whole[i], window.frames[0, 0]))
    assert np.array_equal(window.frames[0, 1], whole[(place + 2) % 12])
    period = real_clips(CLIPS, [row], subject(None), period=True)
    assert len({each.tobytes() for each in period.frames[0]}) > 3 and period.rates == (8.0,)


def test_a_copier_moves_as_real_clips_do_is_a_copy_and_goes_on_from_its_first_frame(good: ClipReport) -> None:
    assert good.motion["generated"]["motion distance"].low < 2
    assert good.parts["train"]["generated"]["copies"].value == 1
    assert good.parts["unseen-concepts"]["generated"]["copies"].value == 0
    assert good.parts["train"]["generated"]["distance to real frames of the concept"].value < 0.02
    assert good.first_frame["generated"]["first frame kept bit for bit"].value == 1
    assert good.first_frame["generated"]["first frame kept bit for bit"].n == 6
    assert good.loops["asked to loop"]["loop seam"].value < good.loops["real, a part of a clip"]["loop seam"].value
    assert good.about["prompts"] == {"train": 20, "unseen-concepts": 12} and good.about["seeds"] == 2
    assert "steps" in good.about["settings"] and len(good.clips) == 64


def test_controls_are_told_from_real_clips_but_for_loops_that_run_backwards(good: ClipReport) -> None:
    assert good.controls == {"frozen": True, "shuffled": True, "reversed": False}
    assert good.motion["frozen"]["dynamic degree"].value < 1 < good.motion["real"]["dynamic degree"].value
    still = reported(Copier(frozen=True), prompts=14)
    found = still.motion["generated"]["motion distance"]
    assert found.low > still.motion["real"]["motion distance"].high
    assert found.low > good.motion["generated"]["motion distance"].high


def test_what_a_model_cannot_do_is_left_out_with_its_reason_and_so_is_what_has_too_few_clips() -> None:
    report = reported(Copier(takes_pictures=False), prompts=2, seeds=1)
    assert report.first_frame == {} and report.loops
    assert "first frames: copier is a GAN and makes clips of words alone: leave image out" in report.left_out
    assert any("4 items are too few, at least 50" in each for each in report.left_out)
    assert "R-precision: no judge" in report.left_out


def test_the_report_is_written_whole_and_says_what_it_is_beside(good: ClipReport, tmp_path: Path) -> None:
    paths = write_clip_report(good, tmp_path, "text2x evaluate copier")
    assert [path.name for path in paths] == ["report.md", "report.json", "sheet.png", "copies.png"]
    assert all(path.stat().st_size > 500 for path in paths)
    page, values = paths[0].read_text(), json.loads(paths[1].read_text())
    for words in ("frozen | shuffled | reversed", "It does not tell: reversed", "100% of the clips", "## Loops"):
        assert words in page, words
    assert values["controls_told"]["frozen"] is True and values["command"] == "text2x evaluate copier"
    assert values["motion"]["generated"]["motion distance"]["n"] == 54  # of the smaller side


def test_the_same_seeds_give_the_same_report_and_each_prompt_its_own() -> None:
    asked = asked_of_clips(CLIPS, subject(None), 2)
    one, other = (drawn_clips(subject(Copier(0.1)), asked, 2).clips.frames for _ in range(2))
    assert np.array_equal(one, other) and not np.array_equal(one[0], one[1])
    with pytest.raises(InputError, match="seeds is 101"):
        drawn_clips(subject(Copier()), asked, 101)


def test_a_model_says_what_it_makes_and_other_data_are_refused(tmp_path: Path) -> None:
    found = clip_subject("tiny", videos(tmp_path / "tiny"), CLIPS)
    assert (found.size, found.frames, found.rate) == (8, 6, 12.0)
    with pytest.raises(InputError, match="copier is no model of moving pictures"):
        clip_subject("copier", Copier())
    with pytest.raises(InputError, match="size is 64; the clips of 'moving-shapes' have 16 pixels"):
        clip_size(subject(None), CLIPS, ClipPlan(size=64))
    with pytest.raises(InputError, match="size is 16; the model .* makes clips of at most 8 pixels"):
        clip_subject("tiny", videos(tmp_path / "tiny"), CLIPS, 16)
    with pytest.raises(InputError, match="'shapes' holds no clips"):
        clip_set("shapes")
    with pytest.raises(InputError, match="holds clips and no pictures"):
        data_set("moving-shapes")
    assert clip_set("moving-shapes", size=24).size == 24
