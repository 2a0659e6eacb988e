"""Patterns of codebooks and choosing codes: worked examples, inverses, exact chances."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from text2x.errors import InputError
from text2x.tokens import Choosing, Pattern, choose, delayed, doubly_guided, guided, parallel, uniforms

S = 9  # the special code


def test_the_delay_pattern_is_that_of_the_paper() -> None:
    codes = torch.tensor([[[1, 2, 3, 4]] * 3])
    expected = [[S, 1, 2, 3, 4, S, S], [S, S, 1, 2, 3, 4, S], [S, S, S, 1, 2, 3, 4]]
    assert delayed(3).interleave(codes, S)[0].tolist() == expected
    assert parallel(2).interleave(codes[:, :2], S)[0].tolist() == [[S, 1, 2, 3, 4]] * 2
    assert delayed(2, channels=2).delays == (0, 0, 1, 1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 7), st.integers(1, 3))
def test_separating_is_the_inverse_and_valid_places_are_those_of_codes(delays: list[int], frames: int, batch: int):
    pattern = Pattern(tuple(delays))
    codes = torch.arange(batch * len(delays) * frames).reshape(batch, len(delays), frames)
    sequence = pattern.interleave(codes, -1)
    assert sequence.shape[2] == pattern.steps(frames)
    assert torch.equal(pattern.separate(sequence), codes)
    assert torch.equal(pattern.valid(frames), sequence[0] != -1)
    assert bool((sequence[:, :, 0] == -1).all())


def test_patterns_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="there are 3 codebooks, and the pattern is for 4"):
        delayed(4).interleave(torch.zeros(1, 3, 2, dtype=torch.long), S)
    with pytest.raises(InputError, match="3 steps are too few"):
        delayed(4).separate(torch.zeros(1, 4, 3, dtype=torch.long))
    with pytest.raises(InputError, match=r"delays are \[\]"):
        Pattern(())


def chances(logits: torch.Tensor, how: Choosing) -> torch.Tensor:
    """How often each code is chosen over a fine grid of uniform numbers."""
    grid = (torch.arange(40_000) + 0.5) / 40_000
    chosen = choose(logits.expand(len(grid), -1), how, grid)
    return torch.bincount(chosen, minlength=logits.shape[-1]) / len(grid)


def test_codes_are_chosen_with_their_own_chances() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, 1.0])
    torch.testing.assert_close(chances(logits, Choosing()), logits.softmax(-1), atol=1e-4, rtol=0)
    warm = chances(logits, Choosing(temperature=2.0))
    torch.testing.assert_close(warm, (logits / 2).softmax(-1), atol=1e-4, rtol=0)
    assert chances(logits, Choosing(temperature=0)).tolist() == [0, 0, 1, 0, 0]


def test_top_k_and_top_p_leave_the_likeliest_alone_with_their_proportions() -> None:
    logits = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()
    torch.testing.assert_close(
        chances(logits, Choosing(top_k=2)), torch.tensor([0, 0, 4 / 7, 3 / 7]), atol=1e-4, rtol=0
    )
    # 0.4 is not yet 0.6, with 0.3 it is beyond: the first that reaches it is kept
    torch.testing.assert_close(
        chances(logits, Choosing(top_p=0.6, top_k=1)), torch.tensor([0, 0, 4 / 7, 3 / 7]), atol=1e-4, rtol=0
    )
    assert chances(logits, Choosing(top_k=9)).count_nonzero() == 4


def test_the_largest_uniform_number_never_leads_to_a_code_that_was_left_out() -> None:
    logits = torch.tensor([5.0, 4.0, 3.0, -40.0, -50.0])
    for how in (Choosing(top_k=2), Choosing(top_p=0.5), Choosing()):
        assert int(choose(logits, how, torch.tensor(1 - 2**-24))) in (0, 1, 2)
    assert int(choose(logits, Choosing(top_k=2), torch.tensor(1 - 2**-24))) == 1


def test_choosing_refuses_what_is_out_of_range() -> None:
    for wrong, words in (
        ({"temperature": -1}, "temperature is -1"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": -2}, "top_k is -2"),
    ):
        with pytest.raises(InputError, match=words):
            Choosing(**wrong)


def test_guidance_on_logits_is_the_line_through_both() -> None:
    null, conditional, other = torch.randn(3, 7).unbind(0)
    torch.testing.assert_close(guided(conditional, null, 3.0), null + 3 * (conditional - null))
    assert torch.equal(guided(conditional, null, 1.0), conditional)
    torch.testing.assert_close(doubly_guided(conditional, other, null, 3.0, 1.0), guided(conditional, null, 3.0))
    torch.testing.assert_close(doubly_guided(conditional, other, null, 1.0, 0.0), other)


def test_an_items_uniform_numbers_depend_on_its_seed_alone() -> None:
    together = uniforms([3, 4], 5, 2)
    assert torch.equal(together[1], uniforms([4], 5, 2)[0])
    assert torch.equal(together[0, :3], uniforms([3], 3, 2)[0])  # a longer sequence begins like a shorter one
    assert float(together.min()) >= 0 and float(together.max()) < 1
