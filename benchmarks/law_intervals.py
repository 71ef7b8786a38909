"""Whether the intervals of `assay law fit` hold: on tables simulated from known laws, and on Chinchilla's.

    python benchmarks/law_intervals.py ../shared/data --studies 500

Simulated: 3 sizes of model x 7 of data x 3 seeds, exponents and floor drawn anew for each table, noise 0.4 %. Asked are
runs of twice the largest N, D and both, the exponents, the floor, and the best N for a budget ten times the largest.
Chinchilla (245 published runs): fitted to the smaller 40 to 80 % by compute, predicting the rest; with and without
what past forecasts taught.

What is printed: how often nominal 50, 80 and 90 % held, with Wilson's 95 % interval, and the mean width over loss.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from assay.impact.laws import forecast, uses
from assay.impact.laws.powers import FORMS, Runs, fit
from common import store_result

LEVELS = (0.5, 0.8, 0.9)
NOISE = 0.004
SIZES, TOKENS = np.array([0.4e6, 1.3e6, 4e6]), np.geomspace(1e6, 3e7, 7)
ASKED = np.array([[4e6, 6e7], [8e6, 3e7], [8e6, 6e7]])
BUDGET = 10 * 6 * 4e6 * 3e7
FORM = FORMS["nd"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--studies", type=int, default=500)
    given = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(simulated, range(given.studies), chunksize=5))
    held = {name: [one[name] for one in found] for name in found[0]}
    answer = {
        "studies": given.studies, "noise": NOISE,
        "simulated": {name: {str(level): share([row[i] for row in rows]) for i, level in enumerate(LEVELS)}
                      for name, rows in held.items()},
        "chinchilla": chinchilla(given.data / "laws" / "chinchilla.csv"),
    }  # fmt: skip
    store_result("law_intervals", answer)


def simulated(seed: int) -> dict[str, list[bool]]:
    """What held in one table, at each of LEVELS."""
    rng = np.random.default_rng(seed)
    alpha, beta, floor = rng.uniform(0.25, 0.45), rng.uniform(0.25, 0.45), rng.uniform(0.8, 1.2)

    def loss(n: np.ndarray, d: np.ndarray) -> np.ndarray:
        clean = floor + 0.4 * (n / 1e6) ** -alpha + 0.6 * (d / 5e6) ** -beta
        return np.asarray(clean * np.exp(rng.normal(0, NOISE, len(n))))

    n, d = (np.repeat(part.ravel(), 3) for part in np.meshgrid(SIZES, TOKENS))
    runs = Runs(n, d, loss(n, d), np.arange(len(n)))
    made, past = fit(runs, FORM, draws=300, seed=seed), forecast.past_forecasts(runs, FORM, seed=seed)
    wanted = Runs(ASKED[:, 0], ASKED[:, 1], np.ones(3), np.arange(3))
    measured = loss(wanted.n, wanted.d)
    a, b = 0.4 * 1e6**alpha, 0.6 * 5e6**beta
    best = (alpha * a / (beta * b)) ** (1 / (alpha + beta)) * (BUDGET / 6) ** (beta / (alpha + beta))
    held: dict[str, list[bool]] = {}
    for level in LEVELS:
        found = forecast.forecast(made, past, wanted, level)
        for i, name in enumerate(("twice D", "twice N", "twice both")):
            held.setdefault(name, []).append(bool(found.low[i] <= measured[i] <= found.high[i]))
            held.setdefault(f"{name}, plain", []).append(bool(found.plain_low[i] <= measured[i] <= found.plain_high[i]))
        ends = [0.5 - level / 2, 0.5 + level / 2]
        for name, truth in (("alpha", alpha), ("beta", beta), ("E", floor)):
            low, high = np.quantile(made.draws.parameters[name], ends)
            held.setdefault(name, []).append(bool(low <= truth <= high))
        low, high = uses.optimum(made, past, BUDGET, level).n.interval
        held.setdefault("best N", []).append(bool(low <= best <= high))
    return held


def share(held: list[bool]) -> dict[str, float | list[float]]:
    interval = stats.binomtest(sum(held), len(held)).proportion_ci(method="wilson")
    return {"held": float(np.mean(held)), "interval": [float(interval.low), float(interval.high)]}


def chinchilla(path: Path) -> list[dict[str, Any]]:
    table = pl.read_csv(path)
    n, d, loss = (table[name].to_numpy() for name in ("N", "D", "loss"))
    runs = Runs(n, d, loss, np.arange(len(loss)))
    order, found = np.argsort(forecast.compute(runs), kind="stable"), []
    for part in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8):
        k = int(part * len(runs))
        own, later = runs.at(order[:k]), runs.at(order[k:])
        made, past = fit(own, FORM), forecast.past_forecasts(own, FORM)
        for level in LEVELS:
            told = forecast.forecast(made, past, later, level)
            row: dict[str, Any] = {"fitted_share": part, "level": level}
            for name, low, high in (("", told.low, told.high), ("plain_", told.plain_low, told.plain_high)):
                row[f"{name}held"] = float(((later.loss >= low) & (later.loss <= high)).mean())
                row[f"{name}width"] = float(((high - low) / told.value).mean())
            found.append(row)
    return found


if __name__ == "__main__":
    main()
