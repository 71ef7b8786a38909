"""A quality classifier: good against bad samples -> how likely a document is to be of the good kind.

    documents of both kinds -> without equal texts -> hashed n-grams (features) -> training, calibration and test share
                            -> logistic regression; its strength and scale by the calibration share
                            -> model directory: config.json, model.safetensors, README.md
                            -> what the test share says of it, and the n-grams that tell most

scikit-learn fits, by Newton's method: nothing is drawn by chance, and the same rows give the same weights.

The recipe of GPT-3 (Brown et al. 2020), LLaMA and DCLM (Li et al. 2024). Shares are drawn by a hash of the text, so
that nothing depends on the order of files, and texts that are cut into pieces stay on one side. A classifier takes
whatever tells the two samples apart: where that is their length or language, it is said, with how well it still tells
them apart among documents of one length and language.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import special

from assay.corpus import documents
from assay.corpus.parts import in_order
from assay.curate import features
from assay.curate.features import Rows
from assay.errors import InputError
from assay.machine import one_thread
from assay.metrics.ranking import auc, balanced_accuracy
from assay.store import whole_file

MODEL_TYPE, FORMAT = "assay-classifier", 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
LEAST = 100
"""Different documents of each kind that a classifier is made from; with fewer, its test share says next to nothing."""
MOST_BYTES = 64 << 20
"""Of text of each kind that is read; more changes little. Documents are taken in the order of a hash of their text."""
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""The first that the calibration share finds no worse than the others is taken."""
TOLERANCE = 1e-7
"""The largest slope of the mean loss at which the work ends: no chance is then a thousandth off."""
TEST, CALIBRATION = 0.2, 0.1
_TEXTS = 40  # of a kind, from which on pieces of one text stay together
_UNALIKE_LENGTHS = 0.75
"""AUC of the length alone, from which on it is said."""
_UNALIKE_LANGUAGES = 0.2
"""Share of documents whose languages differ (total variation), from which on it is said."""
_LEAST_DOCUMENTS = 2
"""That an n-gram's bucket stands in: of one alone nothing is learned but that document."""
_TELLING = 20
_STRATA = 10
RARE_LANGUAGE = 0.01
Tell = Callable[[float], None]


@dataclass(frozen=True)
class Sample:
    """The documents that a classifier is made from, sorted by a hash of their text.

    Attributes:
        table: doc_id, good, language, share: "train", "calibration" or "test".
        equal: documents that were left out because another of the same kind has their text.
        both: texts that both kinds hold, which were left out.
    """

    table: pl.DataFrame
    equal: int
    both: int


def sample(good: Sequence[Path], bad: Sequence[Path], most_bytes: int = MOST_BYTES) -> Sample:
    """Choose documents of both kinds, and deal them to shares.

    Raises:
        InputError: there are fewer than LEAST of a kind.
    """
    columns = ["doc_id", "content_hash", "source", "origin", "ordinal", "n_bytes", "language"]
    kinds = [
        pl.read_parquet(list(parts), columns=columns, glob=False).with_columns(
            documents.row_of_text(), good=pl.lit(is_good)
        )
        for parts, is_good in ((good, True), (bad, False))
    ]
    alone = [kind.sort("doc_id").unique("content_hash", keep="first") for kind in kinds]
    equal = sum(map(len, kinds)) - sum(map(len, alone))
    shared = alone[0].join(alone[1], on="content_hash", how="semi")["content_hash"]
    chosen = [
        kind.filter(~pl.col("content_hash").is_in(shared.implode()))
        .sort("content_hash")
        .filter(pl.col("n_bytes").cum_sum() - pl.col("n_bytes") < most_bytes)
        for kind in alone
    ]
    for kind, option in zip(chosen, ("--good", "--bad"), strict=True):
        if len(kind) < LEAST:
            besides = f" ({len(shared)} more stand in both samples)" if len(shared) else ""
            what = f"{len(kind)} different documents{besides} are too few"
            remedy = f"give at least {LEAST} of each kind; some thousands are better"
            raise InputError(what, where=option, remedy=remedy)
    made = pl.concat([_dealt(kind) for kind in chosen])
    return Sample(made.sort("content_hash").select("doc_id", "good", "language", "share"), equal, len(shared))


def _dealt(kind: pl.DataFrame) -> pl.DataFrame:
    """One kind's documents with their shares: whole texts together, where there are enough of them."""
    texts = ["source", "origin", "row"]
    by = "content_hash"
    if kind.select(texts).n_unique() >= _TEXTS:
        first = kind.group_by(texts).agg(pl.col("content_hash").min().alias("text"))
        kind, by = kind.join(first, on=texts, how="left"), "text"
    draw = documents.uniform(kind[by].to_arrow())
    # Ranks, not draws, so that a small sample has its share of each.
    place = pl.Series(draw).rank("dense").to_numpy()
    place = (place - 0.5) / place.max()
    share = np.select([place < TEST, place < TEST + CALIBRATION], ["test", "calibration"], "train")
    return kind.with_columns(share=pl.Series(share, dtype=pl.String))


def rows_of(table: pl.DataFrame, parts: Sequence[Path], bits: int, threads: int, tell: Tell) -> Rows:
    """The rows of the chosen documents, in the table's order."""
    wanted = pa.array(table["doc_id"])
    made, ids, done = list[Rows](), list[pa.Array](), 0.0
    for batch in documents.read(parts, ["doc_id", "text"]):
        own = batch.filter(pa.compute.is_in(batch.column("doc_id"), wanted))
        slices = iter([own.slice(i, 256) for i in range(0, own.num_rows, 256)])
        made += in_order(lambda part: features.rows_of(part.column("text"), bits), slices, threads)
        ids.append(own.column("doc_id"))
        done += own.nbytes
        tell(done)
    found = pl.DataFrame({"doc_id": pl.Series(pa.chunked_array(ids, pa.string()))}).with_row_index("row")
    order = table.join(found, on="doc_id", how="left", maintain_order="left")["row"].to_numpy()
    return features.joined(made).of(order)


@dataclass(frozen=True)
class Classifier:
    """Hashed n-grams -> chance of being of the good kind, where both are as frequent.

    Attributes:
        weights: (2^bits,) float32.
        calibration: slope and shift of the logit.
        languages: of the documents that it was made from, those with at least a hundredth of them.
        strength: C.
    """

    weights: npt.NDArray[np.float32]
    bias: float
    calibration: tuple[float, float]
    languages: tuple[str, ...]
    strength: float

    @property
    def bits(self) -> int:
        return len(self.weights).bit_length() - 1

    def logits(self, rows: Rows) -> npt.NDArray[np.float64]:
        """(documents,) calibrated."""
        slope, shift = self.calibration
        return slope * (rows.dot(self.weights) + self.bias) + shift

    def probabilities(self, text: pa.Array) -> npt.NDArray[np.float64]:
        """(documents,) NaN where there is no n-gram."""
        rows = features.rows_of(text, self.bits)
        return np.where(rows.n_grams > 0, special.expit(self.logits(rows)), np.nan)

    def save(self, folder: Path, card: str) -> None:
        """Write a model directory; config.json, without which it is none, last."""
        save_file({"weights": self.weights, "bias": np.array([self.bias])}, folder / WEIGHTS)
        (folder / "README.md").write_text(card, encoding="utf-8")
        stated = {
            "model_type": MODEL_TYPE, "format": FORMAT, "bits": self.bits, "calibration": list(self.calibration),
            "languages": list(self.languages), "strength": self.strength,
        }  # fmt: skip
        (folder / CONFIG).write_text(json.dumps(stated, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Classifier:
        """What `save` wrote.

        Raises:
            InputError: it is no such directory.
        """
        try:
            stated = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if stated["model_type"] != MODEL_TYPE or stated["format"] != FORMAT:
                raise ValueError(f"model_type {stated['model_type']!r}, format {stated['format']!r}")
            tensors = load_file(folder / WEIGHTS)
            slope, shift = map(float, stated["calibration"])
            made = cls(
                tensors["weights"].astype(np.float32), float(tensors["bias"][0]), (slope, shift),
                tuple(map(str, stated["languages"])), float(stated["strength"]),
            )  # fmt: skip
            if made.weights.shape != (1 << int(stated["bits"]),):
                raise ValueError(f"{len(made.weights)} weights, and {stated['bits']} bits")
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
            what = f"is no quality classifier ({type(error).__name__}: {error})"
            raise InputError(what, where=folder, remedy="make one with assay corpus classifier") from error
        return made


@one_thread()
def fit(rows: Rows, table: pl.DataFrame, bits: int, tell: Callable[[float], None] = lambda done: None) -> Classifier:
    """The classifier of the training share. `tell` gets how many of STRENGTHS are done."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_sample_weight

    good, share = table["good"].to_numpy(), table["share"].to_numpy()
    own, checked, kind = rows.of(share == "train"), rows.of(share == "calibration"), good[share == "calibration"]
    used = np.flatnonzero(np.bincount(own.buckets, minlength=1 << bits) >= _LEAST_DOCUMENTS)
    matrix, held = (part.matrix(1 << bits)[:, used].astype(np.float64) for part in (own, checked))
    made = LogisticRegression(solver="newton-cg", class_weight="balanced", tol=TOLERANCE, max_iter=200, warm_start=True)
    best: tuple[float, float, npt.NDArray[np.float32], float] | None = None
    for done, strength in enumerate(STRENGTHS):
        tell(float(done))
        made.set_params(C=strength).fit(matrix, good[share == "train"])
        chance = made.predict_proba(held)[:, 1]
        loss = log_loss(kind, chance, sample_weight=compute_sample_weight("balanced", kind))
        if best is None or loss < best[0]:
            best = loss, strength, made.coef_[0].astype(np.float32), float(made.intercept_[0])
    assert best is not None
    _, strength, found, bias = best
    weights = np.zeros(1 << bits, dtype=np.float32)
    weights[used] = found
    calibration = platt(checked.dot(weights) + bias, kind)
    counts = table.drop_nulls("language")["language"].value_counts(sort=True)
    common = counts.filter(pl.col("count") >= RARE_LANGUAGE * len(table))["language"]
    return Classifier(weights, bias, calibration, tuple(sorted(common)), strength)


def platt(logits: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """(slope, shift) that make expit(slope * logit + shift) the chance that a case is good, where both kinds are as
    frequent (Platt 1999, with his targets, by which perfect scores do not become certainties: each case is a good one
    in so far, and a bad one for the rest)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.class_weight import compute_sample_weight

    n_good, n_bad = int(good.sum()), int((~good).sum())
    target = np.where(good, (n_good + 1) / (n_good + 2), 1 / (n_bad + 2))
    weight = compute_sample_weight("balanced", good) * np.stack([target, 1 - target])
    made = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9)
    made.fit(np.tile(logits, 2)[:, None], np.repeat([True, False], len(good)), weight.ravel())
    return float(made.coef_[0, 0]), float(made.intercept_[0])


def judged(model: Classifier, rows: Rows, table: pl.DataFrame, level: float = 0.95) -> dict[str, Any]:
    """What the test share says of a classifier, and how unalike the two samples are in what is not quality.

    `auc`, and `alike`: the AUC between documents of one length (tenths) and language alone; `accuracy`, both kinds
    weighing the same; `length_auc` and `median_ngrams`; `languages` of both kinds and `languages_apart`.
    """
    good = table["good"].to_numpy()
    test = table["share"].to_numpy() == "test"
    logits, kind = model.logits(rows.of(test)), good[test]
    tongues = table["language"].fill_null("und")
    tenth = np.argsort(np.argsort(rows.n_grams[test], kind="stable"), kind="stable") * _STRATA // int(test.sum())
    strata = tenth * (1 << 16) + tongues.rank("dense").to_numpy()[test].astype(np.int64)
    hits = int((logits[kind] > 0).sum()), int((logits[~kind] < 0).sum())
    value, interval = balanced_accuracy(hits, (int(kind.sum()), int((~kind).sum())), level)
    length = auc(rows.n_grams, good, replicates=0).value
    shares = [tongues.filter(pl.Series(own)).value_counts(normalize=True) for own in (good, ~good)]
    languages = [dict(zip(one["language"], one["proportion"], strict=True)) for one in shares]
    apart = sum(abs(languages[0].get(n, 0.0) - languages[1].get(n, 0.0)) for n in {**languages[0], **languages[1]}) / 2
    return {
        "auc": _told(auc(logits, kind, level=level)),
        "alike": _told(auc(logits, kind, strata=strata, level=level)),
        "accuracy": {"value": value, "interval": interval},
        "level": level,
        "test": {"good": int(kind.sum()), "bad": int((~kind).sum())},
        "length_auc": max(length, 1 - length),
        "median_ngrams": {
            "good": float(np.median(rows.n_grams[good])), "bad": float(np.median(rows.n_grams[~good])),
        },
        "lengths_differ": max(length, 1 - length) >= _UNALIKE_LENGTHS,
        "languages": {name: _most(one) for name, one in zip(("good", "bad"), languages, strict=True)},
        "languages_apart": apart,
        "languages_differ": apart >= _UNALIKE_LANGUAGES,
    }  # fmt: skip


def _told(found: Any) -> dict[str, Any]:
    return {"value": None if np.isnan(found.value) else found.value, "interval": found.interval}


def _most(shares: dict[str, float]) -> dict[str, float]:
    """The five most frequent."""
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:5])


def telling(
    model: Classifier, rows: Rows, table: pl.DataFrame, parts: Sequence[Path]
) -> dict[str, list[dict[str, Any]]]:
    """The n-grams that move the score most (weight times standard deviation over the training share), for each kind:
    `text`, the most frequent one of their bucket, `weight`, and the share of good and of bad documents with one."""
    train = rows.of(table["share"].to_numpy() == "train")
    good = table.filter(pl.col("share") == "train")["good"].to_numpy()
    size, n = len(model.weights), len(train)
    mean = np.bincount(train.buckets, train.values, size) / n
    spread = np.sqrt(np.maximum(np.bincount(train.buckets, train.values.astype(float) ** 2, size) / n - mean**2, 0))
    push = model.weights * spread
    order = np.argsort(-push, kind="stable")
    ends = {"good": order[:_TELLING], "bad": order[::-1][:_TELLING]}
    wanted = np.zeros(size, dtype=bool)
    wanted[np.concatenate(list(ends.values()))] = True
    said: dict[int, Counter[str]] = {}
    ids = pa.array(table.filter(pl.col("share") == "train")["doc_id"])
    for batch in documents.read(parts, ["doc_id", "text"]):
        own = batch.filter(pa.compute.is_in(batch.column("doc_id"), ids))
        for bucket, text in features.places_of(own.column("text"), wanted, model.bits):
            said.setdefault(bucket, Counter())[text] += 1
    has = {
        kind: np.bincount(train.of(own).buckets, minlength=size) / max(1, int(own.sum()))
        for kind, own in (("good", good), ("bad", ~good))
    }
    return {
        kind: [
            {
                "text": min(said[bucket].items(), key=lambda item: (-item[1], item[0]))[0],
                "weight": float(model.weights[bucket]), "in_good": float(has["good"][bucket]),
                "in_bad": float(has["bad"][bucket]),
            }
            for bucket in buckets.tolist() if bucket in said and (push[bucket] > 0) == (kind == "good")
        ]
        for kind, buckets in ends.items()
    }  # fmt: skip


SCORES = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("value", pa.float32())])


def score_part(part: Path, target: Path, threads: int, *, folder: Path) -> dict[str, Any]:
    """Write doc_id and the score of every document of one part."""
    model = Classifier.load(folder)

    def scored(batch: pa.RecordBatch) -> pa.RecordBatch:
        made = pa.array(model.probabilities(batch.column("text")).astype(np.float32), from_pandas=True)
        return pa.record_batch([batch.column("doc_id"), made], schema=SCORES)

    rows = 0
    with whole_file(target) as path, documents.opened(path, SCORES) as writer:
        for made in in_order(scored, documents.read([part], ["doc_id", "text"]), threads):
            writer.write_batch(made)
            rows += made.num_rows
    return {"documents": rows}
