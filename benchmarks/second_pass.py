"""Whether a second pass chooses better, and whether what a study says still holds.

    python benchmarks/second_pass.py [--studies 500] [--null 300] [--plain 2000]

Three ways to spend the same tokens on the same truth of `simulated_studies`, with three to five seeds:

    second    these seeds, and what another would cost kept back for a second pass
    another   one seed more of everything
    longer    these seeds, in longer runs

Seeds scatter as in past studies (`impact.power`). Stored of each way: how often the recipe of the lowest estimate is
the best one, what it loses against that (bpb, at one size for all), the share of claims of doses and of mixtures that
are supported. Of the second pass: how often the raw 90 % intervals of recipes hold, apart for those that got more
seeds; of null studies with one, how many supported any claim.

`plain` are many small cases of nothing but normal errors, by how far recipes are apart (standard deviation, in that of
a run): three seeds, and 14 or 18 runs kept back, about what another seed of such a study costs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from assay.impact import design, power, second
from assay.impact.analysis import Analysis
from assay.impact.claims import Claim
from assay.impact.drafts import drafts
from assay.impact.measure import Difference
from assay.impact.plan import Plan
from assay.impact.statements import decide
from assay.machine import one_thread
from common import share, store_result
from simulated_studies import CELL, Simulated, simulated

LEVEL = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--null", type=int, default=300)
    parser.add_argument("--plain", type=int, default=2000)
    given = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    held: dict[str, list[bool]] = defaultdict(list)
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        for seed in range(given.studies):
            for way, row in compared(seed, Path(folder), held):
                rows[way].append(row)
        null = [_supported(_second(seed, Path(folder), null=True)[1]) for seed in range(10_000, 10_000 + given.null)]
    ways = {way: {name: _mean([row[name] for row in of]) for name in of[0]} for way, of in rows.items()}
    won = {
        way: _mean([b["regret"] - a["regret"] for a, b in zip(rows["second"], rows[way], strict=True)])
        for way in ("another", "longer")
    }
    store_result(
        "second_pass",
        {
            "studies": given.studies,
            "ways": ways,
            "regret saved against": won,
            "plain": [
                plain(recipes, runs, apart, given.plain)
                for recipes, runs in ((5, 14), (9, 18))
                for apart in (0.3, 1.0, 3.0)
            ],
            "intervals held": {what: share(of) for what, of in held.items()},
            "null": {"claims": sum(n for n, _ in null), "supported": sum(found for _, found in null),
                     "studies": share([found > 0 for _, found in null])},
        },
    )  # fmt: skip


def _mean(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "se": float(np.std(values, ddof=1) / len(values) ** 0.5)}


def luck(plan: Plan) -> float:
    """Of seeds as in past studies, against that of `simulated_studies`; a difference has the luck of two runs."""
    run = plan.run_steps * plan.step_tokens
    return power.USUAL_SD * (power.USUAL_TOKENS / run) ** power.TOKENS_EXPONENT / 2**0.5 / CELL


def _drawn(seed: int, folder: Path, *more: str, null: bool = False) -> Simulated:
    return simulated(seed, folder, null=null, more=more, luck=luck, predicted=False)


def _seeds(seed: int) -> int:
    return 3 + seed % 3


def _second(seed: int, folder: Path, *, null: bool = False) -> tuple[Simulated, Analysis, dict[str, int]]:
    """A study with a second pass, after it, and the new seeds of each cell."""
    n = _seeds(seed)
    study = _drawn(seed, folder, f"train.seeds={n}", f"design.second_pass={1 / (n + 1)}", null=null)
    chosen = second.chosen(study.plan, study.analysis.measured, study.plan.more_runs)
    return study, study.with_more(chosen.seeds), chosen.seeds


def compared(seed: int, folder: Path, held: dict[str, list[bool]]) -> Iterator[tuple[str, dict[str, float]]]:
    """What each way chose and claimed in one study, by its name; whether intervals held goes to `held`."""
    study, after, seeds = _second(seed, folder)
    size = after.run_tokens
    _intervals(study, after, seeds, held)
    yield "second", _judged(study, after, size)
    for way, n in (("another", _seeds(seed) + 1), ("longer", _seeds(seed))):
        other = _drawn(seed, folder, f"train.seeds={n}")
        yield way, _judged(other, other.analysis, size)


def _judged(study: Simulated, of: Analysis, size: int) -> dict[str, float]:
    """What the lowest estimate loses at one size, whether it is the best, and what is claimed."""
    names = [design.NATURAL, *(cell.name for cell in of.cells if cell.is_recipe)]
    estimates = [0.0, *(of.effects[name][0].estimate for name in names[1:])]
    true = np.array([study.true(name, size)[0] for name in names])
    lost = float(true[int(np.argmin(estimates))] - true.min())
    claims = _claims(of)
    found = {
        f"supported, {kind}": float(np.mean([c.verdict == "supported" for c in claims if c.kind == kind]))
        for kind in ("quality", "distribution")
    }
    return {"best": float(lost == 0), "regret": lost, **found}


def _intervals(study: Simulated, of: Analysis, seeds: dict[str, int], held: dict[str, list[bool]]) -> None:
    natural = study.true(design.NATURAL, of.run_tokens)
    for cell in of.cells:
        if cell.is_recipe:
            true = study.true(cell.name, of.run_tokens) - natural
            for i, difference in enumerate(of.effects[cell.name]):
                low, high = difference.interval(LEVEL)
                of_mean = "of the mean" if i == 0 else "of a source"
                which = "with more seeds" if cell.name in seeds else "without"
                for what in (of_mean, f"{of_mean}, {which}"):
                    held[what].append(bool(low <= true[i] <= high))


def plain(recipes: int, runs: int, apart: float, cases: int, seeds: int = 3) -> dict[str, Any]:
    """Many choices between recipes and a baseline at 0, by runs with normal errors of standard deviation 1."""
    rng, held = np.random.default_rng(recipes), []
    lost: dict[str, list[float]] = defaultdict(list)
    for _ in range(cases):
        true = np.array([0.0, *rng.normal(0, apart, recipes)])
        losses = true + rng.standard_normal((2 * seeds, recipes + 1))
        change = losses[:, 1:] - losses[:, :1]
        first, error = change[:seeds].mean(axis=0), (2 / seeds) ** 0.5
        found = {str(i): Difference(float(one), error, 0.0, 1e6, n_seeds=seeds) for i, one in enumerate(first)}
        more = second.choose(found, runs, seeds, draws=400).seeds
        own = np.array([seeds + more.get(str(i), 0) for i in range(recipes)])
        after = np.array([change[:n, i].mean() for i, n in enumerate(own)])
        for way, estimates in (("second", after), ("another", change[: seeds + 1].mean(axis=0)), ("first", first)):
            lost[way].append(float(true[np.argmin([0.0, *estimates])] - true.min()))
        held += (np.abs(after - true[1:]) < stats.norm.ppf(0.5 + LEVEL / 2) * (2 / own) ** 0.5).tolist()
    best = {way: float(np.mean(np.array(of) == 0)) for way, of in lost.items()}
    regret = {way: _mean(of) for way, of in lost.items()}
    return {"recipes": recipes, "runs": runs, "apart": apart, "best": best, "regret": regret, "held": share(held)}


def _claims(of: Analysis) -> list[Claim]:
    own = [draft for draft in drafts(of) if draft.kind in ("quality", "distribution")]
    return decide(own, of.design.level, of.design.false_discovery_rate)


def _supported(of: Analysis) -> tuple[int, int]:
    claims = _claims(of)
    return len(claims), sum(claim.verdict == "supported" for claim in claims)


if __name__ == "__main__":
    main()
