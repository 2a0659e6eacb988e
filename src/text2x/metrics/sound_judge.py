"""A judge of sounds that learned the labels of one set's training part: its accuracy, and features of sounds.

It listens to windows of about two seconds, each as loud as its loudest band, and is told the log-mel statistics of the
whole sound; a longer sound is the mean of its windows, a shorter one is followed by silence. A part of the training
split is kept from it: real sounds that it has not heard, which others are compared with.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from text2x.audio import Audio
from text2x.data.audioset import AudioSet
from text2x.data.imageset import hash_unit
from text2x.errors import InputError
from text2x.files import load_tensors, save_tensors
from text2x.metrics.intervals import rate
from text2x.metrics.metric import Metric, exact, same_length
from text2x.metrics.sounds import Scaling, mel_statistics
from text2x.networks.sound_classifier import SoundClassifier, SoundClassifierConfig
from text2x.nn.initialization import no_initialization
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram

HOP_SECONDS, WINDOW_SECONDS, LOWEST = 0.02, 0.064, 40.0
FLOOR = 1e-4  # -80 dB under a full scale: what lies below is not heard beside the sound
UNHEARD = 40.0  # dB
QUIETEST = 1e-6  # a peak below it is silence
RESERVED = 0.15  # share of the training part's groups that the judge does not learn from
TOGETHER = 64  # windows at a time
FARTHEST = 5.0  # spreads
VERSION = 2  # of what is heard and of how it is trained
SCALING = ("scaling.middle", "scaling.spread")

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class SoundJudgeConfig:
    """How the network is trained: windows are moved in time and pitch, partly masked, and mixed (Zhang et al. 2018)."""

    network: SoundClassifierConfig = SoundClassifierConfig()
    epochs: int = 20
    least_steps: int = 300  # of a small set
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    mixed: float = 0.3  # share of batches
    mixing: float = 0.3  # both parameters of the beta distribution
    balance: float = 0.25  # 0: every sound alike, 1: every label alike
    shift: int = 2  # bands
    spread: float = 0.3  # of the noise on the statistics
    masked: tuple[int, int] = (4, 8)  # most bands and frames
    seed: int = 0


@dataclass(frozen=True, eq=False)
class SoundJudge:
    """A trained network and what it was trained on."""

    name: str  # of the set
    rate: int  # Hz of the sounds that it listens to
    labels: tuple[str, ...]
    network: SoundClassifier
    scaling: Scaling  # of the statistics

    @property
    def space(self) -> str:
        """The name of its features."""
        return f"classifier of {self.name}, {len(self.labels)} labels"

    @torch.inference_mode()
    def listen(self, sounds: Sequence[Audio]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Features [N, D] and probabilities of the labels [N, K], means over the windows of each sound."""
        shape, network = self.network.config, self.network.eval()
        parts = [windows_of(log_mel(each, self.rate, shape.bands), shape.frames) for each in sounds]
        if not parts:
            return np.zeros((0, shape.features)), np.zeros((0, shape.labels))
        owners = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part) for part in parts]))
        rows = mel_statistics([heard(each, self.rate) for each in sounds], self.rate)
        told = scaled(rows, self.scaling)[owners]
        pairs = zip(torch.cat(parts).split(TOGETHER), told.split(TOGETHER), strict=True)
        features = torch.cat([network.features(*pair) for pair in pairs])
        likely = network.head(features).softmax(1)
        counts = torch.bincount(owners)[:, None].double()
        means = [torch.zeros(len(parts), each.shape[1]).double().index_add_(0, owners, each.double()) / counts
                 for each in (features, likely)]  # fmt: skip
        return means[0].numpy(), means[1].numpy()


def class_accuracy(
    judge: SoundJudge, likely: NDArray[np.float64], labels: Sequence[str], groups: Sequence[str], top: int = 1
) -> Metric:
    """Share of sounds whose label is among the `top` likeliest; Wilson's interval over groups.

    Sounds of labels that the judge never learned are left out; none left raises InputError.
    """
    same_length({"probabilities": likely, "labels": labels, "groups": groups})
    rows = [row for row, label in enumerate(labels) if label in judge.labels]
    if not rows:
        raise InputError(f"the classifier of {judge.name} knows none of the labels of {len(labels)} sounds")
    order = np.argsort(-likely[rows], axis=1, kind="stable")[:, :top]
    own = [judge.labels.index(labels[row]) for row in rows]
    hits = [float(place in found) for place, found in zip(own, order, strict=True)]
    found = rate(hits, judge.space, [groups[row] for row in rows])
    unknown = len(labels) - len(rows)
    note = ", ".join(filter(None, [found.note, f"{unknown} sounds of unknown labels left out" if unknown else ""]))
    return replace(found, note=note)


def commonest(judge: SoundJudge, labels: Sequence[str], top: int = 1) -> Metric:
    """The accuracy of always naming the commonest of the labels that are asked for."""
    known = Counter(label for label in labels if label in judge.labels)
    if not known:
        raise InputError(f"the classifier of {judge.name} knows none of the labels of {len(labels)} sounds")
    share = sum(count for _, count in known.most_common(top)) / known.total()
    return exact(share, known.total(), f"{judge.space}, the commonest")


# What is heard


def wave(sound: Audio, rate: int) -> Tensor:
    """[T] of one channel at the rate."""
    return sound.to_mono().resample(rate).tensor()[0]


def heard(sound: Audio, rate: int) -> Tensor:
    """The same without what is 40 dB below the loudest part at both ends: a copy that is followed by silence is one."""
    return wave(sound.to_mono().trim(below=UNHEARD), rate)


def scaled(statistics: NDArray[np.float64], scaling: Scaling) -> Tensor:
    """[N, S] log-mel statistics, each of mean 0 and spread 1 over the sounds that were learned, at most 5."""
    return torch.from_numpy(scaling(statistics)).float().clamp(-FARTHEST, FARTHEST)


def log_mel(sound: Audio, rate: int, bands: int) -> Tensor:
    """[bands, F] natural logarithm of mel magnitudes, the loudest 0 and the floor about -2, as the network reads it."""
    samples = heard(sound, rate)
    hop, window = round(HOP_SECONDS * rate), round(WINDOW_SECONDS * rate)
    config = MelConfig(rate, STFTConfig(window, window, hop), bands, LOWEST, rate / 2, floor=FLOOR)
    samples = F.pad(samples, (0, max(0, window - len(samples))))
    mel = mel_spectrogram((samples / samples.abs().max().clamp_min(QUIETEST))[None], config)[0]
    return (mel - mel.max().clamp_min(np.log(FLOOR))).clamp_min(np.log(FLOOR)) / 4.6 + 1  # tens of decibels, about


SILENCE = float(np.log(FLOOR) / 4.6 + 1)


def windows_of(mel: Tensor, frames: int) -> Tensor:
    """[N, bands, frames] windows that cover [bands, F], half of each shared with the next."""
    count = mel.shape[1]
    if count <= frames:
        return F.pad(mel, (0, frames - count), value=SILENCE)[None]
    number = -(-2 * (count - frames) // frames) + 1
    starts = torch.linspace(0, count - frames, number).round().long()
    return torch.stack([mel[:, start : start + frames] for start in starts])


# Training


def labels_of(clips: AudioSet) -> tuple[str, ...]:
    """The label of each clip: its own, or where it has none its text."""
    return tuple(clip.label or clip.text for clip in clips.clips)


def reserved(clips: AudioSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indexes of the training part that the judge learns from, and of those that it does not; groups stay together.

    A label with one group is learned.
    """
    indexes, labels = clips.split("train"), labels_of(clips)
    groups: dict[str, set[str]] = {}
    for index in indexes:
        groups.setdefault(labels[index], set()).add(clips.clips[index].group)
    kept = np.array(
        [hash_unit(f"judge:{clips.clips[i].group}") < RESERVED and len(groups[labels[i]]) > 1 for i in indexes],
        dtype=bool,
    )
    return indexes[~kept], indexes[kept]


def sound_judge(
    clips: AudioSet, config: SoundJudgeConfig | None = None, folder: Path | None = None, tell: Told | None = None
) -> SoundJudge:
    """The judge of a set: trained now, or read from `folder`, where it is kept for the next time."""
    config = config or SoundJudgeConfig()
    learned, _ = reserved(clips)
    labels = labels_of(clips)
    names = tuple(sorted({labels[index] for index in learned}))
    if len(names) < 2:
        raise InputError(
            f"the set {clips.name!r} has {len(names)} labels in its training part; a classifier needs at least 2"
        )
    told = hashlib.sha256(
        f"{VERSION}/{config}/{clips.name}/{clips.rate}/{clips.keys}/{labels}/{clips.lengths.tolist()}".encode()
    )
    path = None if folder is None else folder / f"judge-{told.hexdigest()[:12]}.safetensors"
    if path is not None and path.is_file():
        return _read(path, clips, names, config)
    own = [labels[index] for index in learned]
    sounds = [clips.audio(int(index)) for index in learned]
    statistics = mel_statistics([heard(each, clips.rate) for each in sounds], clips.rate)
    scaling = Scaling.of(statistics)
    shape = replace(config.network, labels=len(names), statistics=statistics.shape[1])
    mels = [log_mel(sound, clips.rate, shape.bands) for sound in sounds]
    places = torch.tensor([names.index(each) for each in own])
    network = _trained(mels, scaled(statistics, scaling), places, shape, config, tell)
    if path is not None:
        with suppress(InputError):  # a folder that cannot be written to: it is trained again the next time
            parts = (torch.from_numpy(each) for each in (scaling.middle, scaling.spread))
            save_tensors(path, {**network.state_dict(), **dict(zip(SCALING, parts, strict=True))})
    return SoundJudge(clips.name, clips.rate, names, network.eval().requires_grad_(False), scaling)


def _read(path: Path, clips: AudioSet, names: tuple[str, ...], config: SoundJudgeConfig) -> SoundJudge:
    tensors = load_tensors(path)
    scaling = Scaling(*(tensors.pop(name).numpy() for name in SCALING))
    with no_initialization():
        network = SoundClassifier(replace(config.network, labels=len(names), statistics=len(scaling.middle)))
    network.load_state_dict(tensors)
    return SoundJudge(clips.name, clips.rate, names, network.eval().requires_grad_(False), scaling)


def _trained(
    mels: Sequence[Tensor],
    statistics: Tensor,
    own: Tensor,
    shape: SoundClassifierConfig,
    config: SoundJudgeConfig,
    tell: Told | None,
) -> SoundClassifier:
    """Train on windows of log-mels [bands, F] and on statistics [N, S]; one seed gives one network."""
    rng = np.random.default_rng(config.seed)
    steps = max(config.least_steps, config.epochs * len(mels) // config.batch_size)
    often = torch.bincount(own, minlength=shape.labels).double()[own].numpy() ** -config.balance
    often /= often.sum()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = SoundClassifier(shape).train()
        solver = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        course = torch.optim.lr_scheduler.OneCycleLR(solver, config.learning_rate, total_steps=steps, pct_start=0.2)
        for step in range(steps):
            rows = rng.choice(len(mels), config.batch_size, p=often)
            given = torch.stack([_changed(_crop(mels[row], shape.frames, rng), config, rng) for row in rows])
            about = statistics[rows] + config.spread * torch.randn(config.batch_size, shape.statistics)
            target = F.one_hot(own[rows], shape.labels).float()
            if rng.random() < config.mixed:
                share = float(rng.beta(config.mixing, config.mixing))
                every = (given, about, target)
                given, about, target = (share * each + (1 - share) * each.flip(0) for each in every)
            loss = F.cross_entropy(network(given, about), target, label_smoothing=config.smoothing)
            solver.zero_grad()
            loss.backward()
            solver.step()
            course.step()
            if tell is not None:
                tell(step + 1, steps)
    return network


def _crop(mel: Tensor, frames: int, rng: np.random.Generator) -> Tensor:
    """[bands, frames] from a random place; a short sound begins up to a quarter of the room late."""
    room = mel.shape[1] - frames
    if room > 0:
        start = int(rng.integers(room + 1))
        return mel[:, start : start + frames].clone()
    late = int(rng.integers(-room // 4 + 1))
    return F.pad(mel, (late, -room - late), value=SILENCE)


def _changed(window: Tensor, config: SoundJudgeConfig, rng: np.random.Generator) -> Tensor:
    """Moved by some bands, with bands and frames masked (Park et al. 2019), or as it is."""
    move = int(rng.integers(-config.shift, config.shift + 1))
    window = torch.roll(window, move, 0)
    for axis, most in enumerate(config.masked):
        width = int(rng.integers(most + 1))
        start = int(rng.integers(max(1, window.shape[axis] - width)))
        window.narrow(axis, start, width).fill_(SILENCE / 2)
    return window
