"""Held-out text: what is counted of a document is its own, all of what is spelled is counted, budgets hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import InputError
from assay.store import Stage, Store
from assay.tokens import evalset
from assay.tokens.evalset import EvalSet
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream

VOCABULARY = 500
TOKEN_BYTES = np.concatenate([[0], np.random.default_rng(0).integers(1, 9, VOCABULARY - 1)])


def corpus(lengths: dict[str, list[int]], seed: int = 0) -> tuple[TokenStream, pl.DataFrame]:
    """Documents of so many tokens of text by source; ids are random, as hashes are."""
    rng = np.random.default_rng(seed)
    shards, spans = {}, []
    for source, own in lengths.items():
        start, parts = 0, []
        for unit, length in enumerate(own):
            parts.append(np.concatenate([[END_OF_TEXT_ID], rng.integers(1, VOCABULARY, length)]))
            spans.append({"doc_id": rng.bytes(16).hex(), "source": source, "unit": unit // 2, "start": start,
                          "length": length + 1})  # fmt: skip
            start += length + 1
        shards[source] = np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.uint16)
    schema = {"doc_id": pl.String, "source": pl.String, "unit": pl.Int64, "start": pl.Int64, "length": pl.Int64}
    return TokenStream(shards), pl.DataFrame(spans, schema)


def check(data: EvalSet, stream: TokenStream, spans: pl.DataFrame, row_tokens: int) -> None:
    inputs, targets, owner = (x.ravel() for x in (data.inputs_RT, data.targets_RT, data.document_RT))
    assert data.inputs_RT.shape == data.targets_RT.shape == data.document_RT.shape
    assert data.inputs_RT.shape[1] == row_tokens
    assert np.array_equal(targets >= 0, owner >= 0)
    assert (owner < 0).sum() < row_tokens  # nothing but the filling of the last row counts for nothing
    assert data.documents["doc_id"].is_unique().all()
    for i, document in enumerate(data.documents.iter_rows(named=True)):
        span = spans.row(by_predicate=pl.col("doc_id") == document["doc_id"], named=True)
        assert (span["source"], span["unit"]) == (document["source"], document["unit"])
        own = np.flatnonzero(owner == i)
        assert len(own) == document["n_tokens"] > 0
        assert np.array_equal(own, np.arange(own[0], own[-1] + 1))
        assert document["n_bytes"] == TOKEN_BYTES[targets[own]].sum()
        # The window is a stretch of this very document, and each target follows its input there.
        text = stream.shards[span["source"]][span["start"] : span["start"] + span["length"]].tolist()
        window = [*inputs[own].tolist(), int(targets[own[-1]])]
        assert window[1:] == targets[own].tolist()
        assert any(text[k : k + len(window)] == window for k in range(len(text) - len(window) + 1))
        assert END_OF_TEXT_ID not in targets[own]


documents = st.lists(st.integers(0, 60), max_size=12)


@settings(max_examples=60, deadline=None)
@given(documents, documents, st.integers(2, 9), st.integers(1, 400), st.integers(0, 5))
def test_every_counted_token_belongs_to_its_document(
    a: list[int], b: list[int], row_tokens: int, budget: int, seed: int
) -> None:
    stream, spans = corpus({"a": a, "b": b}, seed)
    if not any(a) and not any(b):
        with pytest.raises(InputError, match="no held-out text"):
            evalset.build(stream, spans, TOKEN_BYTES, row_tokens, budget)
        return
    data = evalset.build(stream, spans, TOKEN_BYTES, row_tokens, budget)
    check(data, stream, spans, row_tokens)
    for source, lengths in (("a", a), ("b", b)):
        own = data.documents.filter(pl.col("source") == source)
        assert own["n_tokens"].sum() <= budget or len(own) == 1
        assert (len(own) > 0) == any(lengths)
        if sum(lengths) <= budget:  # what fits whole is counted whole
            assert own["n_tokens"].sum() == sum(lengths)


def test_a_budget_is_spent_on_many_documents() -> None:
    stream, spans = corpus({"a": [5000] * 40})
    data = evalset.build(stream, spans, TOKEN_BYTES, 64, 3000)
    assert data.documents["n_tokens"].sum() > 0.9 * 3000
    assert len(data.documents) >= 3000 // 128 - 1


def test_windows_lie_anywhere_in_their_documents() -> None:
    stream, spans = corpus({"a": [4000] * 200})
    data = evalset.build(stream, spans, TOKEN_BYTES, 64, 20_000)
    begins = []
    for i, doc_id in enumerate(data.documents["doc_id"]):
        span = spans.row(by_predicate=pl.col("doc_id") == doc_id, named=True)
        text = stream.shards["a"][span["start"] : span["start"] + span["length"]].astype(np.int64)
        first = data.inputs_RT.ravel()[np.flatnonzero(data.document_RT.ravel() == i)[:4]]
        begins.append(next(k for k in range(len(text)) if np.array_equal(text[k : k + 4], first)))
    assert 0.35 < np.mean(begins) / 4000 < 0.65
    assert np.min(begins) < 400
    assert np.max(begins) > 3400


def test_the_choice_does_not_depend_on_the_order_of_files() -> None:
    stream, spans = corpus({"a": [30] * 20, "b": [50] * 9})
    one = evalset.build(stream, spans, TOKEN_BYTES, 16, 200)
    other = evalset.build(stream, spans.sample(fraction=1.0, shuffle=True, seed=1), TOKEN_BYTES, 16, 200)
    assert one.documents.equals(other.documents)
    assert np.array_equal(one.inputs_RT, other.inputs_RT)


@pytest.mark.parametrize("folder", ["plain", "run [1]", "a*b?", "[]", "试验"])
def test_it_is_read_as_it_was_saved(tmp_path: Path, folder: str) -> None:
    stream, spans = corpus({"a": [30, 3, 70], "b": [50]})
    data = evalset.build(stream, spans, TOKEN_BYTES, 16, 100)
    found = EvalSet.open(Store(tmp_path / folder).build(Stage("evalset", 1), {}, {}, data.save))
    for name in ("inputs_RT", "targets_RT", "document_RT"):
        assert np.array_equal(getattr(found, name), getattr(data, name))
        assert getattr(found, name).dtype == np.int64
    assert found.documents.equals(data.documents)
