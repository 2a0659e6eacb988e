"""Prompts as strings: cleaning, file names, lists from files, tokenisers."""

import io
import subprocess
import sys

import pytest

from text2x.errors import InputError
from text2x.text import (
    BPETokenizer,
    ByteTokenizer,
    clean_prompt,
    fit_tokens,
    read_prompt_file,
    read_prompts,
    slug,
    train_bpe,
)

CAPTIONS = ["a red apple", "a green apple on a table", "a happy dog face", "a sad dog face", "été à Paris"] * 4


def test_a_plain_prompt_comes_back_without_warnings():
    assert clean_prompt("a red apple") == clean_prompt(b"a red apple")
    assert clean_prompt("a red apple").text == "a red apple"
    assert clean_prompt("a red apple").warnings == ()


def test_white_space_is_collapsed_and_letters_are_composed():
    assert clean_prompt("  e\u0301te\u0301 \t a\u0300\r\nParis\u00a0! ").text == "été à Paris !"


def test_control_characters_are_removed_and_reported():
    prompt = clean_prompt("a \x07red\u202e apple\x1b[31m!")
    assert prompt.text == "a red apple !"
    (warning,) = prompt.warnings
    assert "removed 3 control characters" in warning
    assert "U+0007" in warning and "U+202E" in warning and "U+001B" in warning


def test_joiners_of_emoji_and_indic_scripts_stay():
    for text in ("👩\u200d🚀", "क्\u200dष", "❤\ufe0f"):
        assert clean_prompt(text).text == text


@pytest.mark.parametrize("prompt", ["", "  \n ", b"", "\x07"])
def test_an_empty_prompt_is_an_error_unless_allowed(prompt):
    with pytest.raises(InputError, match="the prompt (is empty|holds control characters only)"):
        clean_prompt(prompt)
    assert clean_prompt(prompt, allow_empty=True).text == ""


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("x" * 10_001, "10,001 characters; the limit is 10,000"),
        (b"x" * 50_000, "50,000 bytes"),
        ("a\0b", "binary: it has a NUL character at offset 1"),
        (b"ab\xff", "byte 0xff at offset 2"),
        ("ab\udcff", "not valid Unicode text at offset 2"),
    ],
)
def test_prompts_that_cannot_be_text_are_refused_in_one_line(prompt, message):
    with pytest.raises(InputError, match=message) as caught:
        clean_prompt(prompt)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a red apple", "a-red-apple"),
        ("Don't stop! (now)", "dont-stop-now"),
        ("../../etc/passwd", "etc-passwd"),
        ("Été à Paris", "été-à-paris"),
        ("नमस्ते दुनिया", "नमस्ते-दुनिया"),
        ("日本語", "日本語"),
        ("🍎", "red-apple"),
        ("con", "prompt-con"),
        ("", "untitled"),
        ("...", "untitled"),
        (".hidden", "hidden"),
    ],
)
def test_a_slug_is_a_safe_file_name(prompt, name):
    assert slug(prompt) == name


def test_a_long_slug_is_cut_between_words_and_fits_a_file_name():
    name = slug("a very long prompt about a house on a hill beside the sea in the evening light of autumn")
    assert name == "a-very-long-prompt-about-a-house-on-a-hill-beside-the-sea-in"
    assert len(slug("漢" * 500).encode()) <= 180 and slug("漢" * 500)
    assert slug("x" * 500) == "x" * 60


def test_prompts_are_read_a_line_each_without_blanks_and_comments():
    stream = io.BytesIO("\ufeffa red apple\r\n\n# a comment\n  été \nlast".encode())
    assert [prompt.text for prompt in read_prompts(stream, "standard input")] == ["a red apple", "été", "last"]


def test_errors_and_warnings_of_a_list_name_the_line():
    with pytest.raises(InputError, match="list.txt, line 3 is not UTF-8"):
        read_prompts(io.BytesIO(b"one\n\ntw\xff\n"), "list.txt")
    with pytest.raises(InputError, match="list.txt, line 2 is binary"):
        read_prompts(io.BytesIO(b"one\n\0\n"), "list.txt")
    (_, second) = read_prompts(io.BytesIO(b"one\ntw\x07o\n"), "list.txt")
    assert "list.txt, line 2" in second.warnings[0]


def test_an_endless_line_is_refused_early():
    stream = io.BytesIO(b"#" + b"x" * 1_000_000)
    with pytest.raises(InputError, match="standard input, line 1 has more than 40,000 bytes"):
        read_prompts(stream, "standard input")
    assert stream.tell() < 50_000


def test_a_list_without_prompts_or_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no prompts"):
        read_prompts(io.BytesIO(b"# nothing\n"), "list.txt")
    with pytest.raises(InputError, match="cannot read the prompts in .*missing.txt"):
        read_prompt_file(tmp_path / "missing.txt")
    (tmp_path / "list.txt").write_text("a cat\n", "utf-8")
    assert read_prompt_file(tmp_path / "list.txt")[0].text == "a cat"


def test_bytes_round_trip():
    ids, starts = ByteTokenizer().encode("aé🍎")
    assert bytes(token - 3 for token in ids).decode() == "aé🍎"
    assert starts == [0, 1, 1, 2, 2, 2, 2]
    assert max(ids) < ByteTokenizer().vocabulary


@pytest.fixture(scope="module")
def bpe():
    return train_bpe(CAPTIONS, vocabulary=300)


def test_bpe_learns_frequent_words_as_one_token(bpe):
    assert bpe.vocabulary <= 300
    assert len(bpe.encode("a dog face")[0]) == 3
    assert bpe.encode("a DOG face") == bpe.encode("a dog face")


def test_bpe_knows_every_text_and_where_its_tokens_begin(bpe):
    ids, starts = bpe.encode("zq🍎")
    assert len(ids) >= 6 and all(3 <= token < bpe.vocabulary for token in ids)
    assert starts == sorted(starts) and starts[-1] == 2


def test_bpe_training_is_repeatable_and_saving_changes_nothing(bpe, tmp_path):
    assert train_bpe(CAPTIONS, vocabulary=300) == bpe
    bpe.save(tmp_path / "bpe.json")
    assert BPETokenizer.load(tmp_path / "bpe.json") == bpe
    (tmp_path / "bad.json").write_text("{}", "utf-8")
    with pytest.raises(InputError, match="cannot read the tokeniser"):
        BPETokenizer.load(tmp_path / "bad.json")


def test_a_vocabulary_below_the_bytes_is_refused():
    with pytest.raises(InputError, match="the vocabulary is 100; it takes at least 259"):
        train_bpe(CAPTIONS, vocabulary=100)


def test_fitting_pads_and_cuts_at_whole_characters():
    short = fit_tokens(ByteTokenizer(), "ab", 6)
    assert (short.ids, short.num_tokens, short.dropped) == ([1, 100, 101, 2, 0, 0], 4, None)
    cut = fit_tokens(ByteTokenizer(), "ab🍎c", 7)  # room for five bytes, the apple has four
    assert (cut.num_tokens, cut.dropped) == (4, "🍎c")


def test_text_loads_without_torch_and_tokenizers():
    code = "import sys, text2x.text; assert not {'torch', 'tokenizers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
