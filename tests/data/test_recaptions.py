"""Longer captions by templates: kept words, no invention, one seed one wording."""

from __future__ import annotations

import itertools

from text2x.data.recaptions import MOTIONS, Seen, recaption, recaptioned

FULL = Seen(motion=9.0, loops=True, seconds=0.5, colours=("red", "green"), style="flat")
SEEDS = range(40)


def test_the_same_seed_gives_the_same_words_and_others_other_ones() -> None:
    made = [recaption("red car", seed, FULL) for seed in SEEDS]
    assert made == [recaption("red car", seed, FULL) for seed in SEEDS]
    assert len(set(made)) > len(SEEDS) / 2


def test_the_words_of_the_caption_are_kept_and_the_result_is_sentences() -> None:
    for caption, seed in itertools.product(("red car", "an owl", "two dogs", "flag of Chad"), SEEDS):
        made = recaption(caption, seed, FULL)
        assert caption in made.lower().replace("chad", "Chad")
        assert made.endswith((".", "flat.")) and made[0].isupper() and len(made) > len(caption)


def test_an_article_is_put_before_what_has_none() -> None:
    made = {recaption("owl", seed) for seed in SEEDS}
    assert all("an owl" in each.lower() for each in made) and not any("a owl" in each.lower() for each in made)
    assert not any("a an owl" in recaption("an owl", seed).lower() for seed in SEEDS)


def test_nothing_is_said_that_is_not_known() -> None:
    plain = {recaption("owl", seed) for seed in SEEDS}
    assert all(each.count(".") == 1 for each in plain)
    every = " ".join(wording for _, wordings in MOTIONS for wording in wordings)
    for seed in SEEDS:
        said = recaption("owl", seed, Seen(colours=("brown",))).split(". ")[1:]
        assert all("brown" in part.lower() for part in said) and not any(part.rstrip(".") in every for part in said)
        assert "brown" not in recaption("owl", seed, Seen(motion=3.0, loops=False, seconds=9.0))


def test_motion_is_said_in_words_of_its_band() -> None:
    below = 0.0
    for most, wordings in MOTIONS:
        for seed, motion in itertools.product(range(10), (below + 0.01, most)):
            made = recaption("owl", seed, Seen(motion=motion), sentences=1)
            assert any(made.endswith(wording) for wording in wordings), (motion, made)
        below = most
    assert any(recaption("owl", 0, Seen(motion=99.0), 1).endswith(each) for each in MOTIONS[-1][1])


def test_a_clip_that_does_not_loop_is_not_called_a_loop() -> None:
    for seed in SEEDS:
        made = recaption("owl", seed, Seen(loops=False)).lower()
        assert not any(word in made for word in ("loop", "endless", "joins"))


def test_a_dropped_caption_stays_empty_and_a_share_of_a_batch_is_made_longer() -> None:
    assert recaption("", 3, FULL) == ""
    captions = tuple(f"owl {number}" for number in range(200))
    made = recaptioned(captions, 5, share=0.25)
    assert 0.15 < sum(new != old for new, old in zip(made, captions, strict=True)) / 200 < 0.35
    assert made == recaptioned(captions, 5, share=0.25) != recaptioned(captions, 6, share=0.25)
    assert recaptioned(captions, 5, share=0.0) == captions


def test_as_many_sentences_as_asked_for_at_most() -> None:
    for count in range(6):
        assert recaption("owl", 1, FULL, count).count(".") == 1 + count
    assert recaption("owl", 1, FULL, 99).count(".") == 6
