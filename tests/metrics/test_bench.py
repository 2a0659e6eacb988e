"""The fixed bench of prompts."""

from collections import Counter

from text2x.metrics.bench import bench
from text2x.text import clean_prompt


def test_the_bench_has_25_prompts_of_each_of_eight_kinds_and_none_twice():
    prompts = bench()
    kinds = ["colour", "count", "style", "combination", "negation", "rare words", "synonyms", "another language"]
    assert Counter(each.category for each in prompts) == dict.fromkeys(kinds, 25)
    assert len({each.prompt.lower() for each in prompts}) == 200


def test_prompts_are_clean_and_say_what_a_judge_needs():
    for each in bench():
        assert clean_prompt(each.prompt).text == each.prompt, each
        assert each.means.isascii() and each.means, each
        assert bool(each.absent) == (each.category == "negation"), each
        asks_differently = each.category in ("rare words", "synonyms", "another language")
        assert (each.means != each.prompt) == asks_differently, each
