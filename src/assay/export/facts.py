"""What a run's folder says of the training of its model: data, scores with their intervals, energy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNS = ("training.json", "finetuning.json")


def of_training(folder: Path) -> dict[str, Any] | None:
    """What stands in the folder of the run, which holds the model directory; None: there is no such folder.

    Returns:
        `sources` and `fingerprints` of the data, `tokens` or `examples`, `evaluations` (part -> n, metrics), `joules`,
        whether these were `measured`, `seconds`, `emissions_kg`: those that the run has noted.
    """
    run = folder.resolve().parent
    result = _read(run / "result.json")
    asked = next((found for name in RUNS if (found := _read(run / name))), {})
    if not result or Path(str(result.get("model") or result.get("checkpoint") or "")).name != folder.resolve().name:
        return None
    recipe = asked.get("recipe") or {}
    data = recipe.get("data") or {}
    sources = asked.get("sources") or data.get("sources") or data.get("train") or []
    kept = ("tokens", "examples", "seconds", "joules", "emissions_kg", "step")
    return {
        "sources": [str(one) for one in sources], "fingerprints": asked.get("settled") or {},
        "seed": (recipe.get("train") or {}).get("seed"), "measured": bool(result.get("joules_measured")),
        "run": result.get("fingerprint"), "evaluations": _evaluations(result),
        **{name: result[name] for name in kept if result.get(name) is not None},
    }  # fmt: skip


def _evaluations(result: Mapping[str, Any]) -> dict[str, Any]:
    """Of each part how many items there were, and the scores that are shown: value and interval."""
    made = {}
    for part, found in (result.get("evaluations") or {}).items():
        scores = found.get("metrics")
        shown = result.get("shown") or list(scores or {})
        if scores is None:  # of a language model they stand by themselves
            scores, shown = found, ["loss", "perplexity", "bits_per_byte"]
        told = {name: scores[name] for name in shown if isinstance(scores.get(name), dict)}
        metrics = {
            name: {"value": one["value"], "interval": one["interval"]}
            for name, one in told.items()
            if one.get("value") is not None
        }
        made[part] = {"n": found.get("n"), "metrics": metrics}
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
