"""The GAN's networks: shapes, ranges, what depends on what, and equal bytes at every number of threads."""

from dataclasses import replace

import pytest
import torch

from text2x.errors import InputError
from text2x.networks.gan import GAN, GANConfig, Modulation, in_range

SMALL = GANConfig(
    size=16, noise_width=6, vector_width=5, text_width=8, generator_widths=(16, 8), discriminator_widths=(16, 8)
)


def test_a_generator_makes_pictures_of_its_size_and_a_discriminator_gives_each_a_number() -> None:
    for config in (SMALL, replace(SMALL, patch=1, generator_widths=(16, 8, 8), discriminator_widths=(16, 8, 8))):
        gan = GAN(config)
        made = gan(torch.randn(3, 6), torch.randn(3, 5))
        assert made.shape == (3, 4, 16, 16)
        assert gan.discriminator(made, torch.randn(3, 5)).shape == (3,)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_picture_alone_has_the_same_bytes_on_any_number_of_threads(
    threads: int,
) -> None:
    generator = GAN(SMALL).generator.eval()
    noise, vector = torch.randn(7, 6), torch.randn(7, 5)
    with torch.inference_mode():
        torch.set_num_threads(threads)
        alone = [generator(noise[i : i + 1], vector[i : i + 1]) for i in range(7)]
        torch.set_num_threads(1)
        again = [generator(noise[i : i + 1], vector[i : i + 1]) for i in range(7)]
        together = generator(noise, vector)
    assert all(torch.equal(one, other) for one, other in zip(alone, again, strict=True))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


def test_noise_and_text_both_change_the_picture_and_the_number_depends_on_the_text() -> None:
    gan = GAN(SMALL)
    noise, vector = torch.randn(2, 6), torch.randn(2, 5)
    made = gan(noise, vector)
    assert (made - gan(noise + 1, vector)).abs().mean() > 0.01
    assert (made - gan(noise, vector + 1)).abs().mean() > 0.01
    judged = gan.discriminator(made, vector)
    assert (judged - gan.discriminator(made, vector + 1)).abs().min() > 1e-4
    assert (judged - gan.discriminator(made + 1, vector)).abs().min() > 1e-4


def test_features_read_once_serve_every_text() -> None:
    discriminator = GAN(replace(SMALL, label_width=3)).discriminator
    images, vector, labels = torch.randn(4, 4, 16, 16), torch.randn(4, 5), torch.randn(4, 3)
    features = discriminator.features(images)
    for text in (vector, vector.roll(1, 0)):
        torch.testing.assert_close(discriminator.judge(features, text, labels), discriminator(images, text, labels))
    unlabelled = discriminator(images, vector)
    torch.testing.assert_close(unlabelled, discriminator(images, vector, torch.zeros(4, 3)))
    assert (unlabelled - discriminator(images, vector, labels)).abs().min() > 1e-5


def test_pictures_in_range_are_premultiplied_and_those_that_were_are_unchanged() -> None:
    x = torch.tensor([0.5, -3.0, 2.0, 0.2]).reshape(1, 4, 1, 1)
    assert in_range(x).flatten().tolist() == pytest.approx([0.2, -1.0, 0.2, 0.2])
    fine = torch.tensor([0.1, -1.0, 0.2, 0.2]).reshape(1, 4, 1, 1)
    assert torch.equal(in_range(fine), fine)
    assert in_range(torch.full((1, 3, 1, 1), 4.0)).unique().tolist() == [1.0]


def test_modulation_begins_as_a_leaky_relu_where_nothing_is_told() -> None:
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(Modulation(8, 4)(x, torch.zeros(2, 4)), torch.where(x > 0, x, 0.2 * x))


def test_a_new_generator_draws_no_pattern_of_single_pixels() -> None:
    """All pixels of a patch are equal at first, and so is what the discriminator sees of them."""
    gan = GAN(SMALL)
    made = gan(torch.randn(2, 6), torch.randn(2, 5))
    patches = made.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # [B, C, H / 2, 2, W / 2, 2]
    assert (patches - patches[:, :, :, :1, :, :1]).abs().max() < 1e-6
    swapped = torch.stack([made[..., 1::2], made[..., 0::2]], dim=-1).flatten(3) + torch.zeros_like(made)
    noisy = made + torch.randn_like(made)
    flipped = torch.stack([noisy[..., 1::2], noisy[..., 0::2]], dim=-1).flatten(3)
    for one, other in ((made, swapped), (noisy, flipped)):
        torch.testing.assert_close(gan.discriminator.features(one), gan.discriminator.features(other))


@pytest.mark.parametrize("field", ["generator_widths", "discriminator_widths"])
def test_widths_that_do_not_make_the_size_are_refused_with_both_numbers(field: str) -> None:
    with pytest.raises(InputError, match=rf"{field} has 3 levels and patch is 2, which makes 32 px; size is 16"):
        GAN(replace(SMALL, **{field: (16, 8, 8)}))


FROZEN = GANConfig(
    size=32,
    noise_width=6,
    vector_width=5,
    text_width=8,
    generator_widths=(16, 8, 8),
    discriminator="frozen",
    discriminator_widths=(8, 8, 8),
    label_width=3,
    frozen_width=12,
)


def test_a_frozen_discriminator_trains_its_heads_alone_and_keeps_the_rest_out_of_the_weights() -> None:
    gan = GAN(FROZEN)
    names = {name.split(".")[0] for name in gan.discriminator.state_dict()}
    assert names == {"heads", "text", "joints", "ends"}
    images = (torch.rand(2, 4, 32, 32) * 2 - 1).requires_grad_()
    judged = gan.discriminator(images, torch.randn(2, 5))
    assert judged.shape == (2, 4)  # each size of map judges by itself
    judged.sum().backward()
    assert images.grad is not None and float(images.grad[:, 3].abs().mean()) > 0  # what is transparent matters, too
    assert all(value.grad is not None for value in gan.discriminator.parameters())


def test_a_frozen_discriminator_is_the_same_again_with_its_weights() -> None:
    first, second = GAN(FROZEN).discriminator, GAN(FROZEN).discriminator
    second.load_state_dict(first.state_dict())
    images, vector, labels = torch.rand(2, 4, 32, 32), torch.randn(2, 5), torch.randn(2, 3)
    assert torch.equal(first(images, vector, labels), second(images, vector, labels))
    assert (first(images, vector) - first(images, vector + 1)).abs().min() > 1e-5
    assert (first(images, vector) - first(images, vector, labels)).abs().min() > 1e-5


def test_a_frozen_discriminator_refuses_pictures_that_it_cannot_see() -> None:
    with pytest.raises(InputError, match=r"at least 32 px; size is 16 .*take discriminator=own"):
        GAN(replace(SMALL, discriminator="frozen"))
