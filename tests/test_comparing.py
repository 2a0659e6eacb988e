"""Comparing: sets that can be trained, budgets that are kept, verdicts in closed form, and a whole small comparison."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.adversarial import GANRecipe
from text2x.comparing import SETS, Budget, Claim, budget_of, chosen, compare, rendered, write_comparison
from text2x.comparing.budgets import Cost, _operations, fitted_to, prepared, recipe_of, steps_for
from text2x.comparing.measuring import Yardstick, paired_kernel_difference
from text2x.comparing.running import trainings_of
from text2x.comparing.verdicts import Values, verdict
from text2x.data.shapes import STYLES, shapes
from text2x.errors import InputError
from text2x.evaluating import Instruments, Subject, asked_of, real_parts
from text2x.metrics.features import pixels
from text2x.metrics.metric import Metric, exact
from text2x.networks.gan import GAN
from text2x.nn.initialization import no_initialization
from text2x.recipe import GuideRecipe, Recipe, build_network
from text2x.requests import ImageRequest
from text2x.text_conditioner import MiniLMConfig, TrainableTextConfig

IMAGES = shapes()

# Sets


@pytest.mark.parametrize("name", [name for name, each in SETS.items() if each.makes == "pictures"])
def test_a_set_names_methods_that_can_be_built_and_asked_and_claims_about_them(name: str) -> None:
    methods = {method.name: method for method in SETS[name].methods}
    assert len(methods) == len(SETS[name].methods)
    for claim in SETS[name].claims:
        assert claim.first in methods and claim.second in methods and claim.confirmed_if
    for method in methods.values():
        ImageRequest("a", **method.options)
        own, *others = (recipe_of(each.recipe, each.settings, SETS[name].data) for each in trainings_of(method))
        guides = others[: len(others) - len(method.parts)]
        assert all(isinstance(guide, GuideRecipe) and guide.kind != "judge" for guide in guides)
        assert isinstance(own, (Recipe, GANRecipe))
        with no_initialization():
            network = GAN(own.network) if isinstance(own, GANRecipe) else build_network(own)
        assert sum(each.numel() for each in network.parameters()) > 10_000
        text = own.conditioner
        assert isinstance(text, (MiniLMConfig, TrainableTextConfig))
        width = 384 if isinstance(text, MiniLMConfig) else text.width
        told = width * getattr(text, "vector", True) + len(text.styles) + text.augmentations
        assert own.network.vector_width == told + getattr(own.network, "image_embedding", 0)
        if not isinstance(own, GANRecipe):
            assert own.network.context_width == (width if text.context else 0)


def test_all_image_methods_have_one_size_and_methods_with_one_recipe_share_a_training() -> None:
    made = SETS["image"]
    recipes = [recipe_of(each.recipe, each.settings, "emoji") for each in made.methods]
    assert {each.size for each in recipes if isinstance(each, (Recipe, GANRecipe))} == {32}
    trainings = {trainings_of(made.method(name))[0] for name in ("unguided", "classifier-free guidance", "ddpm")}
    assert len(trainings) == 1
    assert trainings_of(made.method("unet"))[0].name != trainings_of(made.method("pooled text"))[0].name
    assert any("latent" in gap for gap in made.gaps)


def test_a_part_of_a_set_keeps_the_claims_about_it_and_recipes_are_compared_in_pairs() -> None:
    part = chosen("image", ["unet", "gan"])
    assert [claim.name for claim in part.claims] == ["diffusion against GAN"] and part.data == "emoji"
    mixed = chosen("debug", ["gan", "debug-dit", "debug"], "mine")
    assert [(claim.first, claim.second) for claim in mixed.claims] == [
        ("gan", "debug-dit"), ("gan", "debug"), ("debug-dit", "debug"),
    ]  # fmt: skip
    assert mixed.data == "mine"
    with pytest.raises(InputError, match="unknown method or recipe 'unett'.*unet"):
        chosen("image", ["unett", "gan"])
    with pytest.raises(InputError, match="unknown set of comparisons 'imag'"):
        chosen("imag")
    with pytest.raises(InputError, match="'gan' alone cannot be compared"):
        chosen("image", ["gan"])


# Budgets


@pytest.mark.parametrize(("text", "seconds"), [("20m", 1200), ("90s", 90), ("1.5h", 5400), ("30", 30)])
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert budget_of(text) == Budget(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0m", "20 minutes", "-5s", "m", "1e3"])
def test_a_budget_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="write it as 20m"):
        budget_of(text)


def test_one_budget_is_needed_and_operations_are_above_0() -> None:
    for given in ((None, None), ("20m", 3e13)):
        with pytest.raises(InputError, match="give one budget"):
            budget_of(*given)
    with pytest.raises(InputError, match="operations is -1"):
        budget_of(None, -1)
    assert str(budget_of(None, 3e13)) == "3e+13 multiply-adds" and str(budget_of("20m")) == "20 minutes"


def test_steps_are_the_budget_over_the_cost_and_less_than_one_is_refused() -> None:
    cost = Cost(operations=2e9, seconds=0.5, parameters=1)
    assert steps_for(Budget(seconds=10.2), cost) == 20
    assert steps_for(Budget(operations=9e9), cost) == 4
    with pytest.raises(InputError, match="less than one step, which takes 0.5 s"):
        steps_for(Budget(seconds=0.4), cost)


def test_a_short_training_warms_up_for_a_tenth_of_it() -> None:
    recipe = recipe_of("debug", (), "shapes")
    assert fitted_to(recipe, 50).training.warmup_steps == 5
    assert fitted_to(recipe, 5000).training.warmup_steps == recipe.training.warmup_steps
    assert (recipe.training.evaluate_every, recipe.training.sample_every) == (0, 0)


@pytest.mark.medium
def test_twice_the_batch_has_twice_the_operations() -> None:
    small, large = (
        _operations(prepared(recipe_of("debug-classifier", (f"training.batch_size={size}",), "shapes"), "cpu", None))
        for size in (4, 8)
    )
    assert large == pytest.approx(2 * small, rel=0.01) and small > 1e6


# Verdicts

CLAIM = Claim("a against b", "a", "b", "likeness", "a is nearer")


def values(measure: str, *numbers: float) -> Values:
    return Values({measure: exact(float(np.mean(numbers)), len(numbers), "space")}, {measure: numbers})


def no_fidelity() -> Metric:
    raise InputError("12 items are too few")


def test_a_verdict_is_on_differences_prompt_by_prompt() -> None:
    wide = [0.1, 5.0, 9.0, 2.0, 7.0]
    nearer = values("likeness", *(value - 0.01 - 0.001 * i for i, value in enumerate(wide)))
    found = verdict(CLAIM, nearer, values("likeness", *wide), no_fidelity)
    assert found.better == "a" and found.answer == "a is better: confirmed"
    assert found.difference is not None and found.difference.value == pytest.approx(-0.012)
    other = verdict(CLAIM, values("likeness", *wide), nearer, no_fidelity)
    assert other.better == "b" and other.answer == "b is better: refuted"


def test_equal_methods_cannot_be_told_apart() -> None:
    mixed = verdict(CLAIM, values("likeness", 1, 2, 3, 4), values("likeness", 2, 1, 4, 3), no_fidelity)
    assert mixed.better is None and mixed.answer == "cannot tell"
    same = verdict(CLAIM, values("likeness", 1, 2), values("likeness", 1, 2), no_fidelity)
    assert same.better is None


def test_of_agreement_more_is_better_and_without_a_judge_likeness_decides() -> None:
    claim = dataclasses.replace(CLAIM, measure="agreement")
    found = verdict(claim, values("agreement", 1, 1, 1, 0.5), values("agreement", 0, 0.5, 0, 0), no_fidelity)
    assert found.better == "a" and found.measure == "agreement"
    assert verdict(claim, values("likeness", 1, 1), values("likeness", 3, 4), no_fidelity).measure == "likeness"


def test_fidelity_that_cannot_be_taken_is_told() -> None:
    found = verdict(dataclasses.replace(CLAIM, measure="fidelity"), values("x", 1), values("x", 1), no_fidelity)
    assert found.answer == "cannot tell: 12 items are too few" and found.difference is None


def test_the_paired_kernel_difference_is_0_of_equal_pictures_and_has_the_sign_of_the_better() -> None:
    subject = Subject("all", None, 8, tuple(STYLES), (), None)  # type: ignore[arg-type]
    asked = asked_of(IMAGES, subject, 40)
    yard = Yardstick(asked, 2, subject, real_parts(IMAGES, subject, 8), Instruments((pixels(8),)), ())
    places = {(item.concept, item.style): row for row, item in enumerate(IMAGES.items)}
    rows = [places[key] for key in zip(asked.concepts, map(str, asked.styles), strict=True) for _ in range(2)]
    real = torch.from_numpy(IMAGES.images[rows]).float() / 127.5 - 1
    real = torch.nn.functional.avg_pool2d(real, 4)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    same = paired_kernel_difference(yard, real, real)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    better = paired_kernel_difference(yard, real, noise)
    assert better.high < 0 and better.n == len(asked)
    assert paired_kernel_difference(yard, noise, real).value == pytest.approx(-better.value)


# The whole


@pytest.mark.slow
def test_a_comparison_goes_on_after_an_interruption_and_is_rendered_again_from_what_is_kept(tmp_path: Path) -> None:
    wanted = dataclasses.replace(chosen("debug"), steps=(2,), curve_prompts=10)
    budget, kept = budget_of(None, 1.3e10), tmp_path / "kept"

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "trainings (debug-gan)":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(wanted, budget, kept, tell=interrupt)
    first = kept / "runs" / "debug" / "points" / "1" / "point.json"
    written = first.stat().st_mtime_ns
    assert not (kept / "runs" / "debug-gan").exists()
    with pytest.raises(InputError, match=r"values\.json|is not there yet|is missing"):
        rendered(wanted, kept)
    made = compare(wanted, budget, kept)
    assert first.stat().st_mtime_ns == written  # not trained again
    assert {each["steps"] for each in made.trainings.values()} == {
        each["steps_planned"] for each in made.trainings.values()
    }
    assert made.final("classifier guidance").training_seconds > made.final("unguided").training_seconds
    paths = write_comparison(made, tmp_path / "a", "text2x compare --set debug")
    again = write_comparison(rendered(wanted, kept), tmp_path / "b", "text2x compare --set debug")
    assert [path.name for path in paths][:3] == ["report.md", "report.json", "sheet.png"]
    for one, other in zip(paths[:3], again, strict=False):
        assert one.read_bytes() == other.read_bytes()
    page, found = paths[0].read_text(), json.loads(paths[1].read_text())
    assert "| diffusion against GAN | likeness |" in page and "*retrieval*" in page and "unseen-pairs" in page
    assert {each["method"] for each in found["drawings"]} == {method.name for method in wanted.methods}
    assert len(found["drawings"]) == 3 * len(wanted.methods) + 3  # three fractions, and 2 steps but for the GAN
    for each in found["drawings"]:  # curves with fewer prompts than what decides the claims
        final = (each["fraction"], each["steps"]) == (1.0, None)
        assert len(each["prompts"]["likeness"]) == (29 if final else 19)
    assert found["verdicts"][0]["difference"]["n"] == 29
    with pytest.raises(InputError, match="holds a comparison on shapes with 1.3e[+]10 multiply-adds, not on shapes"):
        compare(wanted, budget_of("5s"), kept)


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [("debug-clip", "makes no pictures"), ("upsampler", "reads no prompt"), ("judge", "no pictures")],
)
def test_recipes_that_draw_nothing_from_words_are_refused_before_any_training(
    recipe: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=reason):
        compare(chosen("debug", ["gan", recipe]), budget_of("1s"), tmp_path)
    assert not (tmp_path / "runs").exists()
