"""Several runs of one recipe: seeds, and values of its keys.

    --seeds 3                       train.seed 0, 1, 2
    --sweep tune.rate=1e-4,3e-4     every value with every seed, and with those of other keys

    OUT/runs/0001 ...  ->  a row for each setting: scores over seeds, with intervals; the best by dev

What is said of a setting is the mean over its seeds. Its interval is over both items and seeds where it has two seeds
or more (`metrics.paired`'s way with seeds), else over items alone, and says so.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from assay import __version__
from assay.errors import InputError
from assay.finetune import answers, tuning
from assay.finetune.request import RESULT, Request
from assay.metrics.paired import compare_seeds
from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.load import load
from assay.store import fingerprint, write_json_atomic

RUNS = "runs"


@dataclass(frozen=True)
class Sweep:
    """What is varied.

    Attributes:
        seeds: so many, from the recipe's own on.
        values: of keys, as they are typed for `--set`.
    """

    seeds: int = 1
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, seeds: int, typed: Sequence[str]) -> Sweep:
        """From `key=a,b,c`.

        Raises:
            InputError: it is none.
        """
        found = []
        for one in typed:
            key, equals, rest = one.partition("=")
            values = tuple(value.strip() for value in rest.split(",") if value.strip())
            if not equals or not values:
                raise InputError(f"{one!r} varies nothing", where="--sweep", remedy="write it like tune.rate=1e-4,3e-4")
            found.append((key.strip(), values))
        return cls(seeds, tuple(found))

    @property
    def several(self) -> bool:
        """Whether there is more than one run."""
        return self.seeds > 1 or bool(self.values)

    def settings(self) -> list[dict[str, str]]:
        """Every value with every other."""
        keys = [key for key, _ in self.values]
        return [dict(zip(keys, chosen, strict=True)) for chosen in itertools.product(*(v for _, v in self.values))]


def run(request: Request, sweep: Sweep, overrides: Sequence[str], base: Mapping[str, Any], *, quiet: bool) -> Any:
    """All runs, one after another, and what they say together. Done ones are found; a rerun goes on.

    Args:
        request: of the recipe without what is varied.
        overrides: of `--set`.
        base: as `load` was given: the recipe's file (`recipe`) and `options`.

    Raises:
        InputError: a key that there is not, or bad input of a run.
    """
    first = request.recipe.train.seed
    rows = []
    number = 0
    for setting in sweep.settings():
        typed = [*overrides, *(f"{key}={value}" for key, value in setting.items())]
        recipe, _ = load(FinetuneRecipe, base["recipe"], typed, base["options"])
        results, folders = [], []
        for seed in range(first, first + sweep.seeds):
            number += 1
            out = request.out / RUNS / f"{number:04d}"
            own = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})
            results.append(tuning.run(replace(request, recipe=own, out=out), quiet=quiet))
            folders.append(out)
        rows.append(_row(setting, results, folders))
    best = max(rows, key=lambda row: row["dev"] if row["dev"] is not None else -np.inf)
    body = {
        "task": request.task, "model": best["model"], "n": best["n"], "seeds": sweep.seeds, "metrics": best["metrics"],
        "best": best["best"], "shown": best["shown"], "setting": best["setting"], "settings": rows,
        "command": shlex.join(request.command),
    }  # fmt: skip
    answer = body | {"assay_version": __version__, "fingerprint": fingerprint(body)}
    write_json_atomic(request.out / RESULT, answer)
    return answer


def _row(setting: dict[str, str], results: list[dict[str, Any]], folders: list[Path]) -> dict[str, Any]:
    """What the seeds of a setting say together."""
    one = results[0]
    best = one["best"]
    scores = {name: _over_seeds([result["metrics"][name] for result in results]) for name in one["metrics"]}
    dev = [result["evaluations"]["dev"]["metrics"][best]["value"] for result in results]
    return {
        "setting": setting,
        "runs": [str(folder) for folder in folders],
        "model": one["model"],
        "n": one["n"],
        "best": best,
        "shown": one["shown"],
        "dev": None if any(value is None for value in dev) else float(np.mean(dev)),
        "metrics": scores,
        "above_floor": _above(one, folders),
    }


def _over_seeds(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of a score over seeds; its variance is that of items in one run, and that of seeds over their number."""
    values = [score["value"] for score in scores]
    one = scores[0]
    if any(value is None for value in values):
        return {**one, "value": None, "interval": None, "seeds": len(scores)}
    mean = float(np.mean(values))
    told = {**one, "value": mean, "seeds": len(scores), "values": values}
    if one["interval"] is None or len(scores) < 2:
        return told
    normal = float(stats.norm.ppf(0.5 + one["level"] / 2))
    items = float(np.mean([((s["interval"][1] - s["interval"][0]) / 2 / normal) ** 2 for s in scores]))
    seeds = float(np.var(values, ddof=1)) / len(values)
    variance = items + seeds
    # Welch and Satterthwaite: items are many, seeds are few.
    freedom = variance**2 / (seeds**2 / (len(values) - 1)) if seeds > 0 else np.inf
    half = float(stats.t.ppf(0.5 + one["level"] / 2, freedom)) * variance**0.5
    return told | {"interval": (mean - half, mean + half), "signature": f"{one['signature']}|seeds:{len(values)}"}


def _above(one: dict[str, Any], folders: list[Path]) -> dict[str, Any] | None:
    """How far the seeds together are above the linear baseline, on the same examples."""
    part = "test" if "test" in (one["floor"] or {}) else "dev"
    floors = [folder / tuning.FLOOR.format(part=part) for folder in folders]
    if len(folders) < 2 or not all(floor.exists() for floor in floors):
        return None
    read = [answers.read(folder / f"answers.{part}.jsonl") for folder in folders]
    below = [answers.read(floor) for floor in floors]
    task, examples, _ = read[0]
    if any(own != examples for _, own, _ in (*read, *below)):  # dev was cut by the seed
        return None
    measures, theirs = ([task.measure(examples, said) for _, _, said in some] for some in (read, below))
    if theirs[0].signature != measures[0].signature:
        return None
    found = compare_seeds(measures, theirs, paired=True, groups=answers.groups_of(examples))[one["best"]]
    return asdict(found)
