"""Files of sound: round trips, metadata, streams that equal the whole, and files that are broken."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.audio_files import encode, read, read_metadata, save, save_stream, stream
from text2x.errors import InputError

pytestmark = pytest.mark.medium

RATE = 16_000
METADATA = {"prompt": "ein schöner Tag\nनमस्ते", "seed": 7, "model": "voice", "version": "0.1", "speed": 1.25}
LOSSY = {"mp3": 0.03, "ogg": 0.03, "opus": 0.05, "aac": 0.05}  # largest difference of a tone


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    waves = [0.4 * np.sin(2 * np.pi * (330 + 110 * channel) * time) for channel in range(channels)]
    return Audio(np.stack(waves), rate)


def noise(frames: int, channels: int = 1, rate: int = RATE) -> Audio:
    return Audio(np.random.default_rng(0).uniform(-1, 1, (channels, frames)), rate)


def pieces_of(audio: Audio, *places: int) -> list[Audio]:
    return [Audio(part, audio.rate) for part in np.split(audio.samples, places, axis=1)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("format", "bits"), [("wav", 16), ("wav", 24), ("flac", 16), ("flac", 24)])
def test_lossless_formats_give_back_every_integer(tmp_path: Path, format: str, bits: int, channels: int) -> None:
    audio = noise(5001, channels)
    path = tmp_path / f"a.{format}"
    save(audio, path, METADATA, bits)
    again = read(path)
    assert (again.rate, again.channels, again.frames) == (RATE, channels, 5001)
    assert np.array_equal(again.samples * 2 ** (bits - 1), np.rint(again.samples * 2 ** (bits - 1)))
    assert np.abs(again.samples - audio.samples).max() <= 2.0**-bits * (1 + 1e-6) + 2.0 ** -(bits - 1) * (
        audio.samples.max() > 1 - 2.0**-bits
    )
    save(again, tmp_path / f"b.{format}", METADATA, bits)
    assert path.read_bytes() == (tmp_path / f"b.{format}").read_bytes()


def test_floats_keep_every_bit_even_beyond_full_scale(tmp_path: Path) -> None:
    audio = Audio(noise(999, 3).samples * 4, 48_000)
    audio.save(tmp_path / "a.wav", bits=32)
    assert np.array_equal(Audio.read(tmp_path / "a.wav").samples, audio.samples)


def test_the_standard_library_reads_our_wav() -> None:
    audio = tone(0.1, channels=2)
    with wave.open(io.BytesIO(encode(audio, "wav", METADATA))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (RATE, 2, 2, 1600)
        assert np.array_equal(np.frombuffer(file.readframes(1600), "<i2").reshape(-1, 2).T, audio.to_int16())


def test_pcm_is_the_samples_alone() -> None:
    audio = tone(0.1, channels=2)
    assert np.array_equal(np.frombuffer(encode(audio, "pcm", METADATA), "<i2").reshape(-1, 2).T, audio.to_int16())
    three = np.frombuffer(encode(audio, "pcm", bits=24), np.uint8).reshape(-1, 3)
    assert np.array_equal(three[::2, 1:].copy().view("<i2")[:, 0], np.floor(audio.samples[0] * 2**23 + 0.5) // 256)


@pytest.mark.parametrize("format", LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_a_tone_and_its_place(tmp_path: Path, format: str, channels: int) -> None:
    audio = tone(channels=channels)
    save(audio, tmp_path / f"a.{format}")
    again = read(tmp_path / f"a.{format}")
    assert (again.rate, again.channels) == (RATE, channels)
    delay = 1024 if format == "aac" else 0  # its stream has no place to tell the delay of its encoder
    kept = again.samples[:, delay : delay + audio.frames]
    assert kept.shape == audio.samples.shape
    assert np.abs(kept - audio.samples)[:, 1000:-1000].max() < LOSSY[format]


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus", "aac"])
def test_every_format_carries_the_metadata_in_its_own_tags(tmp_path: Path, format: str) -> None:
    save(tone(0.2), tmp_path / f"a.{format}", METADATA)
    assert read_metadata(tmp_path / f"a.{format}") == METADATA


def test_without_metadata_nothing_is_found_and_foreign_tags_come_as_they_are(tmp_path: Path) -> None:
    import soundfile

    save(tone(0.2), tmp_path / "a.flac")
    assert read_metadata(tmp_path / "a.flac") == {}
    with soundfile.SoundFile(tmp_path / "b.flac", "w", RATE, 1) as file:
        file.title, file.comment = "a song", "no JSON"
        file.write(tone(0.1).samples[0])
    assert read_metadata(tmp_path / "b.flac").items() >= {"title": "a song", "comment": "no JSON"}.items()


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus", "aac", "pcm"])
def test_the_same_sound_gives_the_same_bytes(format: str) -> None:
    assert encode(tone(0.3), format, METADATA) == encode(tone(0.3), format, METADATA)


def test_other_sounds_and_settings_give_other_bytes() -> None:
    assert encode(tone(0.3), "mp3") != encode(tone(0.3).gain(-1), "mp3")
    assert len(encode(tone(2), "opus", kilobits=96)) > 1.5 * len(encode(tone(2), "opus", kilobits=24))


# Streams


@pytest.mark.parametrize(("format", "bits"), [("wav", 16), ("wav", 24), ("wav", 32), ("pcm", 16)])
def test_a_stream_of_known_length_is_the_whole_file_byte_for_byte(format: str, bits: int) -> None:
    audio = noise(9001, 2)
    made = list(stream(pieces_of(audio, 1, 4000, 4000 + 17), format, METADATA, bits, frames=9001))
    assert len(made) >= 4, "the bytes do not come piece by piece"
    assert b"".join(made) == encode(audio, format, METADATA, bits)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_stream_holds_the_samples_of_the_whole(tmp_path: Path, format: str) -> None:
    audio = Audio(tone(3).samples + 0.1 * noise(3 * RATE).samples, RATE)
    made = list(stream(pieces_of(audio, 5000, 5001, 20_000), format, METADATA))
    (tmp_path / f"stream.{format}").write_bytes(b"".join(made))
    save(audio, tmp_path / f"whole.{format}", METADATA)
    one, other = read(tmp_path / f"stream.{format}"), read(tmp_path / f"whole.{format}")
    extra = one.frames - other.frames  # mp3's header, which tells the encoder's delay, can only be written at the end
    assert 0 <= extra <= (3000 if format == "mp3" else 0)
    lag = 1105 if extra else 0
    assert np.array_equal(one.samples[:, lag : lag + other.frames], other.samples) or format == "mp3"
    middle = slice(2000, 40_000)
    assert np.abs(one.samples[:, lag:][:, middle] - audio.samples[:, middle]).max() < 0.15
    assert len(made) > 2


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_stream_into_a_file_is_the_file_of_the_whole(tmp_path: Path, format: str) -> None:
    audio = tone(1.3)
    seconds = save_stream(iter(pieces_of(audio, 7, 9000)), tmp_path / f"stream.{format}", METADATA)
    assert seconds == audio.seconds
    assert (tmp_path / f"stream.{format}").read_bytes() == encode(audio, format, METADATA)


def test_a_stream_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def broken():
        yield tone(0.2)
        raise InputError("the model is gone")

    with pytest.raises(InputError, match="the model is gone"):
        save_stream(broken(), tmp_path / "a.flac")
    with pytest.raises(InputError, match="no sound to write"):
        save_stream(iter([]), tmp_path / "a.wav")
    with pytest.raises(InputError, match="8000 Hz and 1 channels does not go on"):
        list(stream([tone(0.1), tone(0.1, 8000)], "wav"))
    assert not list(tmp_path.iterdir())


def test_a_rate_that_a_format_has_not_is_brought_to_the_next_higher_one(tmp_path: Path) -> None:
    audio = tone(1, 22_050)
    save(audio, tmp_path / "a.opus")
    again = read(tmp_path / "a.opus")
    assert again.rate == 24_000 and again.seconds == pytest.approx(1, abs=0.001)
    assert np.abs(again.samples - tone(1, 24_000).samples)[:, 1000:-1000].max() < 0.05


# Parts, and other formats


@pytest.mark.parametrize("format", ["wav", "flac", "opus"])
def test_a_part_of_a_file_can_be_read(tmp_path: Path, format: str) -> None:
    audio = noise(2 * RATE)
    save(audio, tmp_path / f"a.{format}")
    whole = read(tmp_path / f"a.{format}")
    part = read(tmp_path / f"a.{format}", start=0.5, seconds=0.25)
    assert part.frames == 4000
    assert np.abs(part.samples - whole.samples[:, 8000:12_000]).max() < (0.02 if format == "opus" else 1e-9)
    with pytest.raises(InputError, match=r"no sound from 9 s on; it lasts 2\.00 s"):
        read(tmp_path / f"a.{format}", start=9)


def test_g722_which_has_no_header_is_known_by_its_suffix(tmp_path: Path) -> None:
    import av

    audio = tone(1)
    with av.open(str(tmp_path / "a.g722"), "w", format="g722") as container:
        source = container.add_stream("g722", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio.to_int16(), format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux([*source.encode(frame), *source.encode(None)])
    again = read(tmp_path / "a.g722")
    assert again.rate == RATE and again.frames == RATE
    delay = 22  # samples, of the codec's two filters
    assert np.abs(again.samples[:, delay + 500 : 15_000 + delay] - audio.samples[:, 500:15_000]).max() < 0.05


def test_the_sound_of_an_m4a_file_is_read(tmp_path: Path) -> None:
    import av

    audio = tone(1, 44_100)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        source = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio.samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        container.mux([*source.encode(frame), *source.encode(None)])
    again = read(tmp_path / "a.m4a")
    assert again.rate == 44_100 and again.seconds == pytest.approx(1, abs=0.05)
    assert np.abs(np.fft.rfft(again.samples[0])).argmax() * 44_100 / again.frames == pytest.approx(330, abs=3)


# Broken files


def test_files_that_are_no_sound_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("this is no sound at all\n" * 100)
    (tmp_path / "zeros.flac").write_bytes(bytes(5000))
    (tmp_path / "cut.ogg").write_bytes(encode(tone(1), "ogg")[:90])
    for name, words in {
        "empty.wav": "is empty",
        "text.mp3": "cannot be read as sound",
        "zeros.flac": "holds no sound|cannot be read as sound",
        "cut.ogg": "cannot be read as sound",
        "missing.wav": "there is no file",
        ".": "there is no file",
    }.items():
        with pytest.raises(InputError, match=words) as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)


def test_a_damaged_flac_file_says_how_much_can_be_read(tmp_path: Path) -> None:
    whole = encode(noise(3 * RATE), "flac")
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"damaged: 1\.\d\d of 3\.00 s can be read"):
        read(tmp_path / "a.flac")


def test_a_playlist_does_not_open_what_it_names(tmp_path: Path) -> None:
    save(tone(0.2), tmp_path / "a.aac")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.aac\n")
    for name in ("list.m3u8", "list.ffconcat"):
        with pytest.raises(InputError, match="cannot be read as sound"):
            read(tmp_path / name)


def test_a_file_too_long_for_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = encode(noise(4, 8), "wav", bits=16, metadata=None)[:44]
    size = 2 * (2**27 + 8)
    path = tmp_path / "long.wav"
    path.write_bytes(header[:4] + (size + 36).to_bytes(4, "little") + header[8:40] + size.to_bytes(4, "little"))
    with path.open("r+b") as file:
        file.truncate(44 + size)  # a hole: it takes no room on the disk
    with pytest.raises(InputError, match="at most 17 minutes"):
        read(path)
    assert read(path, seconds=1).frames == RATE


@pytest.mark.parametrize(
    ("format", "options", "words"),
    [
        ("mid", {}, "cannot write sound as 'mid'; there are wav, flac"),
        ("mp3", {"bits": 16}, "no choice of bits"),
        ("flac", {"bits": 32}, "it has 16, 24"),
        ("wav", {"kilobits": 64}, "no such setting"),
        ("opus", {"kilobits": 4}, "takes 8 to 512"),
    ],
)
def test_settings_that_a_format_has_not_are_refused(format: str, options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        encode(tone(0.1), format, **options)


def test_more_channels_than_a_format_holds_are_refused() -> None:
    with pytest.raises(InputError, match="mp3 holds 1 to 2 channels, not 3"):
        encode(noise(100, 3), "mp3")
