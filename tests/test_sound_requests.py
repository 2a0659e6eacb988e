"""What can be asked of sound and music: ranges, sounds of a request, errors of one line, what is told and ignored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.sound_requests import OF_DIFFUSION, MusicRequest, SoundRequest, as_settings, ignored, opened

SOUND = Audio(np.zeros(800), 8000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seconds": 0}, "seconds is 0; it must be a number from 0.1 to 600"),
        ({"seconds": 7200}, "seconds is 7200; it must be a number from 0.1 to 600"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"count": 0}, "count is 0"),
        ({"guidance": 50}, "guidance is 50; it must be a number from 0 to 20"),
        ({"guidance": "50"}, "guidance is 50.0; it must be a number from 0 to 20"),
        ({"guidance": "magic:3"}, "guidance 'magic' is not known"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": -1}, "top_k is -1"),
        ({"repaint": "1.0-2.5"}, "repaint is of a sound to begin from; give it with --init FILE"),
        ({"strength": 0.5}, "strength is of a sound to begin from"),
        ({"init": SOUND, "strength": -0.1}, "strength is -0.1; it must be a number from 0 to 1"),
        ({"init": SOUND, "repaint": "2-1"}, "two rising times in seconds, as 1.0-2.5"),
        ({"init": SOUND, "repaint": "soon"}, "repaint is 'soon'"),
        ({"init": SOUND, "continuation": SOUND}, "--continue and --init are both given"),
        ({"continuation": 3}, "continuation is 3; it must be a file of sound, or an Audio"),
        ({"seed": 2**63 - 1, "count": 2}, "with 2 sounds it must be at most"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        SoundRequest("rain", **fields)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_request_is_read_from_plain_values_and_prompts_of_any_language_are_taken() -> None:
    asked = SoundRequest.from_dict({"prompt": "बारिश की आवाज़", "seconds": 2, "init": "a.wav", "repaint": "1-2.5"})
    assert asked.repaint == (1.0, 2.5) and asked.seconds == 2.0 and asked.prompt == "बारिश की आवाज़"
    with pytest.raises(InputError, match=r"unknown field 'melody'"):
        SoundRequest.from_dict({"prompt": "rain", "melody": "a.wav"})
    assert MusicRequest.from_dict({"prompt": "rain", "melody": "a.wav"}).melody == "a.wav"


def test_a_sound_is_read_when_it_is_needed_and_one_that_is_missing_or_broken_says_so(tmp_path: Path) -> None:
    assert opened(SoundRequest("rain", continuation=SOUND), "continuation") is SOUND
    with pytest.raises(InputError, match="there is no file|cannot read"):
        opened(SoundRequest("rain", continuation=tmp_path / "none.wav"), "continuation")
    (tmp_path / "broken.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(InputError, match=r"broken\.wav cannot be read as sound"):
        opened(SoundRequest("rain", continuation=tmp_path / "broken.wav"), "continuation")


def test_what_a_model_does_not_use_is_told_and_so_is_what_it_used() -> None:
    asked = MusicRequest("rain", steps=5, loop=True, melody="tunes/hum.wav", negative="drums")
    assert ignored(asked, OF_DIFFUSION, "no diffusion") == (
        "steps is given and is ignored: no diffusion", "loop is given and is ignored: no diffusion",
    )  # fmt: skip
    assert as_settings(asked, ("negative", "melody", "init")) == {"negative": "drums", "melody": "hum.wav"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("4", 4.0), ("cfg:4", 4.0), ("none", 1.0), (2, 2.0), ("apg:4", "apg:4"), ("cfg:4,interval=0.1-0.8",) * 2],
)
def test_guidance_is_a_number_where_it_can_be_one(given: Any, expected: Any) -> None:
    assert SoundRequest("rain", guidance=given).guidance == expected
