from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data import festival
from text2x.data.festival import Program, Said, melody, script_of, spelled, stretches, syllables, voice_phones
from text2x.data.indic import SENTENCES, _utterance, prepare_indic, sentences
from text2x.errors import InputError
from text2x.spoken import Utterance, is_silence
from text2x.spoken.phone_set import INDIC

DIPHONES = frozenset(f"{a}-{b}" for a in ("pau", "n", "a", "m", "s", "th", "ee", "k") for b in ("pau", "n", "a", "m"))
LANGUAGES = ("hi", "te", "mr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_different_and_always_the_same(language: str):
    made = sentences(language, SENTENCES)
    assert len(set(made)) == SENTENCES and made == sentences(language, SENTENCES)
    assert made[:100] == sentences(language, 100)
    assert not any(sign in text for text in made for sign in "{}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_read_in_their_own_language_with_phones_that_the_voice_has(language: str):
    for text in sentences(language, 150):
        utterance = _utterance(text, language)
        assert utterance.language == language and utterance.words[-1].mark
        phones = [phone for word in utterance.words for phone in word.phones]
        assert phones and all(voice_phones(phone) for phone in phones)


def test_every_phone_of_india_has_one_in_the_voice():
    for phone in INDIC:
        assert 1 <= len(voice_phones(phone)) <= 2


def test_more_sentences_than_there_are_are_refused():
    with pytest.raises(InputError, match="ask for 1 to 5000"):
        prepare_indic(Path("set"), Path("cache"), count=9000)
    with pytest.raises(InputError, match="no teacher for 'ta'; its languages are hi, te, mr"):
        prepare_indic(Path("set"), Path("cache"), ("ta",))


def test_syllables_begin_with_one_consonant():
    assert syllables(["n", "a", "m", "a", "s", "th", "ee"]) == [["n", "a"], ["m", "a", "s"], ["th", "ee"]]
    assert syllables(["aa", "p"]) == [["aa", "p"]]
    assert syllables(["h", "uh", "aa"]) == [["h", "uh"], ["aa"]]
    assert syllables(["s"]) == [["s"]]


def test_melody_falls_through_a_sentence_and_ends_as_its_mark_says():
    statement = melody([2, 3, 2], ["", "", "."])
    question = melody([2, 3, 2], ["", "", "?"])
    assert len(statement) == len(question) == 7
    assert statement[0][0] > statement[5][0] and statement[-1][2] < statement[0][0] - 30
    assert statement[:6] == question[:6] and question[-1][2] > statement[-1][2] + 40
    assert all(before[2] > before[0] for before in statement[:2])  # each word rises


def test_short_words_and_last_words_are_longer():
    short, long_, last = stretches([1, 5, 5], ["", "", "."])
    assert short > long_ and last > long_


def test_a_diphone_that_is_missing_is_said_without_aspiration_and_keeps_its_symbol():
    utterance = Utterance("x", (0, 1), "hi", (word(("kʰ", "n", "a"), "."),))
    assert spelled(utterance, DIPHONES | {"kh-n", "pau-kh"}) == [[["kh"], ["n"], ["a"]]]
    assert spelled(utterance, DIPHONES) == [[["k"], ["n"], ["a"]]]


def word(phones: tuple[str, ...], mark: str = ""):
    from text2x.spoken import Word

    return Word("x", (0, 1), "x", phones, "hi", mark)


def test_the_program_says_each_word_once_with_its_melody():
    utterance = Utterance("x", (0, 1), "hi", (word(("n", "a")), word(("m", "a"), ","), word(("n", "a"), ".")))
    script = script_of([(utterance, spelled(utterance, DIPHONES))], [3], "hi", Path("/folder"))
    assert script.count("lex.add.entry") == 2
    assert '(say "wa wb, wa." "/folder/3"' in script
    assert "(voice_hindi_NSK_diphone)" in script and script.count("(") == script.count(")")


def test_what_festival_wrote_becomes_symbols_with_their_frames_and_pitch(tmp_path: Path):
    utterance = Utterance("x", (0, 1), "hi", (word(("n", "aː~"), ","), word(("k", "a"), ".")))
    words = spelled(utterance, DIPHONES)
    ends = [("pau", 0.2), ("n", 0.26), ("aa", 0.4), ("n", 0.45), ("pau", 0.65), ("k", 0.75), ("a", 0.85), ("pau", 1.5)]
    rows = "\n".join(f"{end:.4f} 100 {name}" for name, end in ends)
    (tmp_path / "0.segs").write_text(f"#\n{rows}\n")
    Audio(np.zeros(24_000), 16_000).save(tmp_path / "0.wav")
    said = festival._read(tmp_path / "0", utterance, words)
    assert isinstance(said, Said)
    assert said.timed.symbols == ("sil", "n", "aː~", ",", "k", "a", ".")
    assert said.timed.durations == (20, 6, 19, 20, 10, 10, 65)
    voiced = said.pitch > 0
    assert len(voiced) == 150 and voiced[20:45].all() and not voiced[45:75].any() and voiced[75:85].all()
    assert not voiced[:20].any() and not voiced[85:].any()
    (tmp_path / "0.segs").write_text(f"#\n{rows.replace(' aa', ' oo')}\n")
    assert festival._read(tmp_path / "0", utterance, words) is None
    assert festival._read(tmp_path / "1", utterance, words) is None


def installed() -> Program | None:
    from text2x.data import package_cache

    root = package_cache() / "programs" / "festival"
    return Program(root) if (root / "usr/bin/festival").is_file() else None


FESTIVAL = installed()  # before the tests are given a cache of their own


@pytest.mark.medium
@pytest.mark.skipif(FESTIVAL is None, reason="Festival is not unpacked here; text2x data prepare indic does that")
def test_the_teacher_says_a_sentence_with_exact_times():
    program = FESTIVAL
    assert program is not None and len(program.diphones()) > 1500
    utterances = [_utterance(sentences(language, 1)[0], language) for language in LANGUAGES]
    for said, utterance in zip(festival.say(program, utterances), utterances, strict=True):
        assert said is not None
        assert sum(said.timed.durations) == len(said.pitch) == len(said.samples) // 160
        levels = np.sqrt(np.square(said.samples.reshape(-1, 160)).mean(1))
        silent = np.repeat([is_silence(symbol) for symbol in said.timed.symbols], said.timed.durations)
        assert levels[~silent].mean() > 5 * levels[silent].mean()
        phones = [phone for word in utterance.words for phone in word.phones]
        assert [symbol for symbol in said.timed.symbols if not is_silence(symbol)] == phones
