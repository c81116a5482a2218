"""How alike items are, by their vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.kernels.likeness import cosines


def test_it_is_the_cosine() -> None:
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)))
    norms = vectors.norm(dim=1)
    expected = vectors @ vectors[2] / (norms * norms[2])
    found = cosines(vectors, 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    assert found[2].item() == pytest.approx(1.0)


def test_a_vector_of_zeros_is_like_nothing() -> None:
    assert cosines(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 0).tolist() == [0.0, 0.0]
