"""The corpus as it was found, per source: what `SourceProfile` of a study's results shows.

documents + signals + duplicates + splits (Parquet) -> one DuckDB query -> one dict a source, sorted by name
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

_LANGUAGES = 5

_QUERY = """
    WITH d AS (SELECT doc_id, source, n_bytes, language FROM read_parquet($documents)),
    j AS (
        SELECT d.*, s.split AS assigned, g.n_chars, g.duplicate_line_chars, g.letters,
               u.is_exact_duplicate, u.is_near_duplicate
        FROM d JOIN read_parquet($splits) s USING (doc_id)
               JOIN read_parquet($signals) g USING (doc_id)
               JOIN read_parquet($duplicates) u USING (doc_id)
    )
    SELECT source, count(*) AS documents, sum(n_bytes)::BIGINT AS bytes,
           sum(n_bytes) / sum(sum(n_bytes)) OVER () AS share,
           count(*) FILTER (assigned = 'train') AS train_documents,
           count(*) FILTER (assigned = 'eval') AS eval_documents,
           count(*) FILTER (assigned = 'test') AS test_documents,
           avg(is_exact_duplicate::INT) AS exact_duplicates,
           avg(is_near_duplicate::INT) AS near_duplicates,
           median(n_chars)::DOUBLE AS median_chars,
           round(avg(round(duplicate_line_chars, 6)::DECIMAL(18, 6)), 6) AS repetition,
           round(avg(round(letters, 6)::DECIMAL(18, 6)), 6) AS letters
    FROM j GROUP BY source ORDER BY source
"""  # decimals, since a sum of floats depends on the order that threads finish in


def profile(
    documents: list[Path], signals: list[Path], duplicates: list[Path], splits: list[Path], scratch: Path
) -> list[dict[str, Any]]:
    """One dict a source with the fields of `SourceProfile`; `bytes_per_token` is None until tokens exist.

    `scratch` is a folder for what does not fit in memory.
    """
    files = {"documents": documents, "signals": signals, "duplicates": duplicates, "splits": splits}
    parameters = {name: [str(path) for path in paths] for name, paths in files.items()}
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        rows = connection.sql(_QUERY, params=parameters).to_arrow_table().to_pylist()
        counted = connection.sql(
            "SELECT source, coalesce(language, 'und') AS language, count(*) AS n"
            " FROM read_parquet($documents) GROUP BY ALL ORDER BY source, n DESC, language",
            params={"documents": parameters["documents"]},
        ).to_arrow_table()
    languages: dict[str, list[tuple[str, int]]] = {}
    for row in counted.to_pylist():
        languages.setdefault(row["source"], []).append((row["language"], row["n"]))
    return [_shown(row, languages[row["source"]]) for row in rows]


def _shown(row: dict[str, Any], languages: list[tuple[str, int]]) -> dict[str, Any]:
    shares = {code: n / row["documents"] for code, n in languages[:_LANGUAGES]}
    numbers = {name: float(row[name]) for name in ("share", "repetition", "letters")}
    return {**row, **numbers, "languages": shares, "bytes_per_token": None}
