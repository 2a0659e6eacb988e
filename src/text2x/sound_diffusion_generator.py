"""SoundDiffusionGenerator: words to sound or music by diffusion on latents; loops, variations and repainted parts.

Shapes: Z channels, S frames, C = 1 channel, T samples. Every item goes alone, its guided and its null condition as one
pair, so that no batch changes it; its random numbers come from one generator on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio import Audio
from text2x.audio_codecs import AudioLatentCodec, decode_circular, encode_circular
from text2x.conditioning import Conditioning
from text2x.data.latent_batches import crop_frames
from text2x.diffusion.samplers import SAMPLERS, Step
from text2x.errors import InputError
from text2x.guidance_terms import GuidanceTerm, parse_guidance
from text2x.networks.dit import DiT
from text2x.request_fields import shortened
from text2x.requests import OnStep, Progress, Result, unknown
from text2x.sound_diffusion import SoundDiffusionRecipe, SoundParts, denoiser_of, told_numbers
from text2x.sound_requests import (
    OF_TOKENS,
    AudioRequest,
    MusicRequest,
    SoundRequest,
    as_settings,
    cleaned,
    ignored,
    opened,
)
from text2x.sound_sampling import Layout, Passage, guided, mended, null_counts, sampled, steps_of
from text2x.text_conditioner import TextConditioner

FADE_SECONDS = 0.01  # in which what is made leaves what is known, at each end of a repainted part
LOUDEST = 10 ** (-1 / 20)  # -1 dBFS, the peak of the sounds that are trained on
FEWEST_FRAMES = 4  # of a loop: products of fewer rows have other bits in other batches


@dataclass(frozen=True)
class Given:
    """A sound that is begun from, as the model hears it."""

    sound: NDArray[np.float32]  # [1, S hop], silent after its end
    keep: NDArray[np.bool_] | None  # [S hop] which samples stay; None: all are made anew
    latents: Tensor  # [1, Z, S]
    frames: Tensor | None  # [1, 1, S] 1 = all samples of a frame stay


@dataclass(frozen=True)
class SoundPlan:
    """A request as this model takes it; all but the seed is alike for its items."""

    request: AudioRequest
    samples: int  # of the result
    layout: Layout
    given: Given | None
    strength: float
    steps: int
    sampler: str
    guidance: tuple[GuidanceTerm, ...]
    settings: dict[str, Any]
    warnings: tuple[str, ...]
    timings: dict[str, float] = field(default_factory=dict)


class SoundDiffusionGenerator:
    """Words to sound or music by diffusion."""

    def __init__(
        self, name: str, recipe: SoundDiffusionRecipe, network: DiT, text: TextConditioner, codec: AudioLatentCodec
    ) -> None:
        self.name, self.recipe, self.network, self.text, self.codec = name, recipe, network, text, codec
        self.kind = recipe.kind

    @classmethod
    def of_parts(cls, parts: SoundParts) -> SoundDiffusionGenerator:
        """The generator of a model that was read."""
        return cls(parts.model.name, parts.model.recipe, parts.network, parts.text, parts.codec)

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.codec.rate

    @property
    def window(self) -> int:
        """Frames that the network sees at once: as many as it was trained on."""
        return crop_frames(self.recipe.data, self.codec)

    def generate(self, request: AudioRequest, on_step: OnStep | None = None) -> list[Result]:
        """One sound an item; raises InputError for what this model cannot make."""
        if not isinstance(request, (SoundRequest, MusicRequest)):
            raise InputError(f"{self.name} makes {self.kind}; ask for it with: text2x {self.kind} PROMPT")
        plan = self.plan(request.seeded())
        assert plan.request.seed is not None
        results = []
        for item in range(plan.request.count):
            begin = time.perf_counter()
            audio = Audio(self.samples(plan, item, on_step), self.rate)
            timings = {**plan.timings, "sample": time.perf_counter() - begin}
            results.append(Result(audio, plan.request.seed + item, plan.warnings, timings, plan.settings))
        return results

    # What is asked

    def plan(self, request: AudioRequest) -> SoundPlan:
        """The request with the model's defaults; raises InputError for what this model cannot do."""
        begin, defaults = time.perf_counter(), self.recipe.sampling
        request, warnings = cleaned(request)
        warnings += ignored(request, OF_TOKENS, f"{self.name} is a model of diffusion, not of codes")
        sampler = request.sampler or defaults.sampler
        if sampler not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        guidance = defaults.guidance if request.guidance is None else request.guidance
        if isinstance(guidance, str):
            terms = parse_guidance(guidance)
        else:
            terms = (GuidanceTerm("cfg", guidance, defaults.guidance_interval),)
        warnings += self._unheard(request, terms)
        known, hole, more = self._known(request)
        samples, layout, rounded = self._layout(request, known)
        strength, late = self._strength(request, known, hole, samples)
        given = None if known is None else self._given(known, hole, layout)
        steps = request.steps or defaults.steps
        settings = {
            "seconds": samples / self.rate, "guidance": guidance, "steps": steps, "sampler": sampler,
            **({"strength": strength} if request.init is not None else {}),
            **({"repaint": f"{hole[0]:g}-{hole[1]:g}"} if request.repaint is not None and hole is not None else {}),
            **as_settings(request, ("negative", "loop", "init", "continuation")),
            "model": self.name,
        }  # fmt: skip
        timings = {"prepare": time.perf_counter() - begin}
        told = (*warnings, *more, *rounded, *late)
        return SoundPlan(request, samples, layout, given, strength, steps, sampler, terms, settings, told, timings)

    def _unheard(self, request: AudioRequest, terms: tuple[GuidanceTerm, ...]) -> tuple[str, ...]:
        """Warnings of words that do not count."""
        found = []
        for name in ("prompt", "negative"):
            if (end := self.text.truncated(getattr(request, name))) is not None:
                found.append(f"the {name} is too long for this model; dropped: {shortened(end)!r}")
        if request.negative and not null_counts(terms):
            found.append(f"guidance is 1, so the negative prompt is ignored: {shortened(request.negative)!r}")
        return tuple(found)

    def _known(self, request: AudioRequest) -> tuple[Audio | None, tuple[float, float] | None, tuple[str, ...]]:
        """The sound to begin from at the model's rate, the part of it that is made anew in seconds, and warnings."""
        name = "continuation" if request.continuation is not None else "init"
        found = opened(request, name)
        if found is None:
            return None, None, ()
        known, warnings = found.to_mono().resample(self.rate), []
        if (found.rate, found.channels) != (self.rate, 1):
            has = f"{found.rate} Hz and {found.channels} channel{'s' * (found.channels > 1)}"
            warnings.append(f"the sound given has {has}; this model makes {self.rate} Hz and 1 channel of it")
        if not np.any(known.samples):
            warnings.append("the sound to begin from is silent")
        seconds = request.seconds
        if name == "continuation":
            if seconds is not None and known.frames >= round(seconds * self.rate):
                raise InputError(
                    f"seconds is {seconds:g}, of the whole, and the sound to go on from lasts {known.seconds:.2f}; "
                    "ask for more seconds"
                )
            seconds = known.seconds + self.recipe.sampling.seconds if seconds is None else seconds
            return known, (known.seconds, seconds), tuple(warnings)
        if seconds is not None and seconds < known.seconds:
            warnings.append(
                f"the sound to begin from lasts {known.seconds:.2f} s; what comes after {seconds:g} s is cut"
            )
        return known, request.repaint, tuple(warnings)

    def _layout(self, request: AudioRequest, known: Audio | None) -> tuple[int, Layout, tuple[str, ...]]:
        """Samples of the result, and the frames that are made: of a loop as many as it has, else a window or more."""
        rate, hop, sampling = self.rate, self.codec.hop, self.recipe.sampling
        if known is None or request.seconds is not None:
            samples = max(1, round((request.seconds or sampling.seconds) * rate))
        else:
            samples = known.frames
            samples += round(sampling.seconds * rate) if request.continuation is not None else 0
        overlap = max(1, round(self.window * sampling.overlap))
        if not request.loop:
            return samples, Layout(max(-(-samples // hop), self.window), self.window, overlap), ()
        frames = max(FEWEST_FRAMES, -(-samples // hop) if known is not None else round(samples / hop))
        warnings = ()
        if frames * hop != samples:
            told = f"{samples / rate:.4g} s are made {frames * hop / rate:.4g} s"
            warnings = (f"a loop has whole frames of {1000 * hop / rate:g} ms: {told}",)
        return frames * hop, Layout(frames, self.window, overlap, loop=True), warnings

    def _strength(
        self, request: AudioRequest, known: Audio | None, hole: tuple[float, float] | None, samples: int
    ) -> tuple[float, tuple[str, ...]]:
        """How much of the sound is made anew, 1 from noise; raises InputError for a part beyond the sound."""
        if known is None:
            return 1.0, ()
        strength = request.strength
        total = samples / self.rate
        if hole is None and not request.loop and samples > known.frames:
            raise InputError(
                f"seconds is {total:g} and the sound to begin from lasts {known.seconds:.2f}; to go on from it give "
                f"--repaint {known.seconds:.2f}-{total:g}, or leave --seconds out"
            )
        if hole is not None and (round(hole[0] * self.rate) >= samples or hole[1] > total + 0.5 / self.rate):
            raise InputError(
                f"repaint is {hole[0]:g}-{hole[1]:g} and the sound lasts {total:.2f} s; give times within it, or more "
                "--seconds"
            )
        if hole is None:
            return self.recipe.sampling.strength if strength is None else strength, ()
        if strength is not None and strength < 1 and samples - known.frames >= self.codec.hop:
            late = f"strength is {strength:g} and is ignored: a part that is made was never in the sound"
            return 1.0, (late,)
        return 1.0 if strength is None else strength, ()

    def _given(self, known: Audio, hole: tuple[float, float] | None, layout: Layout) -> Given:
        """The sound filled up with silence, what of it stays, and its latents."""
        size, hop = layout.frames * self.codec.hop, self.codec.hop
        sound = np.zeros((1, size), np.float32)
        length = min(size, known.frames)
        sound[:, :length] = known.samples[:, :length]
        encode = encode_circular if layout.loop else AudioLatentCodec.encode
        device = next(self.network.parameters()).device
        latents = encode(self.codec, torch.from_numpy(sound)[None]).to(device)
        if hole is None:
            return Given(sound, None, latents, None)
        keep = np.arange(size) < length
        keep[round(hole[0] * self.rate) : max(round(hole[0] * self.rate) + 1, round(hole[1] * self.rate))] = False
        whole = keep.reshape(-1, hop).all(1)
        frames = torch.from_numpy(whole)[None, None].float().to(device) if whole.any() else None
        return Given(sound, keep, latents, frames)

    # Sound

    @torch.inference_mode()
    def samples(self, plan: SoundPlan, item: int, on_step: OnStep | None = None) -> NDArray[np.float32]:
        """[1, T] of one item."""
        given = plan.given
        if given is not None and plan.strength == 0:
            return given.sound[:, : plan.samples]
        latents = self.latents(plan, item, on_step)
        decode = decode_circular if plan.layout.loop else AudioLatentCodec.decode
        made = decode(self.codec, latents, clip=False)[0].float().cpu().numpy()
        if given is not None and given.keep is not None:
            fade = round(FADE_SECONDS * self.rate)
            made = mended(np.clip(made, -1, 1), given.sound, given.keep, fade, plan.layout.loop)
            return made[:, : plan.samples]
        return within_full_scale(made[:, : plan.samples])

    @torch.inference_mode()
    def latents(self, plan: SoundPlan, item: int, on_step: OnStep | None = None) -> Tensor:
        """[1, Z, S] of one item."""
        request, layout, given = plan.request, plan.layout, plan.given
        assert request.seed is not None
        device = next(self.network.parameters()).device
        passage = Passage(
            layout,
            request.seed + item,
            plan.sampler,
            plan.steps,
            None if given is None else given.latents,
            None if given is None else given.frames,
            plan.strength,
            plan.samples / self.rate,
        )
        around = layout.loop and layout.frames <= self.window
        denoiser = denoiser_of(self.recipe, self.network, loop=around)
        denoise = guided(self.recipe, denoiser, self._told(plan, around).to(device), plan.guidance, passage)
        return sampled(self.recipe, denoise, passage, device, _reporter(plan, item, on_step))

    def _told(self, plan: SoundPlan, around: bool) -> Conditioning:
        """What the pair of rows is told: the prompt, and the negative one or nothing."""
        longest = self.recipe.data.seconds
        seconds = torch.full((2,), min(plan.samples / self.rate, longest))
        words = self.text([plan.request.prompt, plan.request.negative])
        return words.with_vector(told_numbers(seconds, longest, around))


def within_full_scale(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """[C, T] as it is, or if it would clip as much quieter as a whole as brings its peak to -1 dBFS.

    Guidance acts on logarithms of spectra where latents are mel frames: what it strengthens becomes louder too.
    """
    peak = float(np.abs(sound).max())
    return sound if peak <= 1 else sound * np.float32(LOUDEST / peak)


def _reporter(plan: SoundPlan, item: int, on_step: OnStep | None) -> Callable[[Step], None] | None:
    if on_step is None:
        return None
    steps = steps_of(plan.steps, plan.strength)

    def told(step: Step) -> None:
        on_step(Progress(min(step.index + 1, steps), steps, "sound", (item,), list))

    return told
