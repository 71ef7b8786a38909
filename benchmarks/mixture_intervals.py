"""Do the intervals of the best mixture hold, where the truth is known?

    python benchmarks/mixture_intervals.py [--tables 168] [--wide 40] [--null 200]

Tables of runs are simulated from responses that are known, with 1 % of noise in every loss:

    law        a mixing law of 4 sources, 48 runs (it is one of the forms that are fitted)
    effective  a power of how useful the text is as a whole, plus a power of each source's share; 5 sources, 60 runs
    power      powers of the shares alone; 8 sources, 64 runs
    wide       the same of 17 sources, 128 runs: as many sources as published tables have

Of each table the best mixture is sought as `assay mixture fit` does it, and another run is made there and at the
natural mixture. Stored: how often the loss of that run, and its gain over the natural one, lie in their nominal 90 %
intervals (with Wilson's intervals), and how often the loss without noise does; the error of the predicted loss; and of
tables that are noise alone, how often their best mixture was called better or worse than the natural one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from assay.impact.surfaces import blend, choice, ensemble, optimum
from assay.machine import one_thread
from common import share, store_result

NOISE, KL, LEVEL = 0.01, 0.05, 0.9
SHAPES = {"law": (4, 48), "effective": (5, 60), "power": (8, 64), "wide": (17, 128), "null": (4, 40)}  # sources, runs
Truth = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=168, help="of each of the first three responses")
    parser.add_argument("--wide", type=int, default=40)
    parser.add_argument("--null", type=int, default=200)
    given = parser.parse_args()
    wanted = dict.fromkeys(("law", "effective", "power"), given.tables) | {"wide": given.wide, "null": given.null}
    found = {}
    with one_thread():
        for family, tables in wanted.items():
            found[family] = [simulated(family, seed) for seed in range(tables)]
            print(family, told(found[family]), flush=True)
    both = [one for family in ("law", "effective", "power") for one in found[family]]
    null = [one["called"] for one in found.pop("null")]
    store_result(
        "mixture_intervals",
        {
            "level": LEVEL,
            "noise": NOISE,
            "all": told(both),
            **{family: told(own) for family, own in found.items()},
            "null": share([bool(one) for one in null]),
        },
    )


def simulated(family: str, seed: int) -> dict[str, Any]:
    """One table, its best mixture, and whether the intervals hold what a run there measures."""
    rng = np.random.default_rng([seed, len(family)])
    sources, runs = SHAPES[family]
    truth, natural = response(family, sources, rng), rng.dirichlet(np.full(sources, 5.0))
    shares = rng.dirichlet(natural * sources * rng.choice([1, 3]), runs)
    losses = noisy(truth(shares), rng)[:, None]
    choices, weights = choice.chosen(shares, losses, choice.forms(*shares.shape)), np.ones(1)
    caps = optimum.measured_caps(shares)
    starts = optimum.starts(natural, shares, losses @ weights)
    surface = blend.fit(choices, shares, losses)
    best = optimum.best(surface, weights[None], natural, KL, caps, starts)[0]
    said = ensemble.judged(choices, shares, losses, weights, natural, KL, caps, natural[None])
    value, low, high = said.loss(LEVEL)
    _, least, most = said.gain(0, LEVEL)
    true, here, there = float(truth(best)), *(float(noisy(truth(x), rng)) for x in (best, natural))
    return {
        "loss": low <= here <= high,
        "without noise": low <= true <= high,
        "gain": least <= there - here <= most,
        "error": value - true,
        "width": high - low,
        "called": least > 0 or most < 0,
    }


def response(family: str, sources: int, rng: np.random.Generator) -> Truth:
    if family == "law":
        rates, floor = rng.normal(0, 1.2, sources), rng.uniform(1, 2)
        return lambda x: np.asarray(floor + np.exp(x @ rates - 0.5))
    if family == "null":
        return lambda x: np.full(x.shape[:-1], 3.0)
    own, useful = rng.dirichlet(np.full(sources, 2.0)), rng.uniform(0.05, 1, sources)
    if family == "effective":
        return lambda x: np.asarray(1.5 + 0.5 * (x @ useful) ** -0.3 + 0.3 * ((x + 0.02) ** -0.25 @ own))
    return lambda x: np.asarray(1.5 + 0.6 * ((x + 0.02) ** -0.3 @ own))


def noisy(losses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(losses * np.exp(NOISE * rng.standard_normal(np.shape(losses))))


def told(tables: list[dict[str, Any]]) -> dict[str, Any]:
    errors = np.array([one["error"] for one in tables])
    return {
        "tables": len(tables),
        **{name: share([one[name] for one in tables]) for name in ("loss", "gain", "without noise")},
        "error": {"mean": float(errors.mean()), "rmse": float((errors**2).mean() ** 0.5)},
        "width": float(np.median([one["width"] for one in tables])),
    }


if __name__ == "__main__":
    main()
