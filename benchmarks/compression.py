"""What fewer bits cost: a language model's perplexity and a classifier's accuracy, before and after.

    python benchmarks/compression.py --work DIR [--language MODEL --text TRAIN --held-out TEST]
                                                [--classifier RUN --examples TRAIN --test TEST]

Each setting is a command of `assay compress quantize` as a person would type it; scores with the interval of the
difference on the same items, size on disk, memory and latency in processes of their own. Resumed from DIR.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from common import store_result
from tasks_common import assay

SETTINGS: dict[str, tuple[str, ...]] = {
    "int8": (),
    "int8-static": ("--inputs", "static"),
    "int4-rtn": ("--bits", "4"),
    "int4-gptq": ("--bits", "4", "--method", "gptq"),
    "int4-awq": ("--bits", "4", "--method", "awq"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    for name in ("language", "text", "held-out", "classifier", "examples", "test"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    given = parser.parse_args()
    models = {
        "language": (given.language, given.text, given.held_out),
        "classifier": (given.classifier, given.examples, given.test),
    }
    found = {
        kind: {
            name: quantized(model, shown, held, given.work / f"{kind}-{name}", SETTINGS[name]) for name in given.only
        }
        for kind, (model, shown, held) in models.items()
        if model is not None
    }
    store_result("compression", found)


def quantized(model: Path, shown: Path, held: Path, out: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """What a setting costs and saves."""
    answer = assay("compress", "quantize", str(model), *options, "--calibrate", str(shown), "--data", str(held),
                   "--out", str(out))  # fmt: skip
    best = answer["scores"]["best"]
    one = answer["scores"]["metrics"][best]
    errors = list(answer["errors"].values())
    times = answer["measured"]
    return {
        "metric": best, "before": one["model"], "after": one["export"], "difference": one["difference"],
        "interval": one["interval"], "within": answer["scores"]["within"], "error": sum(errors) / len(errors),
        "bytes": answer["size"], "memory": {side: times[side]["memory"] for side in ("model", "export")},
        "faster": times["faster"], "faster_together": times["faster_together"],
    }  # fmt: skip


if __name__ == "__main__":
    main()
