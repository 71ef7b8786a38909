"""The mixture of the least loss: minimise f(x) + kl KL(x || natural) on the simplex, under a cap a source.

By mirror descent (Beck and Teboulle 2003): with KL as the distance on the simplex a step has a closed form,

    log x' = (log x + step (kl log natural - slope)) / (1 + step kl),    then min(cap_s, scale x'_s), summing to 1

Surfaces have several minima, so it starts from several mixtures, and each keeps its own step.
"""

from __future__ import annotations

import numpy as np

from assay.impact.surfaces.features import F64
from assay.impact.surfaces.forms import Surface

STEPS = 300
_RUNS = 12  # with the lowest losses, to start from
_ALIKE = 1e-4  # of each target: losses that differ less are the same
_ENOUGH = 1e-6  # of the objective, in all of the last ten steps: as near as anybody needs


def divergence(shares: F64, natural: F64) -> F64:
    """(...) KL(x || natural) in nats; infinite where a mixture holds what the natural one does not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(shares > 0, shares * np.log(shares / natural), 0.0)
    return np.asarray(each.sum(-1))


def best(surface: Surface, weights: F64, natural: F64, kl: float, caps: F64, starts: F64) -> F64:
    """(draws, sources) the best mixture of each draw.

    Args:
        surface: draws of it, or one that is searched with the weights of each draw.
        weights: (draws or 1, targets).
        natural: (sources,); what it does not hold stays out where kl > 0.
        kl: loss that one nat of distance from it counts as.
        caps: (sources,) greatest shares, with a sum of 1 or more.
        starts: (draws or 1, starts, sources).
    """
    draws = max(len(weights), surface.predict(natural[None, None]).shape[0], len(starts))
    free = caps if kl == 0 else np.where(natural > 0, caps, 0.0)
    at = capped(np.broadcast_to(starts, (draws, *starts.shape[1:])) + 1e-4, free)
    step = np.ones(at.shape[:2])
    value, slope = _objective(surface, weights, natural, kl, at)
    log_natural = np.log(np.where(natural > 0, natural, 1.0))
    history = [value]
    for _ in range(STEPS):
        eta = step[..., None]
        log = (np.log(np.maximum(at, 1e-300)) + eta * (kl * log_natural - slope)) / (1 + eta * kl)
        after = capped(np.exp(log - log.max(-1, keepdims=True)), free)
        new, new_slope = _objective(surface, weights, natural, kl, after)
        better = new <= value
        at, slope = np.where(better[..., None], after, at), np.where(better[..., None], new_slope, slope)
        value, step = np.where(better, new, value), np.where(better, 1.5 * step, 0.4 * step)
        history = [*history[-9:], value]
        if len(history) == 10 and (history[0] - value).max() < _ENOUGH:
            break
    return np.take_along_axis(at, value.argmin(1)[:, None, None], 1)[:, 0]


def _objective(surface: Surface, weights: F64, natural: F64, kl: float, at: F64) -> tuple[F64, F64]:
    """(draws, starts) and the slope of the loss alone, (draws, starts, sources)."""
    predicted = surface.predict(at)
    value = (predicted * weights[:, None]).sum(-1)
    return value + (kl * divergence(at, natural) if kl else 0.0), surface.slope(at, predicted, weights)


def starts(natural: F64, shares: F64, losses: F64) -> F64:
    """(1, starts, sources) where to search from: logarithms make a valley where a source is left out, besides another.

    The natural mixture, the same without each source and halfway to each alone, the uniform one, the best runs.

    Args:
        shares: (runs, sources).
        losses: (runs,) weighted over targets.
    """
    alone = np.eye(len(natural))
    lowest = shares[np.argsort(losses, kind="stable")[:_RUNS]]
    return np.concatenate([natural[None], natural * (1 - alone), (natural + alone) / 2, 0 * natural[None] + 1, lowest])[
        None
    ]


def capped(shares: F64, caps: F64) -> F64:
    """(..., sources) the mixture nearest in KL: min(cap, scale x), summing to 1."""
    x = shares * (caps > 0)
    x = x / x.sum(-1, keepdims=True)
    full = np.zeros(x.shape, dtype=bool)
    for _ in range(x.shape[-1]):
        full |= x >= caps
        if not (x > caps).any():
            break
        room = 1 - np.where(full, caps, 0.0).sum(-1, keepdims=True)
        rest = np.where(full, 0.0, x).sum(-1, keepdims=True)
        x = np.where(full, caps, x * np.maximum(room, 0) / np.maximum(rest, 1e-300))
    return x


def measured_caps(shares: F64) -> F64:
    """(sources,) the greatest share of each that three runs reached, or their mean where that is more.

    Beyond, a surface only extrapolates: on RegMix's runs it promised a third of the loss for 98 % of a source of which
    no run had more than 3 %.
    """
    return np.maximum(np.sort(shares, axis=0)[-min(3, len(shares))], shares.mean(0))


def trade_off(surface: Surface, targets: int, natural: F64, kl: float, caps: F64, starts: F64) -> tuple[F64, F64, F64]:
    """The best mixtures as the weights of targets are swept, without those that another one beats or equals.

    Two targets: eleven weights; more: each alone, all alike, and halfway between.

    Returns:
        (points, targets) weights, (points, sources) mixtures, (points, targets) losses.
    """
    corners, even = np.eye(targets), np.full(targets, 1 / targets)
    if targets == 2:
        weights = np.stack([np.linspace(0, 1, 11), np.linspace(1, 0, 11)], 1)
    else:
        weights = np.concatenate([corners, even[None], (corners + even) / 2])
    mixtures = best(surface, weights, natural, kl, caps, starts)
    losses = surface.predict(mixtures[None])[0]
    above = losses[:, None] - losses
    alike = np.tril((np.abs(above) <= _ALIKE).all(-1), -1)
    beaten = (((above >= 0).all(-1) & (above > _ALIKE).any(-1)) | alike).any(1)
    return weights[~beaten], mixtures[~beaten], losses[~beaten]
