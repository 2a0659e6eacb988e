"""The whole evaluation on pictures of known quality, and the companions that figures are read beside."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from text2x.data.imageset import Split
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.metrics.companions import halves, mean_picture, noise, retrieved
from text2x.metrics.evaluation import EvaluationConfig, evaluate
from text2x.metrics.features import pixels
from text2x.metrics.pictures import Pictures, real_pictures

SIDE = 4
CONCEPTS = [f"thing {number}" for number in range(240)]
DRAWINGS = torch.rand(240, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
CONFIG = EvaluationConfig(dims=4)


def drawn(numbers: Sequence[int], part: Split, seed: int, spread: float = 0.1) -> Pictures:
    """Each thing's own drawing with a little noise."""
    rng = torch.Generator().manual_seed(seed)
    images = DRAWINGS[list(numbers)] + spread * torch.randn(len(numbers), 4, SIDE, SIDE, generator=rng)
    names = tuple(CONCEPTS[number] for number in numbers)
    return Pictures(images, names, names, (part,) * len(numbers))


class KnowingJudge:
    """Knows every drawing: text and picture are described by pixels, the mean drawing taken off."""

    def image_embeddings(self, images: Tensor) -> Tensor:
        return (images - DRAWINGS.mean(0)).flatten(1)

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        return self.image_embeddings(DRAWINGS[[CONCEPTS.index(prompt) for prompt in prompts]])


def one_hot(prompts: Sequence[str]) -> Tensor:
    """Every name is as far from every other."""
    return torch.eye(240)[[CONCEPTS.index(prompt) for prompt in prompts]] + 0.1


@pytest.fixture(scope="module")
def train() -> Pictures:
    return drawn([*range(120), *range(120)], "train", 1)


@pytest.fixture(scope="module")
def held_out() -> Pictures:
    return drawn([*range(120, 240), *range(120, 240)], "unseen-concepts", 2)


@pytest.fixture(scope="module")
def result(train: Pictures, held_out: Pictures):
    seen, unseen = drawn([*range(120)] * 2, "train", 3), drawn([*range(120, 240)] * 2, "unseen-concepts", 4)
    pieces = [torch.cat([seen.images, unseen.images])]
    texts = [getattr(seen, name) + getattr(unseen, name) for name in ("prompts", "concepts", "parts")]
    return evaluate(Pictures(*pieces, *texts), train, held_out, [pixels(SIDE)], KnowingJudge(), one_hot, CONFIG)


def test_good_pictures_are_as_near_as_real_ones_and_noise_and_the_mean_picture_are_far(result):
    for part in ("train", "unseen-concepts"):
        figures = result.figures[part]
        generated, real, noisy, flat = (
            figures[source]["kernel distance, pixels 4 x 4"]
            for source in ("generated", "real", "noise", "mean picture")
        )
        assert abs(generated.value - real.value) < 0.05 * noisy.value
        assert noisy.low > generated.high and flat.low > generated.high
        assert generated.n == real.n == noisy.n == 120
        frechet = {
            source: figures[source]["Fréchet distance, pixels 4 x 4"] for source in ("generated", "mean picture")
        }
        assert frechet["mean picture"].low > frechet["generated"].high
    unseen = result.figures["unseen-concepts"]
    key = "kernel distance, pixels 4 x 4"
    assert unseen["retrieval"][key].low > unseen["generated"][key].high  # it can only show what was seen


def test_the_judge_tells_good_pictures_from_companions(result):
    key = "R-precision, judge"
    for part in ("train", "unseen-concepts"):
        figures = result.figures[part]
        assert figures["generated"][key].value == figures["real"][key].value == 1
        assert figures["noise"][key].value < 0.1 and figures["chance"][key].value == 0.01
    assert result.figures["train"]["retrieval"][key].value == 1
    assert result.figures["unseen-concepts"]["retrieval"][key].value < 0.1


def test_only_the_retrieval_copies_and_real_training_pictures_are_not_asked(result):
    key = "copies, pixels 4 x 4"
    for part in ("train", "unseen-concepts"):
        assert result.figures[part]["generated"][key].value == 0
        assert result.figures[part]["retrieval"][key].value == 1
    assert key not in result.figures["train"]["real"]
    assert result.figures["unseen-concepts"]["real"][key].value == 0


def test_results_are_the_same_each_time_and_become_json(result, train, held_out):
    plain = json.loads(json.dumps(result.to_json()))
    figure = plain["figures"]["train"]["generated"]["precision, pixels 4 x 4"]
    assert figure["low"] <= figure["value"] <= figure["high"] and figure["space"] == "pixels 4 x 4, k 5"
    assert plain["left_out"] == []
    asked = drawn(range(60), "train", 5)
    first, again = (evaluate(asked, train, held_out, [pixels(SIDE)], KnowingJudge(), one_hot, CONFIG) for _ in "ab")
    assert first.left_out == again.left_out and first.to_json() == again.to_json()


def test_what_cannot_be_measured_is_left_out_with_the_reason(train, held_out):
    asked = drawn(range(30), "unseen-pairs", 0)
    found = evaluate(asked, train, held_out, [pixels(SIDE)], config=CONFIG)
    assert "R-precision: no judge was given" in found.left_out
    assert "retrieval: no sentence encoder was given" in found.left_out
    assert any("unseen-pairs, generated, pixels 4 x 4: kernel distance" in reason for reason in found.left_out)
    assert any("take at least 2 seeds a prompt" in reason for reason in found.left_out)
    assert set(found.figures["unseen-pairs"]["generated"]) == {"copies, pixels 4 x 4"}


def test_pictures_that_cannot_be_compared_are_refused(train, held_out):
    with pytest.raises(InputError, match=r"of one size, got generated \[8, 8\], training \[4, 4\]"):
        evaluate(Pictures(torch.zeros(1, 4, 8, 8), ("a",), ("a",), ("train",)), train, held_out, [pixels()])
    with pytest.raises(InputError, match="1 of 2 pictures have values that are not finite"):
        Pictures(
            torch.tensor([0, torch.nan])[:, None, None, None].expand(2, 4, 2, 2), ("a", "b"), ("a", "b"), ("train",) * 2
        )
    with pytest.raises(InputError, match="2 pictures, 1 prompts"):
        Pictures(torch.zeros(2, 4, 2, 2), ("a",), ("a",), ("train",))
    with pytest.raises(InputError, match="there are 0 generated pictures"):
        evaluate(train.take([]), train, held_out, [pixels()])


def test_the_retrieval_keeps_to_the_style_and_gives_each_seed_another_picture(train):
    known = Pictures(
        train.images[:6], (*CONCEPTS[:3], *CONCEPTS[:3]), ("c",) * 6, ("train",) * 6, ("a",) * 3 + ("b",) * 3
    )
    asked = Pictures(
        torch.zeros(4, 4, SIDE, SIDE), (CONCEPTS[1],) * 4, ("c",) * 4, ("train",) * 4, ("b", "b", None, None)
    )
    found = retrieved(asked, known, one_hot).images
    assert torch.equal(found[0], known.images[4]) and torch.equal(found[2], known.images[1])
    assert torch.equal(found[3], known.images[4])  # the same name in the other style
    assert any(torch.equal(found[1], known.images[row]) for row in (3, 5))
    with pytest.raises(InputError, match="no training picture has the style 'oil'"):
        retrieved(Pictures(asked.images[:1], CONCEPTS[:1], ("c",), ("train",), ("oil",)), known, one_hot)


def test_noise_is_a_picture_and_the_mean_picture_is_the_mean(train):
    loud = noise(train, 0).images
    assert loud.abs().max() == 1 and (loud[:, :3] <= loud[:, 3:]).all()
    assert torch.equal(loud, noise(train, 0).images) and not torch.equal(loud, noise(train, 1).images)
    assert torch.allclose(mean_picture(train, train).images[7], train.images.mean(0))


def test_halves_are_equally_large_and_share_nothing():
    first, second = halves(21, 0, 100)
    assert len(first) == len(second) == 10 and not set(first) & set(second)
    assert len(halves(21, 0, 4)[0]) == 4


def test_real_pictures_come_with_their_captions_at_the_size_that_is_wanted():
    image_set = shapes(16)
    pictures = real_pictures(image_set, "unseen-concepts", 8, ("small",))
    assert pictures.images.shape == (len(pictures), 4, 8, 8) and set(pictures.styles) == {"small"}
    assert all(np.char.replace(p, " ", "-") == c for p, c in zip(pictures.prompts, pictures.concepts, strict=True))
    whole = real_pictures(image_set, "train", 16)
    first = image_set.images[image_set.split("train")[0]].astype(np.float32) / 127.5 - 1
    assert np.allclose(whole.images[0].numpy(), first)
