"""Evaluating: what is asked is the same for every model, figures have floors and ceilings, omissions are told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.data.imageset import SPLITS, ImageSet
from text2x.data.shapes import STYLES, shapes
from text2x.errors import InputError
from text2x.evaluating import (
    EvaluationPlan,
    Instruments,
    Report,
    Subject,
    asked_of,
    data_set,
    drawn,
    evaluate_model,
    instruments_of,
    real_parts,
    subject_of,
    write_report,
)
from text2x.library import load
from text2x.media import Image
from text2x.metrics.features import pixels
from text2x.requests import Generator, ImageRequest, Result
from tiny_models import base_recipe, write_model

pytestmark = pytest.mark.medium

IMAGES = shapes()
KEYS = {(item.captions[0], item.style): row for row, item in enumerate(IMAGES.items)}


class Copier:
    """Draws the real picture of what is asked for, a little noisy, so that its figures are known."""

    def __init__(self, spread: float = 0.0) -> None:
        self.spread = spread

    def generate(self, request: ImageRequest, on_step: object = None) -> list[Result]:
        real = IMAGES.images[KEYS[request.prompt, request.style or "large"]].astype(np.float32) / 127.5 - 1
        assert request.seed is not None
        rngs = [np.random.default_rng(request.seed + item) for item in range(request.count)]
        images = [np.clip(real + self.spread * rng.standard_normal(real.shape), -1, 1) for rng in rngs]
        return [Result(Image(each.astype(np.float32)), request.seed + i) for i, each in enumerate(images)]


def subject(generator: Generator, size: int = 16) -> Subject:
    return Subject("copier", generator, size, tuple(STYLES), (), None)


def measured(spread: float, **plan: object) -> Report:
    instruments = Instruments((pixels(16),))
    given = EvaluationPlan(**{"prompts": 30, "seeds": 2, "bench": False, **plan})  # type: ignore[arg-type]
    return evaluate_model(subject(Copier(spread)), IMAGES, instruments, given)


@pytest.fixture(scope="module")
def report() -> Report:
    return measured(0.05)


def test_what_is_asked_is_of_each_part_by_its_plain_name_and_does_not_depend_on_the_model_or_the_number() -> None:
    few, many = (asked_of(IMAGES, subject(Copier()), count) for count in (5, 50))
    by_part = {part: [c for c, own in zip(many.concepts, many.parts, strict=True) if own == part] for part in SPLITS}
    for part in SPLITS:
        chosen = [c for c, own in zip(few.concepts, few.parts, strict=True) if own == part]
        assert chosen == by_part[part][: len(chosen)] and len(set(by_part[part])) == len(by_part[part]) > 0
    for prompt, style, part in zip(many.prompts, many.styles, many.parts, strict=True):
        assert KEYS[prompt, str(style)] in IMAGES.split(part)
    assert any("unseen-pairs" in each and "50 concepts were asked for" in each for each in many.missing)
    assert asked_of(IMAGES, subject(Copier(0.5), 32), 5) == few


def test_a_model_without_styles_is_asked_without_them() -> None:
    asked = asked_of(IMAGES, dataclasses.replace(subject(Copier()), styles=()), 3)
    assert set(asked.styles) == {None}


def test_pictures_of_one_prompt_have_neighbouring_seeds_and_lie_together() -> None:
    asked = asked_of(IMAGES, subject(Copier()), 2)
    made = drawn(subject(Copier(0.1)), asked, 3)
    assert made.pictures.prompts[:3] == (asked.prompts[0],) * 3 and len(made.pictures) == 3 * len(asked)
    alone = Copier(0.1).generate(ImageRequest(asked.prompts[1], seed=101, style=asked.styles[1]))[0].media.resize(16)
    assert torch.equal(made.pictures.images[4], alone.tensor())
    with pytest.raises(InputError, match="seeds is 0"):
        drawn(subject(Copier()), asked, 0)


def test_good_pictures_are_told_from_bad_ones(report: Report) -> None:
    found, bad = report.figures["train"], measured(0.6).figures["train"]
    key = "kernel distance, pixels 16 x 16"
    assert found["generated"][key].high < bad["generated"][key].low < found["noise"][key].high
    assert found["generated"][key].value < found["mean picture"][key].low
    assert set(found) >= {"generated", "real", "noise", "mean picture"}
    diversity = "diversity, pixels 16 x 16"
    assert found["generated"][diversity].high < bad["generated"][diversity].low


def test_a_model_that_copies_is_caught_and_its_pairs_are_shown(report: Report) -> None:
    key = "copies, pixels 16 x 16"
    assert report.figures["train"]["generated"][key].value > 0.8
    assert report.figures["unseen-concepts"]["generated"][key].value < 0.5
    assert report.pairs and all(pair.ratio < 1 / 3 for pair in report.pairs)
    assert (report.pairs[0].generated - report.pairs[0].training).abs().mean() < 0.1


def test_what_is_left_out_is_told_and_of_a_part_too_small_no_figure_is_invented(report: Report) -> None:
    assert "held-out denoising loss: copier is no diffusion model" in report.left_out
    assert any(each.startswith("unseen-pairs, generated") and "too few" in each for each in report.left_out)
    assert not any("kernel" in name for name in report.figures["unseen-pairs"]["generated"])
    assert "the bench of 200 prompts: there is no judge" in measured(0.0, prompts=2, bench=True).left_out


def test_the_report_is_written_whole_with_its_command_and_is_the_same_each_time(report: Report, tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "a", "text2x evaluate copier")
    assert [path.name for path in paths] == ["report.md", "report.json", "sheet.png", "copies.png"]
    page = paths[0].read_text()
    assert "$ text2x evaluate copier" in page and "## Unseen concepts" in page and "## Left out" in page
    assert "| kernel distance, pixels 16 x 16 | " in page
    values = json.loads(paths[1].read_text())
    assert values["figures"]["train"]["generated"]["kernel distance, pixels 16 x 16"]["n"] > 50
    assert Image.read(paths[2]).width > 100
    again = write_report(measured(0.05), tmp_path / "b", "text2x evaluate copier")
    assert paths[2].read_bytes() == again[2].read_bytes()
    other = json.loads(again[1].read_text())
    assert values["figures"] == other["figures"] and values["left_out"] == other["left_out"]


def test_sizes_and_data_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match="size is 64; the pictures of 'shapes' have 32"):
        measured(0.0, size=64)
    few = ImageSet("two", IMAGES.items[:2], IMAGES.images[:2])
    assert {"train"} == set(real_parts(few, subject(Copier()), 8))
    with pytest.raises(InputError, match="no data set at"):
        data_set("unheard-of", Path("nowhere"))


def test_flags_and_foreign_styles_are_not_among_the_real_pictures() -> None:
    chosen = dataclasses.replace(subject(Copier()), styles=("small",), groups=("ring",))
    parts = real_parts(IMAGES, chosen, 16)
    assert set(parts["train"].styles) == {"small"}
    assert not any("ring" in concept for concept in parts["train"].concepts)
    assert any("circle" in concept for concept in parts["train"].concepts)


@pytest.mark.medium
def test_a_judge_of_another_data_set_is_not_asked_unless_it_is_named() -> None:
    instruments = instruments_of(IMAGES)
    assert instruments.judge is None and instruments.classifier is None
    assert any("R-precision" in each for each in instruments.left_out)
    assert [space.name for space in instruments.spaces][-1] == "pixels 32 x 32"
    with pytest.raises(InputError, match=r"recipe\.json is missing"):
        instruments_of(IMAGES, Path("nowhere"))


@pytest.mark.medium
def test_a_diffusion_model_has_losses_by_noise_level_and_its_settings_are_told(tmp_path: Path) -> None:
    base = base_recipe()
    recipe = dataclasses.replace(
        base,
        conditioner=dataclasses.replace(base.conditioner, styles=tuple(STYLES)),
        sampling=dataclasses.replace(base.sampling, style="large"),
    )
    write_model(tmp_path / "random", (recipe,), 16)
    generator = load(tmp_path / "random", "cpu")
    given = subject_of("random", generator, IMAGES)
    assert (given.size, given.styles) == (16, tuple(STYLES))
    plan = EvaluationPlan(prompts=2, seeds=2, bench=False)
    report = evaluate_model(given, IMAGES, Instruments((pixels(16),)), plan)
    losses = report.losses["unseen-concepts"]
    assert list(losses)[0] == "mean over noise levels" and {"t 0.1", "t 0.9"} <= set(losses)
    levels = [metric.value for name, metric in losses.items() if name.startswith("t ")]
    assert losses["mean over noise levels"].value == pytest.approx(np.mean(levels), rel=1e-5)
    assert report.losses["train"]["t 0.5"].n == 64
    assert report.about["settings"]["sampler"] == "dpmpp_2m" and report.about["precision"] == "float32"
    fast = evaluate_model(given, IMAGES, Instruments((pixels(16),)), dataclasses.replace(plan, fast=True))
    assert fast.about["precision"] == "bfloat16"
    assert not torch.equal(fast.pictures.images, report.pictures.images)
    assert (fast.pictures.images - report.pictures.images).abs().mean() < 0.2
