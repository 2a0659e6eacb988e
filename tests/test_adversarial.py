"""Losses by hand, each network's gradient its own, penalties in closed form, augmentation pixel by pixel, the score."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.adversarial import (
    LABELS,
    Adversarial,
    AdversarialConfig,
    augmented,
    draw_labels,
    gradient_penalty,
    held_out,
    squared_gradient,
    unlikeness,
    unmatched_features,
)
from text2x.conditioning import Conditioning
from text2x.data.batches import Batch
from text2x.errors import InputError
from text2x.guides import CLIPGuide, load_clip
from text2x.networks.gan import GAN, GANConfig
from tiny_guides import clip_recipe, write_guide_run

SMALL = GANConfig(
    size=16,
    noise_width=6,
    vector_width=5,
    text_width=8,
    generator_widths=(16, 8),
    discriminator_widths=(16, 8),
    label_width=LABELS,
)
PLAIN = AdversarialConfig(augment_probability=0.0, penalty_share=1.0)


class Lengths:
    """Text vectors from the lengths of captions and styles: enough to tell texts apart."""

    def __call__(self, prompts, styles=None, augmentations=None) -> Conditioning:
        rows = [torch.full((5,), float(len(prompt))) / 4 for prompt in prompts]
        return Conditioning(vector=torch.stack(rows))

    def truncated(self, prompt: str) -> str | None:
        return None


def batch(count: int = 6) -> Batch:
    images = torch.rand(count, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images[:, :3] = torch.minimum(images[:, :3], images[:, 3:])
    captions = tuple("a" * (place + 1) for place in range(count))
    return Batch(images, captions, (None,) * count, None, torch.arange(count))


def objective(config: AdversarialConfig) -> Adversarial:
    torch.manual_seed(0)
    gan = GAN(SMALL)
    for name, value in gan.named_parameters():
        if name.endswith("weight") and value.ndim == 0:
            nn.init.constant_(value, 0.5)  # blocks of the discriminator begin at 0
    return Adversarial(gan, Lengths(), config)


def rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pieces(made: Adversarial, seed: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of real, made and mismatched pairs, without augmentation, as the objective draws them."""
    stream = rng(seed)
    for _ in range(2):
        draw_labels(6, 0.0, stream)
    noise = torch.randn(6, 6, generator=stream)
    given = batch()
    vector = Lengths()(given.captions).vector
    assert vector is not None
    fake = augmented(made.gan(noise, vector), torch.zeros(6, LABELS))
    judge = made.gan.discriminator
    return judge(given.images, vector), judge(fake, vector), judge(given.images, vector.roll(1, 0))


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_losses_are_those_of_the_papers(loss: str) -> None:
    config = replace(PLAIN, loss=loss, mismatch_weight=0.3)
    made = objective(config)
    real, fake, other = pieces(made)
    losses = made(batch(), rng())
    if loss == "hinge":
        judged = F.relu(1 - real).mean() + 0.7 * F.relu(1 + fake).mean() + 0.3 * F.relu(1 + other).mean()
        drawn = -fake.mean()
    else:
        judged = torch.log1p((fake - real).exp()).mean() + 0.3 * torch.log1p((other - real).exp()).mean()
        drawn = torch.log1p((real - fake).exp()).mean()
    torch.testing.assert_close(losses["discriminator"], judged.detach(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(losses["generator"], drawn.detach(), atol=1e-6, rtol=1e-5)
    total = judged + drawn + losses["penalty"]
    torch.testing.assert_close(losses["loss"], total, atol=1e-6, rtol=1e-5)
    assert losses["penalty"] > 0


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_each_network_gets_the_gradient_of_its_own_loss_and_nothing_else(loss: str) -> None:
    made = objective(replace(PLAIN, loss=loss, gamma=0.0))
    gan = made.gan
    real, fake, other = pieces(made)
    if loss == "hinge":
        judged = F.relu(1 - real).mean() + F.relu(1 + fake).mean() / 2 + F.relu(1 + other).mean() / 2
        drawn = -fake.mean()
        made.config = replace(made.config, penalty_share=0.0)  # no penalty at all
    else:
        judged = F.softplus(fake - real).mean() + F.softplus(other - real).mean() / 2
        drawn = F.softplus(real - fake).mean()
    of_judge = torch.autograd.grad(judged, list(gan.discriminator.parameters()), retain_graph=True)
    of_generator = torch.autograd.grad(drawn, list(gan.generator.parameters()))
    made(batch(), rng())["loss"].backward()
    for network, expected in ((gan.discriminator, of_judge), (gan.generator, of_generator)):
        for value, gradient in zip(network.parameters(), expected, strict=True):
            assert value.grad is not None
            torch.testing.assert_close(value.grad, gradient, atol=1e-6, rtol=1e-4)
    assert max(float(each.abs().max()) for each in of_generator) > 1e-5


def test_the_penalty_changes_the_discriminators_gradient_only() -> None:
    gradients = []
    for gamma in (0.0, 1.0):
        made = objective(replace(PLAIN, gamma=gamma))
        made(batch(), rng())["loss"].backward()
        gradients.append({name: value.grad for name, value in made.gan.named_parameters()})
    changed = {name for name in gradients[0] if not torch.equal(gradients[0][name], gradients[1][name])}
    assert changed and all(name.startswith("discriminator.") for name in changed)


def test_penalties_of_a_linear_judge_are_those_of_its_weights() -> None:
    weight, bias = torch.randn(12, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    x = torch.randn(5, 12, dtype=torch.float64, requires_grad=True)
    s = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    squares = weight.square().sum(), bias.square().sum()
    by_hand = 2 * float(squares[0] + squares[1]) ** 3
    assert float(gradient_penalty(x @ weight + s @ bias, [x, s])) == pytest.approx(by_hand)
    total = (x @ weight).sum() + (s @ bias).sum()
    assert float(squared_gradient(total, [x, s])) == pytest.approx(float(squares[0] + squares[1]))


def test_a_penalty_taken_in_a_share_of_the_steps_has_the_same_mean() -> None:
    always = float(objective(PLAIN)(batch(), rng())["penalty"])
    made = objective(replace(PLAIN, penalty_share=0.25))
    seldom = [float(made(batch(), rng(seed))["penalty"]) for seed in range(40)]
    taken = [each for each in seldom if each]
    assert 3 <= len(taken) <= 19  # of 40 with a chance of 1/4
    assert sum(taken) / len(taken) == pytest.approx(4 * always, rel=0.3)


def test_a_step_depends_on_its_batch_and_its_random_numbers_alone() -> None:
    made = objective(AdversarialConfig())
    one, again, other = (made(batch(), rng(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["loss"], other["loss"])


def picture(size: int = 16) -> Tensor:
    """An opaque dot of colour (0.5, 0.25, 0) at row 5, column 9."""
    pixels = torch.zeros(1, 4, size, size)
    pixels[0, :, 5, 9] = torch.tensor([0.5, 0.25, 0.0, 1.0])
    return pixels * 2 - 1


def label(**values: float) -> Tensor:
    names = ("right", "down", "across", "below", "cut", "bright", "red", "green", "blue")
    return torch.tensor([[values.get(name, 0.0) for name in names]])


def test_without_labels_pictures_are_as_they_were() -> None:
    torch.testing.assert_close(augmented(picture(), label()), picture())


def test_pictures_are_shifted_by_whole_pixels_and_what_comes_in_is_transparent() -> None:
    moved = augmented(picture(), label(right=1.0, down=-0.5))  # 1/8 of 16 px is 2 px
    assert moved[0, 3].argmax() == 4 * 16 + 11
    assert float((moved + 1).sum()) == pytest.approx(float((picture() + 1).sum()))
    everything = augmented(torch.ones(1, 4, 16, 16), label(right=1.0))
    assert (everything[..., :2] == -1).all() and (everything[..., 2:] == 1).all()


def test_a_window_that_is_cut_out_is_transparent_and_the_rest_is_not() -> None:
    cut = augmented(torch.ones(1, 4, 16, 16), label(cut=1.0))  # in the middle, half of the side
    hole = cut[0, 3] == -1
    assert hole[5:12, 5:12].all() and hole.sum() == 49
    assert (cut[0, :, 0] == 1).all()


def test_brightness_and_colour_are_factors_that_stay_below_alpha() -> None:
    dot = augmented(picture(), label(bright=1.0, green=-1.0))[0, :, 5, 9]
    assert ((dot + 1) / 2).tolist() == pytest.approx([0.65, 0.25 * 1.3 * 0.8, 0.0, 1.0], abs=1e-6)
    full = augmented(torch.ones(1, 4, 8, 8), label(bright=1.0))
    torch.testing.assert_close(full, torch.ones(1, 4, 8, 8))


def test_a_gradient_passes_through_augmentation() -> None:
    x = torch.full((1, 4, 16, 16), -0.5)
    x[:, 3] = 0.9
    x.requires_grad_()
    augmented(x, label(right=1.0, bright=0.5)).sum().backward()
    assert x.grad is not None and float(x.grad[0, 0, 0, 0]) == pytest.approx(1.15)
    assert float(x.grad[0, 0, 0, 15]) == 0  # moved out of the picture


def test_labels_are_zero_where_nothing_is_changed_and_as_frequent_as_asked_for() -> None:
    labels = draw_labels(4000, 0.3, rng())
    assert not draw_labels(50, 0.0, rng()).any()
    assert labels.abs().max() <= 1
    for columns in ([0, 1], [2, 3, 4], [5], [6, 7, 8]):
        changed = labels[:, columns].ne(0)
        assert (changed.all(1) == changed.any(1)).all()  # a kind of change is drawn as a whole
        assert float(changed.any(1).float().mean()) == pytest.approx(0.3, abs=0.03)


class Coin(nn.Module):
    """A generator that paints everything with `level` or its negative, by the sign of the noise."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level
        self.generator = nn.Module()
        self.generator.config = SMALL  # type: ignore[assignment]

    def forward(self, noise: Tensor, vector: Tensor) -> Tensor:
        return (noise[:, :1].sign() * self.level)[..., None, None].expand(-1, 4, 16, 16)


def test_the_score_of_a_coin_is_the_closed_form_and_the_true_distribution_is_best() -> None:
    """Real pictures are +-c: for a generator of +-l the score is E|x - y| - E|x - x'| / 2 = 16 (max(l, c) - l / 2)."""
    count, level = 1024, 0.5
    signs = torch.randint(0, 2, (count, 1, 1, 1), generator=rng()) * 2.0 - 1
    real = Batch((signs * level).expand(-1, 4, 16, 16), ("a",) * count, (None,) * count, None, torch.arange(count))
    scores = {}
    for made in (0.0, 0.25, 0.5, 1.0):
        scores[made] = held_out(Coin(made), Lengths(), [real], seed=0)["held_out"]  # type: ignore[arg-type]
        expected = math.sqrt(4 * 64) * (max(made, level) - made / 2)
        assert scores[made] == pytest.approx(expected, rel=0.1)
    assert min(scores, key=lambda each: scores[each]) == level


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("penalty_share", -0.1), ("penalty_share", 1.1), ("augment_probability", 1.0), ("gamma", -1.0),
        ("mismatch_weight", -1), ("clip_weight", -1), ("match_weight", -1), ("match_features", -1),
        ("adversarial_weight", -1),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"objective.{field} is {value}"):
        replace(PLAIN, **{field: value})


def test_a_frozen_discriminator_teaches_the_generator_through_the_penalty_as_well() -> None:
    frozen = replace(SMALL, size=32, discriminator="frozen", generator_widths=(16, 8, 8), discriminator_widths=(8,) * 3)
    torch.manual_seed(0)
    made = Adversarial(GAN(frozen), Lengths(), PLAIN)
    given = batch(4)
    given = replace(given, images=F.interpolate(given.images, size=32))
    losses = made(given, rng())
    assert losses["penalty"] > 0
    losses["loss"].backward()
    assert all(float(value.grad.abs().sum()) > 0 for value in made.gan.generator.parameters() if value.grad is not None)
    assert made.gan.generator.end.weight.grad is not None  # type: ignore[union-attr]


# Held to the real picture of a text


def test_what_looks_unmatched_is_the_distance_of_what_a_frozen_network_sees() -> None:
    made = torch.rand(3, 4, 32, 32, generator=rng()) * 2 - 1
    real = made.clone()
    real[1, 0] += 0.5
    real[2] = -real[2]
    frozen = GAN(
        replace(SMALL, size=32, discriminator="frozen", generator_widths=(16, 8, 8), discriminator_widths=(8,) * 3)
    )
    seen = unmatched_features(frozen.discriminator, made, real)
    assert float(seen[0]) == 0 and (seen[1:] > 0.01).all() and (seen <= 4).all()
    with pytest.raises(InputError, match="match_features needs network.discriminator=frozen"):
        unmatched_features(objective(PLAIN).gan.discriminator, made, real)


def test_without_a_discriminator_only_what_is_matched_teaches() -> None:
    made = objective(replace(PLAIN, match_weight=3.0, adversarial_weight=0.0))
    losses = made(batch(), rng())
    assert set(losses) == {"loss", "generator", "unmatched"}
    assert float(losses["loss"]) == pytest.approx(3 * float(losses["unmatched"]))
    losses["loss"].backward()
    assert all(value.grad is None for value in made.gan.discriminator.parameters())
    given = batch()
    stream = rng()
    for _ in range(2):
        draw_labels(6, PLAIN.augment_probability, stream)
    vector = Lengths()(given.captions).vector
    assert vector is not None
    drawn = made.gan(torch.randn(6, 6, generator=stream), vector)
    assert float(losses["unmatched"]) == pytest.approx(float((drawn - given.images).abs().mean()), rel=1e-5)


def test_a_generator_that_is_held_to_real_pictures_comes_near_to_them() -> None:
    apart = []
    given = replace(batch(2), images=F.interpolate(batch(2).images[..., :1, :1], size=16))  # of one colour each
    for weight in (0.0, 30.0):
        made = objective(replace(PLAIN, match_weight=weight, penalty_share=0.0))
        adam = torch.optim.Adam(made.gan.parameters(), 5e-3)
        for step in range(25):
            losses = made(given, rng(step))
            adam.zero_grad()
            losses["loss"].backward()
            adam.step()
        vector = Lengths()(given.captions).vector
        assert vector is not None
        drawn = made.gan(torch.randn(2, 6, generator=rng()), vector)
        apart.append(float((drawn - given.images).abs().mean().detach()))
        assert ("unmatched" in losses) == (weight > 0)
    assert apart[1] < apart[0] / 2


def test_matching_teaches_the_generator_alone() -> None:
    gradients = []
    for weight in (0.0, 2.0):
        made = objective(replace(PLAIN, match_weight=weight))
        made(batch(), rng())["loss"].backward()
        gradients.append({name: value.grad for name, value in made.gan.named_parameters() if value.grad is not None})
    changed = {name for name in gradients[0] if not torch.equal(gradients[0][name], gradients[1][name])}
    assert changed and all(name.startswith("generator.") for name in changed)


# A CLIP beside the discriminator


def clip_guide(folder: Path) -> CLIPGuide:
    return load_clip(write_guide_run(folder, clip_recipe()))


def test_the_angle_to_a_text_is_that_of_its_embedding(tmp_path: Path) -> None:
    guide = clip_guide(tmp_path)
    size = guide.recipe.size
    images = (torch.rand(3, 4, 2 * size, 2 * size, generator=rng()) * 2 - 1).requires_grad_()
    captions = ("dog face", "red circle", "moon")
    found = unlikeness(guide, images, captions, (None,) * 3, rng(1))
    stream = rng(1)
    t = torch.rand(3, generator=stream) / 2
    noise = torch.randn(3, 4, size, size, generator=stream)
    share = t[:, None, None, None]
    with torch.no_grad():
        seen = guide.network.image_embedding((1 - share) * F.avg_pool2d(images, 2) + share * noise, t)
    cosines = (seen * guide.text_embeddings(captions, (None,) * 3)).sum(1)
    torch.testing.assert_close(found.detach(), cosines.acos().square() / 2, atol=1e-4, rtol=1e-4)
    found.sum().backward()
    assert images.grad is not None and all(float(each.abs().max()) > 0 for each in images.grad)


def test_a_clip_teaches_the_generator_alone(tmp_path: Path) -> None:
    guide = clip_guide(tmp_path)
    gradients = []
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        gan = GAN(replace(SMALL, size=16))
        made = Adversarial(gan, Lengths(), replace(PLAIN, clip_weight=weight), "cpu", guide if weight else None)
        made(replace(batch(), captions=tuple("abcdef")), rng())["loss"].backward()
        gradients.append({name: value.grad for name, value in gan.named_parameters() if value.grad is not None})
    changed = {name for name in gradients[0] if not torch.equal(gradients[0][name], gradients[1][name])}
    assert changed and all(name.startswith("generator.") for name in changed)


def test_a_clip_and_its_weight_belong_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="objective.clip_weight is 0.5: above 0 it needs a CLIP"):
        objective(replace(PLAIN, clip_weight=0.5))
    with pytest.raises(InputError, match=r"objective.clip_weight is 0.0: .* at 0 it has none"):
        Adversarial(GAN(SMALL), Lengths(), PLAIN, "cpu", clip_guide(tmp_path))
