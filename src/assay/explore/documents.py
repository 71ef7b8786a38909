"""Documents of a corpus: search, filters, pages of results; one document with its signals and neighbours.

    filters, order -> rows of the index behind a key -> a page, and the key of the next one
    search         -> part by part of the texts, for so long at a time; what was found is kept for the next question

Pages are told by the last row of the one before (its value in the order, and its number), never by how many rows to
skip, so the thousandth page takes as long as the first. A search answers within its time with what it has found so far,
and with how much of the corpus that is.
"""

from __future__ import annotations

import difflib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from assay.errors import InputError
from assay.explore.index import Index, quoted

PAGE, MOST_PAGE = 50, 200
SECONDS = 0.4  # that a search looks for before it answers
SEARCHES = 16  # whose rows are kept
MOST_COPIES = 50  # of a document's cluster
MOST_COMPARED = 20_000  # characters of two documents whose differences are marked
MOST_TEXT = 200_000  # characters of a document that are shown
_FIXED = ("n_bytes", "length", "loss")
_LISTED = (
    "row", "doc_id", "source", "origin", "language", "split", "n_bytes", "excerpt", "near", "exact", "keep", "reasons",
    "loss",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is looked for.

    Attributes:
        text: a part of it; letters of both cases match where it has small ones alone.
        sources, languages, splits, reasons: any of these; none: all.
        keep: what a selection decided; None: either.
        near: near-duplicates alone, or none of them.
        bounds: signal -> (least, most), either may be None.
        order: a signal, `loss`, `n_bytes`, or "" for the corpus's own.
    """

    text: str = ""
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    keep: bool | None = None
    near: bool | None = None
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    order: str = ""
    falling: bool = False


@dataclass(frozen=True)
class Page:
    """Documents, and where the next ones begin.

    Attributes:
        after: the key of the next page; None: there is none.
        found: how many there are, as far as was looked.
        searched: share of the corpus that was looked through.
    """

    documents: list[dict[str, Any]]
    after: list[Any] | None
    found: int
    searched: float


@dataclass
class _Search:
    """What a text was found in so far."""

    parts: int = 0
    rows: list[np.ndarray] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Documents:
    """The documents of one corpus."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._searches: OrderedDict[str, _Search] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def numeric(self) -> list[str]:
        """What documents can be sorted by and bounded in."""
        skipped = {"row", "part", "place", "ordinal", "copies"}
        kinds = ("FLOAT", "DOUBLE", "INTEGER", "BIGINT")
        return [name for name, kind in self.index.columns.items() if kind in kinds and name not in skipped]

    def page(self, asked: Asked, after: Sequence[Any] | None = None, size: int = PAGE) -> Page:
        """Documents behind a key.

        Raises:
            InputError: an order, a bound or a key that there is not.
        """
        size = max(1, min(size, MOST_PAGE))
        wheres, values = self._wheres(asked)
        order = self._order(asked)
        with self.index.cursor() as cursor:
            searched = 1.0
            source = "documents"
            if asked.text:
                last = 0 if after is None or asked.order else int(after[-1])
                enough = None if asked.order or asked.falling else (last, size)
                searched, found = self._look(cursor, asked.text, enough)
                cursor.register("found", pa.table({"row": found}))
                source = "documents SEMI JOIN found USING (row)"
            where = f"WHERE {' AND '.join(wheres)}" if wheres else ""
            (count,) = cursor.execute(f"SELECT count(*) FROM {source} {where}", values).fetchall()[0]
            behind, key = _behind(order, asked.falling, after)
            both = [*wheres, *behind]
            where = f"WHERE {' AND '.join(both)}" if both else ""
            way = "DESC" if asked.falling else "ASC"
            by = f"{order} {way} NULLS LAST, row" if order else f"row {way}"
            value = f"{order or 'NULL'} AS value"
            names = ", ".join(_LISTED)
            rows = cursor.execute(
                f"SELECT {names}, {value} FROM {source} {where} ORDER BY {by} LIMIT {size + 1}", [*values, *key]
            ).fetchall()
        listed = [dict(zip((*_LISTED, "value"), row, strict=True)) for row in rows[:size]]
        more = len(rows) > size
        next_key = [listed[-1]["value"], listed[-1]["row"]] if more else None
        return Page(listed, next_key, int(count), searched)

    def document(self, row: int) -> dict[str, Any]:
        """All that is known of a document, and the others of its cluster.

        Raises:
            InputError: there is none.
        """
        with self.index.cursor() as cursor:
            result = cursor.execute("SELECT * FROM documents WHERE row = ?", [row])
            names = [column[0] for column in result.description]
            found = result.fetchall()
            if not found:
                raise InputError("there is no such document", where=f"row {row}", remedy="choose one of the list")
            own = dict(zip(names, found[0], strict=True))
            copies = self._copies(cursor, own)
        numeric = [name for name in self.numeric if name not in _FIXED]
        signals = {name: own[name] for name in numeric}
        fixed = {name: value for name, value in own.items() if name not in signals}
        text = self.index.text(own["part"], own["place"])
        return {
            **fixed, "signals": signals, "text": text[:MOST_TEXT], "cut": max(0, len(text) - MOST_TEXT),
            "copies_of": copies,
        }  # fmt: skip

    def text(self, row: int) -> str:
        """The whole text of a document.

        Raises:
            InputError: there is none.
        """
        with self.index.cursor() as cursor:
            found = cursor.execute("SELECT part, place FROM documents WHERE row = ?", [row]).fetchall()
        if not found:
            raise InputError("there is no such document", where=f"row {row}", remedy="choose one of the list")
        return self.index.text(*found[0])

    def differences(self, row: int, other: int) -> list[dict[str, Any]]:
        """Two documents as stretches: what both have, and what one has alone.

        Raises:
            InputError: there is no such document.
        """
        left, right = self.text(row)[:MOST_COMPARED], self.text(other)[:MOST_COMPARED]
        return list(_stretches(_pieces(left), _pieces(right)))

    def range_of(self, name: str, asked: Asked, bars: int = 40) -> dict[str, Any]:
        """How a number is spread over the documents that are asked for (without a search): edges and counts.

        Raises:
            InputError: there is no such number.
        """
        column = self._column(name)
        wheres, values = self._wheres(asked)
        where = " AND ".join([*wheres, f"{column} IS NOT NULL", f"isfinite({column}::DOUBLE)"])
        with self.index.cursor() as cursor:
            low, high, n = cursor.execute(
                f"SELECT quantile_cont({column}::DOUBLE, .005), quantile_cont({column}::DOUBLE, .995), count(*)"
                f" FROM documents WHERE {where}", values,
            ).fetchall()[0]  # fmt: skip
            if not n:
                return {"low": None, "high": None, "counts": [], "n": 0}
            width = (high - low) / bars or 1.0
            counted = cursor.execute(
                f"SELECT least({bars - 1}, greatest(0, floor(({column}::DOUBLE - ?) / ?)))::INTEGER, count(*)"
                f" FROM documents WHERE {where} GROUP BY 1", [low, width, *values],
            ).fetchall()  # fmt: skip
        counts = [0] * bars
        for bar, count in counted:
            counts[bar] = count
        return {"low": low, "high": high, "counts": counts, "n": n}

    # What is asked, as SQL

    def _column(self, name: str) -> str:
        if name not in self.numeric:
            raise InputError("there is no such number of a document", where=name[:60], remedy="choose one of the list")
        return quoted(name)

    def _order(self, asked: Asked) -> str:
        return self._column(asked.order) if asked.order else ""

    def _wheres(self, asked: Asked) -> tuple[list[str], list[Any]]:
        wheres: list[str] = []
        values: list[Any] = []
        for column, chosen in (("source", asked.sources), ("language", asked.languages), ("split", asked.splits)):
            if chosen:
                wheres.append(f"{column} IN ({', '.join('?' * len(chosen))})")
                values += chosen
        if asked.reasons:
            wheres.append("list_has_any(reasons, ?::VARCHAR[])")
            values.append(list(asked.reasons))
        if asked.keep is not None:
            wheres.append("keep" if asked.keep else "NOT keep")
        if asked.near is not None:
            wheres.append("near" if asked.near else "NOT coalesce(near, false)")
        for name, (least, most) in asked.bounds.items():
            column = self._column(name)
            if least is not None:
                wheres.append(f"{column} >= ?")
                values.append(least)
            if most is not None:
                wheres.append(f"{column} <= ?")
                values.append(most)
        if asked.order == "loss":
            wheres.append("loss IS NOT NULL")
        return wheres, values

    # Search

    def _look(
        self, cursor: duckdb.DuckDBPyConnection, text: str, enough: tuple[int, int] | None
    ) -> tuple[float, np.ndarray]:
        """Look on in the texts for a while; returns the share that was looked through, and the rows that have it.

        Args:
            enough: (row, n): so many behind that row are enough; None: all are wanted.
        """
        with self._lock:
            search = self._searches.setdefault(text, _Search())
            self._searches.move_to_end(text)
            while len(self._searches) > SEARCHES:
                self._searches.popitem(last=False)
        index, until = self.index, time.monotonic() + SECONDS
        test = "contains(text, ?)" if text != text.lower() or text.upper() == text else "contains(lower(text), ?)"
        with search.lock:
            while search.parts < len(index.parts):
                if enough is not None and sum(int((rows > enough[0]).sum()) for rows in search.rows) > enough[1]:
                    break
                i = search.parts
                sql = (
                    f"SELECT file_row_number FROM read_parquet('{index.parts[i]}', file_row_number = true) WHERE {test}"
                )
                found = cursor.execute(sql, [text]).fetchnumpy()["file_row_number"]
                search.rows.append(np.sort(np.asarray(found, dtype=np.int64)) + index.bases[i])
                search.parts += 1
                if time.monotonic() > until:
                    break
            found_so_far = np.concatenate([np.zeros(0, dtype=np.int64), *search.rows])
            looked = sum(index.rows_of[: search.parts])
        return looked / index.n if index.n else 1.0, found_so_far

    def _copies(self, cursor: duckdb.DuckDBPyConnection, own: Mapping[str, Any]) -> list[dict[str, Any]]:
        if own.get("cluster") is None:
            return []
        names = ", ".join(_LISTED)
        rows = cursor.execute(
            f"SELECT {names} FROM documents WHERE cluster = ? AND row <> ? ORDER BY row LIMIT {MOST_COPIES}",
            [own["cluster"], own["row"]],
        ).fetchall()
        return [dict(zip(_LISTED, row, strict=True)) for row in rows]


def _behind(order: str, falling: bool, after: Sequence[Any] | None) -> tuple[list[str], list[Any]]:
    """The condition that a row stands behind a key, and its values."""
    if after is None:
        return [], []
    ends = len(after) == 2 and isinstance(after[1], int) and not isinstance(after[1], bool)
    if not ends or (after[0] is not None and not isinstance(after[0], int | float)):
        raise InputError("is no key of a page", where="after", remedy="give what the page before said")
    value, row = after
    if not order:
        return [f"row {'<' if falling else '>'} ?"], [row]
    if value is None:  # those without a value come last, by number
        return [f"({order} IS NULL AND row > ?)"], [row]
    further = "<" if falling else ">"
    return [f"({order} {further} ?::DOUBLE OR ({order} = ?::DOUBLE AND row > ?) OR {order} IS NULL)"], [
        value,
        value,
        row,
    ]


def _pieces(text: str) -> list[str]:
    """Words with the spaces behind them, and characters of scripts without spaces."""
    return re.findall(
        r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+\s*|\s+", text
    )


def _stretches(left: list[str], right: list[str]) -> Iterator[dict[str, Any]]:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield {"kind": "both", "text": "".join(left[a:b])}
            continue
        if a < b:
            yield {"kind": "left", "text": "".join(left[a:b])}
        if c < d:
            yield {"kind": "right", "text": "".join(right[c:d])}
