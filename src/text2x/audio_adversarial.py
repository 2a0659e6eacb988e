"""Adversarial losses of sound: hinge or least squares, and feature matching; each network gets its own gradient alone.

Used by vocoders, codecs and voices. Judgements are those of `networks.audio_discriminators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from text2x.networks.audio_discriminators import AudioDiscriminator, Judgement

AdversarialLoss = Literal["hinge", "squares"]


def adversarial_losses(
    discriminator: AudioDiscriminator, real: Tensor, made: Tensor, kind: AdversarialLoss = "hinge"
) -> dict[str, Tensor]:
    """Of real and made sound [B, T] or [B, C, T]: "discriminator" for the one network, "adversarial" and "matching" for
    the other.

    The discriminator's loss sees the made sound detached; the others go through the discriminator with its weights
    detached. So a sum of all three with any weights trains both.
    """
    of_both = discriminator(torch.cat([real, made.detach()]))
    of_real = [_half(each, 0) for each in of_both]
    judged = discriminator_loss(of_real, [_half(each, 1) for each in of_both], kind)
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    of_made = functional_call(discriminator, frozen, (made,))
    return {
        "discriminator": judged,
        "adversarial": generator_loss(of_made, kind),
        "matching": feature_matching(of_real, of_made),
    }


def discriminator_loss(real: Sequence[Judgement], made: Sequence[Judgement], kind: AdversarialLoss) -> Tensor:
    """Mean over discriminators: the hinge loss, or least squares to 1 and 0 (Mao et al. 2017; HiFi-GAN, Eq. 3)."""
    each = []
    for one, other in zip(real, made, strict=True):
        if kind == "hinge":
            each.append(F.relu(1 - one.logits).mean() + F.relu(1 + other.logits).mean())
        else:
            each.append((1 - one.logits).square().mean() + other.logits.square().mean())
    return torch.stack(each).mean()


def generator_loss(made: Sequence[Judgement], kind: AdversarialLoss) -> Tensor:
    """Mean over discriminators of what the generator is to lessen (for hinge as Vocos has it: relu(1 - logit))."""
    each = [(F.relu(1 - judged.logits) if kind == "hinge" else (1 - judged.logits).square()).mean() for judged in made]
    return torch.stack(each).mean()


def feature_matching(real: Sequence[Judgement], made: Sequence[Judgement]) -> Tensor:
    """Mean absolute difference of all features, those of real sound detached (HiFi-GAN, Eq. 6)."""
    each = [
        F.l1_loss(feature, target.detach())
        for one, other in zip(made, real, strict=True)
        for feature, target in zip(one.features, other.features, strict=True)
    ]
    return torch.stack(each).mean()


def _half(judged: Judgement, which: int) -> Judgement:
    return Judgement(judged.logits.chunk(2)[which], [each.chunk(2)[which] for each in judged.features])
