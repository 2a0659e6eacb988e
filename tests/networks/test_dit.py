"""What is particular to the DiT: parity with diffusers' of the same weights, its tokens, its shapes."""

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.dit import DiT, DiTConfig
from text2x.nn.rotary import angles, positions, sines

WIDTH, HEADS, DEPTH, SIZE, PATCH = 32, 4, 2, 8, 2


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.medium  # importing diffusers takes seconds
def test_with_diffusers_weights_the_output_is_diffusers() -> None:
    theirs_module = pytest.importorskip("diffusers").DiTTransformer2DModel
    shape = {"num_attention_heads": HEADS, "attention_head_dim": WIDTH // HEADS, "num_layers": DEPTH}
    theirs = theirs_module(in_channels=4, out_channels=8, sample_size=SIZE, patch_size=PATCH, norm_eps=1e-6, **shape)
    config = DiTConfig(out_channels=8, patch=PATCH, width=WIDTH, depth=DEPTH, num_heads=HEADS, feed_forward="gelu")
    ours = DiT(DiTConfig(**{**config.__dict__, "positions": "sines", "qk_norm": False}))
    labels = torch.tensor([3, 5, 7])
    copy_weights(ours, theirs.eval(), labels)
    x, t = torch.randn(3, 4, SIZE, SIZE), torch.tensor([0.1, 0.5, 0.9])
    with torch.no_grad():
        expected = theirs(x, timestep=1000 * t, class_labels=labels).sample
        result = ours(x, t, Conditioning())
    assert expected.std() > 0.1
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


class LabelEmbedding(nn.Module):
    """diffusers' embedding of time and class label, in place of ours of time and vector."""

    def __init__(self, embedding: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.embedding, self.labels = embedding, labels

    def project(self, vector: None) -> None:
        return None

    def forward(self, t: Tensor, projected: None) -> Tensor:
        return self.embedding(1000 * t, self.labels, hidden_dtype=torch.float32)


def copy_weights(ours: DiT, theirs: nn.Module, labels: Tensor) -> None:
    """Give ours the weights of diffusers' DiT, and both one embedding of time and the same positions."""

    def copy(target: nn.Linear, weights: list[Tensor], biases: list[Tensor]) -> None:
        target.weight.data.copy_(torch.cat(weights).flatten(1))
        target.bias.data.copy_(torch.cat(biases))

    first = theirs.transformer_blocks[0].norm1.emb
    ours.embedding = LabelEmbedding(first, labels)  # type: ignore[assignment]
    theirs.pos_embed.pos_embed = sines(angles(positions((SIZE // PATCH,) * 2), WIDTH))[None]
    copy(ours.patch_in, [theirs.pos_embed.proj.weight], [theirs.pos_embed.proj.bias])
    for mine, other in zip(ours.blocks, theirs.transformer_blocks, strict=True):
        other.norm1.emb.load_state_dict(first.state_dict())
        attention, feed_forward = other.attn1, other.ff.net
        copy(mine.modulation, [other.norm1.linear.weight], [other.norm1.linear.bias])
        copy(mine.attention.query, [attention.to_q.weight], [attention.to_q.bias])
        key_value = (attention.to_k, attention.to_v)
        copy(mine.attention.key_value, [each.weight for each in key_value], [each.bias for each in key_value])
        copy(mine.attention.out, [attention.to_out[0].weight], [attention.to_out[0].bias])
        copy(mine.feed_forward.into, [feed_forward[0].proj.weight], [feed_forward[0].proj.bias])
        copy(mine.feed_forward.out, [feed_forward[2].weight], [feed_forward[2].bias])
    copy(ours.modulation, [theirs.proj_out_1.weight], [theirs.proj_out_1.bias])
    channels = theirs.out_channels  # theirs puts the channels of a patch last, ours first
    weight, bias = (
        each.unflatten(0, (PATCH * PATCH, channels)).transpose(0, 1).flatten(0, 1)
        for each in (theirs.proj_out_2.weight.data, theirs.proj_out_2.bias.data)
    )
    copy(ours.patch_out, [weight], [bias])


def test_without_modulation_there_is_one_token_for_time_and_one_for_the_vector() -> None:
    network = DiT(DiTConfig(width=WIDTH, depth=1, num_heads=HEADS, modulation="none", vector_width=5))
    lengths = []
    network.blocks[0].register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    x, t = torch.randn(2, 4, 8, 8), torch.rand(2)
    network(x, t, Conditioning())
    network(x, t, Conditioning(vector=torch.randn(2, 5)))
    assert lengths == [4 + 1, 4 + 2]


def test_leaving_out_modulation_saves_a_third_of_the_parameters() -> None:
    counts = [parameters(DiT(DiTConfig(width=64, depth=4, num_heads=2, modulation=m))) for m in ("adaln_zero", "none")]
    assert 0.60 < counts[1] / counts[0] < 0.72


def test_swiglu_has_as_many_parameters_as_gelu() -> None:
    counts = [parameters(DiT(DiTConfig(width=48, depth=2, feed_forward=kind))) for kind in ("gelu", "swiglu")]
    assert abs(counts[1] / counts[0] - 1) < 0.01


def test_the_bottleneck_narrows_the_patches() -> None:
    network = DiT(DiTConfig(width=WIDTH, depth=1, num_heads=HEADS, patch=8, bottleneck=6))
    assert isinstance(network.patch_in, nn.Sequential)
    assert [tuple(layer.weight.shape) for layer in network.patch_in] == [(6, 4 * 64), (WIDTH, 6)]


@pytest.mark.parametrize("modulation", ["adaln_zero", "none"])
def test_one_network_takes_any_size_and_sees_where_things_are(modulation: str) -> None:
    network = DiT(DiTConfig(width=WIDTH, depth=1, num_heads=HEADS, modulation=modulation))  # type: ignore[arg-type]
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    for size in ((8, 8), (4, 20), (36, 4)):
        assert network(torch.randn(1, 4, *size), torch.rand(1), Conditioning()).shape == (1, 4, *size)
    x, t = torch.randn(1, 4, 4, 16), torch.rand(1)
    swapped = torch.cat([x[..., 4:8], x[..., :4], x[..., 8:]], dim=-1)  # the first two of four patches
    before, after = network(x, t, Conditioning()), network(swapped, t, Conditioning())
    assert not torch.allclose(before[..., 8:], after[..., 8:], atol=1e-3)


def test_frames_may_be_cut_too() -> None:
    config = DiTConfig(dims=3, width=WIDTH, depth=1, num_heads=2, time_patch=2)
    assert DiT(config)(torch.randn(1, 4, 4, 8, 4), torch.rand(1), Conditioning()).shape == (1, 4, 4, 8, 4)
    with pytest.raises(InputError, match=r"\(3, 8, 4\).*\(2, 4, 4\)"):
        DiT(config)(torch.randn(1, 4, 3, 8, 4), torch.rand(1), Conditioning())


def test_four_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="dims is 4"):
        DiT(DiTConfig(dims=4))


def test_a_convolution_before_each_block_changes_nothing_at_first_and_sees_its_kernel_alone() -> None:
    torch.manual_seed(0)
    shape = {"dims": 1, "patch": 1, "width": 32, "depth": 2, "num_heads": 2}
    plain, local = DiT(DiTConfig(**shape)), DiT(DiTConfig(**shape, local=5))  # type: ignore[arg-type]
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.1)
    missing, unexpected = local.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and {name.split(".")[0] for name in missing} == {"locals"}
    x, t = torch.randn(2, 4, 12), torch.tensor([0.3, 0.9])
    told = Conditioning()
    assert torch.equal(local(x, t, told), plain(x, t, told))
    nn.init.normal_(local.locals[0].convolution.weight)  # type: ignore[union-attr]
    assert not torch.allclose(local(x, t, told), plain(x, t, told))
    rows = torch.randn(1, 12, 32)
    moved = rows.clone()
    moved[0, 0] += 1
    for circular, reached in ((False, [0, 1, 2]), (True, [0, 1, 2, 10, 11])):
        difference = (local.locals[0](moved, circular) - local.locals[0](rows, circular))[0].abs().amax(1)
        assert difference.nonzero()[:, 0].tolist() == reached


def test_around_a_circle_rolled_patches_come_out_rolled_with_convolutions_too() -> None:
    torch.manual_seed(0)
    network = DiT(DiTConfig(dims=1, patch=1, width=32, depth=2, num_heads=2, local=7))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    x, t = torch.randn(1, 4, 9), torch.tensor([0.5])
    made = network(x, t, Conditioning(), circular=True)
    torch.testing.assert_close(network(x.roll(4, -1), t, Conditioning(), circular=True), made.roll(4, -1))
    assert not torch.allclose(network(x.roll(4, -1), t, Conditioning()), made.roll(4, -1), atol=1e-3)


@pytest.mark.parametrize("shape", [{"dims": 2}, {"dims": 1, "local": 4}, {"dims": 1, "modulation": "none"}])
def test_convolutions_are_of_one_axis_and_an_odd_number(shape: dict[str, object]) -> None:
    with pytest.raises(InputError, match="it is odd, and only where dims is 1"):
        DiT(DiTConfig(**{"local": 5, **shape}))  # type: ignore[arg-type]
