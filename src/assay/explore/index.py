"""The tables of a corpus as one narrow table, a row a document, so that a million of them are asked in a blink.

    artifacts/{documents,signals,duplicates,splits,evalset,ledger}, decisions --> DuckDB file in the cache

A row knows the part of the documents that it stands in and its place there, so its text is read from there. The texts
themselves stay in their Parquet parts; of each the beginning is in the table. The file's name is the fingerprint of all
that it was made from: it is made once, takes its name when it is whole, and another corpus never finds it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus.documents import DOCUMENTS
from assay.corpus.signals.scoring import SIGNALS
from assay.errors import InputError
from assay.explore.catalog import Entry, read_json
from assay.impact import design
from assay.machine import cache_folder, cores
from assay.store import MANIFEST, fingerprint
from assay.workspace import IDENTITIES

VERSION = 2
KEPT = 16  # indexes in the cache
EXCERPT = 240  # characters
_DECIDED = {IDENTITIES[kind] for kind in ("study", "training", "corpus", "selection")}  # of the documents as they came
_ALSO_DOCUMENTS = ("source", "origin", "ordinal", "language", "script", "n_bytes", "parent_id", "copies")


@dataclass(frozen=True)
class Tables:
    """Where the tables of a corpus lie.

    Attributes:
        documents: parts, in their order.
        signals: parts; none: they were not computed.
        twins, splits, decisions: files, or none.
        losses: (document losses, sizes of evaluated stretches, runs) of a ledger.
        decided: the name of the selection that decided.
        run_tokens: of the natural runs whose losses count, as in the study's own page; None: the longest ones.
    """

    documents: list[Path]
    signals: list[Path] = field(default_factory=list)
    twins: list[Path] = field(default_factory=list)
    splits: list[Path] = field(default_factory=list)
    decisions: list[Path] = field(default_factory=list)
    losses: list[Path] = field(default_factory=list)
    sizes: list[Path] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    decided: str = ""
    run_tokens: int | None = None

    def identity(self) -> str:
        """Of all that the index is made from: files are never changed in place, so their size and time tell."""
        parts = [*self.documents, *self.signals, *self.twins, *self.splits, *self.decisions, *self.losses, *self.sizes]
        files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in parts]
        return fingerprint([VERSION, duckdb.__version__, files, self.decided, self.run_tokens])


def tables_of(entry: Entry, decisions_of: Callable[[str], tuple[str, Path] | None] = lambda _: None) -> Tables:
    """The tables of a corpus, a study or a training.

    Args:
        decisions_of: the fingerprint of documents -> a selection that decided on them.

    Raises:
        InputError: there are no documents.
    """
    store = entry.path / "artifacts"
    texts = _newest(store / "documents")
    made = sorted((entry.path / "kept").glob("*.parquet"))  # what a verb of `assay corpus` has left in sight
    if made and (texts is None or entry.identity not in _DECIDED):
        return Tables(made)
    if texts is None:
        raise InputError("holds no documents", where=entry.name, remedy="let its work run to its end")
    folder, manifest = texts
    address = str(manifest["fingerprint"])
    files = {name: _parquet(_newest(store / name, address)) for name in ("signals", "duplicates", "splits")}
    own = _newest(store / "decisions", address)
    decided, decisions = (entry.name, _parquet(own)) if own else ("", [])
    if not decisions and (other := decisions_of(address)) is not None:
        decided, decisions = other[0], [other[1]]
    ledgers = [path for path in (*sorted(store.glob("ledger/*/")), entry.path / "ledger") if path.is_dir()]
    return Tables(
        _parquet((folder, manifest)), files["signals"], files["duplicates"], files["splits"], decisions,
        _there(ledgers, "document_losses.parquet"), sorted(store.glob("evalset/*/documents.parquet")),
        _there(ledgers, "runs.parquet"), decided, _run_tokens(entry),
    )  # fmt: skip


def _run_tokens(entry: Entry) -> int | None:
    """Training tokens of a study's comparison runs."""
    try:
        return int(entry.json("results.json")["run_tokens"])
    except (InputError, LookupError, TypeError, ValueError):
        return None


def _there(folders: list[Path], name: str) -> list[Path]:
    return [folder / name for folder in folders if (folder / name).is_file()]


def _newest(stage: Path, documents: str | None = None) -> tuple[Path, dict[str, Any]] | None:
    """The newest artifact of a stage, of these documents if they are named; damaged ones are passed over."""
    found = []
    for manifest in stage.glob(f"*/{MANIFEST}"):
        try:
            stated = read_json(manifest)
            if documents is None or stated["inputs"].get("documents") == documents:
                _ = stated["fingerprint"], stated["files"]
                found.append((str(stated.get("created_at", "")), manifest.parent, stated))
        except (InputError, LookupError, TypeError, AttributeError):
            continue
    return max(found, key=lambda one: one[:2])[1:] if found else None


def _parquet(artifact: tuple[Path, dict[str, Any]] | None) -> list[Path]:
    if artifact is None:
        return []
    names = sorted(name for name in artifact[1]["files"] if name.endswith(".parquet"))
    return [artifact[0] / name for name in names if (artifact[0] / name).is_file()]


class Index:
    """The narrow table `documents` of a corpus, in a file that any number of processes read.

    Attributes:
        parts: of the documents, under names that no query takes for a pattern.
        bases: the number of the first row of each part.
        columns: name -> DuckDB's type.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        with _damage_told():
            self.rows_of = [pq.read_metadata(path).num_rows for path in tables.documents]
            self.bases = [sum(self.rows_of[:i]) for i in range(len(self.rows_of))]
            self.n = sum(self.rows_of)
            identity, folder = tables.identity(), _cache()
            self.links = folder / f"{identity}.parts"
            self.parts = _linked(tables.documents, self.links)
            self._connection = self._opened(folder / f"{identity}.duckdb")
            described = self._connection.execute("DESCRIBE documents").fetchall()
            told = self._connection.execute("SELECT content FROM facets").fetchall()
        self.columns = {str(row[0]): str(row[1]) for row in described}
        self.facets: dict[str, Any] = json.loads(told[0][0])
        self._lock = threading.Lock()

    def _opened(self, file: Path) -> duckdb.DuckDBPyConnection:
        """The index, made where there is none, or a damaged one."""
        for _ in range(2):
            if not file.is_file():
                _make(file, self)
                _forget(file.parent)
            try:
                os.utime(file)  # it is in use
                return duckdb.connect(str(file), read_only=True, config={"threads": cores()})
            except duckdb.Error:
                file.unlink(missing_ok=True)
        raise InputError("cannot be read back", where=file, remedy="see that the cache folder can be written")

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """For one question; several threads have one each."""
        with self._lock:
            own = self._connection.cursor()
        try:
            yield own
        finally:
            own.close()

    def close(self) -> None:
        self._connection.close()

    def text(self, part: int, place: int) -> str:
        """The text of a row, from the row group that it lies in."""
        file = pq.ParquetFile(self.tables.documents[part])
        before = 0
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if place < before + n:
                column = file.read_row_group(group, columns=["text"]).column("text")
                return str(column[place - before].as_py())
            before += n
        raise InputError("is not there", where=f"row {place}", remedy="start assay explore again")


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what libraries say of damaged tables into one line."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        what = f"a table of the corpus cannot be read ({type(error).__name__})"
        raise InputError(what, where="artifacts", remedy="run its work again") from error


def _cache() -> Path:
    """Where indexes are kept; where the user's cache cannot be written, or has a name that a query would take for a
    pattern, for as long as the process lives."""
    folder = cache_folder().absolute() / "explore"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and not set("*?[]{}'") & set(str(folder)):
            return folder
    except OSError:
        pass
    made = Path(tempfile.mkdtemp(prefix="assay-explore-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _forget(folder: Path) -> None:
    """Remove all indexes but the last few that were used."""
    files = sorted(folder.glob("*.duckdb"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEPT:]:
        file.unlink(missing_ok=True)
        shutil.rmtree(file.with_suffix(".parts"), ignore_errors=True)


def _linked(paths: list[Path], folder: Path) -> list[str]:
    """Links to files, by names without anything that DuckDB would read as a pattern or a quote."""
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for i, path in enumerate(paths):
        link = folder / f"{i:05d}.parquet"
        if not link.is_symlink() or link.readlink() != path.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
        links.append(str(link))
    return links


def quoted(name: str) -> str:
    """A name of a column as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _make(file: Path, index: Index) -> None:
    """Write the index; it takes its name once it is whole."""
    staging = file.with_name(f".staging-{file.name}-{os.getpid()}")
    staging.unlink(missing_ok=True)
    scratch = index.links / "more"
    connection = duckdb.connect(str(staging), config={"threads": cores()})
    try:
        _views(connection, index.tables, scratch)
        connection.execute(_rows(index, scratch))
        facets = json.dumps(_facets(connection, index.tables), ensure_ascii=False)
        for view in ("twins", "splits", "decisions", "losses"):
            connection.execute(f"DROP VIEW IF EXISTS {view}")
        connection.execute("CREATE TABLE facets (content VARCHAR)")
        connection.execute("INSERT INTO facets VALUES (?)", [facets])
        connection.close()
        os.replace(staging, file)
    finally:
        connection.close()
        staging.unlink(missing_ok=True)


def _views(connection: duckdb.DuckDBPyConnection, tables: Tables, scratch: Path) -> None:
    """What is joined to the documents by their ids, each with the columns that the index has, empty where it lacks."""

    def read(name: str, paths: list[Path]) -> str:
        return _read(paths, scratch / name)

    empty: Mapping[str, tuple[list[Path], str, str]] = {
        "twins": (tables.twins, "doc_id, cluster, is_near_duplicate AS near, is_exact_duplicate AS exact",
                  "NULL::VARCHAR doc_id, NULL::VARCHAR AS cluster, NULL::BOOLEAN near, NULL::BOOLEAN exact"),
        "splits": (tables.splits, "doc_id, split", "NULL::VARCHAR doc_id, NULL::VARCHAR split"),
        "decisions": (tables.decisions, "doc_id, keep, reasons",
                      "NULL::VARCHAR doc_id, NULL::BOOLEAN keep, NULL::VARCHAR[] reasons"),
    }  # fmt: skip
    for name, (paths, there, lacking) in empty.items():
        body = f"SELECT {there} FROM {read(name, paths)}" if paths else f"SELECT {lacking} WHERE false"
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {body}")
    if not tables.losses or not tables.sizes or not tables.runs:
        connection.execute("CREATE VIEW losses AS SELECT NULL::VARCHAR doc_id, NULL::DOUBLE loss WHERE false")
        return
    # Of the runs on the corpus as it is those of one length: their mean over seeds, in bits per byte.
    length = tables.run_tokens or "(SELECT max(D) FROM own)"
    connection.execute(f"""
        CREATE VIEW losses AS
        WITH runs AS (SELECT * FROM {read("runs", tables.runs)} WHERE status = 'done'),
        own AS (SELECT run_id, D FROM runs WHERE cell = '{design.NATURAL}' OR cell IS NULL OR cell = ''),
        used AS (SELECT run_id FROM runs WHERE run_id IN
                   (SELECT run_id FROM own WHERE D = {length})
                 OR NOT EXISTS (SELECT 1 FROM own)),
        sizes AS (SELECT DISTINCT doc_id, n_tokens, n_bytes FROM {read("sizes", tables.sizes)} WHERE n_bytes > 0)
        SELECT l.doc_id, avg(l.nll / ln(2) / s.n_bytes) AS loss
        FROM {read("losses", tables.losses)} l
        JOIN used USING (run_id) JOIN sizes s ON s.doc_id = l.doc_id AND s.n_tokens = l.n_tokens
        GROUP BY l.doc_id""")


def _rows(index: Index, scratch: Path) -> str:
    """The statement that makes the table."""
    there = set(pq.read_schema(index.tables.documents[0]).names)
    types = {f.name: ("BIGINT" if str(f.type) == "int64" else "VARCHAR") for f in DOCUMENTS}

    def own(name: str) -> str:
        return f"d.{name}" if name in there else f"NULL::{types[name]} AS {name}"

    marks, signals, joined = index.tables.signals, "", ""
    if marks:
        has = set(pq.read_schema(marks[0]).names)
        names = [f.name for f in SIGNALS if f.name != "doc_id" and f.name in has]
        signals = "".join(f", g.{quoted(name)}" for name in names)
        joined = f"LEFT JOIN {_read(marks, scratch / 'signals')} g ON g.doc_id = d.doc_id"
    parts = ", ".join(f"'{part}'" for part in index.parts)
    bases = ", ".join(
        f"({i}, '{part}', {base})" for i, (part, base) in enumerate(zip(index.parts, index.bases, strict=True))
    )
    return f"""
        CREATE TABLE documents AS
        SELECT p.base + d.file_row_number AS row, p.part, d.file_row_number AS place, d.doc_id,
            {", ".join(own(name) for name in _ALSO_DOCUMENTS)},
            left(d.text, {EXCERPT}) AS excerpt, length(d.text) AS length,
            coalesce(s.split, {"d.split" if "split" in there else "NULL"}) AS split,
            t.cluster, t.near, t.exact, c.keep, c.reasons, l.loss{signals}
        FROM read_parquet([{parts}], file_row_number = true, filename = true, union_by_name = true) d
        JOIN (VALUES {bases}) p(part, name, base) ON p.name = d.filename
        LEFT JOIN splits s ON s.doc_id = d.doc_id
        LEFT JOIN twins t ON t.doc_id = d.doc_id
        LEFT JOIN decisions c ON c.doc_id = d.doc_id
        LEFT JOIN losses l ON l.doc_id = d.doc_id
        {joined}"""


def _read(paths: list[Path], folder: Path) -> str:
    return "read_parquet([" + ", ".join(f"'{link}'" for link in _linked(paths, folder)) + "])"


def _facets(connection: duckdb.DuckDBPyConnection, tables: Tables) -> dict[str, Any]:
    """What there is to filter by, with how many documents each has."""

    def counted(sql: str) -> list[list[Any]]:
        return [list(row) for row in connection.execute(sql).fetchall()]

    groups = {
        name: counted(
            f"SELECT {name}, count(*) FROM documents WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200"
        )
        for name in ("source", "language", "split")
    }
    reasons = "SELECT unnest(reasons), count(*) FROM documents GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200"
    sums = counted(
        "SELECT count(*), sum(n_bytes)::BIGINT, count(loss), count(keep), count(*) FILTER (keep),"
        " count(*) FILTER (near), count(cluster) FROM documents"
    )[0]
    names = ("documents", "bytes", "with_loss", "decided", "kept", "near", "clustered")
    return {
        **groups, "reasons": counted(reasons), **dict(zip(names, sums, strict=True)), "decided_by": tables.decided,
    }  # fmt: skip
