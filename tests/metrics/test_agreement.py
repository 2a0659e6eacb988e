"""R-precision and accuracy of judges that know all, know nothing, or tie."""

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.agreement import Distractors, accuracy, chance, r_precision
from text2x.metrics.intervals import wilson

pytestmark = pytest.mark.medium

CONCEPTS = [f"thing {i}" for i in range(150)]


def test_a_judge_that_knows_each_picture_is_always_right_and_a_blind_one_as_often_as_chance():
    texts = np.eye(150)
    assert r_precision(texts, texts, CONCEPTS, "judge").value == 1
    noise = np.random.default_rng(0).normal(size=(3000, 150))
    prompts, concepts = np.tile(texts, (20, 1)), CONCEPTS * 20
    blind = r_precision(noise, prompts, concepts, "judge")
    assert blind.value == pytest.approx(chance(100, "judge").value, abs=3 * np.sqrt(0.01 / 3000))
    assert (blind.low, blind.high) == pytest.approx(wilson(blind.value, 150))
    assert blind.space == "judge, 1 of 100"


def test_similar_things_confuse_as_often_as_they_are_among_the_99():
    texts = torch.eye(150)
    pictures = texts.clone()
    pictures[0] = texts[0] + 1.1 * texts[1]  # looks more like thing 1
    hits = [r_precision(pictures, texts, CONCEPTS, "judge", seed=seed).value for seed in range(30)]
    missed = np.mean([hit < 1 for hit in hits])  # 99 of the 149 others are drawn
    assert missed == pytest.approx(99 / 149, abs=3 * np.sqrt(0.66 * 0.34 / 30))


def test_distractors_depend_on_seed_and_concept_but_not_on_the_other_pictures():
    rng = np.random.default_rng(0)
    pictures, texts = rng.normal(size=(2, 150, 8))
    pool = Distractors(texts, CONCEPTS)
    whole = [
        r_precision(pictures[i : i + 1], texts[i : i + 1], CONCEPTS[i : i + 1], "j", pool).value for i in range(150)
    ]
    assert 0 < np.mean(whole) < 0.2
    assert r_precision(pictures, texts, CONCEPTS, "j", pool).value == pytest.approx(np.mean(whole))
    order = rng.permutation(150)
    shuffled = Distractors(texts[order], [CONCEPTS[i] for i in order])
    assert r_precision(pictures, texts, CONCEPTS, "j", shuffled).value == pytest.approx(np.mean(whole))


def test_texts_of_the_own_concept_are_no_distractors():
    texts = np.repeat(np.eye(110), 3, axis=0)  # each thing in three styles
    concepts = [name for name in CONCEPTS[:110] for _ in range(3)]
    assert r_precision(texts, texts, concepts, "judge").value == 1


def test_a_judge_that_says_the_same_of_everything_ties_and_gets_chance():
    same = np.ones((150, 4))
    assert r_precision(same, same, CONCEPTS, "judge").value == pytest.approx(0.01)


def test_accuracy_counts_the_own_class_among_the_first():
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    classes = [0, 1, 2, 0]
    assert accuracy(logits, classes, "classifier").value == 0.25
    assert accuracy(logits, classes, "classifier", top=2).value == 0.5
    assert chance(3, "classifier", top=2).value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r_precision(np.eye(99), np.eye(99), CONCEPTS[:99], "j"), "of 99 concepts other than .*, there are 98"),
        (lambda: r_precision(np.eye(3), np.eye(3), CONCEPTS[:2], "j"), "3 pictures, 3 prompts, 2 concepts"),
        (lambda: r_precision(np.zeros((150, 3)), np.ones((150, 3)), CONCEPTS, "j"), "150 of 150 embeddings are zero"),
        (lambda: r_precision(np.ones((150, 2)), np.ones((150, 3)), CONCEPTS, "j"), "2 features an item against 3"),
        (lambda: accuracy(np.ones((2, 3)), [0, 3], "c"), "classes run from 0 to 3; the logits have the classes 0 to 2"),
        (lambda: accuracy(np.ones((2, 3)), [0, 1], "c", top=3), "top is 3; with 3 classes take 1 to 2"),
        (lambda: accuracy(np.full((1, 2), np.nan), [0], "c"), "1 of 1 items have values that are not finite"),
    ],
)
def test_mistakes_are_named_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
