"""The sets of methods and claims that are compared, and the part of one that is wanted. Data, but for the choosing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from text2x.comparing.claims import Claim, ComparisonSet, Measure, Method, Part
from text2x.comparing.sound_sets import DEBUG_SOUND_SET, SOUND_SET
from text2x.errors import InputError
from text2x.recipes import RECIPES
from text2x.requests import unknown

_GAN_OF_32 = (
    "size=32",
    "data.size=32",
    "network.size=32",
    "network.generator_widths=[256, 192, 96]",
    "network.discriminator_widths=[256, 192, 96]",
)
_POOLED = ("conditioner.context=false", "network.context_width=0")
_LEARNED = (  # a small transformer over bytes; 2 styles and 5 labels of augmentation follow the sentence in the vector
    "conditioner=TrainableTextConfig",
    'conditioner.styles=["twemoji", "fluent-flat"]',
    "conditioner.augmentations=5",
    "conditioner.max_tokens=64",
    "network.context_width=256",
    "network.vector_width=263",
)
_DDIM = {"sampler": "ddim", "steps": 25}

IMAGE = ComparisonSet(
    name="image",
    data="emoji",
    methods=(
        Method("unguided", "vanilla", options={**_DDIM, "guidance": "none"}),
        Method("classifier guidance", "vanilla", options={**_DDIM, "guidance": "classifier:4"}, guide="classifier"),
        Method("classifier-free guidance", "vanilla", options={**_DDIM, "guidance": "cfg:3"}),
        Method("ddpm", "vanilla", options={"sampler": "ddpm", "steps": 25, "guidance": "cfg:3"}),
        Method("unet", "emoji"),
        Method("dit", "dit", options={"steps": 16}),
        Method("gan", "gan", _GAN_OF_32),
        Method("learned text", "emoji", _LEARNED),
        Method("pooled text", "emoji", _POOLED),
    ),
    claims=(
        Claim(
            "classifier guidance against none", "classifier guidance", "unguided", "agreement",
            "the prompt is found more often under the classifier than without guidance",
        ),
        Claim(
            "classifier-free guidance against none", "classifier-free guidance", "unguided", "agreement",
            "the prompt is found more often with guidance than without",
        ),
        Claim(
            "classifier-free against classifier guidance", "classifier-free guidance", "classifier guidance",
            "agreement", "the prompt is found more often without a classifier than with one",
        ),
        Claim(
            "diffusion against GAN", "unet", "gan", "fidelity",
            "diffusion's pictures are nearer to real ones after the same training",
        ),
        Claim(
            "DDIM against DDPM at 25 steps", "classifier-free guidance", "ddpm", "fidelity",
            "the deterministic sampler's pictures are nearer to real ones at equal steps",
        ),
        Claim(
            "UNet against DiT", "unet", "dit", "fidelity",
            "the UNet's pictures are nearer to real ones after the same training",
        ),
        Claim(
            "frozen against learned text encoder", "unet", "learned text", "agreement",
            "the prompt is found more often with the pretrained encoder",
        ),
        Claim(
            "token attention against pooled text", "unet", "pooled text", "agreement",
            "the prompt is found more often where tokens are attended to",
        ),
    ),
    gaps=(
        "pixels against latents, GLIDE, DALL-E 2 and Imagen: systems of several trainings, which share one budget in "
        "`text2x compare --set image-systems`",
    ),
)  # fmt: skip

_SHAPES = {"sampler": "ddim", "steps": 6}
DEBUG = ComparisonSet(
    name="debug",
    data="shapes",
    methods=(
        Method("unguided", "debug", options={**_SHAPES, "guidance": "none"}),
        Method("classifier guidance", "debug", options={**_SHAPES, "guidance": "classifier:2"},
               guide="debug-classifier"),
        Method("classifier-free guidance", "debug", options={**_SHAPES, "guidance": "cfg:2"}),
        Method("gan", "debug-gan"),
    ),
    claims=(
        Claim(
            "classifier guidance against none", "classifier guidance", "unguided", "agreement",
            "pictures under the classifier are more like what was asked for",
        ),
        Claim(
            "classifier-free guidance against none", "classifier-free guidance", "unguided", "agreement",
            "guided pictures are more like what was asked for",
        ),
        Claim(
            "diffusion against GAN", "classifier-free guidance", "gan", "likeness",
            "diffusion's pictures are more like what was asked for after the same training",
        ),
    ),
    prompts=20,
    steps=(3, 6),
)  # fmt: skip

_UPSAMPLER, _EMBEDDING = 0.25, 0.15
_PIXELS_OF_64 = ("size=64", "data.size=64", "data.batch_size=32", "training.batch_size=32")  # batches as those of `ldm`
_CODEC = Part("autoencoder", 0.3)


def _system_claims(debug: bool = False) -> tuple[Claim, ...]:
    """What the papers say of each other, and whether a system finds its words as well as the plain model."""
    nearer, found = "pictures are nearer to real ones", "the prompt is found more often"
    fidelity: Measure = "likeness" if debug else "fidelity"
    pairs = (("DALL-E 2", "glide", "dalle2", "GLIDE"), ("Imagen", "dalle2", "imagen", "DALL-E 2"))
    claims = [
        claim
        for name, second, first, other in pairs
        for claim in (
            Claim(f"{name} over {other}, pictures", first, second, fidelity, f"{name}'s {nearer} than {other}'s"),
            Claim(f"{name} over {other}, words", first, second, "agreement", f"{found} in {name}'s pictures"),
        )
    ]
    pixels = "plain" if debug else "pixels at 64 px"
    claims += [
        Claim("latent over pixel, pictures", "ldm", pixels, fidelity, f"latent diffusion's {nearer}"),
        Claim("latent over pixel, words", "ldm", pixels, "agreement", f"{found} in pictures made by way of latents"),
    ]
    systems = ("glide", "dalle2", "imagen", *(() if debug else ("ldm", "latent-dit")))
    return (*claims, *(Claim(f"{each} against plain", each, "plain", "agreement", f"{found} than by the plain model")
                       for each in systems))  # fmt: skip


IMAGE_SYSTEMS = ComparisonSet(
    name="image-systems",
    data="emoji",
    methods=(
        Method("plain", "emoji", parts=(Part("upsampler", _UPSAMPLER),)),
        Method("pixels at 64 px", "emoji", _PIXELS_OF_64),
        Method("glide", "glide", parts=(Part("glide-upsampler", _UPSAMPLER),)),
        Method("dalle2", "dalle2", parts=(
            Part("dalle2-clip", _EMBEDDING), Part("dalle2-prior", _EMBEDDING), Part("dalle2-upsampler", _UPSAMPLER),
        )),
        Method("imagen", "imagen", parts=(Part("imagen-upsampler", _UPSAMPLER),)),
        Method("ldm", "ldm", parts=(_CODEC,)),
        Method("latent-dit", "latent-dit", parts=(_CODEC,)),
    ),
    claims=_system_claims(),
    gaps=("one training of each system: another seed of training, or a longer one, may order them otherwise",),
    steps=(10, 20, 40),
)  # fmt: skip

DEBUG_SYSTEMS = ComparisonSet(
    name="debug-systems",
    data="shapes",
    methods=(
        Method("plain", "debug"),
        Method("glide", "debug-glide", parts=(Part("debug-glide-upsampler", _UPSAMPLER),)),
        Method("dalle2", "debug-dalle2", parts=(
            Part("debug-dalle2-clip", _EMBEDDING), Part("debug-dalle2-prior", _EMBEDDING),
        )),
        Method("imagen", "debug-imagen", parts=(Part("debug-imagen-upsampler", _UPSAMPLER),)),
        Method("ldm", "debug-ldm", parts=(Part("debug-autoencoder", 0.3),)),
    ),
    claims=_system_claims(debug=True),
    prompts=20,
    steps=(3,),
)  # fmt: skip


def _video_claims() -> tuple[Claim, ...]:
    """Whether diffusion beats a GAN, and what the papers say of each other; by words and by motion."""
    found, alike = "the prompt is found more often", "clips move more like real ones"
    pairs = (
        ("Make-A-Video against GAN", "make-a-video", "video-gan"),
        ("Sora against GAN", "sora", "video-gan"),
        ("Lumiere over Make-A-Video", "lumiere", "make-a-video"),
        ("Sora over Make-A-Video", "sora", "make-a-video"),
        ("Stable Video Diffusion over Make-A-Video", "stable-video-diffusion", "make-a-video"),
    )
    return tuple(
        claim
        for name, first, second in pairs
        for claim in (
            Claim(f"{name}, words", first, second, "agreement", f"{found} in the first one's frames"),
            Claim(f"{name}, motion", first, second, "motion", f"the first one's {alike}"),
        )
    )


VIDEO = ComparisonSet(
    name="video",
    data="animated-emoji",
    methods=(
        Method("make-a-video", "make-a-video"),
        Method("lumiere", "lumiere"),
        Method("stable-video-diffusion", "stable-video-diffusion", parts=(_CODEC,)),
        Method("sora", "sora"),
        Method("video-gan", "video-gan"),
    ),
    claims=_video_claims(),
    gaps=(
        "`make-a-video` and `lumiere` begin with the shipped `emoji` model, whose own training is not counted; the "
        "others begin with nothing",
        "`stable-video-diffusion` is made for a given picture; here it has words alone, as the others",
        "one training of each method: another seed of training, or a longer one, may order them otherwise",
    ),
    prompts=15,  # with 2 seeds 60 clips: a motion distance takes 50, also without a tenth of them
    curve_prompts=3,
    steps=(8,),
    makes="clips",
)

DEBUG_VIDEO = ComparisonSet(
    name="debug-video",
    data="moving-shapes",
    methods=tuple(Method(each.name, f"debug-{each.name}") for each in VIDEO.methods),
    claims=_video_claims(),
    gaps=VIDEO.gaps[1:],
    prompts=15,
    curve_prompts=3,
    steps=(3,),
    makes="clips",
)

SETS: Mapping[str, ComparisonSet] = {
    each.name: each
    for each in (IMAGE, IMAGE_SYSTEMS, VIDEO, SOUND_SET, DEBUG, DEBUG_SYSTEMS, DEBUG_VIDEO, DEBUG_SOUND_SET)
}


def chosen(name: str, wanted: Sequence[str] = (), data: str | None = None) -> ComparisonSet:
    """A set by its name, or that part of it whose methods are wanted; recipes that it lacks are compared in pairs.

    A claim stays where both of its methods do. Unknown names raise InputError.
    """
    if name not in SETS:
        raise unknown("set of comparisons", name, SETS)
    known = {each.name: each for each in SETS[name].methods}
    methods = []
    for each in dict.fromkeys(wanted):
        if each not in known and each not in RECIPES:
            raise unknown("method or recipe", each, [*known, *RECIPES])
        methods.append(known.get(each) or Method(each, each))
    methods = methods or list(known.values())
    names = [each.name for each in methods]
    if len(names) < 2:
        raise InputError(f"{names[0]!r} alone cannot be compared; name at least two of {', '.join(known)}")
    claims = [each for each in SETS[name].claims if {each.first, each.second} <= set(names)]
    foreign = [each for each in names if each not in known]
    measure: Measure = "motion" if SETS[name].makes == "clips" else "fidelity"
    nearer = "clips move more like real ones" if measure == "motion" else f"{SETS[name].makes} are nearer to real ones"
    for first, second in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        if first in foreign or second in foreign:
            claims.append(Claim(f"{first} against {second}", first, second, measure, f"{first}'s {nearer}"))
    kept = SETS[name]
    gaps = () if wanted else kept.gaps
    return replace(kept, data=data or kept.data, methods=tuple(methods), claims=tuple(claims), gaps=gaps)
