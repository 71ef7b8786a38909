"""How much of a web page's main text is found, and how little else: ours, each library alone, and both.

    python benchmarks/html_extraction.py ../shared/data/html-articles [--rounds 10000]

For each extractor the F1 of tokens (words; single characters of Chinese and Japanese; as multisets, without case)
between what it finds and the gold text of the page, as a mean over pages, with a bootstrap interval over pages; and the
same of the difference to trafilatura, page by page. Libraries alone run with their defaults and at their best.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trafilatura
import zstandard
from resiliparse.extract.html2text import extract_plain_text

from assay.corpus.reading import html
from common import store_result

LEVEL = 0.9
_TOKEN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\u3040-\u30ff\u4e00-\u9fff]+")


def extractors() -> dict[str, Callable[[str], str]]:
    def ours(extractor: html.Extractor) -> Callable[[str], str]:
        return lambda page: html.main_text(page.encode(), None, extractor)

    return {
        "resiliparse alone": lambda page: extract_plain_text(page, main_content=True),
        "resiliparse alone, at its best": lambda page: extract_plain_text(
            page, main_content=True, alt_texts=False, comments=False, post_meta=False
        ),
        "trafilatura alone": lambda page: trafilatura.extract(page) or "",
        "trafilatura alone, at its best": ours("trafilatura"),
        "resiliparse and rules (the default)": ours("resiliparse"),
        "both": ours("both"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=10_000)
    given = parser.parse_args()
    with zstandard.open(given.data / "pages.jsonl.zst", "rb") as file:
        rows = [json.loads(line) for line in io.TextIOWrapper(file, encoding="utf-8")]
    gold = [tokens(row["text"]) for row in rows]
    scores, seconds = {}, {}
    for name, extract in extractors().items():
        began = time.process_time()
        found = [extract(row["html"]) for row in rows]
        seconds[name] = time.process_time() - began
        scores[name] = np.array([f1(tokens(text), wanted) for text, wanted in zip(found, gold, strict=True)])
    best = scores["trafilatura alone, at its best"][:, 0]
    result = {
        name: {
            "f1": summary(score[:, 0], given.rounds),
            "precision": round(float(score[:, 1].mean()), 4),
            "recall": round(float(score[:, 2].mean()), 4),
            "above_trafilatura_at_its_best": summary(score[:, 0] - best, given.rounds),
            "cpu_ms_a_page": round(1000 * seconds[name] / len(rows), 1),
        }
        for name, score in scores.items()
    }
    for name, told in result.items():
        print(f"{name:36} {told['f1']} P {told['precision']} R {told['recall']} {told['cpu_ms_a_page']} ms")
    versions = {name: importlib.metadata.version(name) for name in ("resiliparse", "trafilatura")}
    store_result("html_extraction", {"pages": len(rows), "level": LEVEL, "versions": versions, "extractors": result})


def tokens(text: str) -> Counter[str]:
    return Counter(_TOKEN.findall(text.lower()))


def f1(found: Counter[str], wanted: Counter[str]) -> tuple[float, float, float]:
    """F1, precision, recall."""
    shared = (found & wanted).total()
    precision, recall = shared / max(1, found.total()), shared / max(1, wanted.total())
    return (2 * precision * recall / (precision + recall) if shared else 0.0), precision, recall


def summary(values: Any, rounds: int) -> dict[str, Any]:
    """Mean over pages, and the percentile interval of its bootstrap."""
    picks = np.random.default_rng(0).integers(0, len(values), (rounds, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"mean": round(float(values.mean()), 4), "interval": [round(float(low), 4), round(float(high), 4)]}


if __name__ == "__main__":
    main()
