"""Discriminators of sound: shapes, what they cannot confuse, and that each network gets its own gradient alone."""

import pytest
import torch

from text2x.audio_adversarial import (
    adversarial_losses,
    discriminator_loss,
    feature_matching,
    generator_loss,
)
from text2x.errors import InputError
from text2x.networks.audio_discriminators import (
    AudioDiscriminator,
    AudioDiscriminatorConfig,
    Judgement,
    PeriodDiscriminator,
)

SMALL = AudioDiscriminatorConfig(periods=(2, 3), period_widths=(4, 8, 8), ffts=(128,), spectral_width=4)
CODEC = AudioDiscriminatorConfig(channels=2, periods=(), ffts=(64, 128), spectral_width=4, complex_spectra=True)


def sound(batch: int = 2, samples: int = 1000) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def test_every_discriminator_gives_logits_and_the_features_of_its_layers() -> None:
    judged = AudioDiscriminator(SMALL)(sound())
    assert [len(each.features) for each in judged] == [3, 3, 5]
    assert all(each.logits.ndim == 2 and len(each.logits) == 2 for each in judged)
    stereo = AudioDiscriminator(CODEC)(sound().reshape(1, 2, 1000))
    assert len(stereo) == 2 and stereo[0].features[0].shape[:2] == (1, 4)


def test_a_period_puts_samples_beside_each_other_that_lie_that_far_apart() -> None:
    judge = PeriodDiscriminator(5, 1, (2, 2))
    x = sound(1, 200)[:, None]
    before = judge(x).features[0]
    x[0, 0, 52] += 1  # column 2
    changed = (judge(x).features[0] != before).any(dim=(0, 1)).any(dim=0)
    assert changed.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("config", [SMALL, CODEC], ids=["vocoder", "codec"])
def test_an_item_is_judged_alike_in_any_batch(config: AudioDiscriminatorConfig) -> None:
    judge = AudioDiscriminator(config)
    x = sound(3 * config.channels).reshape(3, config.channels, 1000)
    for alone, together in zip(judge(x[1:2]), judge(x), strict=True):
        assert torch.allclose(alone.logits[0], together.logits[1], atol=1e-5)


def judgement(*values: float) -> list[Judgement]:
    return [Judgement(torch.tensor([values]), [torch.tensor([values]) * 2])]


def test_losses_have_the_values_of_their_formulas() -> None:
    real, made = judgement(0.5, 2.0), judgement(-0.5, 1.0)
    assert float(discriminator_loss(real, made, "hinge")) == pytest.approx(0.25 + (0.5 + 2.0) / 2)
    assert float(generator_loss(made, "hinge")) == pytest.approx(1.5 / 2)
    assert float(discriminator_loss(real, made, "squares")) == pytest.approx((0.25 + 1) / 2 + (0.25 + 1) / 2)
    assert float(generator_loss(made, "squares")) == pytest.approx(2.25 / 2)
    assert float(feature_matching(real, made)) == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["hinge", "squares"])
def test_each_network_gets_the_gradient_of_its_own_loss_alone(kind: str) -> None:
    torch.manual_seed(0)
    judge = AudioDiscriminator(SMALL)
    real, source = sound(), sound(samples=1001)[:, 1:].clone().requires_grad_()
    losses = adversarial_losses(judge, real, source * 0.9, kind)  # type: ignore[arg-type]
    own = torch.autograd.grad(losses["discriminator"], list(judge.parameters()), retain_graph=True)
    assert all(each is not None for each in own)
    with pytest.raises(RuntimeError, match="not have been used|does not require"):
        torch.autograd.grad(losses["discriminator"], [source], retain_graph=True)
    together = losses["discriminator"] + losses["adversarial"] + losses["matching"]
    together.backward()
    for parameter, alone in zip(judge.parameters(), own, strict=True):
        assert parameter.grad is not None and torch.allclose(parameter.grad, alone, atol=1e-7)
    assert source.grad is not None and source.grad.abs().sum() > 0


def test_a_discriminator_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="neither periods nor ffts"):
        AudioDiscriminatorConfig(periods=(), ffts=())
