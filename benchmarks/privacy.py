"""Precision and recall of personal data, kind by kind, on planted texts; and the speed on plain ones.

    python benchmarks/privacy.py [--texts 20000]

The texts are those of tests/corpus/personal_texts.py: English and Chinese sentences, in each one number or name that is
personal data and one that only looks like it. They are made up by whoever wrote the patterns, so the figures say that
the patterns do what they are meant to, not how much of real personal data they find. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common import HERE, store_result

sys.path.insert(0, str(HERE.parent / "tests" / "corpus"))
from personal_texts import FILLER, planted

from assay.corpus.cleaning.personal import KINDS, find


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's (1927) interval of a proportion."""
    centre, spread = hits + z * z / 2, z * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return (centre - spread) / (n + z * z), (centre + spread) / (n + z * z)


def proportion(hits: int, n: int) -> dict[str, Any]:
    low, high = wilson(hits, n)
    return {"value": round(hits / n, 4), "interval": [round(low, 4), round(high, 4)], "n": n}


def speed(text: str) -> float:
    """Megabytes of UTF-8 a second of processor time."""
    began = time.process_time()
    find(text)
    return len(text.encode()) / 1e6 / (time.process_time() - began)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--texts", type=int, default=20_000)
    n = options.parse_args().texts
    right, claimed, there = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(n):
        text, places = planted(1_000_000 + seed)  # others than the tests'
        got, want = {tuple(one) for one in find(text)}, set(places)
        for counter, spans in ((right, got & want), (claimed, got), (there, want)):
            counter.update(kind for kind, _, _ in spans)
    kinds = {
        kind: {
            "precision": proportion(right[kind], max(claimed[kind], 1)), "recall": proportion(right[kind], there[kind]),
        }
        for kind in KINDS
    }  # fmt: skip
    docs = HERE.parent / "docs"
    prose = {name: Path(docs / f"training{name}.md").read_text(encoding="utf-8") for name in ("", ".zh-CN")}
    speeds = {
        "english": speed(prose[""] * 100), "chinese": speed(prose[".zh-CN"] * 100),
        "numbers": speed(" ".join(FILLER) * 9999),
        "a@": speed("a@" * 500_000), "digits": speed("1" * 1_000_000),
    }  # fmt: skip
    result = {"texts": n, "kinds": kinds, "mb_per_second": {name: round(value, 1) for name, value in speeds.items()}}
    store_result("privacy", result)


if __name__ == "__main__":
    main()
