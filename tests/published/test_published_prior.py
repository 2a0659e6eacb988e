"""The published diffusion prior on random weights: ours with theirs gives what diffusers gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from random_networks import filled, saved, shaken

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.published.prior import prior_config, prior_weights

HERE = Path("folder")
SMALL = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "embedding_dim": 12, "num_embeddings": 7}


@pytest.mark.medium  # importing diffusers takes seconds
@pytest.mark.parametrize("norm", [None, "layer"])
def test_a_prior_with_diffusers_weights_gives_its_output(diffusers: Any, norm: str | None) -> None:
    theirs = shaken(diffusers.PriorTransformer(**SMALL, norm_in_type=norm))
    ours = filled(prior_weights(saved(theirs), theirs.state_dict(), HERE))
    x, text, context, steps = torch.randn(2, 12), torch.randn(2, 12), torch.randn(2, 7, 12), torch.tensor([0, 640])
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    with torch.no_grad():
        expected = theirs(x, steps, text, context, mask).predicted_image_embedding
        made = ours(x, (steps + 1) / 1000, Conditioning(context, mask, text))
        assert expected.std() > 0.1
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.unscaled(x), theirs.post_process_latents(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"added_emb_type": None}, "added_emb_type of this PriorTransformer is None; text2x has only 'prd'"),
        ({"embedding_proj_norm_type": "layer"}, "embedding_proj_norm_type .* is 'layer'; text2x has no such setting"),
        ({"clip_embed_dim": 16}, "clip_embed_dim .* is 16; text2x has only 12"),
        ({"additional_embeddings": 6}, "additional_embeddings .* is 6; text2x has only 4"),
    ],
)
def test_settings_that_we_have_not_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prior_config({**SMALL, **change})
