"""How often do registered 90 % intervals hold the measured value?

Twenty one-minute studies of different corpora and seeds; for each kind of prediction (size law, mixture) the share of
hits with its binomial interval, and how wide the intervals are against the effects that they are about.

    python benchmarks/intervals.py [--studies 20]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from common import binomial, store_result, study

TOKENS = "3M"
CORPORA = ("builtin:starter", "builtin:python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=100, help="first seed; planted.py begins at 0")
    parser.add_argument("--work", type=Path, default=None, help="folder to keep the studies in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        scanned: dict[str, Path] = {}
        rows: dict[str, list[dict[str, Any]]] = {}
        for i in range(options.studies):
            corpus, seed = CORPORA[i % len(CORPORA)], options.first + i
            out = work / f"coverage-{seed}"
            results = study(corpus, out, TOKENS, "--set", f"seed={seed}", corpus_from=scanned.get(corpus))
            scanned.setdefault(corpus, out)
            for claim in results["claims"]:
                if claim["prediction"]:
                    rows.setdefault(claim["id"], []).append({"corpus": corpus, "seed": seed, **_row(claim)})
        store_result("intervals", {"level": 0.9, "tokens": TOKENS, **{kind: _summary(r) for kind, r in rows.items()}})


def _row(claim: dict[str, Any]) -> dict[str, Any]:
    low, high = claim["prediction"]["interval"]
    return {
        "hit": claim["outcome"]["verdict"] == "hit",
        "error": claim["prediction"]["value"] - claim["outcome"]["value"],
        "half_width": (high - low) / 2,
        "effect": claim["estimate"],
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    hits = sum(row["hit"] for row in rows)
    return {
        "studies": len(rows),
        "hits": hits,
        "coverage": hits / len(rows),
        "interval": binomial(hits, len(rows)),
        "median_half_width": float(np.median([row["half_width"] for row in rows])),
        "median_abs_error": float(np.median([abs(row["error"]) for row in rows])),
        "median_abs_effect": float(np.median([abs(row["effect"]) for row in rows])),
        "rows": rows,
    }


if __name__ == "__main__":
    main()
