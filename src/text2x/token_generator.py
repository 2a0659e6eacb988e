"""TokenGenerator: words to codes, code after code, and codes to sound; whole or as they come, the same bit for bit.

Shapes: K codebooks, S frames, V codes, C channels, T samples, F frames of chroma. Every item goes alone, its guided and
its null condition as one pair, so that no batch changes it; its random numbers come from one generator on the CPU.
Sound that is longer than the window is made in windows that overlap (Copet et al. 2023, MusicGen; audiocraft).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio import Audio
from text2x.audio_codecs import StereoTokenCodec, TokenCodec, encode_audio
from text2x.chroma import ChromaConfig, fitted, melody_chroma
from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM, Told
from text2x.request_fields import shortened
from text2x.requests import OnStep, Progress, Result
from text2x.sound_requests import (
    OF_DIFFUSION,
    AudioRequest,
    MusicRequest,
    as_settings,
    cleaned,
    ignored,
    opened,
    scale_of,
)
from text2x.text_conditioner import TextConditioner
from text2x.tokens import Choosing, Pattern, choose, delayed, guided

SEAM_SECONDS = 0.005  # in which what is new leaves the last sample of what it goes on from
UNKNOWN = -1  # a code that is still to be chosen


@dataclass(frozen=True)
class TokenSampling:
    """What is used where a request leaves it open, in seconds; `top_k` 32 of 256 codes is MusicGen's 250 of 2048."""

    seconds: float = 4.0
    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 32
    top_p: float = 0.0
    window: float = 10.0  # the longest that the model hears at once
    keep: float = 5.0  # of it, when it moves on

    def __post_init__(self) -> None:
        if not 0 < self.keep < self.window or self.seconds <= 0:
            raise InputError(
                f"sampling has seconds {self.seconds}, keep {self.keep} and window {self.window}; seconds and keep are"
                " above 0, keep is below window"
            )


@dataclass(frozen=True)
class Plan:
    """A request as this model takes it; all but the seed is alike for its items."""

    request: AudioRequest
    samples: int  # of the whole
    prompt: Tensor  # [K, P] codes that are known
    known: Audio | None  # the sound of them, of the codec's rate and channels
    melody: Tensor | None  # [F, 12]
    choosing: Choosing
    guidance: float
    settings: dict[str, Any]
    warnings: tuple[str, ...]
    timings: dict[str, float] = field(default_factory=dict)


class TokenGenerator:
    """Words to sound or music by a language model over codes."""

    def __init__(
        self,
        name: str,
        kind: Literal["sound", "music"],
        network: TokenLM,
        text: TextConditioner | None,
        codec: TokenCodec,
        sampling: TokenSampling,
        melody: ChromaConfig | None = None,
    ) -> None:
        self.name, self.kind, self.network, self.text, self.codec = name, kind, network, text, codec
        self.sampling, self.melody = sampling, melody
        channels = 2 if isinstance(codec, StereoTokenCodec) else 1
        self.pattern: Pattern = delayed(codec.codebooks // channels, channels)

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.codec.rate

    def generate(self, request: AudioRequest, on_step: OnStep | None = None) -> list[Result]:
        """One sound an item; raises InputError for what this model cannot make."""
        request = self._taken(request)
        plan = self.plan(request)
        results = []
        for item in range(request.count):
            begin = time.perf_counter()
            parts = list(self.sound(plan, item, on_step))
            audio = Audio(np.concatenate(parts, axis=1), self.rate)
            timings = {**plan.timings, "sample": time.perf_counter() - begin}
            assert request.seed is not None
            results.append(Result(audio, request.seed + item, plan.warnings, timings, plan.settings))
        return results

    def generate_stream(self, request: AudioRequest, on_step: OnStep | None = None) -> Iterator[Audio]:
        """The first item of the same, part by part as it is made."""
        plan = self.plan(self._taken(request))
        for part in self.sound(plan, 0, on_step):
            yield Audio(part, self.rate)

    def _taken(self, request: AudioRequest) -> AudioRequest:
        if not hasattr(request, "continuation"):
            raise InputError(f"{self.name} makes {self.kind}; ask for it with: text2x {self.kind} PROMPT")
        return request.seeded()

    def plan(self, request: AudioRequest) -> Plan:
        """The request with the model's defaults; raises InputError for what this model cannot do."""
        begin = time.perf_counter()
        request, warnings = cleaned(request)
        warnings += ignored(request, OF_DIFFUSION, f"{self.name} is a model of codes, not of diffusion")
        for name in ("prompt", "negative"):
            end = self.text.truncated(getattr(request, name)) if self.text is not None else None
            if end is not None:
                warnings += (f"the {name} is too long for this model; dropped: {shortened(end)!r}",)
        known = opened(request, "continuation")
        if known is not None:
            known = known.to_mono() if known.channels not in (1, self.codec.channels) else known
            known = known.with_channels(self.codec.channels).resample(self.rate)
        seconds = request.seconds or self.sampling.seconds + (0.0 if known is None else known.seconds)
        samples = max(1, round(seconds * self.rate))
        prompt = self._prompt(known, samples, seconds)
        if known is not None and not np.any(known.samples):
            warnings += ("the sound to go on from is silent",)
        melody, more = self._melody(request)
        scale = scale_of(request, self.name)
        values = {
            "guidance": self.sampling.guidance if scale is None else scale,
            **{
                name: getattr(self.sampling, name) if getattr(request, name) is None else getattr(request, name)
                for name in ("temperature", "top_k", "top_p")
            },
        }
        choosing = Choosing(values["temperature"], values["top_k"], values["top_p"])
        told = {
            "seconds": samples / self.rate,
            **values,
            **as_settings(request, ("negative", "continuation", "melody")),
        }
        timings = {"prepare": time.perf_counter() - begin}
        settings = {**told, "model": self.name}
        guidance = values["guidance"]
        return Plan(request, samples, prompt, known, melody, choosing, guidance, settings, warnings + more, timings)

    def _prompt(self, known: Audio | None, samples: int, seconds: float) -> Tensor:
        """Codes [K, P] of the whole frames of a sound to go on from."""
        if known is None:
            return torch.zeros(self.codec.codebooks, 0, dtype=torch.long)
        if known.frames >= samples:
            raise InputError(
                f"seconds is {seconds:g}, of the whole, and the sound to go on from lasts {known.seconds:.2f}; "
                "ask for more seconds"
            )
        whole = known.frames // self.codec.hop
        return encode_audio(self.codec, known)[:, :whole].cpu()

    def _melody(self, request: AudioRequest) -> tuple[Tensor | None, tuple[str, ...]]:
        """Chroma [F, 12] of the melody that is asked for, and a warning where none can be followed."""
        given = opened(request, "melody") if isinstance(request, MusicRequest) else None
        if given is None:
            return None, ()
        if self.melody is None:
            return None, (f"melody is given and is ignored: {self.name} follows none",)
        heard = given.to_mono().resample(self.melody.rate)
        return melody_chroma(heard.tensor()[0], self.melody), ()

    # Sound

    def sound(self, plan: Plan, item: int, on_step: OnStep | None = None) -> Iterator[NDArray[np.float32]]:
        """Samples [C, T] of one item, in order."""
        decoded = (part.float().cpu().numpy() for part in self.codec.stream(self.codes(plan, item, on_step)))
        left = plan.samples
        for part in gone_on(decoded, plan.known, self.rate):
            if left > 0:
                yield part[:, :left]
            left -= part.shape[1]

    @torch.inference_mode()
    def codes(self, plan: Plan, item: int, on_step: OnStep | None = None) -> Iterator[Tensor]:
        """Codes [K, S] of one item: those that are known, then frame after frame."""
        assert plan.request.seed is not None
        rng = torch.Generator().manual_seed(plan.request.seed + item)
        total, a_second = math.ceil(plan.samples / self.codec.hop), self.rate / self.codec.hop
        window, keep = (max(1, round(value * a_second)) for value in (self.sampling.window, self.sampling.keep))
        held = plan.prompt
        if held.shape[1]:
            yield held
        while held.shape[1] < total:
            first = 0 if total <= window or held.shape[1] <= keep else held.shape[1] - keep
            end = min(total, first + window)
            told = self._told(plan, first, window)
            for frame in self._window(plan, held[:, first:], end - first, told, rng):
                held = torch.cat([held, frame], dim=1)
                yield frame
                if on_step is not None:
                    on_step(Progress(held.shape[1], total, "codes", (item,), list))

    def _told(self, plan: Plan, first: int, window: int) -> Told:
        """What the pair of rows is told: the condition, and below it the null condition unless guidance is off."""
        pair = 1 if plan.guidance == 1 else 2
        device = next(self.network.parameters()).device
        context = mask = melody = None
        if self.text is not None:
            request = plan.request
            found = self.text([request.prompt, request.negative][:pair])
            assert found.context is not None and found.context_mask is not None
            context, mask = found.context, found.context_mask
            if pair == 2 and not request.negative:
                mask = torch.stack([mask[0], torch.zeros_like(mask[0])])
            context, mask = context.to(device), mask.to(device)
        if self.melody is not None:
            a_second = self.codec.hop / self.rate
            count = self.melody.frames(window * a_second)
            melody = torch.zeros(pair, count, 12)
            if plan.melody is not None:
                begin = round(first * a_second * self.melody.rate / self.melody.hop)
                melody[0] = fitted(plan.melody, begin, count)
            if self.melody.first_for_none:
                melody[..., 0] += 1 - melody.sum(-1).clamp_max(1)
            melody = melody.to(device)
        return self.network.prepare(context, mask, melody)

    def _window(self, plan: Plan, prompt: Tensor, frames: int, told: Told, rng: torch.Generator) -> Iterator[Tensor]:
        """The frames [K, 1] after the prompt [K, P] of a window."""
        device = next(self.network.parameters()).device
        special, pair = self.network.config.codes, 1 if plan.guidance == 1 else 2
        books, known = prompt.shape
        whole = torch.full((1, books, frames), UNKNOWN, dtype=torch.long)
        whole[0, :, :known] = prompt
        sequence = self.pattern.interleave(whole, special)[0]  # [K, S]
        cache, begin, latest = self.network.new_cache(), 0, max(self.pattern.delays)
        step = known + 1 + min(self.pattern.delays)  # the first with an unknown code
        while step < sequence.shape[1]:
            given = sequence[None, :, begin:step].expand(pair, -1, -1).to(device)
            logits = self.network(given, told, cache)[:, :, -1].float().cpu()  # [pair, K, V]
            chosen = logits[0] if pair == 1 else guided(logits[0], logits[1], plan.guidance)
            codes = choose(chosen, plan.choosing, torch.rand(books, generator=rng))
            open_places = sequence[:, step] == UNKNOWN
            sequence[:, step] = torch.where(open_places, codes, sequence[:, step])
            frame = step - latest - 1
            if frame >= known:
                yield torch.stack([sequence[k, frame + 1 + d] for k, d in enumerate(self.pattern.delays)])[:, None]
            begin, step = step, step + 1


def gone_on(parts: Iterable[NDArray[np.float32]], known: Audio | None, rate: int) -> Iterator[NDArray[np.float32]]:
    """Decoded samples [C, T] with the known ones, bit for bit, in their place; what follows begins where they end."""
    if known is None:
        yield from parts
        return
    length, fade, at, jump = known.frames, max(1, round(SEAM_SECONDS * rate)), 0, np.zeros((known.channels, 1))
    for part in parts:
        last = at + part.shape[1]
        made = part.copy()
        inside = max(0, min(length, last) - at)
        if inside:
            made[:, :inside] = known.samples[:, at : at + inside]
            jump = known.samples[:, at + inside - 1 : at + inside] - part[:, inside - 1 : inside]
        if last > length:
            after = np.arange(max(at, length), last) - length
            made[:, inside:] += jump * np.clip(1 - (after + 1) / fade, 0, 1)
        yield (
            np.clip(made, -1, 1)
            if not inside
            else np.concatenate([made[:, :inside], np.clip(made[:, inside:], -1, 1)], 1)
        )
        at = last
