"""Losses of items -> perplexity and bits per byte: ratios of sums (Cochran 1977), so long documents count for more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.errors import InputError
from assay.metrics.scores import F64, Additive, Kind, Values, same_length


def likelihood(
    nll: Sequence[float] | np.ndarray,
    tokens: Sequence[int] | np.ndarray,
    n_bytes: Sequence[int] | np.ndarray | None = None,
) -> Additive:
    """`loss` (nats a token), `perplexity`, and with bytes `bits_per_byte`, which alone compares tokenizers.

    Args:
        nll: (n,) nats of each item.
        tokens: (n,) how many were predicted.
        n_bytes: (n,) that they stand for.

    Raises:
        InputError: columns of different lengths, empty ones, or a loss that is no number.
    """
    columns = [nll, tokens, *([] if n_bytes is None else [n_bytes])]
    same_length("losses, tokens and bytes", *columns)
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    bad = np.flatnonzero(~np.isfinite(table).all(1) | (table[:, 1:] < 0).any(1))
    if len(bad):
        raise InputError("is no loss with a number of tokens", where=f"item {bad[0] + 1}", remedy="give finite numbers")

    def of(sums: F64) -> Values:
        loss = sums[:, 0] / sums[:, 1]
        values = {"loss": loss, "perplexity": np.exp(loss)}
        return values if n_bytes is None else values | {"bits_per_byte": sums[:, 0] / sums[:, 2] / math.log(2)}

    error = Kind("lower", high=np.inf)
    return Additive(table, of, "", {"loss": error, "perplexity": Kind("lower", 1.0, np.inf), "bits_per_byte": error})
