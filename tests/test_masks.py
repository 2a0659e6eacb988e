"""Random known regions and the channels that tell a network of them."""

import torch

from text2x.masks import SMALLEST_PLACED, known_channels, placed, random_masks, unknown_channels


def test_masks_are_zero_or_one_and_every_kind_leaves_something_to_paint():
    masks = random_masks(400, 32, torch.Generator().manual_seed(0))
    assert masks.shape == (400, 1, 32, 32)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    shares = masks.mean((1, 2, 3))
    assert (shares < 1).all()
    assert 0.2 < shares.mean() < 0.7


def test_masks_depend_on_the_generator_alone():
    first, second = (random_masks(8, 16, torch.Generator().manual_seed(3)) for _ in range(2))
    other = random_masks(8, 16, torch.Generator().manual_seed(4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_known_channels_hold_the_known_pixels_and_nothing_of_the_rest():
    images = torch.rand(2, 4, 8, 8) - 2  # far from zero
    mask = torch.zeros(2, 1, 8, 8)
    mask[:, :, :3] = 1
    channels = known_channels(images, mask)
    assert channels.shape == (2, 5, 8, 8)
    assert torch.equal(channels[:, :4, :3], images[:, :, :3])
    assert not channels[:, :, 3:].any()


def test_nothing_known_is_the_same_as_an_empty_mask():
    images = torch.randn(2, 4, 8, 8)
    assert torch.equal(unknown_channels(images), known_channels(images, torch.zeros(2, 1, 8, 8)))


def test_placed_pictures_lie_whole_within_their_frames_on_an_empty_canvas():
    images = torch.rand(40, 4, 20, 20, generator=torch.Generator().manual_seed(1))  # nowhere transparent
    canvas, frames = placed(images, torch.Generator().manual_seed(2))
    assert torch.equal((canvas > -1).all(1, keepdim=True), frames == 1)
    sides = frames.sum((1, 2, 3)).sqrt()
    assert sides.min() >= SMALLEST_PLACED * 20 and sides.max() == 20 and len(set(sides.tolist())) > 5
    means = (canvas * frames).sum((2, 3)) / frames.sum((2, 3))
    assert torch.allclose(means, images.mean((2, 3)), atol=0.05)


def test_a_picture_that_is_placed_at_full_size_is_itself():
    images = torch.rand(60, 4, 6, 6)
    canvas, frames = placed(images, torch.Generator().manual_seed(0))
    whole = frames.flatten(1).all(1)
    assert whole.any() and torch.allclose(canvas[whole], images[whole], atol=1e-6)
