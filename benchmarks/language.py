"""How far the signals of language are right: confidence, second languages, characters, code; and what they cost.

    python benchmarks/language.py ../shared/data [--translations FOLDER]

Confidence: the temperature is fitted on half of the groups of labelled text (labelled.py), all windows of a language
and a length weighing the same, and tested on the other half, as it stands in the code; beside it stand the posterior as
it is, and py3langid's own tempering (by the root of the number of bytes). FOLDER holds Django's sources: its translated
messages are a test in languages that the fit has not seen. Intervals of 90 % are bootstrapped over groups of text or
documents, those of proportions are Clopper and Pearson's.
"""

from __future__ import annotations

import argparse
import random
import re
import textwrap
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from scipy.optimize import minimize
from scipy.stats import rankdata

import labelled
from assay.corpus import documents
from assay.corpus.signals import language, program, quality, scoring, tongues
from assay.corpus.text import characters as ch
from assay.corpus.text import words
from assay.corpus.text.compiled import compiled
from common import binomial, store_result

F64 = npt.NDArray[np.float64]
EDGES = (0.0, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Of the table of reliability."""
BOUNDS = {"fineweb": 0.65, "zh": 0.692, "data-juicer": 0.8}
BINS = 15
DRAWS = 300
CODE, CPP = "mix-en/code.train", "C++"
MIXED = ("mix-en/techdoc.train", "mix-en/usenet.train", "mix-zh/tech_news.train")
"""Sources of prose with code in it."""
FITTED = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--translations", type=Path, help="folder with Django's locale folders")
    given = parser.parse_args()
    result = {
        "confidence": confidence(labelled.labelled(given.data)),
        "code": code(given.data),
        "second_language": second_language(given.data),
        "traditional": traditional(given.data),
        "cost": cost(given.data),
    }
    if given.translations:
        result["translations"] = others(labelled.translations(given.translations))
    store_result("language", result)


def posteriors(texts: list[str]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    points, offsets = ch.points_of(pa.array(texts))
    return language.log_posteriors(points, offsets[:-1], offsets[1:])


class Scored:
    """Windows with what the model says of them."""

    def __init__(self, windows: list[labelled.Window]) -> None:
        self.windows = windows
        parts = [posteriors([window.text for window in windows[i : i + 2000]]) for i in range(0, len(windows), 2000)]
        self.scores = np.concatenate([scores for scores, _ in parts])
        self.features = np.concatenate([features for _, features in parts])
        self.best = language.standard()[self.scores.argmax(axis=1)]
        labels = language.labels()
        self.truth = np.array([window.language for window in windows])
        self.known = np.isin(self.truth, labels.astype(str))
        self.right = labels[self.best].astype(str) == self.truth
        self.length = np.array([window.length for window in windows])
        cells = [f"{window.language} {window.length}" for window in windows]
        _, cell, count = np.unique(cells, return_inverse=True, return_counts=True)
        self.weight = 1 / count[cell]
        groups = [f"{window.source} {window.group}" for window in windows]
        self.group = np.unique(groups, return_inverse=True)[1]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Scored:
        made = object.__new__(Scored)
        made.windows = [window for window, keep in zip(self.windows, chosen, strict=True) if keep]
        for name, value in vars(self).items():
            if name != "windows":
                setattr(made, name, value[chosen])
        return made

    def by_the_library(self) -> F64:
        """The certainty as py3langid's `norm_probs` makes it."""
        size = np.array([len(window.text.encode()) for window in self.windows], dtype=np.int32)
        return language.certainty(self.scores, size, self.best, (1.0, 0.5)).astype(np.float64)

    def chance(self, temperature: tuple[float, float]) -> F64:
        return language.certainty(self.scores, self.features, self.best, temperature).astype(np.float64)


def confidence(windows: list[labelled.Window]) -> dict[str, Any]:
    """The fit on one half, and what the other says of the temperature in the code and of none."""
    every = Scored(windows)
    second = np.array([labelled.second_half(window) for window in windows])
    fitted = fit(every.only(~second))
    test = every.only(second)
    tempered, raw = test.chance(language.TEMPERATURE), test.chance((1.0, 0.0))
    cells = {}
    for code in ("en", "zh", "de"):
        for length in labelled.LENGTHS:
            at = (test.truth == code) & (test.length == length)
            cells[f"{code} {length}"] = told(test.right[at], tempered[at], raw[at])
    return {
        "fitted": [round(value, 4) for value in fitted],
        "in_the_code": list(language.TEMPERATURE),
        "windows": [int((~second).sum()), int(second.sum())],
        "ece": interval_of_error(tempered, test),
        "ece_untempered": interval_of_error(raw, test),
        "ece_library": interval_of_error(test.by_the_library(), test),
        "reliability": reliability(test.right, tempered, test.weight),
        "cells": cells,
        "kept_at_600": {
            code: {name: bound_at(test, tempered, code, bound) for name, bound in BOUNDS.items()}
            for code in ("en", "zh", "de")
        },
    }


def fit(half: Scored) -> tuple[float, float]:
    """The temperature under which the certainties have the least log loss as forecasts of whether labels are right."""

    def loss(x: F64) -> float:
        p = half.chance((float(np.exp(x[0])), float(x[1]))).clip(1e-6, 1 - 1e-6)
        return float(np.average(-np.log(np.where(half.right, p, 1 - p)), weights=half.weight))

    found = minimize(loss, [-1.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 120})
    return float(np.exp(found.x[0])), float(found.x[1])


def error(chance: F64, right: npt.NDArray[np.bool_], weight: F64) -> float:
    """Expected calibration error over BINS bins of equal width."""
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, weight * (chance - right), BINS)
    return float(np.abs(gap).sum() / weight.sum())


def interval_of_error(chance: F64, test: Scored) -> dict[str, Any]:
    """With groups drawn anew; noise in the bins adds to an error that cannot be negative."""
    draw = np.random.default_rng(0)
    groups = int(test.group.max()) + 1
    times = (np.bincount(draw.integers(groups, size=groups), minlength=groups)[test.group] for _ in range(DRAWS))
    drawn = [error(chance, test.right, test.weight * n) for n in times]
    return {"value": round(error(chance, test.right, test.weight), 5), "interval": quantiles(drawn)}


def told(right: npt.NDArray[np.bool_], tempered: F64, raw: F64) -> dict[str, Any]:
    one = np.ones(len(right))
    hits = int(right.sum())
    return {
        "n": len(right),
        "accuracy": round(float(right.mean()), 4),
        "interval": [round(value, 4) for value in binomial(hits, len(right))],
        "mean_score": round(float(tempered.mean()), 4),
        "ece": round(error(tempered, right, one), 4),
        "ece_untempered": round(error(raw, right, one), 4),
    }


def reliability(right: npt.NDArray[np.bool_], chance: F64, weight: F64) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(EDGES):
        at = (chance >= low) & ((chance < high) | (high == 1.0))
        if at.any():
            score, share = (float(np.average(value[at], weights=weight[at])) for value in (chance, right))
            rows.append({"from": low, "n": int(at.sum()), "score": round(score, 4), "right": round(share, 4)})
    return rows


def bound_at(test: Scored, chance: F64, code: str, bound: float) -> dict[str, float]:
    """What a rule with this bound keeps of documents with the right label and with a wrong one."""
    at = (test.truth == code) & (test.length == labelled.LENGTHS[-1])
    kept = chance >= bound
    return {
        "right": round(float(kept[at & test.right].mean()), 4),
        "wrong": round(float(kept[at & ~test.right].mean()), 4) if (at & ~test.right).any() else -1,
        "n_wrong": int((at & ~test.right).sum()),
    }


def others(windows: list[labelled.Window]) -> dict[str, Any]:
    """Languages beyond those of the fit, where the model has a label for them."""
    written = {"nb": "no"}
    renamed = [window._replace(language=written.get(window.language, window.language)) for window in windows]
    test = Scored([window for window in renamed if window.language not in ("en", "zh", "de")])
    test = test.only(test.known)
    tempered, raw = test.chance(language.TEMPERATURE), test.chance((1.0, 0.0))
    return {
        "languages": len(set(test.truth.tolist())),
        "ece": interval_of_error(tempered, test),
        "ece_untempered": interval_of_error(raw, test),
        "ece_library": interval_of_error(test.by_the_library(), test),
        "lengths": {
            length: told(test.right[at], tempered[at], raw[at])
            for length in labelled.LENGTHS
            for at in [test.length == length]
        },
    }


def measured(texts: list[str]) -> dict[str, F64]:
    """All signals of some texts."""
    made = scoring.signals(batch_of(texts))
    return {name: made.column(name).to_numpy(zero_copy_only=False) for name in scoring.NAMES}


def batch_of(texts: list[str]) -> pa.RecordBatch:
    n = len(texts)
    return documents.batch(texts, ["s"] * n, ["a"] * n, list(range(n)), [None] * n)


def sampled(data: Path, name: str, most: int, after: int = 0) -> list[str]:
    return list(islice(labelled.texts(data, name, "text"), after, after + most))


def quantiles(values: list[float]) -> list[float]:
    return [round(float(value), 5) for value in np.quantile(values, [0.05, 0.95])]


def auc(positive: F64, negative: F64) -> float:
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.mean() - (len(positive) + 1) / 2) / len(negative))


def auc_with_interval(positive: F64, negative: F64) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    drawn = [auc(draw.choice(positive, len(positive)), draw.choice(negative, len(negative))) for _ in range(DRAWS)]
    return {"value": round(auc(positive, negative), 5), "interval": quantiles(drawn)}


def code(data: Path) -> dict[str, Any]:
    """Documents of Python and of C++ (torch's headers) against those of other domains, of which techdoc and tech_news
    hold code, too. The weights are fitted on the first FITTED of each and tested on those after, and held-out ones."""
    names = [
        f"{folder}/{path.name.removesuffix('.jsonl.zst')}" for folder in ("mix-en", "mix-zh")
        for path in sorted((data / folder).glob("*.train.jsonl.zst"))
    ]  # fmt: skip
    headers = [
        path.read_text("utf-8", "ignore") for path in sorted((Path(torch.__file__).parent / "include").rglob("*.h"))
    ]
    first = {name: sampled(data, name, FITTED) for name in names} | {CPP: headers[::20]}
    after = {
        name: sampled(data, name, FITTED, after=FITTED) + sampled(data, name.replace(".train", ".valid"), FITTED)
        for name in names
    } | {CPP: headers[10::20]}
    share = {name: measured(these)["code_lines"] for name, these in after.items()}
    programs = {name: share.pop(name) for name in (CODE, CPP)}
    prose = np.concatenate([value for name, value in share.items() if name not in MIXED])
    return {
        "fitted": [round(value, 2) for value in code_weights(first)],
        "in_the_code": [*program.WEIGHTS.tolist(), program.BIAS],
        "auc": {name: auc_with_interval(value, prose) for name, value in programs.items()},
        "auc_with_mixed": {
            name: auc_with_interval(value, np.concatenate(list(share.values()))) for name, value in programs.items()
        },
        "auc_python": {name: auc_with_interval(programs[CODE], value) for name, value in share.items()},
        "documents": {name: len(these) for name, these in after.items()},
        "quantiles": {
            name: [round(float(q), 3) for q in np.quantile(value, [0.05, 0.5, 0.95])]
            for name, value in {**programs, **share}.items()
        },
    }  # fmt: skip


def code_weights(texts: dict[str, list[str]]) -> list[float]:
    """Logistic regression on the evidence of lines: of programs; of prose as it is, wrapped, and indented as well."""
    lines = [(evidence_of(texts[name]), True) for name in (CODE, CPP)]
    for name, prose in texts.items():
        if name not in (CODE, CPP, *MIXED):
            lines.append((evidence_of(prose), False))
            for indent in ("", "    "):
                lines.append((evidence_of([wrapped(text[:6000], indent) for text in prose[:200]]), False))
    x = np.concatenate([found for found, _ in lines])
    y = np.concatenate([np.full(len(found), label) for found, label in lines])
    sides = [sum(label == side for _, label in lines) for side in (False, True)]
    weight = np.concatenate([np.full(len(found), 0.5 / len(found) / sides[label]) for found, label in lines])

    def loss(b: F64) -> tuple[float, F64]:
        z = x @ b[:-1] + b[-1]
        gap = weight * (1 / (1 + np.exp(-z)) - y)
        value = weight @ np.logaddexp(0, np.where(y, -z, z)) + 1e-4 * b @ b
        return float(value), np.append(x.T @ gap, gap.sum()) + 2e-4 * b

    found: list[float] = minimize(loss, np.zeros(x.shape[1] + 1), jac=True).x.tolist()
    return found


def evidence_of(texts: list[str]) -> F64:
    """One row a line that is not blank."""
    points, _ = ch.points_of(pa.array(["\n".join(texts)]))
    rows = np.empty((len(points) + 1, len(program.EVIDENCE)))
    return rows[: _evidence(points, words.kinds(), program.table(), rows)].copy()


@compiled
def _evidence(points: Any, kinds: Any, known: program.Table, rows: Any) -> int:
    n = i = 0
    while i < len(points):
        stop = quality.line_end(points, kinds, i, len(points))
        first, beyond = quality.bare(points, kinds, i, stop)
        if first < beyond:
            program.evidence(points, kinds, known, i, first, beyond, rows[n])
            n += 1
        i = quality.next_line(points, stop, len(points))
    return n


def wrapped(text: str, indent: str) -> str:
    if re.search("[\u4e00-\u9fff]", text[:200]):
        lines = [line[i : i + 36] for line in text.split("\n") for i in range(0, len(line), 36)]
    else:
        lines = [short for line in text.split("\n") for short in textwrap.wrap(line, 66)]
    return "\n".join(indent + line for line in lines)


def second_language(data: Path) -> dict[str, Any]:
    """How much is found in documents of one language, and in those of which a known share is in another."""
    pools = {
        "en": [text for name in ("fiction", "science", "news") for text in long(data, f"mix-en/{name}.train", "text")],
        "zh": [text for name in ("law", "medical", "classical") for text in long(data, f"mix-zh/{name}.train", "text")],
        "de": long(data, "mt/multi30k_en_de.train", "target"),
    }
    made: dict[str, Any] = {}
    for name, texts in pools.items():
        made[name] = found([text[:4000] for text in texts], 0.0)
    draw = random.Random(0)
    for first, other in (("en", "zh"), ("zh", "en"), ("en", "de"), ("de", "en")):
        for share in (0.25, 0.5):
            pairs = [(draw.choice(pools[first])[:3000], draw.choice(pools[other])[:3000]) for _ in range(300)]
            texts = [
                a[: int(size * (1 - share))] + "\n" + b[: int(size * share)]
                for a, b in pairs for size in [min(len(a), len(b))]
            ]  # fmt: skip
            made[f"{first} with {share} {other}"] = found(texts, share)
    return made


def long(data: Path, name: str, field: str) -> list[str]:
    return [text for text in labelled.groups(labelled.texts(data, name, field), 300) if len(text) >= 1000]


def found(texts: list[str], share: float) -> dict[str, Any]:
    value = measured(texts)["second_language_share"]
    hits = int((value >= 0.1).sum())
    return {
        "n": len(texts), "planted": share, "mean": round(float(np.nanmean(value)), 4), "a_tenth": hits / len(texts),
        "interval": [round(bound, 4) for bound in binomial(hits, len(texts))],
    }  # fmt: skip


def traditional(data: Path) -> dict[str, Any]:
    """DRCD is traditional, CMRC simplified."""
    old, simple = (
        measured(list(labelled.texts(data, f"qa-zh/{name}.dev", "context")))["traditional"]
        for name in ("drcd", "cmrc2018")
    )
    told_apart = int((old > 0.5).sum() + (simple < 0.5).sum())
    return {
        "n": [len(old), len(simple)], "null": int(np.isnan(old).sum() + np.isnan(simple).sum()),
        "mean": [round(float(np.nanmean(value)), 4) for value in (old, simple)],
        "right": told_apart / (len(old) + len(simple)),
        "interval": [round(bound, 4) for bound in binomial(told_apart, len(old) + len(simple))],
    }  # fmt: skip


def cost(data: Path) -> dict[str, Any]:
    """Milliseconds of one core a document: language and script, the signals of language, all signals."""
    made = {}
    for name in ("mix-en/usenet.train", "mix-en/fiction.train", "mix-zh/newsletter.train", "mix-zh/law.train"):
        texts = sampled(data, name, 600)
        batch = batch_of(texts)
        points, offsets = ch.points_of(batch.column("text"))
        work: dict[str, Callable[[], object]] = {
            "annotate": lambda batch=batch: language.annotate(batch),
            "tongues": lambda p=points, o=offsets: tongues.tongues(p, o),
            "signals": lambda batch=batch: scoring.signals(batch),
        }
        made[name] = {"chars": round(float(np.mean([len(text) for text in texts])))} | {
            what: round(1000 * least(do) / len(texts), 4) for what, do in work.items()
        }
    return made


def least(do: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        began = time.thread_time()
        do()
        taken.append(time.thread_time() - began)
    return min(taken)


if __name__ == "__main__":
    main()
