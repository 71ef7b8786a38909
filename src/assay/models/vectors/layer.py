"""Word vectors as the input layer of a model.

    tokens of a vocabulary, vectors -> embedding_for -> (V, D), share of tokens known -> put(model, matrix)

What a token stands for in words (its text in lower case, without the space before it) is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.models.vectors.values import WordVectors


def embedding_for(
    tokens: Sequence[str], vectors: WordVectors, generator: torch.Generator | None = None
) -> tuple[Tensor, float]:
    """An embedding matrix (V, D) float32 for a vocabulary, and the share of its tokens that have a vector.

    Rows of known tokens are their vectors; the others are drawn from a normal distribution of the same mean and
    variance of entries, so that no token is louder than the rest.

    Args:
        tokens: the word that each token id stands for; "" for none.

    Raises:
        InputError: no token has a vector.
    """
    found = [vectors.vector(token) if token else None for token in tokens]
    known = np.array([row is not None for row in found], dtype=bool)
    if not known.any():
        raise InputError(
            f"none of {len(tokens)} tokens has a vector", remedy="give vectors of the language of the tokenizer"
        )
    rows = torch.from_numpy(np.stack([row for row in found if row is not None]).astype(np.float32))
    matrix_VD = torch.randn(len(tokens), vectors.width, generator=generator) * rows.std() + rows.mean()
    matrix_VD[torch.from_numpy(known)] = rows
    return matrix_VD, float(known.mean())


@torch.no_grad()
def put(model: nn.Module, matrix_VD: Tensor) -> None:
    """Let a matrix be the model's embedding, scaled to the root mean square of the entries that it replaces: learning
    rates and a tied output matrix keep their meaning.

    Raises:
        InputError: the model's embedding is of another shape; nothing was changed.
    """
    embedding = model.get_parameter("embedding")
    if embedding.shape != matrix_VD.shape:
        raise InputError(
            f"vectors of shape {tuple(matrix_VD.shape)} for an embedding of shape {tuple(embedding.shape)}",
            remedy=f"learn vectors of width {embedding.shape[1]}, or give the model width {matrix_VD.shape[1]}",
        )
    before = embedding.float().square().mean().sqrt()
    embedding.copy_(matrix_VD * (before / matrix_VD.square().mean().sqrt()))
