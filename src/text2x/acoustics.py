"""The recipe of a voice and the objective that an acoustic model learns by: mel, duration, pitch, and flow matching.

Shapes: B batch, L phones, T frames, M mel bands. What is beyond an item's own phones or frames counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.alignment import diagonal_prior, monotonic_alignment, symbol_means
from text2x.audio_adversarial import AdversarialLoss
from text2x.data.speech_batches import SpeechBatch, SpeechBatchConfig
from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, TimeDistribution, draw_times
from text2x.diffusion.parameterizations import XStart
from text2x.diffusion.schedules import Linear
from text2x.errors import InputError
from text2x.networks.acoustic import Acoustic, AcousticConfig, FlowCondition, FlowDecoder, Phones, WaveDecoder
from text2x.networks.acoustic_blocks import Expansion, mask_of
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.signal import MelConfig, mel_spectrogram
from text2x.training_config import TrainingConfig

SCHEDULE = Linear()  # rectified flow: what Matcha-TTS calls optimal-transport conditional flow matching
LEAST_DEVIATION = 1e-2  # of a mel band, or of log F0: nothing is divided by less


@dataclass(frozen=True)
class AcousticObjective:
    """Weights of the losses beside that of the features, and how the flow is trained.

    `phone_dropout` is the share of phones that the text side is not told, so that it does not learn prompts by heart.
    """

    duration: float = 0.1
    pitch: float = 0.1
    prior: float = 1.0  # of the text-derived mean, where there is a flow (Popov et al. 2021, Eq. 16)
    phone_dropout: float = 0.05
    crop: int | None = None  # frames of each item that the flow is trained on in a step; None: all
    times: TimeDistribution = TimeDistribution()
    weighting: str = "velocity"

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise InputError(f"objective.weighting is {self.weighting!r}; there are {', '.join(WEIGHTINGS)}")
        if self.crop is not None and self.crop < 1:
            raise InputError(f"objective.crop is {self.crop}; it must be at least 1 frame")
        if not 0 <= self.phone_dropout < 1:
            raise InputError(f"objective.phone_dropout is {self.phone_dropout}; it must be from 0 to below 1")


@dataclass(frozen=True)
class Adversary:
    """How a wave decoder is trained: weights as of HiFi-GAN (Kong et al. 2020, Sec. 2.3), on windows of the speech."""

    discriminator: AudioDiscriminatorConfig = AudioDiscriminatorConfig()
    segment: int = 40  # frames of a window that discriminators hear
    context: int = 8  # frames on each side of it that the decoder sees, so that a window's edge is no edge of speech
    mel: float = 45.0
    matching: float = 2.0
    loss: AdversarialLoss = "hinge"

    def __post_init__(self) -> None:
        if self.segment < 8 or self.context < 0:
            raise InputError(
                f"adversary.segment is {self.segment} and its context {self.context}; they are at least 8 and 0 frames"
            )


@dataclass(frozen=True)
class SpeechSampling:
    """What is used where a request leaves it open."""

    sampler: str = "euler"
    steps: int = 8
    temperature: float = 0.667  # of the noise that a flow begins from (Mehta et al. 2024, Sec. 3)
    voice: str | None = None  # None: the first
    language: str | None = None
    contrast: float = 0.0  # how much a mel made in one pass is sharpened; see `voices.sharpened`


@dataclass(frozen=True)
class Told:
    """What a voice can be told: the order of its phones, languages and speakers is that of its embeddings."""

    phones: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    stand_ins: Mapping[str, str] = field(default_factory=dict)  # phones it never heard -> the nearest that it did


@dataclass(frozen=True)
class AcousticRecipe:
    """Everything that makes an acoustic model, but its weights. The mel's hop is the data's frame.

    `told` is filled in from the data. With a wave decoder `adversary` says how it is trained, else it is not used.
    """

    name: str
    summary: str
    network: AcousticConfig
    data: SpeechBatchConfig
    training: TrainingConfig
    mel: MelConfig = MelConfig()
    objective: AcousticObjective = AcousticObjective()
    adversary: Adversary = Adversary()
    sampling: SpeechSampling = SpeechSampling()
    data_set: str = "asterisk"
    told: Told = Told()


def drop_phones(ids: Tensor, mask: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Phones [B, L] with a share of them replaced by padding, id 0."""
    if not share:
        return ids
    dropped = (torch.rand(ids.shape, generator=rng) < share).to(ids.device) & (mask[:, 0] > 0)
    return ids.masked_fill(dropped, 0)


def window_starts(frames: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """[B] where a window of `size` frames begins in each of items of `frames` [B]; 0 in shorter ones."""
    room = (frames.cpu().double() - size + 1).clamp_min(1)
    return (torch.rand(len(frames), generator=rng, dtype=torch.float64) * room).long().to(frames.device)


def windowed(x: Tensor, starts: Tensor, size: int) -> Tensor:
    """Windows [B, C, size] of x [B, C, T], zeros where they reach beyond it."""
    places = starts[:, None] + torch.arange(size, device=x.device)  # [B, size]
    return F.pad(x, (0, size)).gather(2, places[:, None].expand(-1, x.shape[1], -1))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean where the mask is 1; both [B, *] of the same shape, or the mask spreads over the channels."""
    weight = mask.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1)


@dataclass(frozen=True)
class Prepared:
    """A batch as the network sees it."""

    phones: Phones
    durations: Tensor  # [B, L] int64
    pitch: Tensor  # [B, L]
    voiced: Tensor  # [B, L]
    features: Tensor  # [B, M, T]
    states: Tensor  # [B, D, L]
    expansion: Expansion
    learned: Tensor | None = None  # the loss of an alignment that was not given


class Speaking:
    """The losses of an acoustic model with a parallel or a flow decoder.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        acoustic: Acoustic,
        config: AcousticObjective,
        mel: MelConfig,
        device: torch.device | str = "cpu",
        marks: Sequence[int] = (),  # ids of phones that need no frame
    ) -> None:
        self.acoustic, self.config, self.mel, self.device = acoustic, config, mel, torch.device(device)
        self.marks = torch.tensor(marks, dtype=torch.long, device=self.device)

    def __call__(self, batch: SpeechBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "mel", "duration", "pitch", and "flow" where there is one; their weighted sum as "loss"."""
        ready = self.prepare(batch, rng)
        states = self.frames(ready)
        decoder = self.acoustic.decoder
        losses = self.foretelling(ready)
        if isinstance(decoder, FlowDecoder):
            losses |= self._flow(decoder, states, ready, rng)
            loss = losses["flow"] + self.config.prior * losses["mel"]
        else:
            losses["mel"] = self.mel_error(self.spectrum(states, ready), ready)
            loss = losses["mel"]
        return {**{name: value.detach() for name, value in losses.items()}, "loss": self.weighted(loss, losses)}

    def spectrum(self, states: Tensor, ready: Prepared) -> Tensor:
        """Mel features without chance: made in one pass, the mean that a flow is led by, or a wave decoder's guess."""
        mask, decoder = ready.expansion.mask, self.acoustic.decoder
        if isinstance(decoder, FlowDecoder):
            return decoder.mean(states, mask)
        if isinstance(decoder, WaveDecoder):
            noise = states.new_zeros(len(states), decoder.noise_width, states.shape[2])
            return decoder.spectrum(decoder(states, noise, mask), mask)
        return decoder(states, mask)

    def mel_error(self, made: Tensor, ready: Prepared) -> Tensor:
        """Mean absolute error of mel features."""
        return masked_mean((made - ready.features).abs(), ready.expansion.mask)

    def weighted(self, loss: Tensor, losses: Mapping[str, Tensor]) -> Tensor:
        """The loss of the features with those of what is foretold."""
        config = self.config
        loss = loss + config.duration * losses["duration"] + config.pitch * (losses["pitch"] + losses["voiced"])
        return loss + losses["alignment"] if "alignment" in losses else loss

    def prepare(self, batch: SpeechBatch, rng: torch.Generator | None) -> Prepared:
        """The batch on the device, with features made from its samples, and durations learned if there are none."""
        acoustic, device = self.acoustic, self.device
        mask = mask_of(batch.phone_counts.to(device), batch.phones.shape[1])
        ids = batch.phones.to(device)
        told = ids if rng is None else drop_phones(ids, mask, self.config.phone_dropout, rng)
        phones = Phones(told, mask, batch.languages.to(device), batch.speakers.to(device))
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            features = acoustic.features(mel_spectrogram(batch.samples.to(device), self.mel))
        states = acoustic.text(phones)
        learned = None
        if batch.durations is None:
            durations, learned = self._aligned(states, features, ids, mask, batch.frame_counts.to(device))
        else:
            durations = batch.durations.to(device)
        expansion = Expansion(durations)
        frames = expansion.mask.shape[-1]
        features = F.pad(features, (0, max(0, frames - features.shape[-1])))[..., :frames] * expansion.mask
        pitch, voiced = self._pitch(batch, durations, mask)
        return Prepared(phones, durations, pitch, voiced, features, states, expansion, learned)

    def _pitch(self, batch: SpeechBatch, durations: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch and voicing [B, L] as the network sees them; of frames where durations were learned just now."""
        if batch.pitch is not None:
            logarithms = batch.pitch.to(self.device)
        else:
            means = symbol_means(batch.frame_pitch.to(self.device), durations)
            logarithms = torch.where(means > 0, means.clamp_min(1).log(), means)
        voiced = (logarithms > 0).float() * mask[:, 0]
        return self.acoustic.pitch_features(logarithms.float()) * voiced, voiced

    def _aligned(
        self, states: Tensor, features: Tensor, ids: Tensor, mask: Tensor, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Durations [B, L] by monotonic alignment search, and the loss that guesses of phones' means learn by.

        The score is the Gaussian log-likelihood of a frame under each phone's mean (Kim et al. 2020, Eq. 6 and 7), with
        a prior near the diagonal, without which the first paths would be anything.
        """
        means = self.acoustic.means(states)
        counts = mask[:, 0].sum(1).long()
        with torch.no_grad():
            inner = torch.matmul(means.transpose(1, 2).float(), features)  # [B, L, T]
            score = inner - means.float().square().sum(1)[..., None] / 2
            for item, (count, length) in enumerate(zip(counts.tolist(), frames.tolist(), strict=True)):
                score[item, :count, :length] += diagonal_prior(count, length).to(score.device)
            durations = monotonic_alignment(score, counts, frames, torch.isin(ids, self.marks))
        expansion = Expansion(durations)
        near = expansion(means) - features[..., : expansion.mask.shape[-1]]
        return durations, masked_mean(near.square(), expansion.mask)

    def frames(self, ready: Prepared) -> Tensor:
        """Frames' states [B, D, T] from true durations and pitch."""
        return self.acoustic.text.frames(ready.states, ready.pitch, ready.voiced, ready.expansion)

    def foretelling(self, ready: Prepared) -> dict[str, Tensor]:
        """Losses of durations, pitch and voicing."""
        open_ = ready.phones.mask[:, 0]
        duration, pitch, voiced = self.acoustic.text.foretell(ready.states, ready.phones.mask)
        wanted = (1 + ready.durations.float()).log()
        logits = F.binary_cross_entropy_with_logits(voiced.float(), ready.voiced, reduction="none")
        losses = {
            "duration": masked_mean((duration - wanted).square(), open_),
            "pitch": masked_mean((pitch - ready.pitch).square(), ready.voiced),
            "voiced": masked_mean(logits, open_),
        }
        return losses if ready.learned is None else {**losses, "alignment": ready.learned}

    def _flow(self, decoder: FlowDecoder, states: Tensor, ready: Prepared, rng: torch.Generator) -> dict[str, Tensor]:
        """The flow's own loss, and that of the mean it is led by."""
        config, mask = self.config, ready.expansion.mask
        whole = decoder.condition(states, mask)
        mean_error = masked_mean((whole.mean - ready.features).square(), mask) / 2
        condition, features = whole, ready.features
        if config.crop is not None and mask.shape[-1] > config.crop:
            starts = window_starts(mask[:, 0].sum(1), config.crop, rng)
            condition = FlowCondition(
                *(windowed(each, starts, config.crop) for each in (whole.mean, whole.states, whole.mask))
            )
            features = windowed(features, starts, config.crop)
        times = draw_times(len(features), rng, config.times).to(self.device)
        noise = torch.randn(features.shape, generator=rng).to(self.device) * condition.mask
        weighting = WEIGHTINGS[config.weighting]
        each = flow_denoiser(decoder).loss(features, times, noise, condition, weighting)  # [B], padding is 0
        flow = each.sum() / condition.mask.mean(dim=(1, 2)).sum()  # over the frames that there are
        return {"flow": flow, "mel": mean_error}

    @torch.no_grad()
    def held_out(self, batches: Sequence[SpeechBatch], seed: int = 0) -> dict[str, float]:
        """Errors with true durations: "held_out" is the flow's loss, or else the mean absolute error of features.

        Beside it are the mean absolute errors of features ("mel"; of the mean that a flow is led by) and of durations
        in frames.
        """
        found: dict[str, list[Tensor]] = {}
        for index, batch in enumerate(batches):
            ready = self.prepare(batch, None)
            states, decoder = self.frames(ready), self.acoustic.decoder
            foretold = self.acoustic.text.foretell(ready.states, ready.phones.mask)[0].exp() - 1
            values = {
                "held_out/mel": self.mel_error(self.spectrum(states, ready), ready),
                "held_out/durations": masked_mean((foretold - ready.durations).abs(), ready.phones.mask[:, 0]),
            }
            values["held_out"] = values["held_out/mel"]
            if isinstance(decoder, FlowDecoder):
                rng = torch.Generator().manual_seed(seed + index)
                values["held_out"] = self._flow(decoder, states, ready, rng)["flow"]
            for name, value in values.items():
                found.setdefault(name, []).append(value)
        return {name: float(torch.stack(values).mean()) for name, values in found.items()}


def flow_denoiser(decoder: FlowDecoder) -> Denoiser:
    """A flow decoder's network, which gives x_0."""
    return Denoiser(decoder.network, SCHEDULE, XStart())


@torch.no_grad()
def measure(acoustic: Acoustic, batches: Iterable[SpeechBatch], mel: MelConfig) -> None:
    """Give the network the statistics of its data: mean and deviation of each mel band, and of log F0."""
    total, squares, count = 0.0, 0.0, 0.0
    pitches = []
    for batch in batches:
        values = mel_spectrogram(batch.samples, mel).double()  # [B, M, T]
        mask = mask_of(batch.frame_counts, values.shape[-1]).double()
        total = total + (values * mask).sum((0, 2))
        squares = squares + (values.square() * mask).sum((0, 2))
        count += float(mask.sum())
        frames = batch.frame_pitch
        pitches.append(
            frames[frames > 0].double().log() if batch.pitch is None else batch.pitch[batch.pitch > 0].double()
        )
    mean = torch.as_tensor(total / count)
    variance = torch.as_tensor(squares / count) - mean.square()
    acoustic.mel_mean.copy_(mean)
    acoustic.mel_std.copy_(variance.clamp_min(0).sqrt().clamp_min(LEAST_DEVIATION))
    known = torch.cat(pitches)
    if len(known) > 1:
        acoustic.pitch_range.copy_(torch.stack([known.mean(), known.std().clamp_min(LEAST_DEVIATION)]))
