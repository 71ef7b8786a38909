"""The ledger: typed tables, one folder a job, queried together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay import ledger
from assay.ledger import JOB, TABLES, Ledger, write_tables
from assay.store import Artifact, Store


def run_row(run_id: str, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(ledger.RUNS.names) | {
        "run_id": run_id, "cell": "natural", "seed": 1, "D": 100, "mixture": [("a", 0.25), ("b", 0.75)]
    } | values  # fmt: skip


def loss_row(run_id: str, source: str, nll: float) -> dict[str, Any]:
    return {"run_id": run_id, "step": 5, "split": "eval", "source": source, "n_tokens": 4, "n_bytes": 9, "nll": nll}


def document_row(run_id: str, doc_id: str, nll: float) -> dict[str, Any]:
    return {"run_id": run_id, "step": 5, "split": "eval", "doc_id": doc_id, "n_tokens": 2, "nll": nll}


def part(store: Store, run_id: str) -> Artifact:
    rows: dict[str, list[dict[str, Any]]] = {
        "runs": [run_row(run_id)],
        "losses": [loss_row(run_id, "a", 3.0), loss_row(run_id, "b", 4.5)],
        "document_losses": [document_row(run_id, f"d{i}", 1.5) for i in range(5)],
    }

    def make(folder: Path) -> None:
        write_tables(folder, rows)

    return store.build(JOB, {"job": run_id}, {}, make)


# Names of folders that people have, and that SQL, Python or globbing would take for something else.
@pytest.mark.parametrize(
    "name", ["plain", "it's mine", "run [1]", "a*b", "50% ?", 'say "x"', "语料 实验", "back\\slash"]
)
def test_a_query_sees_all_parts_wherever_they_lie(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name)
    parts = [part(store, "r1"), part(store, "r2")]
    found = Ledger(store).query(
        parts,
        """SELECT r.run_id, r.mixture['b'] AS share, sum(l.nll) AS nll FROM runs r JOIN losses l USING (run_id)
           GROUP BY ALL ORDER BY 1""",
    )
    assert found.rows() == [("r1", 0.75, 7.5), ("r2", 0.75, 7.5)]
    one = Ledger(store).query(parts[:1], "SELECT count(*) AS n, sum(nll) AS nll FROM document_losses")
    assert one.rows() == [(5, 7.5)]


def test_no_parts_are_empty_tables(tmp_path: Path) -> None:
    for name in TABLES:
        found = Ledger(Store(tmp_path)).query([], f"SELECT * FROM {name}")
        assert found.columns == TABLES[name].names
        assert len(found) == 0


def test_tables_have_the_documented_schema(tmp_path: Path) -> None:
    artifact = part(Store(tmp_path), "r")
    for name, schema in TABLES.items():
        assert pq.read_schema(artifact.file(f"{name}.parquet")).equals(schema)
    assert set(ledger.TIMES) <= set(ledger.RUNS.names)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"runs": [run_row("r", D="many")], "losses": [], "document_losses": []}
    with pytest.raises(pa.ArrowException):
        write_tables(tmp_path, rows)


def test_a_finished_job_is_found_by_what_it_was_made_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = part(store, "r")
    found = Ledger(store).find({"job": "r"}, {})
    assert found is not None
    assert found.fingerprint == artifact.fingerprint
    assert Ledger(store).find({"job": "other"}, {}) is None
