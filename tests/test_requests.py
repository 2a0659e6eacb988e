"""Requests: what can be asked, and the one-line errors for what cannot."""

import dataclasses
import subprocess
import sys

import pytest

from text2x.errors import InputError
from text2x.requests import MAX_SEED, ImageRequest, shortened, unknown

BAD = [
    ({"prompt": ""}, "empty"),
    ({"prompt": "  \n\t "}, "empty"),
    ({"prompt": "a\x07b"}, "U+0007"),
    ({"prompt": "a\x1b[31mb"}, "U+001B"),
    ({"prompt": "a\x1cb"}, "U+001C"),
    ({"prompt": "a\0b"}, "NUL"),
    ({"prompt": "a\udcffb"}, "Unicode"),
    ({"prompt": "x" * 1_000_000}, "1,000,000"),
    ({"prompt": 7}, "7"),
    ({"prompt": "a", "negative": "b\x08"}, "U+0008"),
    ({"prompt": "a", "count": 0}, "1 to 1000"),
    ({"prompt": "a", "count": 1001}, "1 to 1000"),
    ({"prompt": "a", "count": True}, "True"),
    ({"prompt": "a", "count": None}, "None"),
    ({"prompt": "a", "count": 2.0}, "2.0"),
    ({"prompt": "a", "seed": -1}, "-1"),
    ({"prompt": "a", "seed": MAX_SEED + 1}, str(MAX_SEED + 1)),
    ({"prompt": "a", "seed": MAX_SEED, "count": 2}, "2 pictures"),
    ({"prompt": "a", "steps": 0}, "1 to 1000"),
    ({"prompt": "a", "steps": "9"}, "'9'"),
    ({"prompt": "a", "size": 0}, "8 to 4096"),
    ({"prompt": "a", "size": 10**9}, "8 to 4096"),
    ({"prompt": "a", "guidance": float("nan")}, "nan"),
    ({"prompt": "a", "guidance": float("inf")}, "inf"),
    ({"prompt": "a", "guidance": 50.5}, "-20 and 50"),
    ({"prompt": "a", "guidance": "cgf:4"}, "cfg"),
    ({"prompt": "a", "guidance": True}, "True"),
    ({"prompt": "a", "also": "snow"}, "list"),
    ({"prompt": "a", "also": ("snow::much",)}, "much"),
    ({"prompt": "a", "also": ("snow::11",)}, "-10 to 10"),
    ({"prompt": "a", "also": ("::1",)}, "further prompt is empty"),
    ({"prompt": "a", "guidance_interval": (0.8, 0.1)}, "low < high"),
    ({"prompt": "a", "guidance_interval": (0.1, 1.5)}, "1.5"),
    ({"prompt": "a", "guidance_interval": (0.1,)}, "two times"),
    ({"prompt": "a", "guidance_interval": (float("nan"), 1)}, "nan"),
    ({"prompt": "a", "truncation": 2.5}, "0 to 2"),
    ({"prompt": "a", "sampler": ""}, "name"),
    ({"prompt": "a", "style": "x" * 200}, "100"),
    ({"prompt": "a", "style": 3}, "3"),
]


@pytest.mark.parametrize(("fields", "named"), BAD, ids=lambda value: str(value)[:40])
def test_what_cannot_be_done_is_one_line_that_names_the_value_or_the_limit(
    fields: dict[str, object], named: str
) -> None:
    with pytest.raises(InputError) as caught:
        ImageRequest(**fields)  # type: ignore[arg-type]
    message = str(caught.value)
    assert named in message
    assert message.isprintable() and len(message) < 200


def test_the_ends_of_every_range_are_allowed() -> None:
    for field in dataclasses.fields(ImageRequest):
        low, high = field.metadata["minimum"], field.metadata["maximum"]
        if low is None or field.name == "guidance_interval":
            continue
        for end in (low, high):
            request = ImageRequest(**{"prompt": "a", field.name: end})
            assert getattr(request, field.name) == end


def test_white_space_in_a_prompt_becomes_single_spaces() -> None:
    assert ImageRequest("  a\tred \r\n apple ").prompt == "a red apple"


def test_equal_letters_are_equal_prompts_however_they_are_composed() -> None:
    assert ImageRequest("cafe\u0301") == ImageRequest("caf\u00e9")


def test_scripts_and_emoji_of_several_characters_stay_as_they_are() -> None:
    for prompt in ("एक लाल सेब", "ಸೇಬು", "👨‍👩‍👧 at home", "🇩🇪", "❤️"):
        assert ImageRequest(prompt).prompt == prompt
        assert ImageRequest(prompt).cleaned() == (ImageRequest(prompt), ())


def test_invisible_characters_are_taken_out_with_a_warning() -> None:
    request, warnings = ImageRequest("a\u200bb", negative="c\u202ed").cleaned()
    assert (request.prompt, request.negative) == ("ab", "cd")
    assert len(warnings) == 2 and "U+200B" in warnings[0] and "negative" in warnings[1]


def test_a_drawn_seed_is_kept_and_differs_from_the_next() -> None:
    request = ImageRequest("a")
    first, second = request.seeded(), request.seeded()
    assert first.seed is not None and 0 <= first.seed < 2**32
    assert first.seed != second.seed  # they agree once in four thousand million times
    assert first.seeded() is first
    assert ImageRequest("a", seed=0).seeded().seed == 0


def test_plain_values_make_a_request_and_lists_stand_for_tuples() -> None:
    values = {"prompt": "a", "steps": 5, "guidance": 2, "guidance_interval": [0.25, 0.75]}
    request = ImageRequest.from_dict(values)
    assert request == ImageRequest("a", steps=5, guidance=2.0, guidance_interval=(0.25, 0.75))


def test_guidance_has_one_spelling_however_it_is_written() -> None:
    for written in (4, 4.0, "4", "cfg:4", " CFG : 4.0 ,interval=0-1"):
        assert ImageRequest("a", guidance=written).guidance == "cfg:4"
    assert ImageRequest("a", guidance="none").guidance == "none"


def test_further_prompts_have_a_weight_which_is_1_if_none_is_written() -> None:
    request = ImageRequest("a", also=("snow::0.5", "hat::-1", "a cat"))
    assert request.further() == (("snow", 0.5), ("hat", -1.0), ("a cat", 1.0))


def test_an_unknown_field_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown field 'stepz'; did you mean steps"):
        ImageRequest.from_dict({"prompt": "a", "stepz": 5})


def test_a_missing_prompt_is_an_error() -> None:
    with pytest.raises(InputError, match="prompt"):
        ImageRequest.from_dict({"steps": 5})


def test_every_field_says_what_it_is_and_by_which_flag_it_is_asked_for() -> None:
    flags: list[str] = []
    for field in dataclasses.fields(ImageRequest):
        assert field.metadata["help"].endswith("."), field.name
        flags += field.metadata["flags"]
    assert len(flags) == len(set(flags)) >= len(dataclasses.fields(ImageRequest))


def test_an_unknown_name_is_answered_with_its_neighbours_or_all_of_a_short_table() -> None:
    assert "did you mean euler?" in str(unknown("sampler", "eulr", ["ddim", "euler"]))
    assert str(unknown("style", "oil", ["flat", "noto"])) == "unknown style 'oil'; known: flat, noto"
    assert str(unknown("style", "oil", [])) == "unknown style 'oil'; there is none"
    assert len(str(unknown("style", "x" * 10_000, [f"style-{i}" for i in range(1000)]))) < 1000


def test_a_shortened_text_is_one_printable_line() -> None:
    assert shortened("a\nb\x1bc") == "a b c"
    assert len(shortened("word " * 100_000)) <= 60


def test_requests_load_neither_torch_nor_numpy() -> None:
    code = "import sys, text2x.requests; print('torch' in sys.modules, 'numpy' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
