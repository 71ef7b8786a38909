"""Near-duplicates that were planted: how many are found at which similarity, and whether clusters hold anything else.

    python benchmarks/near_duplicates.py --data ../shared/data [--texts 1500] [--seed 0]

Real texts (mix-en, mix-zh), each with one copy edited down to a Jaccard similarity drawn evenly from 0.6 to 0.95 of the
shingle sets that docs/DESIGN.md defines; similarities are brute force, in plain Python (tests/corpus/near_texts.py).
Recall is the share of planted pairs that lie in one cluster, by similarity, and of those of which one set or both are
larger than what is kept of it (`from_0.8_cut`). A cluster is right where pairs of at least 0.7 connect all its members;
a pair of which a set is cut is known to a standard error of 0.008, so that `precision_cut` asks for pairs of 0.67. Real
texts have near-duplicates of their own, so all of a cluster is compared, not the planted pairs alone. Then the same
documents in another order, in parts of another size: clusters must be equal.
Intervals are Clopper and Pearson's, 95 %.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.corpus import documents
from assay.corpus.duplicates import dedup
from common import HERE, binomial, store_result
from labelled import texts

sys.path.insert(0, str(HERE.parent / "tests" / "corpus"))
from near_texts import brute, folded, held_together, near_copy, shingle_set

FILES = {
    "en": ("contracts", "dialogue", "fiction", "legal_speech", "news", "reviews", "science", "techdoc", "usenet"),
    "zh": ("classical", "law", "medical", "newsletter", "tech_news"),
}
LEAST, MOST = 400, 9000
"""Characters of a text: shorter ones have few similarities to choose from; of longer ones than about half of the most,
sets are cut before they are compared (dedup._SET), a quarter of the texts here."""
BINS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with mix-en and mix-zh")
    parser.add_argument("--texts", type=int, default=1500, help="of each language")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = {
        language: measured(language, options.data, options.texts, random.Random(options.seed)) for language in FILES
    }
    store_result("near_duplicates", {"threshold": dedup.THRESHOLD, "seed": options.seed, **result})
    for found in result.values():
        high = found["from_0.8"]
        if high["value"] < 0.95 or found["precision_cut"]["value"] < 1 or not found["same_in_another_order"]:
            raise SystemExit("recall from 0.8 on is below 0.95, precision below 1, or clusters depend on the order")


def originals(language: str, data: Path, n: int, draw: random.Random) -> list[str]:
    """`n` different texts, as many of each source as there are of the smallest, then of the others."""
    found: list[list[str]] = []
    for name in FILES[language]:
        whole = texts(data, f"mix-{language}/{name}.train", "text")
        cut = {text[: LEAST + int((MOST - LEAST) * draw.random() ** 1.5)] for text in whole}
        own = sorted(text for text in cut if len(folded(text)) >= LEAST / 2)
        draw.shuffle(own)
        found.append(own)
    chosen = [text for same in zip(*found, strict=False) for text in same]
    chosen += [text for own in found for text in own[min(map(len, found)) :]]
    return chosen[:n]


def measured(language: str, data: Path, n: int, draw: random.Random) -> dict[str, Any]:
    """Recall by similarity, precision, and whether the order matters, of one language."""
    first = originals(language, data, n, draw)
    copies = [
        near_copy(text, first[i - 1], draw.uniform(BINS[0], BINS[-1]), draw, 1 + len(text) // 2000)
        for i, text in enumerate(first)
    ]
    rows = [*first, *copies]
    alike = [brute(text, copy) for text, copy in zip(first, copies, strict=True)]
    table = clusters(rows, list(range(len(rows))), documents.PART_BYTES)
    order = list(range(len(rows)))
    draw.shuffle(order)
    same = table.equals(clusters(rows, order, 1 << 18))
    of = dict(zip(table.column("doc_id").to_pylist(), table.column("cluster").to_pylist(), strict=True))
    cluster = [of[doc_id] for doc_id in named(rows).column("doc_id").to_pylist()]
    pairs = [(similarity, cluster[i] == cluster[i + len(first)]) for i, similarity in enumerate(alike)]
    cut = [max(len(shingle_set(one)) for one in pair) > dedup._SET for pair in zip(first, copies, strict=True)]
    bins = {
        f"{low}-{high}": proportion([hit for similarity, hit in pairs if low <= similarity < high])
        for low, high in pairwise(BINS)
    }
    members: dict[str, list[str]] = {}
    for name, text in zip(cluster, rows, strict=True):
        members.setdefault(name, []).append(text)
    several = [held for held in members.values() if len(held) > 1]
    return {
        "pairs": len(first),
        "recall": bins,
        "from_0.8": proportion([hit for similarity, hit in pairs if similarity >= 0.8]),
        "from_0.8_cut": proportion([hit for (one, hit), long in zip(pairs, cut, strict=True) if long and one >= 0.8]),
        "precision": proportion([held_together(held, dedup.THRESHOLD) for held in several]),
        "precision_cut": proportion([held_together(held, dedup.THRESHOLD - 0.03) for held in several]),
        "largest_cluster": max(map(len, several)),
        "same_in_another_order": same,
    }


def named(rows: list[str]) -> pa.RecordBatch:
    n = len(rows)
    return documents.batch(rows, ["s"] * n, ["a.jsonl"] * n, list(range(n)), [None] * n)


def clusters(rows: list[str], order: list[int], part_bytes: int) -> pa.Table:
    """The table of duplicates of the rows, written in this order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch = named(rows).take(pa.array(order))
        with documents.PartsWriter(folder, "documents", documents.DOCUMENTS, part_bytes) as writer:
            for begin in range(0, len(order), 100):
                writer.write(batch.slice(begin, 100))
        return dedup.duplicates(sorted(folder.glob("documents-*")), folder)[0]


def proportion(hits: list[bool]) -> dict[str, Any]:
    low, high = binomial(sum(hits), len(hits), 0.95)
    return {"value": round(sum(hits) / len(hits), 4), "interval": [round(low, 4), round(high, 4)], "n": len(hits)}


if __name__ == "__main__":
    main()
