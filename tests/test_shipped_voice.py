"""The voice that comes with the package: it says what it is told, alone, in a stream and again."""

import numpy as np
import pytest

from text2x import SpeechRequest
from text2x.library import info, load_voice, voice_for
from text2x.metrics.recognition import recogniser
from text2x.metrics.speech import recognition
from text2x.speech_generator import SpeechGenerator

pytestmark = pytest.mark.medium
TEXT = "Your table is ready at half past seven."


@pytest.fixture(scope="module")
def voice() -> SpeechGenerator:
    made = load_voice("voice-en", "cpu")
    assert isinstance(made, SpeechGenerator)
    return made


def test_it_is_found_by_the_script_and_small_enough() -> None:
    assert voice_for(TEXT) == "voice-en"
    assert info("voice-en").kind == "speech" and info("voice-en").num_bytes <= 12 * 2**20


def test_a_sentence_is_heard_as_it_was_meant(voice: SpeechGenerator) -> None:
    pytest.importorskip("pocketsphinx")
    texts = ["Please enter your account number.", "The number you have dialed is not in service."]
    sounds = [voice.generate(SpeechRequest(text, seed=0))[0].media for text in texts]
    assert all(1 < each.seconds < 5 and 0.05 < np.abs(each.samples).max() <= 1 for each in sounds)
    assert recognition(sounds, texts, recogniser())["wer"].value <= 0.3


def test_a_stream_is_the_whole_and_the_same_again(voice: SpeechGenerator) -> None:
    request = SpeechRequest(f"{TEXT} Thank you for waiting.", seed=1)
    whole = voice.generate(request)[0].media.samples
    parts = [piece.audio.samples for piece in voice.generate_stream(request)]
    assert len(parts) > 1 and np.array_equal(np.concatenate(parts, axis=1), whole)
    assert np.array_equal(voice.generate(request)[0].media.samples, whole)


def test_three_languages_of_india_are_spoken_by_another_voice() -> None:
    assert voice_for("नमस्ते") == "voice-indic"
    both = info("voice-en").num_bytes + info("voice-indic").num_bytes
    assert both <= 12 * 2**20
    made = load_voice("voice-indic", "cpu")
    assert isinstance(made, SpeechGenerator)
    texts = {"hi": "आपका स्वागत है।", "te": "మీకు స్వాగతం.", "mr": "तुमचे स्वागत आहे."}
    for language, text in texts.items():
        sound = made.generate(SpeechRequest(text, language=language, seed=0))[0].media
        assert 0.7 < sound.seconds < 4 and 0.05 < np.abs(sound.samples).max() <= 1
