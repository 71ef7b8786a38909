"""t-SNE of a few thousand points at most, exact (van der Maaten and Hinton 2008): neighbours stay neighbours.

    points -> for each, chances of its neighbours (perplexity by bisection) -> made symmetric
           -> from the first two columns as the beginning, gradient steps with momentum -> two coordinates a point

Nothing is drawn at random, and the loop is a plain one, of one thread, so that the picture is always the same.
What the distances between far points are, and how dense a cloud is, says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from assay.corpus.text.compiled import compiled

F64 = npt.NDArray[np.float64]

PERPLEXITY = 30.0
STEPS = 400
_EARLY, _EXAGGERATED = 120, 12.0
_BISECTIONS = 60


def tsne(points: F64, perplexity: float = PERPLEXITY, steps: int = STEPS) -> F64:
    """Two coordinates for each of the points (n x d, sorted by importance of the columns), about 0, at most 1 away."""
    n = len(points)
    if n < 3:
        return np.zeros((n, 2)) if n < 2 else np.array([[-1.0, 0.0], [1.0, 0.0]])
    wanted = joint(points, min(perplexity, (n - 1) / 3))
    at = np.zeros((n, 2))
    at[:, : min(2, points.shape[1])] = points[:, :2] - points[:, :2].mean(axis=0)
    at *= 1e-2 / max(float(at.std()), 1e-12)
    rate = max(n / _EXAGGERATED / 4, 20.0)  # Belkina et al. 2019
    step, gain = np.zeros_like(at), np.ones_like(at)
    for i in range(steps):
        early = i < _EARLY
        slope = gradient(wanted * _EXAGGERATED if early else wanted, at)
        gain = np.maximum(np.where(np.sign(slope) != np.sign(step), gain + 0.2, gain * 0.8), 0.01)
        step = (0.5 if early else 0.8) * step - rate * gain * slope
        at = at + step
        at -= at.mean(axis=0)
    return np.asarray(at / max(float(np.abs(at).max()), 1e-12))


def joint(points: F64, perplexity: float) -> F64:
    """The symmetric chances of all pairs (n x n, sum 1): of each point, those of the others are a Gaussian of their
    distance, as wide as gives this perplexity."""
    square = (points**2).sum(axis=1)
    distance = np.round(np.maximum(square[:, None] + square[None, :] - 2 * points @ points.T, 0.0), 9)
    np.fill_diagonal(distance, np.inf)
    distance -= distance.min(axis=1, keepdims=True)
    low, high = np.full(len(points), 1e-6), np.full(len(points), 1e6)
    for _ in range(_BISECTIONS):
        middle = np.sqrt(low * high)
        weight = np.exp(-distance * middle[:, None])
        share = weight / weight.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(share > 0, share * np.log(share), 0.0).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.asarray((share + share.T) / (2 * len(points)))


def gradient(wanted: F64, at: F64) -> F64:
    """Of the Kullback-Leibler divergence between the wanted chances and those of a Student t of the places."""
    slope = np.empty_like(at)
    _gradient(wanted, at, slope)
    return slope


@compiled
def _gradient(wanted: Any, at: Any, slope: Any) -> None:
    n = len(at)
    whole = 0.0
    for i in range(n):
        for j in range(i):
            x, y = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
            whole += 2.0 / (1.0 + x * x + y * y)
    for i in range(n):
        right = up = 0.0
        for j in range(n):
            x, y = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
            near = 1.0 / (1.0 + x * x + y * y)
            force = (wanted[i, j] - near / whole) * near
            right += force * x
            up += force * y
        slope[i, 0], slope[i, 1] = 4.0 * right, 4.0 * up
