"""Curricula: values of the training stream's documents, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.impact import orders
from assay.store import Artifact, Store
from assay.tokens import prepare
from assay.tokens.learn import Learning
from assay.tokens.stream import TokenStream


@pytest.fixture
def made(tmp_path: Path) -> tuple[Corpus, Artifact, Store]:
    rng, folder = np.random.default_rng(0), tmp_path / "texts"
    folder.mkdir()
    for name in ("a", "b"):
        rows = [
            {"text": " ".join(f"{name}{rng.integers(1000)}" for _ in range(rng.integers(5, 60)))} for _ in range(80)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    store = Store(tmp_path / "store")
    corpus = scan([str(folder)], ReadOptions(), SplitOptions(), store)
    tokens = prepare.tokenizer(corpus, store, Learning(vocabulary=300), 20_000)
    config = {"sources": corpus.sources}
    inputs = {"corpus": corpus.fingerprint}
    return corpus, prepare.stream(corpus.read("train"), tokens, store, "train", config, inputs), store


def test_every_document_of_the_stream_has_its_value(made: tuple[Corpus, Artifact, Store]) -> None:
    corpus, stream, store = made
    found = np.load(orders.values("-n_words * 2", corpus, stream, store).file("values.npz"))
    signals = pl.read_parquet(corpus.signals.files(".parquet"), columns=["doc_id", "n_words"])
    words = dict(signals.iter_rows())
    spans = pl.read_parquet(stream.file("spans.parquet")).sort("start")
    for source in corpus.sources:
        own = spans.filter(pl.col("source") == source)["doc_id"].to_list()
        assert found[source].tolist() == [-2 * words[doc_id] for doc_id in own]
        assert len(own) == len(TokenStream.open(stream).begins(source))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("n_wrods", "there is no signal n_wrods"),
        ("n_words >", "cannot be read as an expression"),
        ("source", "gives no numbers"),
        ("is_near_duplicate", "is_near_duplicate orders nothing"),
    ],
)
def test_what_orders_nothing_is_refused(made: tuple[Corpus, Artifact, Store], text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        orders.values(text, *made)
    assert caught.value.line().startswith(f"design.orders {text}: {told}")
