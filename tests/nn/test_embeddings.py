"""The embedding of time, and the vector added to it."""

import math

import torch

from text2x.nn.embeddings import TimeEmbedding, sinusoid


def test_the_sinusoid_is_cosine_and_sine_of_a_thousand_t_at_geometric_frequencies() -> None:
    t = torch.tensor([0.0, 0.25, 1.0])
    embedding = sinusoid(t, 8)
    for row, time in zip(embedding, t.tolist(), strict=True):
        for i in range(4):
            angle = 1000 * time * 10_000 ** (-i / 4)
            assert math.isclose(row[i], math.cos(angle), abs_tol=1e-4)
            assert math.isclose(row[4 + i], math.sin(angle), abs_tol=1e-4)


def test_times_a_thousandth_apart_are_told_apart() -> None:
    embedding = sinusoid(torch.arange(1001) / 1000, 256)
    distances = torch.cdist(embedding, embedding) + 100 * torch.eye(1001)
    assert distances.min() > 0.5


def test_the_vector_is_added_to_the_embedding_of_time_and_can_be_switched_off() -> None:
    embedding, t, vector = TimeEmbedding(16, vector_width=5), torch.rand(3), torch.randn(3, 5)
    projected = embedding.project(vector)
    assert projected is not None and projected.shape == (3, 16)
    torch.testing.assert_close(embedding(t, projected) - embedding(t, None), projected, atol=1e-6, rtol=0)
    assert embedding.project(None) is None
    assert TimeEmbedding(16).project(vector) is None


def test_the_embedding_follows_the_precision_of_its_weights() -> None:
    assert TimeEmbedding(16).to(torch.bfloat16)(torch.rand(2), None).dtype == torch.bfloat16
