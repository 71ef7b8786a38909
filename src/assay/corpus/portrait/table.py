"""The documents of a scan as one table to ask: who is in which group of sources, how large, in which cluster.

    documents + signals + duplicates (Parquet) -> DuckDB table `corpus` on disk, one row a document, no texts
    sources -> groups: the largest ones are themselves, those beyond them are taken together

Figures are shown group by group, so that a corpus of a thousand sources still fits on a page and in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

MOST_GROUPS = 20
SIGNALS = (
    "letters", "digits", "punctuation", "mean_word_length", "mean_line_length", "line_punctuation", "short_lines",
    "duplicate_line_chars", "repeated_10chars", "listed_words", "language_score", "second_language_share",
    "code_lines", "traditional",
)  # fmt: skip
"""Those whose distribution is shown, and those that are counted by a threshold."""


@dataclass(frozen=True)
class Scanned:
    """The parts of a scan: of documents, signals (each beside its documents) and duplicates; and a folder for what does
    not fit in memory."""

    texts: Sequence[Path]
    signals: Sequence[Path]
    twins: Sequence[Path]
    scratch: Path


@dataclass(frozen=True)
class Group:
    """Sources that are shown as one; `name` is None where they are several, the smallest of many."""

    name: str | None
    sources: tuple[str, ...]


@contextlib.contextmanager
def opened(scanned: Scanned) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Group]]]:
    """A connection with the table `corpus`: doc_id, g (number of the group), n_bytes, n_chars, language (und: none),
    script, cluster, exact, near (a copy of another document), and SIGNALS; and the groups."""
    config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(scanned.scratch / "spilled")}
    with duckdb.connect(scanned.scratch / "corpus.duckdb", config=config) as connection:
        for name, parts in (("d", scanned.texts), ("s", scanned.signals), ("u", scanned.twins)):
            connection.read_parquet([str(part) for part in parts]).create_view(name)
        groups = grouped(connection)
        names = [(source, g) for g, group in enumerate(groups) for source in group.sources]
        connection.register("groups", pa.table({"source": [n for n, _ in names], "g": [g for _, g in names]}))
        connection.execute(
            "CREATE TABLE corpus AS SELECT d.doc_id, g.g::INT AS g, d.n_bytes, s.n_chars,"
            " coalesce(d.language, 'und') AS language, coalesce(d.script, 'Zyyy') AS script, u.cluster,"
            f" u.is_exact_duplicate AS exact, u.is_near_duplicate AS near, {', '.join(f's.{name}' for name in SIGNALS)}"
            " FROM d JOIN groups g USING (source) JOIN s USING (doc_id) JOIN u USING (doc_id)"
        )
        yield connection, groups


def grouped(connection: duckdb.DuckDBPyConnection) -> list[Group]:
    """The groups of the sources in the view `d`, the largest (in bytes) first."""
    found = connection.sql("SELECT source FROM d GROUP BY source ORDER BY sum(n_bytes) DESC, source").fetchall()
    names = [name for (name,) in found]
    alone = len(names) if len(names) <= MOST_GROUPS else MOST_GROUPS - 1
    groups = [Group(name, (name,)) for name in names[:alone]]
    return [*groups, Group(None, tuple(names[alone:]))] if alone < len(names) else groups
