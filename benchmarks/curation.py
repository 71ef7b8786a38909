"""What models' scores are worth: a quality classifier, perplexity under clean text, and k-means for vectors.

    python benchmarks/curation.py ../shared/data [--model ENCODER]

classifier   passages of clean sources (good) against a noisier source, and against damaged copies of other passages of
             the same sources (bad); tested on files that it was not made from, where a passage and its damaged copy are
             drawn together
perplexity   an n-gram model of the clean sources, on passages of other files and their damaged copies: how often a copy
             has more bits a byte than a passage (AUC), and than its own parent
clusters     of all pairs of short sentences that an encoder finds alike, how many k-means finds (with --model)

AUCs have intervals of 95 %, bootstrapped over parents; shares Wilson's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import labelled
from assay.corpus import documents
from assay.corpus.altering import defects
from assay.corpus.signals import language
from assay.curate import classifier, embed, features, semantic
from assay.metrics.ranking import auc, wilson
from assay.models.ngram import KneserNey
from assay.tokens.learn import Learning, learn
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from assay.train.predict import Predictor
from common import store_result

CLEAN = {"en": ("fiction", "news", "science", "techdoc"), "zh": ("law", "medical", "newsletter", "tech_news")}
NOISY = {
    "en": (("mix-en/usenet.train", "text"), ("mix-en/usenet.valid", "text")),
    "zh": (("cls-zh/shopping.train", "text"), ("cls-zh/waimai.train", "text")),
}
"""Usenet without its headers; reviews that shoppers wrote, and others of other shops to test on."""
DAMAGE = {
    "character_noise 0.01": lambda batch: defects.character_noise(batch, 0.01, 7),
    "character_noise 0.05": lambda batch: defects.character_noise(batch, 0.05, 7),
    "shuffle_words": lambda batch: defects.shuffle_words(batch, 7),
}
CHARS = {"en": 2000, "zh": 700}  # of a passage
MOST, MOST_TEST = 6000, 1500  # passages of a kind


def passages(texts: Iterator[str], chars: int, most: int) -> list[str]:
    """One passage of each text, from its middle, of at most so many characters."""
    made: list[str] = []
    for text in texts:
        begin = max(0, (len(text) - chars) // 2)
        if len(text) >= chars // 4:
            made.append(text[begin : begin + chars])
        if len(made) == most:
            break
    return made


def clean(data: Path, tongue: str, part: str, most: int) -> list[str]:
    """Passages of the clean sources, as many of each."""
    names = CLEAN[tongue]
    each = most // len(names)
    found = [labelled.texts(data, f"mix-{tongue}/{name}.{part}", "text") for name in names]
    return [text for texts in found for text in passages(texts, CHARS[tongue], each)]


def noisy(data: Path, tongue: str, which: int, most: int) -> list[str]:
    """Passages of the noisier source."""
    name, field = NOISY[tongue][which]
    texts = labelled.texts(data, name, field)
    bodies = (text.partition("\n\n")[2] for text in texts) if tongue == "en" else labelled.groups(texts, most)
    return passages(iter(bodies), CHARS[tongue], most)


def batch_of(texts: list[str], source: str) -> pa.RecordBatch:
    n = len(texts)
    made = documents.batch(texts, [source] * n, ["a.jsonl"] * n, list(range(n)), [None] * n)
    return language.annotate(made)


def told(found: Any) -> dict[str, Any]:
    assert found.interval is not None
    ends = [round(bound, 4) for bound in found.interval]
    return {"value": round(found.value, 4), "interval": ends, "n": [found.positives, found.negatives]}


def classified(good: pa.RecordBatch, bad: pa.RecordBatch, tests: tuple[pa.RecordBatch, pa.RecordBatch]) -> Any:
    """The AUC of a classifier on other documents; those with one ordinal are drawn together, if they are as many."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, batch in (("good", good), ("bad", bad)):
            paths.append(Path(folder) / f"{name}.parquet")
            with documents.opened(paths[-1], documents.DOCUMENTS) as writer:
                writer.write_batch(batch)
        chosen = classifier.sample(paths[:1], paths[1:])
        rows = classifier.rows_of(chosen.table, paths, features.BITS, 1, lambda done: None)
        model = classifier.fit(rows, chosen.table, features.BITS)
        own = classifier.judged(model, rows, chosen.table)
    scores = [model.probabilities(batch.column("text")) for batch in tests]
    value = np.concatenate(scores)
    kind = np.concatenate([np.ones(len(scores[0])), np.zeros(len(scores[1]))]) > 0
    paired = len(scores[0]) == len(scores[1])
    groups = np.concatenate([np.arange(len(one)) for one in scores]) if paired else None
    return {
        "auc": told(auc(value, kind, groups=groups)),
        "same_length": own["alike"],
        "length_auc": round(own["length_auc"], 3),
        "mean_probability": {"good": round(float(scores[0].mean()), 3), "bad": round(float(scores[1].mean()), 3)},
    }


def classifiers(data: Path, tongue: str) -> dict[str, Any]:
    train, test = (
        batch_of(clean(data, tongue, "train", MOST), "g"),
        batch_of(clean(data, tongue, "valid", MOST_TEST), "g"),
    )
    half = np.arange(train.num_rows) % 2 == 0
    good, others = train.filter(pa.array(half)), train.filter(pa.array(~half))
    made = {
        "noisier source": classified(
            train, batch_of(noisy(data, tongue, 0, MOST), "b"), (test, batch_of(noisy(data, tongue, 1, MOST_TEST), "b"))
        )
    }
    for name, damage in DAMAGE.items():
        made[name] = classified(good, damage(others), (test, damage(test)))
        print(tongue, name, made[name]["auc"], flush=True)
    return made


def perplexities(data: Path, tongue: str) -> dict[str, Any]:
    texts = clean(data, tongue, "train", 4 * MOST)
    encoder = Encoder(learn(texts, Learning(vocabulary=8192)))
    assert encoder.marks_documents
    predictor = Predictor(KneserNey(encoder.vocabulary, 5), encoder, END_OF_TEXT_ID)
    predictor.model.fit(np.concatenate(predictor.encoded(texts)))
    parents = batch_of(clean(data, tongue, "valid", MOST_TEST), "g")

    def bits(batch: pa.RecordBatch) -> np.ndarray:
        found = predictor.losses(batch.column("text").to_pylist())
        return found.nats / np.log(2) / found.octets

    own, n = bits(parents), parents.num_rows
    made: dict[str, Any] = {
        "tokens": int(sum(map(len, predictor.encoded(texts)))),
        "median": round(float(np.median(own)), 3),
    }
    for name, damage in DAMAGE.items():
        copies = bits(damage(parents))
        kind, groups = np.repeat([True, False], n), np.tile(np.arange(n), 2)
        above = int((copies > own).sum())
        share = [round(bound, 4) for bound in wilson(above, n)]
        made[name] = {
            "auc": told(auc(np.concatenate([copies, own]), kind, groups=groups)),
            "above_parent": {"value": round(above / n, 4), "interval": share, "n": n},
            "median": round(float(np.median(copies)), 3),
        }
        print(tongue, name, made[name], flush=True)
    return made


def clusters(data: Path, model: Path, n: int = 12_000) -> dict[str, Any]:
    """Short English sentences, many of which say much the same: exact pairs, and those within k-means."""
    texts = sorted(set(labelled.texts(data, "mt/tatoeba_en_zh.train", "source")), key=hash_of)[:n]
    embedder = embed.Embedder.load(model)
    found = [embedder.vectors(texts[i : i + 512]) for i in range(0, len(texts), 512)]
    semantic.PER_CLUSTER = 512  # as many clusters as a corpus of some hundred thousand has
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        np.save(path, np.concatenate(found).astype(np.float16), allow_pickle=False)
        vectors, rows = embed.Vectors([path]), np.arange(len(texts))

        def pairs(exact: int) -> set[tuple[int, int]]:
            target = Path(folder) / f"pairs-{exact}.parquet"
            semantic.write_pairs(vectors, rows, semantic.THRESHOLD, target, lambda done, total: None, exact=exact)
            table = pa.parquet.read_table(target)
            return set(zip(table.column("left").to_pylist(), table.column("right").to_pylist(), strict=True))

        everything, some = pairs(1 << 30), pairs(0)
    assert some <= everything
    low, high = wilson(len(some), len(everything))
    return {
        "texts": len(texts), "clusters": semantic.n_clusters(len(texts)), "pairs": len(everything),
        "recall": {"value": round(len(some) / len(everything), 4), "interval": [round(low, 4), round(high, 4)]},
    }  # fmt: skip


def hash_of(text: str) -> str:
    return documents.content_hash(text.encode())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--model", type=Path, help="an encoder's directory")
    given = options.parse_args()
    result: dict[str, Any] = {}
    for tongue in ("en", "zh"):
        result[f"perplexity_{tongue}"] = perplexities(given.data, tongue)
        result[f"classifier_{tongue}"] = classifiers(given.data, tongue)
    if given.model:
        result["clusters"] = clusters(given.data, given.model)
    store_result("curation", result)


if __name__ == "__main__":
    main()
