"""The published diffusion transformer on random weights: ours with theirs gives what diffusers gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from random_networks import filled, saved, shaken
from torch.nn.functional import one_hot

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.dit import DiT
from text2x.nn.initialization import no_initialization
from text2x.published.dit import dit_config, dit_weights

HERE = Path("folder")
CLASSES = 10


def transformer(diffusers: Any) -> Any:
    """A small one, whose blocks have the same embedding, as those of published files."""
    theirs = shaken(
        diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=8,
            num_layers=3,
            sample_size=8,
            num_embeds_ada_norm=CLASSES,
        )
    )
    first = theirs.transformer_blocks[0].norm1.emb.state_dict()
    for block in theirs.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(first)
    return theirs


@pytest.mark.medium  # importing diffusers takes seconds
def test_a_dit_with_diffusers_weights_gives_its_output(diffusers: Any) -> None:
    theirs = transformer(diffusers)
    ours = filled(dit_weights(saved(theirs), theirs.state_dict(), HERE))
    x, steps, classes = torch.randn(3, 4, 8, 8), torch.tensor([0, 421, 999]), torch.tensor([0, 7, CLASSES])
    with torch.no_grad():
        expected = theirs(x, steps, classes).sample
        made = ours(x, (steps + 1) / 1000, Conditioning(vector=one_hot(classes, CLASSES + 1).float()))
    assert expected.std() > 0.1
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


@pytest.mark.medium
def test_blocks_with_embeddings_of_their_own_are_refused(diffusers: Any) -> None:
    theirs = transformer(diffusers)
    tensors = dict(theirs.state_dict())
    name = "transformer_blocks.2.norm1.emb.timestep_embedder.linear_1.bias"
    tensors[name] = tensors[name] + 1
    with pytest.raises(InputError, match=f"{name} is not that of the first block"):
        dit_weights(saved(theirs), tensors, HERE)


def test_the_published_size_has_the_published_number_of_parameters() -> None:
    config = dit_config({"out_channels": 8})
    counts = []
    for depth in (1, 2):
        with no_initialization():
            network = DiT(replace(config, depth=depth))
        counts.append(sum(each.numel() for each in network.parameters()))
    count = counts[0] + (config.depth - 1) * (counts[1] - counts[0])
    # 675 M in Table 1 of the paper; its code also counts the fixed positions, and has no bias of the classes
    assert count == 675_129_632 - 256 * 1152 + 1152


def test_settings_that_we_have_not_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="norm_type of this DiTTransformer2DModel is 'ada_norm_single'"):
        dit_config({"norm_type": "ada_norm_single"})
