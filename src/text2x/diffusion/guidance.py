"""Guidance: functions from Denoise to Denoise. Scale w: null + w (conditional - null); 1 is off, 0 is unconditional.

It acts on estimates of x_0; these are linear in what a network predicts, so guiding noise or velocity is the same.
A negative prompt is the null: pass the denoise of its text. Intervals are in t, 0 data to 1 noise, ends included.
All that is measured on an estimate (a norm, a deviation, a percentile) is measured on each item alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.gradients import Gradient, with_gradient
from text2x.diffusion.schedules import SMALLEST, NoiseSchedule, expand
from text2x.errors import InputError
from text2x.guidance_terms import WHOLE, GuidanceTerm, check_interval, checked

ONE = (1.0,)  # the weights of one prompt


def vanilla(conditional: Denoise) -> Denoise:
    """No guidance: the network's own estimate for the prompt."""
    return conditional


def classifier_free(
    conditional: Denoise,
    null: Denoise,
    scale: float,
    interval: tuple[float, float] = WHOLE,
) -> Denoise:
    """Classifier-free guidance (Ho and Salimans 2022) within an interval of t (Kynkaanniemi et al. 2024).

    At scale 1 and outside the interval `null` is never called; `conditional` is not called at scale 0. With a weaker
    network of the same prompt as `null` it is autoguidance (Karras et al. 2024).
    """

    def both(x_t: Tensor, t: Tensor) -> Tensor:
        return null(x_t, t) if scale == 0 else combine(conditional(x_t, t), null(x_t, t), scale)

    return within(interval, both, conditional, scale)


def paired(
    conditional: Denoise,
    pair: Denoise,
    scale: float,
    interval: tuple[float, float] = WHOLE,
) -> Denoise:
    """Classifier-free guidance with one network call a step.

    `pair` denoises [2B, C, *]: B conditional rows, then B null ones. At scale 1 and outside the interval `conditional`
    is called instead, on [B, C, *].
    """

    def both(x_t: Tensor, t: Tensor) -> Tensor:
        given, null = pair(torch.cat([x_t, x_t]), torch.cat([t, t])).chunk(2)
        return combine(given, null, scale)

    return within(interval, both, conditional, scale)


def within(interval: tuple[float, float], guided: Denoise, plain: Denoise, scale: float) -> Denoise:
    """`guided` for items whose t lies in the interval, `plain` for the rest and everywhere at scale 1."""
    if not math.isfinite(scale):
        raise InputError(f"guidance is {scale}, but it must be a finite number; 1 turns it off")
    check_interval(interval)
    low, high = interval
    if scale == 1:
        return plain
    if (low, high) == WHOLE:
        return guided

    def chosen(x_t: Tensor, t: Tensor) -> Tensor:
        inside = (t >= low) & (t <= high)
        if inside.all():
            return guided(x_t, t)
        if not inside.any():
            return plain(x_t, t)
        return torch.where(expand(inside, x_t), guided(x_t, t), plain(x_t, t))

    return chosen


# On estimates of x_0, [B, C, *]


def combine(conditional: Tensor, null: Tensor, scale: float) -> Tensor:
    """null + scale (conditional - null)."""
    return torch.lerp(null, conditional, scale)


def joint(conditionals: Sequence[Tensor], null: Tensor, weights: Sequence[float]) -> Tensor:
    """null + sum_i weight_i (conditional_i - null): several prompts at once (Liu et al. 2022).

    A negative weight leads away from its prompt. Weights are not divided by their sum.
    """
    total = null
    for conditional, weight in zip(conditionals, weights, strict=True):
        total = total + weight * (conditional - null)
    return total


def rescaled(guided: Tensor, conditional: Tensor, share: float) -> Tensor:
    """`share` of guided std(conditional) / std(guided), the rest guided (Lin et al. 2023, Eq. 15 and 16, their phi).

    The deviations are over all axes of an item, of estimates of x_0: the paper takes them of the network's output.
    """
    before, after = (expand(each.flatten(1).std(1, correction=0), each) for each in (conditional, guided))
    ratio = torch.where(after > 0, before / after.clamp_min(SMALLEST), 1.0)
    return guided * (share * ratio + (1 - share))


def projected(difference: Tensor, conditional: Tensor, eta: float, norm: float | None) -> Tensor:
    """The update of adaptive projected guidance (Sadat et al. 2024, Alg. 1): orthogonal + eta parallel.

    The difference is first shrunk to a root mean square of at most `norm`, their r / sqrt(elements), and then split
    into its parts parallel and orthogonal to the conditional estimate.
    """
    wide = torch.promote_types(difference.dtype, torch.float32)
    step, axis = difference.flatten(1).to(wide), conditional.flatten(1).to(wide)
    if norm is not None:
        size = step.square().mean(1, keepdim=True).sqrt()
        step = step * (norm / size.clamp_min(SMALLEST)).clamp_max(1)
    share = (step * axis).sum(1, keepdim=True) / axis.square().sum(1, keepdim=True).clamp_min(SMALLEST)
    return torch.add(step, share * axis, alpha=eta - 1).reshape(difference.shape).to(difference.dtype)


def clamped(denoise: Denoise) -> Denoise:
    """Estimates of pixels cannot leave [-1, 1] (Ho et al. 2020, Sec. 3.2; "static thresholding" in Imagen)."""
    return lambda x_t, t: denoise(x_t, t).clamp(-1, 1)


def thresholded(denoise: Denoise, share: float) -> Denoise:
    """Dynamic thresholding of pixels (Saharia et al. 2022, Sec. 2.3), in place of the clamp to [-1, 1].

    s is the least |x_0| that `share` of an item's elements do not exceed, and at least 1: clip to [-s, s], divide by s.
    """

    def bounded(x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = denoise(x_t, t)
        sizes = x_0.flatten(1).abs()
        limit = expand(sizes.kthvalue(max(1, math.ceil(share * sizes.shape[1])), dim=1).values.clamp_min(1), x_0)
        return x_0.clamp(-limit, limit) / limit

    return bounded


# All of it together


@dataclass(frozen=True)
class Sources:
    """What guidance may draw on for the B items of one run.

    `joined` denoises [R B, C, *] in one call: B rows of the prompt, B of the null, then B of each further prompt, with
    `weights` for the prompt and the further ones, so that R is their number + 1. `bad` is the weaker network for the
    prompt. `gradients` has "classifier" and "clip".
    """

    alone: Denoise  # the prompt, [B, C, *]
    joined: Denoise | None = None
    weights: tuple[float, ...] = ONE
    bad: Denoise | None = None
    gradients: Mapping[str, Gradient] = field(default_factory=dict)


def compose(sources: Sources, terms: Iterable[GuidanceTerm], schedule: NoiseSchedule, pixels: bool = True) -> Denoise:
    """The guided denoise of one run; make it anew for each, for apg keeps momentum.

    In this order: the prompts are made one estimate (`joint`); cfg or apg, and autoguidance, each add the direction in
    which they leave it, (w - 1) (given - null) and (w - 1) (given - bad); gradients are added; pixels are thresholded
    or clamped to [-1, 1]. Where only the one prompt is needed, `alone` is called instead of `joined`.
    Raises InputError for a term whose source is missing, and for a threshold on what is no pixels.
    """
    by_form = {term.form: term for term in checked(terms)}
    share = next((term.threshold for term in by_form.values() if term.threshold is not None), None)
    if share is not None and not pixels:
        raise InputError(
            "guidance has a threshold, but this model's estimates are latents without a range; leave it out"
        )
    active = {form: term for form, term in by_form.items() if not term.off}
    _check_sources(sources, active)
    denoise = _directed(sources, active.get("cfg", active.get("apg")), active.get("auto"))
    for form in ("classifier", "clip"):
        if form in active:
            term = active[form]
            denoise = with_gradient(denoise, sources.gradients[form], schedule, term.scale, term.interval)
    if not pixels:
        return denoise
    return clamped(denoise) if share is None else thresholded(denoise, share)


def _check_sources(sources: Sources, active: Mapping[str, GuidanceTerm]) -> None:
    for form in ("classifier", "clip"):
        if form in active and form not in sources.gradients:
            raise InputError(f"guidance {form} needs a network that this model does not come with; leave {form} out")
    if "auto" in active and sources.bad is None:
        raise InputError("guidance auto needs a weaker network that this model does not come with; leave auto out")
    if sources.joined is None and (sources.weights != ONE or {"cfg", "apg"} & set(active)):
        raise ValueError("guidance by the null, or by several prompts, needs `joined`")


def _directed(sources: Sources, text: GuidanceTerm | None, auto: GuidanceTerm | None) -> Denoise:
    """The estimate for the prompts, led by cfg or apg and by autoguidance."""
    direct = None if text is None else _projecting(text) if text.form == "apg" else _classifier_free(text)
    several = sources.weights != ONE

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        inside = _inside(text, t)
        if several or inside.any():
            given, null = _together(sources, x_t, t)
        else:
            given = null = sources.alone(x_t, t)
        x_0 = given
        if direct is not None and inside.any():
            x_0 = _chosen(inside, direct(given, null, t, inside), given)
        inside = _inside(auto, t)
        if auto is not None and sources.bad is not None and inside.any():
            led = torch.add(x_0, given - sources.bad(x_t, t), alpha=auto.scale - 1)
            x_0 = _chosen(inside, led, x_0)
        return x_0

    return denoise


def _together(sources: Sources, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The estimate for the prompts and the one for the null, in one call."""
    assert sources.joined is not None
    count = len(sources.weights) + 1
    first, null, *further = sources.joined(torch.cat([x_t] * count), torch.cat([t] * count)).chunk(count)
    return (first if sources.weights == ONE else joint([first, *further], null, sources.weights)), null


Direct = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # given, null [B, C, *], t [B], inside [B] -> x_0


def _classifier_free(term: GuidanceTerm) -> Direct:
    def direct(given: Tensor, null: Tensor, t: Tensor, inside: Tensor) -> Tensor:
        guided = combine(given, null, term.scale)
        return guided if term.rescale == 0 else rescaled(guided, given, term.rescale)

    return direct


def _projecting(term: GuidanceTerm) -> Direct:
    """Adaptive projected guidance with its running difference, an item's own: it starts anew where t rises."""
    running: Tensor | None = None  # [B, C, *]
    last: Tensor | None = None  # [B] the t of each item's latest estimate within the interval

    def direct(given: Tensor, null: Tensor, t: Tensor, inside: Tensor) -> Tensor:
        nonlocal running, last
        if running is None or last is None or running.shape != given.shape:
            running, last = torch.zeros_like(given), t
        kept = torch.where(expand(t <= last, given), running, 0.0)
        difference = torch.add(given - null, kept, alpha=term.momentum)
        running, last = torch.where(expand(inside, given), difference, running), torch.where(inside, t, last)
        return torch.add(given, projected(difference, given, term.eta, term.norm), alpha=term.scale - 1)

    return direct


def _inside(term: GuidanceTerm | None, t: Tensor) -> Tensor:
    """[B] where the term acts."""
    if term is None:
        return torch.zeros_like(t, dtype=torch.bool)
    return (t >= term.interval[0]) & (t <= term.interval[1])


def _chosen(inside: Tensor, guided: Tensor, plain: Tensor) -> Tensor:
    return guided if inside.all() else torch.where(expand(inside, plain), guided, plain)
