"""Near-duplicates as a structure: how large clusters are, the largest of them, and what sources share.

    table `corpus` (cluster of each document) -> documents by (cluster, group) -> sizes, largest clusters, overlap

A cluster is a connected component: its documents are linked by pairs that are alike, not every one to every other.
"""

from __future__ import annotations

from typing import Any

import duckdb

LARGEST = 10
_SIZES = ((2, 2), (3, 3), (4, 5), (6, 10), (11, 100), (101, 1000), (1001, None))

_COUNTED = """
    CREATE TABLE counted AS
    SELECT cluster, g, count(*) AS n, sum(count(*)) OVER (PARTITION BY cluster) AS whole
    FROM corpus GROUP BY cluster, g QUALIFY whole > 1
"""  # clusters of several alone: most documents of most corpora are by themselves


def copies(connection: duckdb.DuckDBPyConnection, n_groups: int) -> dict[str, Any]:
    """
    Returns:
        `clusters` of several documents, `sizes` ([least, most or None, clusters, documents]), `largest` (the id of its
        first document, its `documents`, of which groups: [group, documents]), and `overlap`: [a][b] is the number of
        documents of group a in whose cluster there is one of group b, another one.
    """
    connection.execute(_COUNTED)
    by_size = connection.sql(
        "SELECT whole, count(*) FROM (SELECT DISTINCT cluster, whole FROM counted) GROUP BY whole"
    ).fetchall()
    sizes = []
    for least, most in _SIZES:
        own = [(int(size), n) for size, n in by_size if size >= least and (most is None or size <= most)]
        sizes.append([least, most, sum(n for _, n in own), sum(size * n for size, n in own)])
    top = connection.sql(
        "SELECT cluster, min(whole) AS whole FROM counted GROUP BY cluster"
        f" ORDER BY whole DESC, cluster LIMIT {LARGEST}"
    ).fetchall()
    largest = []
    for cluster, whole in top:
        query = "SELECT g, n FROM counted WHERE cluster = $cluster ORDER BY n DESC, g"
        shares = connection.sql(query, params={"cluster": cluster}).fetchall()
        largest.append({"doc_id": cluster, "documents": int(whole), "sources": [[g, n] for g, n in shares]})
    overlap = [[0] * n_groups for _ in range(n_groups)]
    pairs = (
        "SELECT a.g, b.g, sum(a.n)::BIGINT FROM counted a JOIN counted b USING (cluster)"
        " WHERE a.g <> b.g OR a.n > 1 GROUP BY ALL"
    )
    for a, b, n in connection.sql(pairs).fetchall():
        overlap[a][b] = n
    return {"clusters": sum(n for _, n in by_size), "sizes": sizes, "largest": largest, "overlap": overlap}
