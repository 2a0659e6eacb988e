"""The sets of methods that make sounds: a language model of codes, diffusion on latents, and a GAN. Data only."""

from __future__ import annotations

from text2x.comparing.claims import Claim, ComparisonSet, Method, Part

CODEC_SHARE = 0.3


def _claims() -> tuple[Claim, ...]:
    """Each pair, by what is heard and by how near to real sounds it is."""
    pairs = (
        ("diffusion against GAN", "sound-flow", "sound-gan"),
        ("AudioGen against GAN", "audiogen", "sound-gan"),
        ("diffusion against AudioGen", "sound-flow", "audiogen"),
        ("mel frames against learned latents", "sound-mel", "sound-flow"),
    )
    named, nearer = "is named more often by the classifier", "sounds are nearer to real ones"
    return tuple(
        claim
        for name, first, second in pairs
        for claim in (
            Claim(f"{name}, words", first, second, "agreement", f"what {first} was asked for {named}"),
            Claim(f"{name}, sounds", first, second, "fidelity", f"{first}'s {nearer} after the same training"),
        )
    )


SOUND_SET = ComparisonSet(
    name="sounds",
    data="sounds",
    methods=(
        Method("audiogen", "audiogen", parts=(Part("codec", CODEC_SHARE),)),
        Method("sound-flow", "sound-flow", parts=(Part("codec-kl", CODEC_SHARE),)),
        Method("sound-mel", "sound-mel", parts=(Part("vocoder", CODEC_SHARE),)),
        Method("sound-gan", "sound-gan", parts=(Part("codec-kl", CODEC_SHARE),)),
    ),
    claims=_claims(),
    gaps=(
        "what a codec loses: `python benchmarks/codec.py` measures it",
        "the label is heard by one small classifier: read the figures beside those of real clips",
        "one training of each method: another seed of training, or a longer one, may order them otherwise",
    ),
    curve_prompts=15,
    steps=(5, 10, 20, 40),
    makes="sounds",
)

DEBUG_SOUND_SET = ComparisonSet(
    name="debug-sounds",
    data="tones",
    methods=(
        Method("audiogen", "debug-audiogen", parts=(Part("debug-codec", CODEC_SHARE),)),
        Method("sound-flow", "debug-sound-flow", parts=(Part("debug-codec-kl", CODEC_SHARE),)),
        Method("sound-mel", "debug-sound-mel", parts=(Part("debug-vocoder", CODEC_SHARE),)),
        Method("sound-gan", "debug-sound-gan", parts=(Part("debug-codec-kl", CODEC_SHARE),)),
    ),
    claims=_claims(),
    gaps=SOUND_SET.gaps[2:],
    prompts=20,
    curve_prompts=15,
    steps=(3,),
    makes="sounds",
)
