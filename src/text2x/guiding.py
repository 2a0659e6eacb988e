"""What leads one stage for one request: prompts read once, guides loaded when asked for, all made one denoise.

Guides are other networks that a model names: a classifier and a CLIP of noisy pictures, and a weaker model of the same
kind. They are read from their folders the first time a request asks for their form of guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from text2x.conditioning import Conditioning, concatenate
from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.gradients import Gradient, gradient_of, on_schedule, scaled
from text2x.diffusion.guidance import Sources, compose
from text2x.diffusion.variance import LastVariance
from text2x.errors import InputError
from text2x.guidance_terms import FORMS, GuidanceTerm
from text2x.guides import ClassifierGuide, CLIPGuide
from text2x.objectives import beside
from text2x.recipe import Recipe, image_embedding_width
from text2x.sampling import CHANNELS, Region, TrainedStage

LED = ("auto", "classifier", "clip")  # forms that need another network


@dataclass
class Leaders:
    """The guides of one model; `finders` load one by the form of guidance that needs it."""

    finders: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    loaded: dict[str, Any] = field(default_factory=dict)

    def get(self, form: str, model: str) -> Any:
        """The classifier, CLIP or weaker stage, loaded once."""
        if form not in self.finders:
            known = [name for name in FORMS if name not in LED or name in self.finders]
            missing = f"the model {model} comes with no network for guidance {form}"
            raise InputError(f"{missing}; it takes {', '.join(known)}")
        if form not in self.loaded:
            self.loaded[form] = self.finders[form]()
        return self.loaded[form]


@dataclass(frozen=True)
class Asked:
    """What a request says that reaches the network: prompts, style and guidance."""

    prompt: str
    negative: str
    style: str | None
    further: tuple[tuple[str, float], ...]  # prompts and weights
    terms: tuple[GuidanceTerm, ...]
    images: tuple[torch.Tensor, ...] = ()  # embeddings [B, D] for the prompt, the null and each further prompt

    def needs(self, form: str) -> bool:
        """Whether a form of guidance is asked for at a scale that does something."""
        return any(term.form == form and not term.off for term in self.terms)


@dataclass(frozen=True)
class Led:
    """The guided denoise of one run, further arguments of the sampler, and what guides chose."""

    denoise: Denoise
    options: tuple[tuple[str, Any], ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)


def led(
    stage: TrainedStage,
    asked: Asked,
    leaders: Leaders,
    model: str,
    count: int,
    known: Region | None,
    sampler: str,
    low: Conditioning | None = None,
) -> Led:
    """The stage's denoise for `count` items of one request, led as it asks; call it outside of inference mode.

    `low` is what an upsampler is told beside words: its channels, those of a known region too, and its noise level.
    """
    device = next(stage.denoiser.network.parameters()).device  # type: ignore[attr-defined]
    gradients, chosen = _gradients(stage.recipe, asked, leaders, model)
    with torch.inference_mode():
        rows = _rows(stage, asked, count, known, device, low)
    network = stage.recipe.network
    variance = LastVariance() if network.out_channels == 2 * network.in_channels else None
    options: dict[str, Any] = {}
    if sampler == "ddpm" and variance is not None:
        options["variance"] = variance
    terms = asked.terms
    if sampler == "ddpm" and gradients:  # Dhariwal and Nichol 2021, Alg. 1; with other samplers Alg. 2
        options["gradient"] = _summed(gradients, terms)
        terms = tuple(replace(term, scale=0.0) if term.form in gradients else term for term in terms)
    alone = _prepared(stage, rows[0], variance)
    if stage.text is None:  # an unconditional model: only what steers from outside has anything to say
        terms = tuple(term for term in terms if term.form in LED)
    bad = None
    if asked.needs("auto"):
        weak: TrainedStage = leaders.get("auto", model)
        with torch.inference_mode():
            bad = _prepared(weak, _rows(weak, asked, count, known, device)[0], None)
    joined = None
    if stage.text is not None and (asked.further or asked.needs("cfg") or asked.needs("apg")):
        joined = _prepared(stage, concatenate(rows), variance)
    weights = (1.0, *(weight for _, weight in asked.further)) if joined is not None else (1.0,)
    sources = Sources(alone, joined, weights, bad, gradients)
    pixels = stage.recipe.codec is None
    return Led(compose(sources, terms, stage.recipe.schedule, pixels), tuple(options.items()), chosen)


def _prepared(stage: TrainedStage, conditioning: Conditioning, variance: LastVariance | None) -> Denoise:
    with torch.inference_mode():
        return stage.denoiser.denoise(conditioning, variance)


def _rows(
    stage: TrainedStage,
    asked: Asked,
    count: int,
    known: Region | None,
    device: torch.device,
    low: Conditioning | None = None,
) -> list[Conditioning]:
    """Conditions of `count` items each: the prompt, the null, then each further prompt; all are told what is known."""
    if stage.text is None:
        conditions = [Conditioning()]
    else:
        prompts = [asked.prompt, asked.negative, *(prompt for prompt, _ in asked.further)]
        # the null is the empty prompt without a style, or the negative prompt in the same style
        styles = [asked.style, asked.style if asked.negative else None, *(asked.style for _ in asked.further)]
        read = stage.text(prompts, styles)
        conditions = [read[torch.full((count,), place)].to(device) for place in range(len(prompts))]
    if width := image_embedding_width(stage.recipe):
        images = asked.images or tuple(torch.zeros(count, width) for _ in conditions)  # zeros: none, as in training
        told = zip(conditions, images, strict=False)  # a stage that reads no words has one condition, the first
        conditions = [each.with_vector(image.to(device)) for each, image in told]
    if low is not None and stage.recipe.low_resolution is not None:
        return [beside(each, low, stage.recipe.low_resolution) for each in conditions]
    if known is None or known.method != CHANNELS:
        return conditions
    channels = known.channels(count, device)
    return [each.with_channels(channels) for each in conditions]


def _gradients(
    recipe: Recipe, asked: Asked, leaders: Leaders, model: str
) -> tuple[dict[str, Gradient], dict[str, str]]:
    """The gradients that the request asks for, and which class the classifier's is of."""
    gradients: dict[str, Gradient] = {}
    chosen: dict[str, str] = {}
    if recipe.codec is not None and (asked.needs("classifier") or asked.needs("clip")):
        raise InputError(
            f"guidance classifier and clip look at noised pixels, and {model} works on latents; take cfg, apg or auto"
        )
    if asked.needs("classifier"):
        classifier: ClassifierGuide = leaders.get("classifier", model)
        name, _ = classifier.choose(asked.prompt)
        chosen["class"] = name
        own = classifier.recipe.schedule
        gradients["classifier"] = gradient_of(on_schedule(classifier.log_probability(name), own, recipe.schedule))
    if asked.needs("clip"):
        clip: CLIPGuide = leaders.get("clip", model)
        words = clip.similarity(asked.prompt, asked.style)
        gradients["clip"] = gradient_of(on_schedule(words, clip.recipe.schedule, recipe.schedule))
    return gradients, chosen


def _summed(gradients: Mapping[str, Gradient], terms: tuple[GuidanceTerm, ...]) -> Gradient:
    pushes = [scaled(gradients[term.form], term.scale, term.interval) for term in terms if term.form in gradients]

    def gradient(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.stack([push(x_t, t) for push in pushes]).sum(0)

    return gradient
