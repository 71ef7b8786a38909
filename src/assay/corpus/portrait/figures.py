"""Amounts, lengths, languages and signals of each group of sources, and of all documents.

    table `corpus` -> a few queries, each by group and over all -> one dict a group

Quantiles are exact and of the lower kind (a value that occurs), so that they do not depend on the order of rows.
"""

from __future__ import annotations

from typing import Any

import duckdb

from assay.corpus.portrait.table import SIGNALS, Group

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 8
"""Of document lengths, for each factor of ten."""
MIXED = 0.2
"""Of a document's letters in another language than its own (the signal second_language_share), from which on it is
counted as mixed."""
CODE = 0.5
"""Of its lines that look like program code."""
UNSURE = 0.65
"""Of the signal language_score, below which a label is doubted (FineWeb's bound)."""
SHORT = 200
"""Characters, below which a document is called short."""
FORMS = (0.1, 0.9)
"""Of the characters that are either simplified or traditional, the share of traditional ones: below the first a text
is simplified, above the second traditional, between them both."""
_LISTED = 8  # languages and scripts that are named

_AMOUNTS = """
    SELECT g, count(*) AS documents, sum(n_bytes)::BIGINT AS bytes, sum(n_chars)::BIGINT AS chars,
           count(*) FILTER (exact) AS exact_copies, count(*) FILTER (near) AS near_copies,
           coalesce(sum(n_bytes) FILTER (near), 0)::BIGINT AS near_copy_bytes,
           count(*) FILTER (n_chars < $short) AS short,
           count(*) FILTER (second_language_share >= $mixed) AS mixed,
           count(*) FILTER (code_lines >= $code) AS code,
           count(*) FILTER (language_score < $unsure) AS unsure,
           count(traditional) AS chinese,
           count(*) FILTER (traditional < $low) AS simplified,
           count(*) FILTER (traditional > $high) AS traditional,
           count(*) FILTER (traditional BETWEEN $low AND $high) AS both_forms
    FROM corpus GROUP BY GROUPING SETS ((g), ()) ORDER BY g NULLS FIRST
"""


def figures(connection: duckdb.DuckDBPyConnection, groups: list[Group]) -> dict[str, Any]:
    """`all` documents and `sources` (groups), each with amounts, `lengths` (`bins`: [bin, documents], bin b holds
    10^(b/BINS) to 10^((b+1)/BINS) characters; `quantiles`), `languages`, `scripts`, and `signals` (quantiles)."""
    bounds = {"short": SHORT, "mixed": MIXED, "code": CODE, "unsure": UNSURE, "low": FORMS[0], "high": FORMS[1]}
    rows = connection.sql(_AMOUNTS, params=bounds).to_arrow_table().to_pylist()
    made: dict[int | None, dict[str, Any]] = {row.pop("g"): row for row in rows}
    whole = made[None]["bytes"]
    for told in made.values():
        told |= {"share": told["bytes"] / max(whole, 1), "lengths": {"bins": []}, "signals": {}}
        told |= {"languages": {}, "scripts": {}}
    bins = f"CASE WHEN n_chars > 0 THEN floor(log10(n_chars) * {BINS})::INT ELSE -1 END"
    for g, bin_, count in connection.sql(
        f"SELECT g, {bins} AS b, count(*) FROM corpus GROUP BY ALL ORDER BY g, b"
    ).fetchall():
        made[g]["lengths"]["bins"].append([bin_, count])
    sums: dict[int, int] = {}
    for told in (made[g] for g in range(len(groups))):
        for bin_, count in told["lengths"]["bins"]:
            sums[bin_] = sums.get(bin_, 0) + count
    made[None]["lengths"]["bins"] = [list(item) for item in sorted(sums.items())]
    for name in ("languages", "scripts"):
        _listed(connection, name, made)
    for name in ("n_chars", *SIGNALS):
        query = f"SELECT g, quantile_disc({name}, {list(QUANTILES)}) FROM corpus GROUP BY GROUPING SETS ((g), ())"
        for g, values in connection.sql(query).fetchall():
            if name == "n_chars":
                made[g]["lengths"]["quantiles"] = values
            else:
                made[g]["signals"][name] = values
    own = [
        {"name": group.name, "merged": len(group.sources) if group.name is None else 0, **made[g]}
        for g, group in enumerate(groups)
    ]
    return {"all": made[None], "sources": own}


def _listed(connection: duckdb.DuckDBPyConnection, what: str, made: dict[int | None, dict[str, Any]]) -> None:
    """Documents of each language or script; beyond the _LISTED most frequent ones of the corpus as "other"."""
    column = what.removesuffix("s")
    order = f"SELECT {column} FROM corpus GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {_LISTED}"
    named = [value for (value,) in connection.sql(order).fetchall()]
    query = f"SELECT g, {column}, count(*) FROM corpus GROUP BY GROUPING SETS ((g, {column}), ({column}))"
    for g, value, count in connection.sql(query).fetchall():
        own = made[g][what]
        key = value if value in named else "other"
        own[key] = own.get(key, 0) + count
    for told in made.values():
        told[what] = {key: told[what][key] for key in [*named, "other"] if key in told[what]}
