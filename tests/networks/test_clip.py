"""CLIP's two sides: unit vectors, the token in front, batch independence, the scale, refusals."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.networks.classifier import HalfUNet, HalfUNetConfig
from text2x.networks.clip import CLIP, CLIPConfig, ImageTransformer, ImageTransformerConfig

IMAGE = ImageTransformerConfig(size=16, width=32, depth=2, num_heads=2)
HALF = HalfUNetConfig(16, width=16, multipliers=(1, 2), attention_levels=(), timestep=False)
SMALL = CLIPConfig(IMAGE, vector_width=12, text_hidden=24, embedding=20)


def filled(network: CLIP | ImageTransformer) -> CLIP | ImageTransformer:
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return network.eval()


def made(config: CLIPConfig = SMALL) -> CLIP:
    network = filled(CLIP(config))
    assert isinstance(network, CLIP)
    return network


def batch(count: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(count)
    return torch.randn(count, 4, 16, 16, generator=rng), torch.rand(count, generator=rng)


@pytest.mark.parametrize("image", [IMAGE, replace(IMAGE, stem="patches"), replace(IMAGE, timestep=False), HALF])
def test_both_sides_give_unit_vectors_of_one_width(image: ImageTransformerConfig | HalfUNetConfig) -> None:
    network = made(replace(SMALL, image=image))
    pictures, texts = network.image_embedding(*batch(3)), network.text_embedding(torch.randn(3, 12))
    assert pictures.shape == texts.shape == (3, 20)
    for each in (pictures, texts):
        assert torch.allclose(each.norm(dim=1), torch.ones(3), atol=1e-6)
        assert (each[0] - each[1]).abs().max() > 1e-3
    assert isinstance(network.image, HalfUNet) == isinstance(image, HalfUNetConfig)


def test_time_stands_where_the_class_token_stands_in_the_clean_twin() -> None:
    noisy, clean = ImageTransformer(IMAGE), ImageTransformer(replace(IMAGE, timestep=False))
    both = set(noisy.state_dict()) & set(clean.state_dict())
    assert set(clean.state_dict()) - both == {"token"}
    assert all(name.startswith("time.") for name in set(noisy.state_dict()) - both)
    x, t = batch(2)
    filled(noisy)
    clean.load_state_dict({name: value for name, value in noisy.state_dict().items() if name in both}, strict=False)
    assert noisy.time is not None and clean.token is not None
    clean.token.data = noisy.time(t[:1], None)[0]
    assert torch.allclose(clean.eval()(x), noisy(x, t[:1].expand(2)), atol=1e-6)
    with pytest.raises(ValueError, match="time"):
        noisy(x)


def test_an_embedding_depends_on_no_other_picture_or_text() -> None:
    network = made()
    x, t = batch(5)
    vectors = torch.randn(5, 12)
    for together, alone in (
        (network.image_embedding(x, t), [network.image_embedding(x[i : i + 1], t[i : i + 1]) for i in range(5)]),
        (network.text_embedding(vectors), [network.text_embedding(vectors[i : i + 1]) for i in range(5)]),
    ):
        assert torch.allclose(together, torch.cat(alone), atol=1e-6)


def test_the_scale_begins_as_published_and_stops_at_100() -> None:
    network = CLIP(SMALL)
    assert float(network.scale().detach()) == pytest.approx(1 / 0.07)
    network.log_scale.data.fill_(math.log(5000))
    assert float(network.scale().detach()) == 100


def test_a_size_that_does_not_fit_is_refused_with_its_number() -> None:
    with pytest.raises(InputError, match="patch 3"):
        ImageTransformer(replace(IMAGE, patch=3))
    with pytest.raises(InputError, match=r"\(32, 32\)"):
        made().image_embedding(torch.zeros(1, 4, 32, 32), torch.zeros(1))
