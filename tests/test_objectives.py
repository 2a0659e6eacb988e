"""The denoising objective: what the network is told, what the loss depends on, what it is for a perfect network."""

import pytest
import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.data.batches import Batch
from text2x.diffusion.denoiser import Denoiser, TimeDistribution
from text2x.diffusion.parameterizations import XStart
from text2x.diffusion.schedules import Linear
from text2x.objectives import Denoising, shrink, upsampling_condition
from text2x.recipe import DenoisingConfig, LowResolution


class Answer:
    """A network that knows the picture, off by a constant."""

    def __init__(self, picture: Tensor, off: float) -> None:
        self.picture, self.off, self.told = picture, off, []

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def __call__(self, x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        self.told.append(conditioning)
        return self.picture + self.off


@pytest.fixture
def batch() -> Batch:
    images = torch.rand(6, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(images, ("a",) * 6, (None,) * 6, None, torch.arange(6))


def objective(batch: Batch, off: float = 0.0, low: LowResolution | None = None, **settings: object):
    network = Answer(batch.images, off)
    config = DenoisingConfig(**settings)  # type: ignore[arg-type]
    return Denoising(Denoiser(network, Linear(), XStart()), None, config, low), network


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_perfect_network_has_no_loss(batch):
    made, _ = objective(batch, times=TimeDistribution("logit_normal"), weighting="velocity", mask_probability=0.5)
    assert made(batch, seeded(0))["loss"] == 0


def test_the_loss_is_the_squared_error_under_uniform_weights(batch):
    made, _ = objective(batch, off=0.5)
    assert made(batch, seeded(0))["loss"] == pytest.approx(0.25, rel=1e-5)


def test_velocity_weights_divide_by_the_noise_level_squared(batch):
    made, _ = objective(batch, off=0.5, weighting="velocity")
    generator = seeded(0)
    torch.rand((), generator=generator)  # whether a part is known
    made.condition(batch, generator, None)
    from text2x.diffusion.denoiser import draw_times

    t = draw_times(6, generator, TimeDistribution())
    expected = (0.25 / t.clamp_min(0.05) ** 2).mean()
    assert made(batch, seeded(0))["loss"] == pytest.approx(float(expected), rel=1e-4)


def test_known_regions_come_at_the_stated_rate_and_match_the_picture(batch):
    made, network = objective(batch, mask_probability=0.5)
    for seed in range(60):
        made(batch, seeded(seed))
    masked = [told.channels for told in network.told if told.channels[:, 4].any()]
    assert 15 <= len(masked) <= 45
    for channels in masked:
        known = channels[:, 4:5]
        assert torch.equal(channels[:, :4], batch.images * known)


def test_the_same_generator_gives_the_same_loss(batch):
    made, _ = objective(batch, off=0.3, weighting="velocity", mask_probability=0.5)
    assert made(batch, seeded(5))["loss"] == made(batch, seeded(5))["loss"]
    assert made(batch, seeded(5))["loss"] != made(batch, seeded(6))["loss"]


def test_held_out_names_each_noise_level_and_their_mean(batch):
    made, network = objective(batch, off=0.5, evaluation_times=(0.2, 0.8), mask_probability=1.0)
    values = made.held_out([batch, batch], seed=0)
    assert set(values) == {"held_out", "held_out/t=0.2", "held_out/t=0.8"}
    assert all(value == pytest.approx(0.25, rel=1e-5) for value in values.values())
    assert not any(told.channels.any() for told in network.told)


def test_an_upsampler_sees_the_noised_low_resolution_and_its_noise_level(batch):
    made, network = objective(batch, low=LowResolution(factor=2, largest_noise=0.5))
    made(batch, seeded(0))
    told = network.told[0]
    assert told.channels.shape == (6, 9, 16, 16)
    assert told.vector.shape == (6, 1)
    assert (told.vector >= 0).all() and (told.vector <= 0.5).all()


def test_without_noise_the_low_resolution_is_the_enlarged_average():
    images = torch.rand(2, 4, 8, 8)
    small = shrink(images, 2)
    assert torch.allclose(small[:, :, 0, 0], images[:, :, :2, :2].mean((2, 3)))
    condition = upsampling_condition(small, torch.zeros(2), torch.randn(small.shape), torch.zeros(2, 5, 8, 8), 2)
    assert condition.channels is not None
    assert torch.allclose(shrink(condition.channels[:, :4], 8)[..., 0, 0], small.mean((2, 3)), atol=0.05)


def test_placed_pictures_come_at_the_stated_rate_and_half_of_them_are_known_whole(batch):
    class Seen(Answer):
        def __call__(self, x: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
            self.told.append(conditioning)
            return torch.zeros_like(x)

    network = Seen(batch.images, 0.0)
    config = DenoisingConfig(mask_probability=1.0, placed_probability=0.5)
    made = Denoising(Denoiser(network, Linear(), XStart()), None, config)
    for seed in range(60):
        made(batch, seeded(seed))
    empty = [(told.channels[:, :4] == -1).all(1).any() for told in network.told]  # known to be transparent
    frames = [
        ((told.channels[:, 4] == 1) == (told.channels[:, :4] > -1).any(1) & (told.channels[:, :4] != 0).any(1))
        .flatten(1)
        .all(1)
        for told in network.told
    ]
    assert 15 <= sum(map(bool, empty)) <= 45
    assert any(each.any() and not each.all() for each in frames)
