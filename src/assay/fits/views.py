"""What the page of a law shows besides the answer: points, lines, budgets, past forecasts; numbers alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from assay.impact.laws import forecast, uses
from assay.impact.laws.powers import F64, Fit, Runs

_LINES = 6  # sizes of model whose curve is drawn
_STEPS = 40
_BUDGETS = 5
_NEAR = 1.25  # times the least loss of a budget: what is drawn


def view(made: Fit, past: forecast.Past, held_out: Runs, level: float) -> dict[str, Any]:
    """Of one law.

    Args:
        held_out: runs that were predicted; empty where none were.
    """
    fitted = made.runs.at(made.kept)
    form = made.centre.form
    quantile = float(stats.t.ppf(0.5 + level / 2, max(1, made.df)))
    answer: dict[str, Any] = {
        "fitted": _points(fitted, np.exp(-made.residuals[made.kept]) * fitted.loss),
        "left_out": _points(made.runs.at(~made.kept), None),
        "past": {
            "ratio": past.ratio.tolist(), "error": past.error.tolist(), "runs": past.cut.astype(int).tolist(),
            "half": quantile * float(np.hypot(made.noise, past.misfit(level))),
        },
    }  # fmt: skip
    if len(held_out):
        found = forecast.forecast(made, past, held_out, level)
        answer["held_out"] = {
            **_points(held_out, found.value), "low": found.low.tolist(), "high": found.high.tolist(),
        }  # fmt: skip
    answer["lines"] = _lines(made, past, held_out, level)
    if form.has("A") and form.has("B") and not form.has("R_D"):
        answer["budgets"] = _budgets(made, fitted)
    return answer


def _points(runs: Runs, predicted: F64 | None) -> dict[str, list[float]]:
    found = {"N": runs.n.tolist(), "D": runs.d.tolist(), "loss": runs.loss.tolist()}
    return found if predicted is None else {**found, "predicted": predicted.tolist()}


def _lines(made: Fit, past: forecast.Past, held_out: Runs, level: float) -> list[dict[str, Any]]:
    """Loss by tokens (by parameters, where the law has no tokens) for some sizes of model, as far as runs go."""
    by_tokens = made.centre.form.has("B")
    every = np.append(made.runs.d if by_tokens else made.runs.n, held_out.d if by_tokens else held_out.n)
    x = np.geomspace(every.min(), every.max(), _STEPS)
    sizes = np.unique(np.append(made.runs.n, held_out.n)) if by_tokens else np.ones(1)
    chosen = sizes[np.unique(np.linspace(0, len(sizes) - 1, _LINES).round().astype(int))]
    lines = []
    for size in chosen:
        n, d = (np.full(_STEPS, size), x) if by_tokens else (x, np.ones(_STEPS))
        unique = None if made.runs.unique is None else d
        found = forecast.forecast(made, past, Runs(n, d, np.ones(_STEPS), np.arange(_STEPS), unique), level)
        lines.append(
            {
                "N": float(size), "x": x.tolist(), "loss": found.value.tolist(), "low": found.low.tolist(),
                "high": found.high.tolist(),
            }
        )  # fmt: skip
    return lines


def _budgets(made: Fit, fitted: Runs) -> list[dict[str, Any]]:
    """IsoFLOP curves of budgets over the range of the runs, with their minima."""
    flops = uses.FLOPS * forecast.compute(fitted)
    found = []
    for budget in np.geomspace(np.quantile(flops, 0.05), flops.max(), _BUDGETS):
        runs = uses.isoflop(made, float(budget))
        loss = made.centre.predict(runs)[0]
        best, near = int(np.argmin(loss)), loss < _NEAR * loss.min()
        found.append(
            {
                "flops": float(budget), "N": runs.n[near].tolist(), "loss": loss[near].tolist(),
                "best_N": float(runs.n[best]), "best_loss": float(loss[best]),
            }
        )  # fmt: skip
    return found
