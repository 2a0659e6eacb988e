"""How near to the original is sound after a codec, and at how many bits, beside Opus at the nearest bit rate?

    python benchmarks/codec.py runs/codec                          # held-out clips of sounds, music and asterisk
    python benchmarks/codec.py runs/codec --data sounds --count 80 # of one set
    python benchmarks/codec.py runs/codec --folder recordings/     # or sound files
    python benchmarks/codec.py --step                              # seconds of one core for a training step, by width

Distances are to the sound at the codec's rate: the log-mel distance over windows of 2^5 to 2^11 samples and spectral
convergence (lower is nearer), STOI and PESQ (higher is nearer; made for speech, not for music; with the packages
pystoi and pesq). Bits of codes are those of a fixed length; Opus's are of its packets alone, without the file around
them: it makes nothing below about 6 kbit/s. Latents have no bit rate. Ceiling: the sound itself. Floor: noise as loud
as it. Figures are means over sounds with their 95 % intervals (bootstrap).
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

from text2x.audio import Audio
from text2x.audio_codecs import AudioLatentCodec, NeuralTokenCodec
from text2x.coding import load_audio_codec
from text2x.data.audioset import AudioBatch
from text2x.errors import InputError
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric
from text2x.recipes.codec import prepare_codec_run
from text2x.recipes.running import recipe_for
from text2x.recipes.vocoder import load_clips
from text2x.signal import mel_loss, multi_scale_mel_configs, spectral_loss

OPUS_RATE = 48_000
OPUS_KILOBITS = (6, 8, 12, 16, 24)  # libopus makes no sense of less than 6
SHORTEST = 0.5  # seconds
SETS = ("sounds", "music", "asterisk")
PACKAGES = {"stoi": "pystoi", "pesq": "pesq"}
NAMES = {"mel": "log-mel distance", "convergence": "spectral convergence", "stoi": "STOI", "pesq": "PESQ"}
Way = Callable[[Audio], tuple[Audio, float]]  # a sound -> what comes out, and the bits it took


def through(codec: NeuralTokenCodec, books: int) -> Way:
    def way(sound: Audio) -> tuple[Audio, float]:
        codes = codec.encode(sound.tensor()[None])[:, :books]
        bits = codes.shape[-1] * books * (codec.cardinality - 1).bit_length()
        return Audio(codec.decode(codes)[0, :, : sound.frames].numpy(), sound.rate), bits

    return way


def through_latents(codec: AudioLatentCodec) -> Way:
    def way(sound: Audio) -> tuple[Audio, float]:
        made = codec.decode(codec.encode(sound.tensor()[None]))[0, :, : sound.frames]
        return Audio(made.numpy(), sound.rate), float("nan")

    return way


def opus(kilobits: int) -> Way:
    def way(sound: Audio) -> tuple[Audio, float]:
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE, "mono", "s16"  # type: ignore[attr-defined]
        encoder.bit_rate, encoder.options = 1000 * kilobits, {"vbr": "on", "application": "audio"}
        given = sound.resample(OPUS_RATE).to_int16()
        encoder.open()
        size = encoder.frame_size or 960  # type: ignore[attr-defined]
        given = np.pad(given, ((0, 0), (0, -given.shape[1] % size + 2 * size)))  # for the encoder's delay
        packets = []
        for start in range(0, given.shape[1], size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(given[:, start : start + size]), "s16", "mono")
            frame.sample_rate, frame.pts = OPUS_RATE, start
            packets += encoder.encode(frame)  # type: ignore[attr-defined]
        packets += encoder.encode(None)  # type: ignore[attr-defined]
        decoder = av.CodecContext.create("libopus", "r")
        decoder.sample_rate, decoder.layout = OPUS_RATE, "mono"  # type: ignore[attr-defined]
        frames = [frame for packet in packets for frame in decoder.decode(packet)]  # type: ignore[attr-defined]
        pieces = [frame.to_ndarray().reshape(1, -1) for frame in frames]
        made = np.concatenate(pieces, axis=1).astype(np.float32)
        made = made / 32768 if pieces[0].dtype == np.int16 else made
        made = aligned(made, sound.resample(OPUS_RATE).samples)
        return Audio(Audio(made, OPUS_RATE).resample(sound.rate).samples[:, : sound.frames], sound.rate), 8.0 * sum(
            packet.size for packet in packets
        )

    return way


def aligned(made: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """What came out, shifted to where it correlates best, as long as the sound: the delay of a codec is no fault."""
    length = 1 << (made.shape[1] + sound.shape[1]).bit_length()
    spectrum = np.fft.rfft(made[0], length) * np.conj(np.fft.rfft(sound[0], length))
    shift = int(np.argmax(np.fft.irfft(spectrum)[: OPUS_RATE // 10]))
    made = made[:, shift : shift + sound.shape[1]]
    return np.pad(made, ((0, 0), (0, sound.shape[1] - made.shape[1])))


def noise(sound: Audio) -> tuple[Audio, float]:
    values = np.random.default_rng(0).normal(size=sound.samples.shape)
    return Audio(values * np.sqrt(np.square(sound.samples).mean()), sound.rate), 0.0


def itself(sound: Audio) -> tuple[Audio, float]:
    return sound, 16.0 * sound.frames


def distances(sound: Audio, made: Audio) -> dict[str, float]:
    real, other = sound.tensor(), made.tensor()
    values = {
        "mel": float(mel_loss(other, real, multi_scale_mel_configs(sound.rate))),
        "convergence": float(spectral_loss(other, real)["convergence"]),
    }
    if importlib.util.find_spec("pystoi"):
        from pystoi import stoi

        values["stoi"] = float(stoi(real[0].numpy(), other[0].numpy(), sound.rate))
    if importlib.util.find_spec("pesq") and sound.rate in (8000, 16_000):
        from pesq import PesqError, pesq

        mode = "wb" if sound.rate == 16_000 else "nb"
        found = pesq(sound.rate, real[0].numpy(), other[0].numpy(), mode, on_error=PesqError.RETURN_VALUES)
        values["pesq"] = float(found) if found > 0 else float("nan")
    return values


def sounds(arguments: argparse.Namespace, name: str, rate: int) -> list[Audio]:
    """Sounds that are long and loud enough, spread over the set."""
    if arguments.folder is not None:
        files = sorted(path for path in arguments.folder.rglob("*") if path.suffix in (".wav", ".flac", ".ogg", ".mp3"))
        found = [Audio.read(path).to_mono().resample(rate) for path in files]
    else:
        clips = load_clips(name, rate)
        found = [clips.audio(int(index)) for index in clips.split("held-out")]
    usable = [each for each in found if each.seconds >= SHORTEST and np.abs(each.samples).max() > 1e-3]
    return usable[:: max(1, len(usable) // arguments.count)][: arguments.count]


def ways_of(codec: NeuralTokenCodec | AudioLatentCodec) -> dict[str, Way]:
    """The codec with each number of codebooks, Opus at the nearest bit rate, floor and ceiling."""
    if isinstance(codec, AudioLatentCodec):
        ways = {"latents": through_latents(codec)}
        kilobits = OPUS_KILOBITS[0]
    else:
        count = codec.codebooks
        ways = {f"{books} of {count} codebooks": through(codec, books) for books in range(1, count + 1)}
        kilobits = min(OPUS_KILOBITS, key=lambda each: abs(each - codec.kilobits))
    return {**ways, f"Opus, {kilobits} kbit/s asked": opus(kilobits), "floor: noise": noise, "ceiling: itself": itself}


def measured(way: Way, clips: list[Audio]) -> tuple[float, float, dict[str, Metric]]:
    """Kilobits a second, seconds of work a second of sound, and the mean of each distance."""
    seconds = sum(clip.seconds for clip in clips)
    began = time.process_time()
    made = [way(clip) for clip in clips]
    spent = (time.process_time() - began) / seconds
    table = [distances(clip, each) for clip, (each, _) in zip(clips, made, strict=True)]
    columns = {key: [row[key] for row in table if np.isfinite(row[key])] for key in table[0]}
    means = {key: mean(each, NAMES[key]) for key, each in columns.items() if each}
    return sum(bits for _, bits in made) / seconds / 1000, spent, means


def compare(arguments: argparse.Namespace) -> None:
    codec = load_audio_codec(arguments.codec)
    missing = [package for package in PACKAGES.values() if not importlib.util.find_spec(package)]
    if missing:
        print(f"left out: {' and '.join(missing)}; `pip install {' '.join(missing)}` brings them")
    for name in arguments.data if arguments.folder is None else (str(arguments.folder),):
        try:
            clips = sounds(arguments, name, codec.rate)
        except InputError as reason:
            print(f"left out: {name}: {reason}")
            continue
        if not clips:
            print(f"left out: {name}: it has no sound of at least {SHORTEST} s")
            continue
        print(f"\n{name}: {len(clips)} sounds, {sum(clip.seconds for clip in clips):.0f} s\n")
        shown: list[str] = []
        for way_name, way in ways_of(codec).items():
            kilobits, spent, means = measured(way, clips)
            if not shown:
                shown = list(means)
                print(f"| through | kbit/s | {' | '.join(NAMES[key] for key in shown)} | s a second |")
                print(f"|---|--:|{'---|' * len(shown)}--:|")
            cells = [_cell(means.get(key)) for key in shown]
            rate = "" if np.isnan(kilobits) else f"{kilobits:.2f}"
            print(f"| {way_name} | {rate} | {' | '.join(cells)} | {spent:.3f} |")


def _cell(metric: Metric | None) -> str:
    return "" if metric is None else f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"


def steps(widths: tuple[int, ...] = (8, 12, 16), count: int = 2) -> None:
    """Seconds of one core for a step with and without discriminators, 16 crops of 1 s."""
    from text2x.training_environment import has_fast_bfloat16

    torch.set_num_threads(1)
    fast = has_fast_bfloat16(torch.device("cpu"))
    for width in widths:
        recipe = recipe_for("codec", [f"network.width={width}"], data="tones")
        run = prepare_codec_run(recipe)  # type: ignore[arg-type]
        weights = sum(each.numel() for each in run.trainable.codec.parameters())
        told = []
        for first in (0, recipe.objective.adversarial_from):  # type: ignore[union-attr]
            spent = []
            for step in range(count):
                batch = run.batches.batch_at(step)
                began = time.process_time()
                with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                    losses = run.objective(AudioBatch(batch.samples, batch.items, first), torch.Generator())
                losses["loss"].backward()
                spent.append(time.process_time() - began)
                run.trainable.zero_grad()
            told.append(min(spent))
        print(f"width {width}: {weights:,} weights, {told[0]:.2f} CPU-s a step, {told[1]:.2f} with discriminators")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec", type=Path, nargs="?", help="a packed codec's folder or a training run's")
    parser.add_argument("--data", nargs="+", default=SETS, help="sets of sounds, music or speech")
    parser.add_argument("--folder", type=Path, help="sound files in place of a set")
    parser.add_argument("--count", type=int, default=40, help="how many sounds of each")
    parser.add_argument("--step", action="store_true", help="measure training steps only")
    given = parser.parse_args()
    if given.step:
        steps()
    elif given.codec is None:
        parser.error("give the folder of a codec, or --step")
    else:
        compare(given)
