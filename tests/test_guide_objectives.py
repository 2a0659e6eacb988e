"""The objectives of guides: what perfect networks score, which texts are no negatives, chance, holes and noise."""

import math

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.data.batches import Batch
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.classifier import Classifier, ClassifierConfig, HalfUNetConfig
from text2x.networks.clip import CLIP, CLIPConfig
from text2x.objectives import Classification, Contrastive, Labels, candidates, cut_out, noised
from text2x.recipe import ClassificationConfig, ContrastiveConfig

COUNT, SIZE = 8, 16
LABELS = Labels(
    classes=torch.arange(COUNT) // 2,  # two pictures a concept, one in each style
    groups=torch.arange(COUNT) // 4,
    styles=("flat", "line") * (COUNT // 2),
    names=tuple(f"name {item // 2}" for item in range(COUNT)),
)
TRUNK = HalfUNetConfig(SIZE, width=16, multipliers=(1, 2), attention_levels=(), timestep=False)


@pytest.fixture
def batch() -> Batch:
    images = torch.rand(COUNT, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(images, LABELS.names, LABELS.styles, None, torch.arange(COUNT))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Told(nn.Module):
    """A classifier that answers with the given logits."""

    def __init__(self, logits: Tensor, groups: Tensor) -> None:
        super().__init__()
        self.logits, self.groups, self.seen = logits, groups, []

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append((x, t))
        return self.logits, self.groups


def one_hot(places: Tensor, count: int, sharpness: float) -> Tensor:
    return sharpness * nn.functional.one_hot(places, count).float()


# Classification


def test_a_classifier_that_knows_nothing_loses_the_logarithm_of_the_number_of_classes(batch: Batch) -> None:
    network = Told(torch.zeros(COUNT, 4), torch.zeros(COUNT, 2))
    made = Classification(network, LABELS, ClassificationConfig(group_weight=0.5))  # type: ignore[arg-type]
    assert made(batch, seeded())["loss"] == pytest.approx(math.log(4) + 0.5 * math.log(2), rel=1e-5)


def test_a_classifier_that_knows_all_is_right_at_every_noise_level(batch: Batch) -> None:
    network = Told(one_hot(LABELS.classes, 4, 50), one_hot(LABELS.groups, 2, 50))
    config = ClassificationConfig(evaluation_times=(0.2, 0.8))
    values = Classification(network, LABELS, config).held_out([batch, batch], 0)  # type: ignore[arg-type]
    assert values["held_out"] == pytest.approx(0, abs=1e-6)
    assert {values[f"held_out/{kind}/t={t}"] for kind in ("accuracy", "group_accuracy") for t in (0.2, 0.8)} == {1.0}
    wrong = Told(one_hot((LABELS.classes + 1) % 4, 4, 50), one_hot(LABELS.groups, 2, 50))
    values = Classification(wrong, LABELS, config).held_out([batch], 0)  # type: ignore[arg-type]
    assert values["held_out/accuracy/t=0.2"] == 0 and values["held_out/group_accuracy/t=0.2"] == 1


def test_the_classifier_is_shown_pictures_on_the_linear_schedule(batch: Batch) -> None:
    network = Told(torch.zeros(COUNT, 4), torch.zeros(COUNT, 2))
    Classification(network, LABELS, ClassificationConfig())(batch, seeded(3))  # type: ignore[arg-type]
    x, t = network.seen[0]
    noise = (x - (1 - t)[:, None, None, None] * batch.images) / t[:, None, None, None]
    assert abs(float(noise.mean())) < 0.05 and float(noise.std()) == pytest.approx(1, abs=0.05)
    assert len(t.unique()) == COUNT and 0 < t.min() < 0.13 and 0.87 < t.max() < 1  # one in each stratum


# Contrastive


class Vectors:
    """A conditioner whose vector is the number in the caption, one-hot, and the style's."""

    def __call__(self, prompts: object, styles: object = None, augmentations: object = None) -> Conditioning:
        places = torch.tensor([int(str(prompt).split()[-1]) for prompt in prompts])  # type: ignore[attr-defined]
        return Conditioning(vector=nn.functional.one_hot(places, 4).float())

    def truncated(self, prompt: str) -> str | None:
        return None


def contrastive(times: TimeDistribution | None = None, **settings: object) -> Contrastive:
    network = CLIP(CLIPConfig(TRUNK, vector_width=4, text_hidden=8, embedding=4))
    config = ContrastiveConfig(times=times, **settings)  # type: ignore[arg-type]
    return Contrastive(network, Vectors(), LABELS, config)


def test_a_text_that_may_as_well_be_meant_of_a_picture_is_no_negative(batch: Batch) -> None:
    named = contrastive()._same_meaning(batch)
    assert not named.any()  # the other picture of the concept is in another style, and the text says so
    unnamed = Batch(batch.images, batch.captions, (None,) * COUNT, None, batch.items)
    expected = (LABELS.classes[:, None] == LABELS.classes[None, :]) & ~torch.eye(COUNT, dtype=torch.bool)
    assert torch.equal(contrastive()._same_meaning(unnamed), expected)
    same_words = Batch(batch.images, ("it",) * COUNT, (None,) * COUNT, None, batch.items)
    assert int(contrastive()._same_meaning(same_words).sum()) == COUNT * (COUNT - 1)


def test_the_contrastive_loss_is_the_symmetric_cross_entropy_of_scaled_cosines(batch: Batch) -> None:
    made = contrastive()
    made.network.eval()
    image = made.network.image_embedding(batch.images)
    text = made.network.text_embedding(nn.functional.one_hot(LABELS.classes, 4).float())
    logits = image @ text.T / 0.07
    expected = -(logits.log_softmax(0) + logits.log_softmax(1)).diagonal().mean() / 2
    assert float(made(batch, seeded())["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_gradients_reach_both_sides_and_the_scale(batch: Batch) -> None:
    made = contrastive(cutout=0.5)
    made(batch, seeded())["loss"].backward()
    for part in (made.network.image_out.weight, made.network.text_straight.weight, made.network.log_scale):
        assert part.grad is not None and part.grad.abs().max() > 0


def test_a_clean_objective_is_evaluated_at_one_level_and_a_noised_one_at_each(batch: Batch) -> None:
    assert set(contrastive().held_out([batch], 0)) == {"held_out", "held_out/t=0", "held_out/r_precision/t=0"}
    made = contrastive(TimeDistribution(), evaluation_times=(0.25, 0.75))
    assert len(made.held_out([batch], 0)) == 5


def test_r_precision_is_one_for_the_right_texts_and_zero_for_the_wrong_ones(batch: Batch) -> None:
    class Right(nn.Module):
        shift = 0

        def image_embedding(self, x: Tensor, t: Tensor | None = None) -> Tensor:
            return nn.functional.one_hot((LABELS.classes + self.shift) % 4, 4).float()

        def text_embedding(self, vector: Tensor) -> Tensor:
            return vector

    network = Right()
    made = Contrastive(network, Vectors(), LABELS, ContrastiveConfig(times=None))  # type: ignore[arg-type]
    assert made.held_out([batch], 0)["held_out/r_precision/t=0"] == 1
    network.shift = 1
    values = made.held_out([batch], 0)
    assert values["held_out/r_precision/t=0"] == 0 and values["held_out"] > math.log(4)


# What they are made of


def test_candidates_are_the_own_text_first_and_others_once() -> None:
    own = torch.arange(50).repeat(4)
    chosen = candidates(own, 50, 10, seeded())
    assert chosen.shape == (200, 10) and torch.equal(chosen[:, 0], own)
    assert all(len(set(row.tolist())) == 10 for row in chosen)
    others = torch.bincount(chosen[:, 1:].flatten(), minlength=50)
    assert others.min() > 10  # none is left out: 36 are expected
    assert candidates(own, 50, 100, seeded()).shape == (200, 50)


def test_a_network_of_chance_finds_one_text_in_as_many_as_there_are() -> None:
    cosines = torch.rand(20_000, 10, generator=seeded())
    rate = (cosines[:, :1] > cosines[:, 1:]).all(1).float().mean()
    assert float(rate) == pytest.approx(0.1, abs=0.01)


def test_holes_are_transparent_squares_of_a_quarter_to_half_of_the_side() -> None:
    images = torch.ones(400, 4, 32, 32)
    cut = cut_out(images, 0.5, seeded())
    holes = (cut == -1).all(1)
    touched = holes.flatten(1).any(1)
    assert 0.4 < float(touched.float().mean()) < 0.6
    assert torch.equal((cut == -1).any(1), holes) and ((cut == 1) | (cut == -1)).all()
    heights, widths = holes.any(2).sum(1)[touched], holes.any(1).sum(1)[touched]
    assert heights.max() <= 16 and widths.max() <= 16
    whole = (heights == widths).float().mean()  # the others are cut by the border
    assert float(whole) > 0.3 and heights.float().quantile(0.9) > 12
    assert cut_out(images, 0.0, seeded()) is images


def test_noise_takes_over_as_time_goes_on() -> None:
    images = torch.ones(3, 4, 8, 8)
    x, t = noised(images, torch.tensor([0.0, 0.5, 1.0]), seeded())
    assert torch.equal(x[0], images[0]) and torch.equal(t, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(x[2], torch.randn(3, 4, 8, 8, generator=seeded())[2])


def test_real_networks_learn_four_pictures_by_heart(batch: Batch) -> None:
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(TRUNK, num_classes=4, num_groups=2))
    made = Classification(network, LABELS, ClassificationConfig(TimeDistribution("logit_normal", mean=-3.0)))
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for step in range(15):
        values = made(batch, seeded(step))
        values["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(values["loss"].detach()))
    assert losses[-1] < 0.8 * losses[0]
