from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from text2x.data import asterisk
from text2x.data.asterisk import PROMPTS, Prompts, prepare_asterisk, transcripts
from text2x.data.debian import MAGIC
from text2x.data.speechset import SpeechSet
from text2x.data.tone_speech import tone_speech
from text2x.errors import InputError

TEXT = """; Core sounds

agent: Agent  logged in.
part: ... for extension...
beep: [this is a beep]
at: at [@]
leave: <beep>
tone: Please leave your message. (simple tone sound plays)
letters/x: x
letters/dot: dot [.]
dictate/help: press * to toggle pause, press # to exit
digits/h-40: fourtieth
no colon here
"""


def test_transcripts_keep_what_is_said_and_drop_what_is_told_of_noises():
    found = dict(transcripts(TEXT, "en"))
    assert found == {
        "agent": "Agent logged in.",
        "part": "for extension",
        "at": "at",
        "letters/x": "X",
        "letters/dot": "dot",
        "dictate/help": "press star to toggle pause, press pound to exit",
        "digits/h-40": "fortieth",
    }


def test_other_languages_are_left_as_they_are_written():
    assert dict(transcripts("\ufeffa: Digium PBX #\nb: ¿Qué?", "es")) == {"a": "Digium PBX #", "b": "¿Qué?"}


def test_an_unknown_language_is_named_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(InputError, match="no prompts in 'de'; its languages are en, es, fr, it, ru"):
        prepare_asterisk(tmp_path / "set", tmp_path, ("de",))


def package(folder: Path, prompts: Prompts, files: dict[str, bytes], name: str) -> str:
    """Write a .deb of the files and return its hash."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(f"./{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    body = data.getvalue()
    header = f"{'data.tar.gz':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
    content = MAGIC + header + body
    (folder / f"{name}_{asterisk.VERSION}_all.deb").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def g722(samples: object) -> bytes:
    import av
    import numpy as np

    target = io.BytesIO()
    with av.open(target, "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.asarray(samples, np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()


def test_a_set_is_made_of_packages_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import numpy as np

    speech, old = tone_speech(3), PROMPTS["es"]
    place = f"usr/share/asterisk/sounds/{old.folder}"
    sounds = {f"{place}/{n}.g722": g722(np.repeat(speech.samples_of(n), 2)) for n in range(3)}
    sounds |= {f"{place}/digits/9.g722": b"", f"{place}/beep.g722": b"\0" * 8000}
    text = "0: hola\n1: ¿qué tal?\n2: marque 5\ndigits/9: nueve\nbeep: [beep]\nabsent: ausente\n"
    texts = {"usr/share/doc/asterisk-core-sounds-es/core-sounds-es.txt.gz": gzip.compress(text.encode())}
    hashes = (
        package(tmp_path, old, sounds, "asterisk-core-sounds-es-g722"),
        package(tmp_path, old, texts, "asterisk-core-sounds-es"),
    )
    monkeypatch.setitem(asterisk.PROMPTS, "es", Prompts("es", old.speaker, old.folder, old.licence, *hashes))
    report = prepare_asterisk(tmp_path / "set", tmp_path / "cache", ("es",), tmp_path)
    assert (report.clips, report.aligned, report.languages) == (2, 0, ("es",))
    assert [line.partition(":")[0] for line in report.unreadable] == ["es/2", "es/digits/9"]
    made = SpeechSet.load(tmp_path / "set")
    assert made.clips[1].phones == ("sil", "q", "u", "é", "sil", "t", "a", "l", "?")
    assert made.clips[0].licence == "CC-BY-SA-3.0" and "Allison Smith" in made.about["attribution"]
    assert made.seconds == pytest.approx(speech.clips[0].samples / 8000 + speech.clips[1].samples / 8000, abs=0.6)
