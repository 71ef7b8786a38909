"""Trainings and fine-tunings: their curves, how they ended, and in what their recipes differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assay.errors import InputError
from assay.explore.catalog import Entry

POINTS = 600  # of a curve
MOST_LINES = 200_000
MOST_RUNS = 12  # that are compared at a time
_KEYS = {"kind", "step", "tokens", "split"}


def run(entry: Entry) -> dict[str, Any]:
    """A run: its curves by name, its end, and its recipe as keys and values.

    Raises:
        InputError: a file is damaged.
    """
    identity = entry.json(entry.identity)
    result = entry.json("result.json") if entry.finished else {}
    return {
        **entry.told(), "curves": curves(entry), "scores": scores(result), "recipe": recipe(identity),
        "command": str(identity.get("command", "")),
    }  # fmt: skip


def curves(entry: Entry) -> dict[str, list[list[float]]]:
    """Name -> [step, value] in the order of steps; a name is the measure's, behind `training` or the split
    that it was taken on."""
    path = entry.path / "metrics.jsonl"
    found: dict[str, list[list[float]]] = {}
    if not path.is_file():
        return found
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number >= MOST_LINES:
                break
            try:
                row = json.loads(line)
            except ValueError:  # the last line of a run that was cut off
                continue
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                continue
            # What a step was trained on is another text than the split `train` that is evaluated at the end.
            kind = "training" if row.get("kind") == "train" else str(row.get("split") or row.get("kind", ""))
            for name, value in row.items():
                if name in _KEYS or isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                if math.isfinite(value):
                    found.setdefault(f"{kind}: {name}", []).append([row["step"], float(value)])
    return {name: _thinned(points) for name, points in found.items()}


def _thinned(points: list[list[float]]) -> list[list[float]]:
    """At most POINTS of them, each the mean of its neighbours' values at the last one's step."""
    if len(points) <= POINTS:
        return points
    size = math.ceil(len(points) / POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [[group[-1][0], math.fsum(value for _, value in group) / len(group)] for group in groups]


def scores(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Part -> measure -> value and interval, of a training or a fine-tuning."""
    found: dict[str, dict[str, Any]] = {}
    parts = {**(result.get("evaluations") or {}), **({"": result["metrics"]} if result.get("metrics") else {})}
    for part, measures in parts.items():
        inner = measures.get("metrics", measures) if isinstance(measures, Mapping) else {}
        own = {
            name: {"value": one["value"], "interval": one.get("interval")}
            for name, one in inner.items() if isinstance(one, Mapping) and isinstance(one.get("value"), int | float)
        }  # fmt: skip
        if own:
            found[str(part)] = own
    return found


def recipe(identity: Mapping[str, Any]) -> dict[str, Any]:
    """All keys of a recipe with their values, as `--set` names them; what was asked besides stands first."""
    rest = {key: value for key, value in identity.items() if key not in ("recipe", "command", "settled", "decided")}
    return {**dict(_leaves(rest)), **dict(_leaves(identity.get("recipe") or {}))}


def _leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def compared(entries: Sequence[Entry]) -> dict[str, Any]:
    """Runs side by side, and the keys of their recipes that differ.

    Raises:
        InputError: there are too many, or a file is damaged.
    """
    if not 1 <= len(entries) <= MOST_RUNS:
        raise InputError(f"{len(entries)} runs", where="runs", remedy=f"choose 1 to {MOST_RUNS}")
    found = [run(entry) for entry in entries]
    keys = dict.fromkeys(key for one in found for key in one["recipe"])
    different = [
        {"key": key, "values": [one["recipe"].get(key) for one in found]}
        for key in keys
        if len({json.dumps(one["recipe"].get(key), sort_keys=True) for one in found}) > 1
    ]
    return {"runs": found, "different": different}
