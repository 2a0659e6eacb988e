"""Next-token prediction: the loss in closed form, places of the pattern alone count, conditions are left out."""

import pytest
import torch

from text2x.chroma import ChromaConfig
from text2x.data.audioset import Clip, in_memory
from text2x.data.token_batches import TokenBatch, TokenBatchConfig, TokenBatches, crop_frames, encode_clips
from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.token_objectives import NextToken, NextTokenConfig
from text2x.tokens import delayed
from tiny_sounds import HOP, RATE, tiny_codec, tone

TONES = [(Clip(f"t{k}", 0, 0, str(k), text=f"tone {k}"), tone(0.1 + 0.1 * k, 200.0 + 100 * k)) for k in range(5)]


def batch(frames: int = 6) -> TokenBatch:
    codes = torch.randint(0, 16, (3, 2, frames), generator=torch.Generator().manual_seed(0))
    melody = torch.rand(3, 4, 12, generator=torch.Generator().manual_seed(1))
    return TokenBatch(codes, ("a", "b", "c"), 0, melody)


def test_of_a_network_that_knows_nothing_the_loss_is_the_logarithm_of_the_codes() -> None:
    network = TokenLM(TokenLMConfig(2, 16, 8, 1, 2, prepended_width=12))
    for head in network.heads:
        torch.nn.init.zeros_(head.weight)  # type: ignore[arg-type]
    objective = NextToken(network, None, delayed(2), NextTokenConfig())
    losses = objective(batch(), torch.Generator().manual_seed(0))
    assert losses["loss"].item() == pytest.approx(torch.tensor(16.0).log().item())
    assert set(losses) == {"loss", "codebook_0", "codebook_1"}


def test_the_loss_is_the_mean_of_what_each_code_surprises_the_network_by() -> None:
    torch.manual_seed(0)
    network, given, pattern = TokenLM(TokenLMConfig(2, 16, 8, 1, 2)).eval(), batch(), delayed(2)
    given = TokenBatch(given.codes, given.captions, 0)
    every = torch.ones(3, dtype=torch.bool)
    found = NextToken(network, None, pattern, NextTokenConfig()).losses(given, every, every)
    sequence = pattern.interleave(given.codes, 16)
    chances = network(sequence, network.prepare()).log_softmax(-1)
    for book in range(2):
        wanted = [-chances[b, book, f + book, given.codes[b, book, f]] for b in range(3) for f in range(6)]
        torch.testing.assert_close(found[book], torch.stack(wanted).mean())


def test_a_melody_that_is_left_out_is_as_one_of_zeros() -> None:
    torch.manual_seed(0)
    network = TokenLM(TokenLMConfig(2, 16, 8, 1, 2, prepended_width=12)).eval()
    objective = NextToken(network, None, delayed(2), NextTokenConfig(melody_drop=1.0))
    given = batch()
    zeros = TokenBatch(given.codes, given.captions, 0, torch.zeros_like(given.melody))  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(0)
    every = torch.ones(3, dtype=torch.bool)
    assert torch.equal(objective(given, rng)["loss"], objective.losses(zeros, every, every).mean())
    assert not torch.equal(objective.losses(given, every, every), objective.losses(zeros, every, every))


def test_batches_hold_the_codes_of_their_crops_and_depend_on_their_step_alone() -> None:
    clips, codec = in_memory("five", RATE, TONES), tiny_codec()
    config = TokenBatchConfig(batch_size=4, seconds=0.16)
    codes = encode_clips(clips, codec, crop_frames(config, codec))
    batches = TokenBatches(clips, codec, codes, config, ChromaConfig(RATE, 1024, 256))
    one, again = batches.batch_at(7), TokenBatches(clips, codec, codes, config).batch_at(7)
    assert one.codes.shape == (4, 2, 40) and torch.equal(one.codes, again.codes) and one.captions == again.captions
    assert one.melody is not None and one.melody.shape == (4, 5, 12) and again.melody is None
    assert not torch.equal(one.codes, batches.batch_at(8).codes)
    whole = codes.of(4)
    assert whole.shape[1] == -(-clips.clips[4].frames // HOP)
    silent = codes.of(0)[:, 30:]  # a clip of 25 frames, followed by silence
    assert silent.shape[1] == 10 and len({tuple(column) for column in silent[:, -3:].T.tolist()}) == 1


def test_mixtures_have_both_captions_and_codes_of_neither() -> None:
    clips, codec = in_memory("five", RATE, TONES), tiny_codec()
    config = TokenBatchConfig(batch_size=8, seconds=0.16, mix=1.0)
    made = TokenBatches(clips, codec, encode_clips(clips, codec, 40), config).batch_at(0)
    joined = [caption for caption in made.captions if " and " in caption]
    assert joined and all(caption.startswith("tone ") and caption.count("tone") == 2 for caption in joined)
    assert made.codes.shape == (8, 2, 40) and int(made.codes.max()) < 16


def test_codes_are_kept_and_found_again(tmp_path) -> None:  # type: ignore[no-untyped-def]
    clips, codec = in_memory("five", RATE, TONES), tiny_codec()
    first = encode_clips(clips, codec, 40, tmp_path)
    assert len(list(tmp_path.glob("codes-*.safetensors"))) == 1
    assert (encode_clips(clips, codec, 40, tmp_path).frames == first.frames).all()


def test_settings_out_of_range_say_so() -> None:
    with pytest.raises(InputError, match=r"objective\.drop is 2"):
        NextTokenConfig(drop=2)
    with pytest.raises(InputError, match=r"data\.mix is 3"):
        TokenBatchConfig(mix=3)
