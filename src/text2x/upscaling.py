"""A picture of any size and shape made larger by a model's upsamplers; known values stay in [-1, 1], opaque stays so.

Each pass multiplies the size by its stage's factor. What the passes do not reach exactly is made a little larger and
resampled down, which is said in a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.cascades import Cascade, default_terms, low_resolution_of, step_of, upsample
from text2x.diffusion.samplers import SAMPLERS
from text2x.editing.windows import bounded
from text2x.edits import Upscaling
from text2x.errors import InputError
from text2x.guidance_terms import WHOLE, GuidanceTerm, format_guidance, parse_guidance
from text2x.guiding import LED
from text2x.media import Image
from text2x.painting import picture_of
from text2x.requests import ImageRequest, unknown
from text2x.sampling import TrainedStage
from text2x.settings import Settings

TILE = 256  # pixels a side that are made at once; larger pictures are made in overlapping tiles
LEAST = 32  # pixels a side that are made at least: the crops that upsamplers are trained on are not smaller
MOST_PIXELS = 4096 * 4096  # of what is made, on the way too


def upsamplers(stages: Sequence[TrainedStage]) -> list[int]:
    """The places of the stages that make a picture larger."""
    return [place for place, stage in enumerate(stages) if stage.recipe.low_resolution is not None]


def check_upscales(stages: Sequence[TrainedStage], model: str) -> None:
    """Raise InputError for a model without an upsampler."""
    if not upsamplers(stages):
        raise InputError(f"the model {model} has no upsampler; take one that has, as --model emoji")


def steps_to(stages: Sequence[TrainedStage], size: tuple[int, int], wanted: tuple[int, int]) -> list[int]:
    """The stage of each pass from one (width, height) to at least another: the first made for larger, or the last."""
    places, (width, height) = [], size
    while width < wanted[0] or height < wanted[1]:
        larger = (place for place in upsamplers(stages) if stages[place].recipe.size > max(width, height))
        place = next(larger, upsamplers(stages)[-1])
        factor = low_resolution_of(stages[place].recipe).factor
        width, height = width * factor, height * factor
        if width * height > MOST_PIXELS:
            raise InputError(
                f"the picture would be made with {width} x {height} pixels, but at most {MOST_PIXELS:,} are made; "
                "give a smaller size, or one that is a whole multiple of the picture's"
            )
        places.append(place)
    return places


def upscale_settings(
    request: ImageRequest, stages: Sequence[TrainedStage], model: str
) -> tuple[Settings, tuple[str, ...]]:
    """The request with the defaults of the first upsampler that is used, and what of it is ignored or cut off."""
    assert isinstance(request.edit, Upscaling)
    check_upscales(stages, model)
    image = picture_of(request.edit.image)
    size, wanted = (image.width, image.height), request.edit.size_of(image.width, image.height)
    used = [stages[place] for place in dict.fromkeys(steps_to(stages, size, wanted))]
    defaults = used[0].recipe.sampling
    sampler = request.sampler or defaults.sampler
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    styles = sorted({style for stage in used for style in _styles(stage)})
    readers = [stage for stage in used if stage.text is not None]
    if readers and request.style is not None and request.style not in styles:
        raise unknown("style", request.style, styles)
    terms = terms_of(request, replace(defaults, guidance=defaults.guidance if readers else 1.0))
    settings = Settings(
        prompt=request.prompt,
        negative=request.negative,
        steps=request.steps or defaults.steps,
        sampler=sampler,
        guidance=format_guidance(terms),
        guidance_interval=WHOLE,
        style=request.style if readers else None,
        size=max(wanted),
        also=request.also,
    )
    return settings, (*_ignored(request, readers, model), *_cut_off(request, readers), *_momentum(terms, wanted))


def terms_of(request: ImageRequest, defaults: object) -> tuple[GuidanceTerm, ...]:
    """The guidance that a request asks for, or that of the recipe; InputError for forms that lead a base alone."""
    if request.guidance is None:
        return default_terms(defaults)  # type: ignore[arg-type]
    terms = parse_guidance(request.guidance)
    for term in terms:
        if term.form in LED and not term.off:
            raise InputError(f"guidance {term.form} leads a base only, and an upsampler takes cfg or apg; leave it out")
    interval = request.guidance_interval or WHOLE
    return tuple(replace(term, interval=interval) if term.interval == WHOLE else term for term in terms)


def _styles(stage: TrainedStage) -> tuple[str, ...]:
    return () if stage.recipe.conditioner is None else stage.recipe.conditioner.styles


def _ignored(request: ImageRequest, readers: list[TrainedStage], model: str) -> Iterator[str]:
    if request.truncation is not None:
        yield "truncation is for GANs; this model ignores it"
    if readers:
        return
    for name in ("prompt", "negative", "also", "guidance", "style"):
        if value := getattr(request, name):
            yield f"the upsampler of {model} reads no words, so {name} is ignored: {value!r}"


def _cut_off(request: ImageRequest, readers: list[TrainedStage]) -> Iterator[str]:
    for name, text in (("prompt", request.prompt), ("negative", request.negative)):
        dropped = next((cut for stage in readers if stage.text and (cut := stage.text.truncated(text))), None)
        if dropped:
            yield f"the end of the {name} does not fit and is ignored: {dropped!r}"


def _momentum(terms: tuple[GuidanceTerm, ...], wanted: tuple[int, int]) -> Iterator[str]:
    if max(wanted) > TILE and any(term.form == "apg" and term.momentum for term in terms):
        yield f"above {TILE} pixels a picture is made in tiles, in which apg has no momentum"


def upscaled(edit: Upscaling, cascade: Cascade) -> tuple[Image, tuple[str, ...]]:
    """The picture at its new size, and warnings; `cascade` holds one seed. Call it in inference mode."""
    image = picture_of(edit.image)
    wanted = edit.size_of(image.width, image.height)
    opaque = bool((image.pixels[3] == 1).all())
    x = image.tensor()[None].to(cascade.device)
    for place in steps_to(cascade.stages, (image.width, image.height), wanted):
        x = enlarged(x, place, cascade)
        x = torch.from_numpy(bounded(x[0].float().cpu().numpy()))[None].to(cascade.device)
        if opaque:
            x[:, 3] = 1
    made = Image(x[0].cpu().numpy())
    if (made.width, made.height) == wanted:
        return made, ()
    resized = made.resize(*wanted)
    reached = f"{made.width} x {made.height} pixels"
    return resized, (f"the upsampler makes {reached}, which are brought to {wanted[0]} x {wanted[1]} by resampling",)


def enlarged(x: Tensor, place: int, cascade: Cascade) -> Tensor:
    """[1, 4, H, W] of any size -> [1, 4, H factor, W factor]: edges are repeated to a size that fits the network."""
    recipe = cascade.stages[place].recipe
    factor, step = low_resolution_of(recipe).factor, step_of(recipe)
    height, width = x.shape[-2:]
    padding = [-(-max(side * factor, LEAST) // step) * step // factor - side for side in (width, height)]
    padded = F.pad(x, (0, padding[0], 0, padding[1]), mode="replicate")
    made = upsample(padded, place, cascade, max(TILE, recipe.size))
    return made[..., : height * factor, : width * factor]
