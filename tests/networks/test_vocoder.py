"""Vocoders' networks: how far a sample looks, what a stream gives, and HiFi-GAN against other implementations."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.hifigan import V1, V2, V3, HiFiGAN, HiFiGANConfig, published_state
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.signal import MelConfig, STFTConfig
from text2x.vocoding import NeuralVocoder

SMALL_VOCOS = VocosConfig(20, 32, 2, stft=STFTConfig(128, 64, 16))
SMALL_HIFIGAN = HiFiGANConfig(20, 16, (4, 2, 2), (8, 4, 4), "1", (3, 5), ((1, 3), (1, 2)))
SMALL_V3 = HiFiGANConfig(20, 16, (4, 4), (7 + 1, 8), "2", (3, 5), ((1, 2), (2, 4)))
SMALL = [SMALL_VOCOS, SMALL_HIFIGAN, SMALL_V3]


def network_of(config: VocosConfig | HiFiGANConfig) -> Vocos | HiFiGAN:
    torch.manual_seed(0)
    network = Vocos(config) if isinstance(config, VocosConfig) else HiFiGAN(config)
    for parameter in network.parameters():  # as after training: nothing near zero
        nn.init.normal_(parameter, std=0.2)
    return network.eval().requires_grad_(False)


def mel(frames: int, batch: int = 1, bands: int = 20) -> Tensor:
    return torch.randn(batch, bands, frames, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("config", SMALL, ids=lambda config: type(config).__name__)
def test_a_sample_depends_on_the_frames_of_its_context_and_on_no_other(config: VocosConfig | HiFiGANConfig) -> None:
    network, frames = network_of(config), 2 * config.context + 31
    middle, x = frames // 2, mel(frames)
    before = network(x)
    x[:, :, middle] += 1
    changed = (network(x) != before)[0].nonzero()[:, 0]
    first, last = int(changed[0]) // config.hop, int(changed[-1]) // config.hop
    assert middle - first <= config.context and last - middle <= config.context
    assert max(middle - first, last - middle) == config.context, "the context is larger than need be"


def test_the_usual_shapes_have_their_published_sizes() -> None:
    millions = [sum(each.numel() for each in HiFiGAN(config).parameters()) / 1e6 for config in (V1, V2, V3)]
    assert millions == pytest.approx([13.92, 0.92, 1.46], abs=0.01)  # Kong et al. 2020, Table 1
    assert sum(each.numel() for each in Vocos(VocosConfig()).parameters()) / 1e6 == pytest.approx(2.69, abs=0.01)
    assert [(config.hop, config.context) for config in (V1, V2, V3)] == [(256, 13), (256, 13), (256, 11)]
    assert (VocosConfig().hop, VocosConfig().context) == (160, 23)


@pytest.mark.parametrize("config", SMALL, ids=lambda config: type(config).__name__)
def test_a_stream_gives_the_samples_of_the_whole_bit_for_bit(config: VocosConfig | HiFiGANConfig) -> None:
    vocoder = NeuralVocoder(network_of(config), MelConfig(bands=20, stft=STFTConfig(64, 64, 16)), chunk=16)
    x = mel(101)
    whole = vocoder(x)[0]
    assert whole.shape == (101 * config.hop,)
    pieces = list(vocoder.stream(x[0].split([1, 40, 3, 30, 27], dim=-1)))
    assert len(pieces) == 7 and torch.equal(torch.cat(pieces), whole)
    at_once = network_of(config)(x)[0]
    assert (whole - at_once).abs().max() <= 1e-4 * at_once.abs().max(), "chunks can be told from the whole"


def test_a_stream_speaks_before_its_end_is_known() -> None:
    vocoder = NeuralVocoder(network_of(SMALL_VOCOS), MelConfig(bands=20, stft=STFTConfig(64, 64, 16)), chunk=8)
    told = []

    def frames():
        for number in range(40):
            told.append(number)
            yield mel(40)[0, :, number : number + 1]

    next(vocoder.stream(frames()))
    assert len(told) == 8 + SMALL_VOCOS.context


@pytest.mark.parametrize("config", [SMALL_VOCOS, VocosConfig(20, 32, 1), SMALL_HIFIGAN], ids=["small", "head", "gan"])
def test_an_item_is_the_same_in_any_batch_and_with_more_threads(config: VocosConfig | HiFiGANConfig) -> None:
    vocoder = NeuralVocoder(network_of(config), MelConfig(bands=20, stft=STFTConfig(64, 64, 16)))
    x = mel(131, 3)
    batch = vocoder(x)
    assert torch.equal(vocoder(x[1:2])[0], batch[1])
    torch.set_num_threads(2)
    assert torch.equal(vocoder(x), batch)


def test_an_inverse_transform_is_learned_exactly_where_it_can_be() -> None:
    # With a head that only adds a bias every frame has the same spectrum: the sum of its cosines is known.
    network = Vocos(SMALL_VOCOS)
    nn.init.zeros_(network.head.weight)
    with torch.no_grad():
        network.head.bias.fill_(-100.0)
        network.head.bias[0] = torch.tensor(8.0).log()  # magnitude 8 at 0 Hz
        network.head.bias[65:] = 0.0
    made = network(mel(30))[0].detach()
    window = torch.hann_window(64)
    expected = 8 / 128 * sum(window[k * 16 : k * 16 + 16] for k in range(4)) / 1.5  # type: ignore[operator]
    assert torch.allclose(made[160:176], expected, atol=1e-5)
    network.head.bias.data[0] = 50.0
    assert network(mel(30)).abs().max() <= 2, "magnitudes have no limit"


def test_impossible_shapes_name_their_values() -> None:
    with pytest.raises(InputError, match="kernel 4"):
        VocosConfig(kernel=4)
    with pytest.raises(InputError, match="has 15 at the rate 8"):
        HiFiGANConfig(kernels=(15, 16, 4, 4))
    with pytest.raises(InputError, match="4 rates and 3 kernels"):
        HiFiGANConfig(kernels=(16, 16, 4))


# HiFi-GAN against others


def reference(state: dict[str, Tensor], x: Tensor, config: HiFiGANConfig) -> Tensor:
    """The generator written out from its description, by functions alone (Kong et al. 2020, Fig. 1 and Table 5)."""
    x = F.conv1d(x, state["conv_pre.weight"], state["conv_pre.bias"], padding=3)
    count = len(config.block_kernels)
    for i, (rate, kernel) in enumerate(zip(config.rates, config.kernels, strict=True)):
        x = F.leaky_relu(x, 0.1)
        padding = (kernel - rate) // 2
        x = F.conv_transpose1d(x, state[f"ups.{i}.weight"], state[f"ups.{i}.bias"], rate, padding)
        total = torch.zeros_like(x)
        for j, (size, dilations) in enumerate(zip(config.block_kernels, config.block_dilations, strict=True)):
            y = x
            for m, dilation in enumerate(dilations):
                first, second = ("convs1", "convs2") if config.block == "1" else ("convs", "")
                name = f"resblocks.{i * count + j}.{first}.{m}"
                z = F.leaky_relu(y, 0.1)
                reach = (size * dilation - dilation) // 2
                z = F.conv1d(z, state[f"{name}.weight"], state[f"{name}.bias"], padding=reach, dilation=dilation)
                if second:
                    name = f"resblocks.{i * count + j}.{second}.{m}"
                    z = F.leaky_relu(z, 0.1)
                    z = F.conv1d(z, state[f"{name}.weight"], state[f"{name}.bias"], padding=(size - 1) // 2)
                y = y + z
            total = total + y
        x = total / count
    x = F.conv1d(F.leaky_relu(x, 0.01), state["conv_post.weight"], state["conv_post.bias"], padding=3)
    return torch.tanh(x)[:, 0]


@pytest.mark.parametrize("config", [SMALL_HIFIGAN, SMALL_V3], ids=["block 1", "block 2"])
def test_hifigan_is_what_its_description_says(config: HiFiGANConfig) -> None:
    network = network_of(config)
    x = mel(12, 2) * 0.1
    assert (network(x) - reference(network.state_dict(), x, config)).abs().max() < 1e-5


@pytest.mark.medium
def test_hifigan_agrees_with_that_of_transformers() -> None:
    speecht5 = pytest.importorskip("transformers.models.speecht5.modeling_speecht5")
    settings = speecht5.SpeechT5HifiGanConfig(
        model_in_dim=20,
        upsample_initial_channel=16,
        upsample_rates=[4, 2, 2],
        upsample_kernel_sizes=[8, 4, 4],
        resblock_kernel_sizes=[3, 5],
        resblock_dilation_sizes=[[1, 3], [1, 2]],
        normalize_before=False,
    )
    torch.manual_seed(0)
    theirs = speecht5.SpeechT5HifiGan(settings).eval()
    ours = HiFiGAN(SMALL_HIFIGAN)
    ours.load_state_dict(published_state(theirs.state_dict()))
    x = mel(15, 2)
    with torch.no_grad():
        assert (ours(x) - theirs(x.transpose(1, 2))).abs().max() < 1e-5


def normed(state: dict[str, Tensor], style: str) -> dict[str, Tensor]:
    """The weights as they are published: direction and length of each, under the names of old or new torch."""
    names = {"old": ("weight_g", "weight_v"), "new": ("parametrizations.weight.original0",) * 2}[style]
    if style == "new":
        names = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    made = {}
    for name, value in state.items():
        if name.endswith("weight"):
            stem = name.removesuffix("weight")
            made[f"model_g.{stem}{names[0]}"] = value.flatten(1).norm(dim=1).reshape(-1, 1, 1)
            made[f"model_g.{stem}{names[1]}"] = value * 3.5  # only its direction counts
        else:
            made[f"model_g.{name}"] = value
    return {**made, "model_d.mpd.0.weight_g": torch.zeros(1)}


@pytest.mark.parametrize("style", ["old", "new"])
def test_published_layouts_load_with_weight_norm_folded_in(style: str) -> None:
    network = network_of(SMALL_HIFIGAN)
    read = published_state(normed(network.state_dict(), style))
    assert read.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.allclose(read[name], value, atol=1e-6), name


def test_torchs_own_weight_norm_is_what_is_folded() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(6, 4, 3))
    nn.init.normal_(layer.parametrizations.weight.original0)  # type: ignore[arg-type,union-attr]
    read = published_state({f"ups.0.{name}": value for name, value in layer.state_dict().items()})
    assert torch.allclose(read["ups.0.weight"], layer.weight, atol=1e-6)


def test_weights_that_are_half_there_or_expect_other_mels_are_refused() -> None:
    with pytest.raises(InputError, match=r"one part of the weight norm of conv_pre\.weight"):
        published_state({"conv_pre.weight_g": torch.ones(2, 1, 1)})
    with pytest.raises(InputError, match="normalised mel"):
        published_state({"mean": torch.full((20,), -4.0)})


def test_repeated_edge_frames_are_cut_off_again() -> None:
    plain, edged = network_of(SMALL_HIFIGAN), network_of(HiFiGANConfig(**{**SMALL_HIFIGAN.__dict__, "edge": 5}))
    x = mel(30)
    padded = F.pad(x, (5, 5), mode="replicate")
    assert torch.equal(edged(x), plain(padded)[:, 5 * 16 : -5 * 16])
