"""What can be asked of a voice, and the one-line errors for what cannot."""

import dataclasses
from typing import Any

import pytest

from text2x.errors import InputError
from text2x.speech_requests import SpeechRequest


def test_a_request_keeps_its_paragraphs() -> None:
    assert SpeechRequest("One.\n\nTwo.").text == "One.\n\nTwo."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": "  \n"}, "the text is empty"),
        ({"text": 5}, "the text is 5; it must be text"),
        ({"text": "a\x07b"}, r"control character U\+0007"),
        ({"text": "a\ud800"}, "lone surrogate at character 1"),
        ({"text": "é" * (1 << 19) + "é"}, "1,048,578 bytes; at most 1,048,576"),
        ({"text": "a", "speed": 0.2}, "speed is 0.2; it must be a number from 0.25 to 4"),
        ({"text": "a", "speed": float("nan")}, "speed is nan"),
        ({"text": "a", "speed": True}, "speed is True"),
        ({"text": "a", "pitch": 13}, "pitch is 13; it must be a number from -12.0 to 12.0"),
        ({"text": "a", "temperature": -0.1}, "temperature is -0.1"),
        ({"text": "a", "steps": 1.5}, "steps is 1.5; it must be a whole number"),
        ({"text": "a", "seed": -1}, "seed is -1"),
        ({"text": "a", "voice": ""}, "voice is ''"),
        ({"text": "a", "ssml": "yes"}, "ssml is 'yes'; it must be true or false"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line_with_the_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SpeechRequest(**fields)
    assert "\n" not in str(caught.value)


def test_a_megabyte_is_accepted_and_a_byte_more_is_not() -> None:
    assert SpeechRequest("a" * (1 << 20))
    with pytest.raises(InputError, match="cut it into parts"):
        SpeechRequest("a" * ((1 << 20) + 1))


def test_an_unknown_field_of_json_is_an_error_that_names_the_nearest() -> None:
    assert SpeechRequest.from_dict({"text": "a", "speed": 2}).speed == 2.0
    with pytest.raises(InputError, match="did you mean speed"):
        SpeechRequest.from_dict({"text": "a", "sped": 2})


def test_a_seed_is_drawn_once_and_a_given_one_stays() -> None:
    drawn = SpeechRequest("a").seeded()
    assert drawn.seed is not None and drawn.seeded() == drawn
    assert SpeechRequest("a", seed=7).seeded().seed == 7


def test_every_field_says_what_it_means_and_has_a_flag() -> None:
    for field in dataclasses.fields(SpeechRequest):
        assert field.metadata["help"].strip() and field.metadata["flags"], field.name
