"""The diffusion transformer over clips: loops, known frames, sizes, packing. Oracles are identities and laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from text2x.clip_conditioning import TOLD, told_numbers
from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.dit import DiTConfig
from text2x.networks.video_dit import VideoDiT, VideoDiTConfig, _angles

INNER = DiTConfig(
    dims=3,
    in_channels=4,
    out_channels=4,
    patch=4,
    width=64,
    depth=2,
    num_heads=2,
    text_attention="cross",
    context_width=12,
    vector_width=8,
)
CONFIG = VideoDiTConfig(INNER, frame_channels=5, most_frames=16)


def built(config: VideoDiTConfig = CONFIG) -> VideoDiT:
    """A network no part of which is zero."""
    torch.manual_seed(0)
    network = VideoDiT(config)
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return network.eval()


def told(count: int, loops: bool = False, rate: float = 12.0) -> Tensor:
    return told_numbers(torch.full((count,), rate), torch.full((count,), 5.0), torch.full((count,), loops))


def condition(count: int, loops: bool = False, channels: Tensor | None = None, rate: float = 12.0) -> Conditioning:
    rng = torch.Generator().manual_seed(7)
    context, words = torch.randn(count, 8, 12, generator=rng), torch.randn(count, 8, generator=rng)
    mask = torch.arange(8) < 2 + 3 * torch.arange(count)[:, None] % 8
    return Conditioning(context, mask, torch.cat([words, told(count, loops, rate)], 1), channels)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_fresh_network_returns_zero() -> None:
    network = VideoDiT(CONFIG)
    made = network(noise(2, 4, 3, 8, 8), torch.tensor([0.2, 0.9]), condition(2))
    assert made.shape == (2, 4, 3, 8, 8) and not made.any()


def test_known_frames_and_what_is_told_change_nothing_before_training() -> None:
    network = built()
    for layer in (network.told[-1], network.frame_in):
        torch.nn.init.zeros_(layer.weight)  # type: ignore[union-attr, arg-type]
    torch.nn.init.zeros_(network.told[-1].bias)  # type: ignore[arg-type]
    fresh = VideoDiT(CONFIG)
    assert fresh.frame_in is not None and not fresh.frame_in.weight.any() and not fresh.told[-1].weight.any()
    x, t = noise(2, 4, 3, 8, 8), torch.tensor([0.2, 0.9])
    plain = network(x, t, condition(2))
    assert torch.equal(plain, network(x, t, condition(2, channels=noise(2, 5, 3, 8, 8))))
    assert torch.equal(plain, network(x, t, condition(2, rate=3.0)))


def test_known_frames_rate_and_words_change_what_is_made() -> None:
    network, x, t = built(), noise(1, 4, 3, 8, 8), torch.tensor([0.5])
    plain = network(x, t, condition(1))
    words = replace(condition(1), context=noise(1, 8, 12, seed=9))
    for changed in (condition(1, channels=noise(1, 5, 3, 8, 8)), condition(1, rate=3.0), words):
        assert (network(x, t, changed) - plain).abs().max() > 1e-3


def test_absent_channels_are_the_same_as_nothing_known() -> None:
    network, x, t = built(), noise(1, 4, 3, 8, 8), torch.tensor([0.5])
    assert torch.equal(network(x, t, condition(1)), network(x, t, condition(1, channels=torch.zeros(1, 5, 3, 8, 8))))


@pytest.mark.parametrize("frames", [4, 6, 16])
def test_rolling_the_frames_of_a_loop_rolls_what_is_made(frames: int) -> None:
    network, x, t = built(), noise(2, 4, frames, 8, 8), torch.tensor([0.3, 0.8])
    known = noise(2, 5, frames, 8, 8, seed=3)
    made = network(x, t, condition(2, True, known))
    rolled = network(x.roll(1, 2), t, condition(2, True, known.roll(1, 2)))
    torch.testing.assert_close(rolled, made.roll(1, 2), atol=2e-5, rtol=0)
    open_made = network(x, t, condition(2, False, known))
    open_rolled = network(x.roll(1, 2), t, condition(2, False, known.roll(1, 2)))
    assert (open_rolled - open_made.roll(1, 2)).abs().max() > 1e-3


def test_a_loop_of_time_patches_rolls_by_whole_patches() -> None:
    network = built(replace(CONFIG, transformer=replace(INNER, time_patch=2)))
    x, t = noise(1, 4, 8, 8, 8), torch.tensor([0.3])
    made, rolled = (network(each, t, condition(1, True)) for each in (x, x.roll(2, 2)))
    torch.testing.assert_close(rolled, made.roll(2, 2), atol=2e-5, rtol=0)


def test_the_angle_between_two_patches_depends_on_their_distance_and_in_a_loop_on_that_around_it() -> None:
    counts, width = (6, 2, 3), 24
    spread = _angles(counts, torch.tensor([False, True]), width).unflatten(1, counts)  # [2, T, H, W, d / 2]
    for angle in spread:
        assert torch.allclose(angle[4, 1, 2] - angle[2, 0, 1], angle[3, 1, 1] - angle[1, 0, 0], atol=1e-5)
    turns = (spread[1, 1, 0, 0] - spread[1, 0, 0, 0])[: width // 6] * counts[0] / (2 * torch.pi)
    torch.testing.assert_close(turns, turns.round(), atol=1e-5, rtol=0)  # whole turns in a clip
    assert (turns.round() >= 1).all()
    apart = (spread[0, 1, 0, 0] - spread[0, 0, 0, 0])[: width // 6] * counts[0] / (2 * torch.pi)
    assert (apart - apart.round()).abs().max() > 0.01


def test_a_looping_clip_in_a_batch_is_as_alone() -> None:
    network, x, t = built(), noise(2, 4, 4, 8, 8), torch.tensor([0.3, 0.8])
    numbers = torch.cat([told(1, True), told(1, False)])
    both = condition(2)
    assert both.vector is not None
    mixed = replace(both, vector=torch.cat([both.vector[:, :-TOLD], numbers], 1))
    made = network(x, t, mixed)
    for item in range(2):
        alone = network(x[item : item + 1], t[item : item + 1], mixed[item : item + 1])
        assert torch.equal(alone[0], made[item])


SIZES = [(1, 8, 8), (3, 8, 12), (5, 4, 4), (2, 12, 8)]


@pytest.mark.parametrize("text", ["cross", "none"])
def test_clips_of_any_size_in_one_pass_give_what_each_gives_alone(text: Any) -> None:
    network = built(replace(CONFIG, transformer=replace(INNER, text_attention=text)))
    clips = [noise(4, *size, seed=place) for place, size in enumerate(SIZES)]
    known = [noise(5, *size, seed=place + 9) if place % 2 else None for place, size in enumerate(SIZES)]
    t, told_all = torch.tensor([0.1, 0.4, 0.6, 0.9]), condition(4, True)
    made = network.packed(clips, t, told_all, known)
    for place, (clip, more) in enumerate(zip(clips, known, strict=True)):
        item = told_all[place : place + 1].with_channels(None if more is None else more[None])
        expected = network(clip[None], t[place : place + 1], item)[0]
        assert made[place].shape == clip.shape
        torch.testing.assert_close(made[place], expected, atol=2e-5, rtol=0)
    assert made[1].std() > 0.1


def test_what_a_clip_is_packed_with_changes_no_byte_of_it() -> None:
    network = built()
    clips = [noise(4, *size, seed=place) for place, size in enumerate(SIZES)]
    t, told_all = torch.tensor([0.1, 0.4, 0.6, 0.9]), condition(4)
    together = network.packed(clips, t, told_all)
    for place, clip in enumerate(clips):
        alone = network.packed([clip], t[place : place + 1], told_all[place : place + 1])
        assert torch.equal(alone[0], together[place])
    others = network.packed([noise(4, 4, 8, 8, seed=5), clips[1]], t[:2], told_all[:2])
    assert torch.equal(others[1], together[1])


def test_a_picture_is_a_clip_of_one_frame_whatever_the_patch_in_time() -> None:
    network = built(replace(CONFIG, transformer=replace(INNER, time_patch=2)))
    picture, t = noise(1, 4, 1, 8, 8), torch.tensor([0.4])
    made = network(picture, t, condition(1))
    twice = network(picture.expand(-1, -1, 2, -1, -1), t, condition(1))
    assert made.shape == picture.shape
    torch.testing.assert_close(made, twice.mean(2, keepdim=True))
    torch.testing.assert_close(network.packed([picture[0]], t, condition(1))[0], made[0], atol=2e-5, rtol=0)


def test_every_parameter_gets_a_gradient_packed_or_not() -> None:
    network, t = built(), torch.tensor([0.3, 0.8])
    x, known = noise(2, 4, 3, 8, 8), noise(2, 5, 3, 8, 8)
    network(x, t, condition(2, channels=known)).square().sum().backward()
    plain = {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
    assert all(name in plain and plain[name].any() for name, _ in network.named_parameters())
    network.zero_grad()
    made = network.packed(list(x), t, condition(2), list(known))
    torch.stack(made).square().sum().backward()
    for name, each in network.named_parameters():
        assert each.grad is not None
        torch.testing.assert_close(each.grad, plain[name], atol=2e-3, rtol=1e-3)


def test_a_frame_sees_all_others_and_a_clip_no_other() -> None:
    network, t = built(), torch.tensor([0.3, 0.8])
    x = noise(2, 4, 3, 8, 8).requires_grad_()
    network(x, t, condition(2))[0, :, 0].square().sum().backward()
    assert x.grad is not None
    assert all(x.grad[0, :, frame].any() for frame in range(3)) and not x.grad[1].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": 2}, "transformer.dims is 2; a video DiT has 3"),
        ({"positions": "sines"}, "transformer.positions is 'sines'; a video DiT has 'rope'"),
        ({"modulation": "none"}, "transformer.modulation"),
        ({"text_attention": "joint"}, "transformer.text_attention is 'joint'; a video DiT has 'cross'"),
        ({"extra_channels": 5}, "transformer.extra_channels is 5"),
    ],
)
def test_shapes_that_are_none_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoDiT(replace(CONFIG, transformer=replace(INNER, **change)))


@pytest.mark.parametrize(
    ("size", "message"), [((17, 8, 8), "17 frames do not fit"), ((3, 8, 8), "multiples of 2"), ((2, 6, 8), "multiples")]
)
def test_clips_that_do_not_fit_are_refused_with_their_size(size: tuple[int, int, int], message: str) -> None:
    network = built(replace(CONFIG, transformer=replace(INNER, time_patch=2)))
    with pytest.raises(InputError, match=message):
        network(noise(1, 4, *size), torch.tensor([0.5]), condition(1))
