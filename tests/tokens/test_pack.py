"""Encoded streams: every document's tokens are found again by its span, in any batching; rows waste nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.store import Artifact, Stage, Store
from assay.tokens.learn import train_tokenizer
from assay.tokens.pack import SPANS, encode_stream
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream, segments_of
from assay.tokens.tokenizer import Encoder

SOURCES = ["news", "诗词", "empty"]
DOCUMENTS = [
    (f"{i:032x}", "诗词" if i % 3 == 0 else "news", text)
    for i, text in enumerate(
        ["白日依山尽，黄河入海流。", "Prices rose 3% in May.", "", "<|endoftext|> inside", "short",
         "欲穷千里目，更上一层楼。" * 9, "a" * 300, "床前明月光", "\n", "The end."]
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(train_tokenizer([text for _, _, text in DOCUMENTS], 300))


def batches(sizes: list[int], origins: dict[str, tuple[str, int]] | None = None) -> list[pa.RecordBatch]:
    """Batches of so many of DOCUMENTS each; `origins` gives file and ordinal by id."""
    found, start = [], 0
    for size in sizes:
        ids, sources, texts = zip(*DOCUMENTS[start : start + size], strict=True) if size else ((), (), ())
        files = [(origins or {}).get(doc_id, (f"{doc_id}.jsonl", 0)) for doc_id in ids]
        columns = {"doc_id": ids, "source": sources, "text": texts, "origin": [name for name, _ in files]}
        made = {name: pa.array(list(c), pa.string()) for name, c in columns.items()}
        found.append(pa.record_batch({**made, "ordinal": pa.array([n for _, n in files], pa.int64())}))
        start += size
    return found


def encoded(store: Store, encoder: Encoder, sizes: list[int]) -> Artifact:
    return store.build(
        Stage("stream", 1), {}, sizes, lambda folder: encode_stream(batches(sizes), encoder, folder, "train", SOURCES)
    )


@pytest.fixture
def artifact(tmp_path: Path, encoder: Encoder) -> Artifact:
    return encoded(Store(tmp_path), encoder, [4, 0, 5, 1])


def test_spans_recover_each_documents_tokens(artifact: Artifact, encoder: Encoder) -> None:
    stream, spans = TokenStream.open(artifact), pl.read_parquet(artifact.file("spans.parquet"))
    assert spans.columns == SPANS.names
    assert spans["doc_id"].to_list() == [doc_id for doc_id, _, _ in DOCUMENTS]
    for span, (_, source, text) in zip(spans.iter_rows(named=True), DOCUMENTS, strict=True):
        tokens = stream.shards[source][span["start"] : span["start"] + span["length"]].tolist()
        assert tokens == [END_OF_TEXT_ID, *encoder.encode([text])[0].tolist()]
        assert span["source"] == source
        assert span["split"] == "train"
        assert span["n_bytes"] == len(text.encode())


def test_spans_of_a_source_tile_its_shard(artifact: Artifact) -> None:
    stream, spans = TokenStream.open(artifact), pl.read_parquet(artifact.file("spans.parquet"))
    for source in SOURCES:
        own = spans.filter(pl.col("source") == source)
        assert own["start"].to_list() == np.cumsum([0, *own["length"]])[:-1].tolist()
        assert own["length"].sum() == len(stream.shards[source])
        total = artifact.summary["sources"][source]
        assert total["tokens"] == own["length"].sum()
        assert total["documents"] == len(own)
        assert total["bytes"] == own["n_bytes"].sum()
    assert len(stream.shards["empty"]) == 0
    assert stream.n_rows("empty", 8) == 0


def test_the_result_does_not_depend_on_the_batching(tmp_path: Path, encoder: Encoder, artifact: Artifact) -> None:
    for sizes in ([10], [1] * 10):
        other = encoded(Store(tmp_path), encoder, sizes)
        for source in SOURCES:
            assert np.array_equal(TokenStream.open(artifact).shards[source], TokenStream.open(other).shards[source])
        assert pl.read_parquet(other.file("spans.parquet")).equals(pl.read_parquet(artifact.file("spans.parquet")))
        assert other.summary == artifact.summary


@pytest.mark.parametrize("sizes", [[10], [1] * 10, [3, 7]])
def test_units_are_documents_or_whole_texts(tmp_path: Path, encoder: Encoder, sizes: list[int]) -> None:
    """Of "news" a running text in two pieces, a row in three, and the next row; of 诗词 every piece is a unit."""
    news = ["a.txt", "a.txt", "b.jsonl", "b.jsonl", "b.jsonl", "b.jsonl"]
    places = dict(zip([i for i in range(10) if i % 3], zip(news, [0, 1, 0, 0, 0, 1], strict=True), strict=True))
    origins = {DOCUMENTS[i][0]: places.get(i, ("poems.txt", i)) for i in range(10)}

    def make(folder: Path) -> dict[str, Any]:
        return encode_stream(batches(sizes, origins), encoder, folder, "train", SOURCES, whole=["news", "empty"])

    made = Store(tmp_path).build(Stage("stream", 1), {}, {}, make)
    spans = pl.read_parquet(made.file("spans.parquet"), glob=False)
    assert spans.filter(source="news")["unit"].to_list() == [0, 0, 1, 1, 1, 2]
    assert spans.filter(source="诗词")["unit"].to_list() == [0, 1, 2, 3]
    assert {s: total["units"] for s, total in made.summary["sources"].items()} == {"news": 3, "诗词": 4, "empty": 0}
    units = TokenStream.open(made).units
    assert {s: u.tolist() for s, u in units.items()} == {"news": [0, 0, 1, 1, 1, 2]}  # elsewhere documents are units


def test_shards_are_flat_little_endian_numbers(artifact: Artifact, encoder: Encoder) -> None:
    assert artifact.summary["dtype"] == "<u2"
    total = artifact.summary["sources"]["news"]
    flat = np.fromfile(artifact.file(total["shard"]), "<u2")
    assert np.array_equal(flat, TokenStream.open(artifact).shards["news"])


@given(st.integers(0, 40), st.integers(1, 9))
def test_rows_hold_every_token_once_without_padding(n_tokens: int, row_tokens: int) -> None:
    stream = TokenStream({"s": np.arange(n_tokens, dtype=np.uint16)})
    n = stream.n_rows("s", row_tokens)
    rows = [stream.row("s", index, row_tokens).tolist() for index in range(n)]
    assert all(len(row) == row_tokens + 1 for row in rows)
    # Inputs on end are the stream; each row's last target is the next row's first input.
    assert [t for row in rows for t in row[:-1]] == list(range(n * row_tokens))
    assert all(a[-1] == b[0] for a, b in pairwise(rows))
    assert n_tokens - n * row_tokens <= row_tokens  # what is left over makes no row


def test_segments_begin_at_the_special_token() -> None:
    rows = np.array([[5, 6, 0, 7, 8, 0, 0, 9], [0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]])
    assert segments_of(rows).tolist() == [[0, 0, 1, 1, 1, 2, 3, 3], [1] * 8, [0] * 8]
