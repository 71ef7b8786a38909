"""Which documents a person is shown."""

from __future__ import annotations

import polars as pl

from assay.impact.findings import LEAST_SAMPLE_BYTES, SAMPLES, extremes


def documents(source: str, n_bytes: list[int]) -> pl.DataFrame:
    n = len(n_bytes)
    return pl.DataFrame(
        {"source": [source] * n, "doc_id": [f"{source}-{i:02}" for i in range(n)],
         "bpb": [1.0 + i / 10 for i in range(n)], "n_bytes": n_bytes}
    )  # fmt: skip


def test_every_source_shows_its_extremes_and_short_windows_stay_out() -> None:
    long = LEAST_SAMPLE_BYTES + 1
    table = pl.concat([documents("essays", [5, *[long] * 18, 5]), documents("tweets", [5] * 4 + [30] * 16)])
    found = extremes(table)
    for source, left_out in (("essays", {"essays-00", "essays-19"}), ("tweets", {f"tweets-{i:02}" for i in range(4)})):
        own = found.filter(pl.col("source") == source)
        assert not left_out & set(own["doc_id"])
        ranked = table.filter((pl.col("source") == source) & ~pl.col("doc_id").is_in(list(left_out))).sort("bpb")
        assert own.filter(extreme="lowest")["doc_id"].to_list() == ranked["doc_id"].head(SAMPLES).to_list()
        assert own.filter(extreme="highest")["doc_id"].to_list() == ranked["doc_id"].tail(SAMPLES).to_list()


def test_a_document_is_shown_once() -> None:
    found = extremes(documents("few", [500] * 3))
    assert found["doc_id"].is_unique().all()
    assert len(found) == 3
