"""The published GLIDE layouts: each of their tensors goes into ours once, and the network then computes what they say.

The layout and the forward pass below are written from the published code's names and equations, tensor by tensor.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioning
from text2x.diffusion.schedules import Betas
from text2x.errors import InputError
from text2x.networks.text_encoder import TextTransformer, TextTransformerConfig
from text2x.networks.unet import UNet, UNetConfig
from text2x.published.glide import EXTRA, Form, GlideConfig, glide_config, glide_weights

HERE = Path("folder")
FORMS: tuple[Form, ...] = get_args(Form)
Shapes = dict[str, tuple[int, ...]]


def linear(name: str, outputs: int, *inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def residual_layout(name: str, before: int, after: int, embedding: int) -> Shapes:
    shapes = {
        **linear(f"{name}.in_layers.0", before),
        **linear(f"{name}.in_layers.2", after, before, 3, 3),
        **linear(f"{name}.emb_layers.1", 2 * after, embedding),
        **linear(f"{name}.out_layers.0", after),
        **linear(f"{name}.out_layers.3", after, after, 3, 3),
    }
    return shapes if before == after else {**shapes, **linear(f"{name}.skip_connection", after, before, 1, 1)}


def attention_layout(name: str, channels: int, text: int) -> Shapes:
    return {
        **linear(f"{name}.norm", channels),
        **linear(f"{name}.qkv", 3 * channels, channels, 1),
        **linear(f"{name}.encoder_kv", 2 * channels, text, 1),
        **linear(f"{name}.proj_out", channels, channels, 1),
    }


def text_layout(width: int, layers: int, tokens: int, vocabulary: int) -> Shapes:
    shapes: Shapes = {"token_embedding.weight": (vocabulary, width)}
    shapes |= {f"{kind}_embedding": (tokens, width) for kind in ("positional", "padding")}
    for index in range(layers):
        name = f"transformer.resblocks.{index}"
        shapes |= linear(f"{name}.attn.c_qkv", 3 * width, width) | linear(f"{name}.attn.c_proj", width, width)
        shapes |= linear(f"{name}.ln_1", width) | linear(f"{name}.ln_2", width)
        shapes |= linear(f"{name}.mlp.c_fc", 4 * width, width) | linear(f"{name}.mlp.c_proj", width, 4 * width)
    return shapes | linear("final_ln", width)


def layout(inputs: int, width: int, multipliers: tuple[int, ...], blocks: int, at: set[int], text: int) -> Shapes:
    """Names and shapes of a UNet that attends at the down-sampling rates `at`."""
    embedding = 4 * width
    shapes = linear("time_embed.0", embedding, width) | linear("time_embed.2", embedding, embedding)
    shapes |= linear("transformer_proj", embedding, text)
    channels = width * multipliers[0]
    shapes |= linear("input_blocks.0.0", channels, inputs, 3, 3)
    skips, rate, place = [channels], 1, 1
    for level, multiplier in enumerate(multipliers):
        for _ in range(blocks):
            shapes |= residual_layout(f"input_blocks.{place}.0", channels, width * multiplier, embedding)
            channels = width * multiplier
            if rate in at:
                shapes |= attention_layout(f"input_blocks.{place}.1", channels, text)
            place += 1
            skips.append(channels)
        if level + 1 < len(multipliers):
            shapes |= residual_layout(f"input_blocks.{place}.0", channels, channels, embedding)
            place += 1
            skips.append(channels)
            rate *= 2
    for index in (0, 2):
        shapes |= residual_layout(f"middle_block.{index}", channels, channels, embedding)
    shapes |= attention_layout("middle_block.1", channels, text)
    place = 0
    for level, multiplier in reversed(list(enumerate(multipliers))):
        for index in range(blocks + 1):
            name, before = f"output_blocks.{place}", channels + skips.pop()
            channels = width * multiplier
            shapes |= residual_layout(f"{name}.0", before, channels, embedding)
            if rate in at:
                shapes |= attention_layout(f"{name}.1", channels, text)
            if level and index == blocks:
                shapes |= residual_layout(f"{name}.{2 if rate in at else 1}", channels, channels, embedding)
                rate //= 2
            place += 1
    return shapes | linear("out.0", channels) | linear("out.2", 6, channels, 3, 3)


def published_layout(form: Form, width: int, text: int, layers: int) -> Shapes:
    """The layout of a released form, at these widths."""
    inputs = {"base": 3, "upsampler": 6, "base-inpaint": 7, "upsampler-inpaint": 10}[form]
    if form.startswith("upsampler"):
        network = layout(inputs, width, (1, 1, 2, 2, 4, 4), 2, {8, 16, 32}, text)
    else:
        network = layout(inputs, width, (1, 2, 3, 4), 3, {2, 4, 8}, text)
    return network | text_layout(text, layers, 128, 50_257)


@pytest.mark.parametrize("form", FORMS)
def test_each_tensor_of_a_published_layout_is_used_and_each_of_ours_is_filled(form: Form) -> None:
    shapes = published_layout(form, 16, 16, 2)
    tensors = {name: torch.full(shape, 1.0 + index) for index, (name, shape) in enumerate(shapes.items())}
    both = glide_weights(glide_config(form, 16, 16, 2), tensors, HERE)
    found = {float(value.flatten()[0]) for weights in both for value in weights.values()}
    assert found == {1.0 + index for index in range(len(shapes))}  # every published tensor, and nothing else
    count = sum(value.numel() for weights in both for value in weights.values())
    assert count == sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.medium
@pytest.mark.parametrize("form", FORMS)
def test_the_released_sizes_have_the_released_shapes(form: Form) -> None:
    config = glide_config(form)
    shapes = published_layout(form, 192, 512, 16)
    with torch.device("meta"):
        ours = [UNet(config.network), TextTransformer(config.text)]
    count = sum(each.numel() for module in ours for each in module.parameters())
    assert count == sum(math.prod(shape) for shape in shapes.values())
    published = {"base": 385_030_726, "upsampler": 398_361_286}  # as programs that load them print
    assert count == published.get(form, count)
    assert config.network.extra_channels == EXTRA[form]


def test_the_schedules_are_the_published_ones() -> None:
    assert glide_config("base").schedule == Betas("cosine", 1000)
    assert glide_config("upsampler-inpaint").schedule == Betas("linear", 1000, 1e-4, 0.02)


def small(form: Form = "base-inpaint") -> tuple[GlideConfig, dict[str, Tensor]]:
    """Two levels with 32 groups in each norm, as the published widths have, and random weights of its layout."""
    network = replace(
        glide_config(form, 128, 32, 2).network, multipliers=(1, 2), blocks_per_level=1, attention_levels=(1,)
    )
    text = TextTransformerConfig(30, 12, 32, 2, 8)
    shapes = layout(3 + network.extra_channels, 128, (1, 2), 1, {2}, 32) | text_layout(32, 2, 12, 30)
    tensors = {}
    for name, shape in shapes.items():
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 4
        scale = 1.0 if "embedding" in name else fan_in**-0.5
        tensors[name] = torch.randn(shape) * scale
    return GlideConfig(network, text, Betas("cosine")), tensors


class Published:
    """The forward pass by the published names and equations."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]

    def groups(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, *self.pair(name))

    def convolved(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.pair(name)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def residual(self, name: str, x: Tensor, embedding: Tensor, size: float = 1.0) -> Tensor:
        def resized(values: Tensor) -> Tensor:
            if size == 0.5:
                return F.avg_pool2d(values, 2)
            return values.repeat_interleave(2, 2).repeat_interleave(2, 3) if size == 2 else values

        hidden = F.silu(self.groups(f"{name}.in_layers.0", x))
        hidden = self.convolved(f"{name}.in_layers.2", resized(hidden))
        both = F.linear(F.silu(embedding), *self.pair(f"{name}.emb_layers.1"))[:, :, None, None]
        scale, shift = both.chunk(2, 1)
        hidden = self.groups(f"{name}.out_layers.0", hidden) * (1 + scale) + shift
        hidden = self.convolved(f"{name}.out_layers.3", F.silu(hidden))
        changes = f"{name}.skip_connection.weight" in self.tensors
        return hidden + (self.convolved(f"{name}.skip_connection", x) if changes else resized(x))

    def attention(self, name: str, x: Tensor, text: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        heads = channels // 64
        own = F.conv1d(self.groups(f"{name}.norm", x).flatten(2), *self.pair(f"{name}.qkv"))
        query, key, value = own.reshape(batch * heads, 3 * 64, -1).split(64, 1)  # head by head
        told = F.conv1d(text.transpose(1, 2), *self.pair(f"{name}.encoder_kv")).reshape(batch * heads, 2 * 64, -1)
        text_key, text_value = told.split(64, 1)
        key, value = torch.cat([text_key, key], 2), torch.cat([text_value, value], 2)
        weights = (torch.einsum("bct,bcs->bts", query, key) / 8).softmax(-1)
        seen = torch.einsum("bts,bcs->bct", weights, value).reshape(batch, channels, -1)
        return x + F.conv1d(seen, *self.pair(f"{name}.proj_out")).reshape(x.shape)

    def text(self, ids: Tensor, mask: Tensor, layers: int, heads: int) -> Tensor:
        words = self.tensors["token_embedding.weight"][ids] + self.tensors["positional_embedding"]
        x = torch.where(mask[..., None], words, self.tensors["padding_embedding"])
        width = x.shape[-1]
        for index in range(layers):
            name = f"transformer.resblocks.{index}"
            rows = F.linear(F.layer_norm(x, (width,), *self.pair(f"{name}.ln_1")), *self.pair(f"{name}.attn.c_qkv"))
            query, key, value = rows.unflatten(-1, (heads, -1)).split(width // heads, -1)
            weights = (torch.einsum("bthc,bshc->bhts", query, key) * (width // heads) ** -0.5).softmax(-1)
            seen = torch.einsum("bhts,bshc->bthc", weights, value).flatten(2)
            x = x + F.linear(seen, *self.pair(f"{name}.attn.c_proj"))
            hidden = F.linear(F.layer_norm(x, (width,), *self.pair(f"{name}.ln_2")), *self.pair(f"{name}.mlp.c_fc"))
            x = x + F.linear(F.gelu(hidden), *self.pair(f"{name}.mlp.c_proj"))
        return F.layer_norm(x, (width,), *self.pair("final_ln"))

    def embedding(self, steps: Tensor, text: Tensor, width: int) -> Tensor:
        rates = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2))
        waves = torch.cat([(steps[:, None] * rates).cos(), (steps[:, None] * rates).sin()], 1)
        hidden = F.silu(F.linear(waves, *self.pair("time_embed.0")))
        return F.linear(hidden, *self.pair("time_embed.2")) + F.linear(text[:, -1], *self.pair("transformer_proj"))

    def small(self, x: Tensor, steps: Tensor, text: Tensor) -> Tensor:
        """The network of `small`, block by block."""
        emb = self.embedding(steps, text, 128)
        first = self.convolved("input_blocks.0.0", x)
        second = self.residual("input_blocks.1.0", first, emb)
        third = self.residual("input_blocks.2.0", second, emb, 0.5)
        fourth = self.attention("input_blocks.3.1", self.residual("input_blocks.3.0", third, emb), text)
        middle = self.attention("middle_block.1", self.residual("middle_block.0", fourth, emb), text)
        middle = self.residual("middle_block.2", middle, emb)
        up = self.residual("output_blocks.0.0", torch.cat([middle, fourth], 1), emb)
        up = self.attention("output_blocks.0.1", up, text)
        up = self.residual("output_blocks.1.0", torch.cat([up, third], 1), emb)
        up = self.residual("output_blocks.1.2", self.attention("output_blocks.1.1", up, text), emb, 2)
        up = self.residual("output_blocks.2.0", torch.cat([up, second], 1), emb)
        up = self.residual("output_blocks.3.0", torch.cat([up, first], 1), emb)
        return self.convolved("out.2", F.silu(self.groups("out.0", up)))


def test_text_network_and_attention_over_padding_compute_what_the_published_code_says() -> None:
    config, tensors = small()
    network, transformer = UNet(config.network).eval(), TextTransformer(config.text)
    for module, weights in zip((network, transformer), glide_weights(config, tensors, HERE), strict=True):
        module.load_state_dict(weights)
    published = Published(tensors)
    ids, mask = torch.randint(0, 30, (2, 12)), torch.arange(12) < torch.tensor([[5], [12]])
    x, known, steps = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 8, 8), torch.tensor([3, 870])
    with torch.no_grad():
        expected_text = published.text(ids, mask, layers=2, heads=8)
        states, last = transformer(ids, mask)
        torch.testing.assert_close(states, expected_text, atol=1e-4, rtol=0)
        expected = published.small(torch.cat([x, known], 1), steps, expected_text)
        made = network(x, (steps + 1) / 1000, Conditioning(states, mask, last, known))
    assert expected.std() > 0.1 and expected.shape == (2, 6, 8, 8)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


def test_a_layout_of_another_form_is_refused_by_name() -> None:
    config, tensors = small("base-inpaint")
    other = replace(config, network=replace(config.network, extra_channels=0))
    with pytest.raises(InputError, match=r"input_blocks\.0\.0\.weight \[128, 7, 3, 3\]; .* shape \[128, 3, 3, 3\]"):
        glide_weights(other, tensors, HERE)
    del tensors["input_blocks.3.1.encoder_kv.bias"]
    with pytest.raises(InputError, match=r"folder lacks input_blocks\.3\.1\.encoder_kv\.bias"):
        glide_weights(config, tensors, HERE)


def test_what_published_models_need_is_off_unless_asked_for() -> None:
    network = UNet(UNetConfig(width=16, multipliers=(1,), attention_levels=(0,), context_width=8, vector_width=4))
    assert (
        network.context_norm is not None and network.embedding.num_steps == 0 and network.embedding.frequencies == 256
    )
