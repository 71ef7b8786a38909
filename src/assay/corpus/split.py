"""Splits: train; eval (laws and comparisons are fitted on it); test (touched only by registered predictions).

    documents' metadata + duplicate clusters
      declared   a source that declares eval (or test) documents keeps them; eval alone is halved into eval
      and test by hash    other sources give up units in the order of a hash of the near-duplicate cluster,
      until eval and then
                 test hold enough documents and bytes, within a share of the source that is never exceeded
      cleaned    eval and test hold one document of each cluster; every other member of a held-out cluster is
      "dropped"

Pairs of one source text (several translations of a sentence) count as one cluster.

A unit is a cluster, or, in sources that are cut from at least MANY_TEXTS texts, a whole text (with the clusters that
run through it): neighbouring pieces of one text do not end on both sides. Nothing depends on the order of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from assay.corpus.documents import row_of_text
from assay.errors import InputError

MANY_TEXTS = 40
SPLITS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)
"""split: train, eval, test, or dropped (nearly repeats a held-out document)."""


@dataclass(frozen=True)
class SplitOptions:
    """How much is held out of sources that declare nothing."""

    eval_share: float = 0.05
    """Share of a source's bytes for eval, where that is at least the two minima below."""
    test_share: float = 0.05
    min_eval_documents: int = 20
    """Documents (whole texts, where these are the units) wanted in each of eval and test, where the source can afford
    them."""
    min_eval_bytes: int = 60_000
    max_share: float = 0.25
    """Eval and test together never take more of a source's bytes than this."""

    def __post_init__(self) -> None:
        if not 0 < self.eval_share + self.test_share <= self.max_share < 1:
            raise InputError("eval_share and test_share exceed max_share", remedy="hold out less than a quarter")


def assign(documents: pl.DataFrame, options: SplitOptions) -> pl.DataFrame:
    """The SPLITS rows, sorted by id.

    Args:
        documents: columns doc_id, source, origin, ordinal, n_bytes, split (declared or null), cluster.

    Raises:
        InputError: nothing could be held out for eval or for test.
    """
    rows = documents.sort("doc_id")
    declared = _declared(rows)
    whole = whole_texts(rows)
    units = _units(rows.join(declared.select("cluster"), on="cluster", how="anti"), whole)
    marks = rows.filter(pl.col("split").is_in(["eval", "test"])).select("source", "split").unique()
    drawn = _drawn(units, whole, dict(marks.sort("split", descending=True).iter_rows()), options)
    held = pl.concat([declared, drawn])
    joined = rows.join(held, on="cluster", how="left")
    # The first document by id in the cluster's home source (and, where declared, of its split) stands for it.
    standing = pl.col("source") == pl.col("home")
    by_author = pl.col("declared").is_null() | (pl.col("split") == pl.col("declared"))
    joined = joined.with_columns(stands=(standing & by_author).fill_null(False))
    first = joined.filter("stands").group_by("cluster").agg(pl.col("doc_id").min().alias("first"))
    made = joined.join(first, on="cluster", how="left").with_columns(
        split=pl.when(pl.col("held").is_null())
        .then(pl.lit("train"))
        .when(pl.col("doc_id") == pl.col("first"))
        .then(pl.col("held"))
        .otherwise(pl.lit("dropped"))
    )
    result = made.select("doc_id", "cluster", "split").sort("doc_id")
    _enough(result, rows)
    return result


def whole_texts(rows: pl.DataFrame) -> list[str]:
    """Sources of at least MANY_TEXTS texts, some of which are cut into several documents: there a text is one unit,
    to be held out whole and to be counted once. Sources of fewer texts could not give any of them up.

    Args:
        rows: columns source, origin, ordinal.
    """
    texts = rows.group_by("source", "origin", row_of_text()).len()
    sizes = texts.group_by("source").agg(pl.len().alias("texts"), pl.col("len").max().alias("documents"))
    chosen = sizes.filter((pl.col("texts") >= MANY_TEXTS) & (pl.col("documents") > 1))
    return sorted(chosen["source"].to_list())


def _hash(names: pl.Series) -> npt.NDArray[np.float64]:
    """A uniform number in [0, 1) for each name."""
    return np.array([xxhash.xxh3_64_intdigest(f"split\0{name}".encode()) for name in names.to_list()]) / 2.0**64


def _declared(rows: pl.DataFrame) -> pl.DataFrame:
    """Clusters that hold declared eval or test documents: cluster, home source, declared, held.

    A cluster declared both ways is test. A source that declares eval but no test gives every other of its
    declared clusters, in the order of their hash, to test.
    """
    marked = rows.filter(pl.col("split").is_in(["eval", "test"]))
    clusters = (
        marked.sort(pl.col("split") == "eval", "doc_id")
        .group_by("cluster", maintain_order=True)
        .agg(pl.col("source").first().alias("home"), pl.col("split").first().alias("declared"))
    )
    with_test = marked.filter(pl.col("split") == "test")["source"].unique().to_list()
    hashed = clusters.with_columns(u=pl.Series(_hash(clusters["cluster"]), dtype=pl.Float64))
    rank = pl.struct("u", "cluster").rank("ordinal").over("home", "declared") - 1
    halved = (pl.col("declared") == "eval") & ~pl.col("home").is_in(with_test) & (rank % 2 == 1)
    held = pl.when(halved).then(pl.lit("test")).otherwise(pl.col("declared"))
    return hashed.with_columns(held=held).select("cluster", "home", "declared", "held")


def _units(rows: pl.DataFrame, whole: list[str]) -> pl.DataFrame:
    """Clusters that nothing declares, with what they can give up: cluster, unit, home, n_bytes, wants (eval,
    test)."""
    per_source = rows.group_by("cluster", "source").agg(
        pl.col("n_bytes").sum().alias("total"),
        pl.col("n_bytes").get(pl.col("doc_id").arg_min()).alias("n_bytes"),
    )
    clusters = (
        per_source.sort("cluster", -pl.col("total"), "source")
        .group_by("cluster", maintain_order=True)
        .agg(pl.col("source").first().alias("home"), pl.col("n_bytes").first())
    )
    return clusters.with_columns(unit=_by_text(rows, clusters, whole))


def _by_text(rows: pl.DataFrame, clusters: pl.DataFrame, whole: list[str]) -> pl.Series:
    """The unit of each cluster: itself, or the connected clusters and texts in the sources whose texts stay whole."""
    texts = rows.filter(pl.col("source").is_in(whole)).select("cluster", "source", "origin", row_of_text())
    name = pl.concat_str("source", "origin", "row", separator="\0")
    return connected(clusters["cluster"], texts.select("cluster", text=name).unique())


def connected(clusters: pl.Series, edges: pl.DataFrame) -> pl.Series:
    """For each cluster the first by name of those that texts connect it with: what shares a text is one.

    Args:
        edges: columns cluster, text.
    """
    if not len(edges):
        return clusters
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    names = pl.concat([clusters, edges["text"].unique().sort()])
    number = pl.DataFrame({"name": names, "at": np.arange(len(names))})
    left = edges.join(number, left_on="cluster", right_on="name", maintain_order="left")["at"].to_numpy()
    right = edges.join(number, left_on="text", right_on="name", maintain_order="left")["at"].to_numpy()
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(len(names), len(names)))
    _, label = connected_components(graph, directed=False)
    labels = pl.DataFrame({"cluster": clusters, "label": label[: len(clusters)]})
    return labels.with_columns(unit=pl.col("cluster").min().over("label"))["unit"]


def _drawn(units: pl.DataFrame, whole: list[str], declared: dict[str, str], options: SplitOptions) -> pl.DataFrame:
    """The clusters that sources give up, with the split that they go to.

    A source that declares eval gives up nothing of its training text; one that declares only test gives up
    eval.
    """
    grouped = units.group_by("unit").agg(
        pl.col("home").sort_by("n_bytes", "home", descending=[True, False]).first().alias("giver"),
        pl.col("n_bytes").sum(),
        pl.len().alias("counted"),
    )
    one = pl.when(pl.col("giver").is_in(whole)).then(1).otherwise(pl.col("counted"))
    grouped = grouped.with_columns(counted=one)
    grouped = grouped.with_columns(u=pl.Series(_hash(grouped["unit"]), dtype=pl.Float64)).sort("u", "unit")
    chosen = []
    for _, source in sorted(grouped.group_by("giver"), key=lambda item: str(item[0])):
        said = declared.get(source["giver"][0])
        if said != "eval":
            chosen.append(_given(source, options, ("eval",) if said == "test" else ("eval", "test")))
    picked = pl.concat(chosen) if chosen else pl.DataFrame(schema={"unit": pl.String, "held": pl.String})
    return (
        units.join(picked, on="unit")
        .with_columns(declared=pl.lit(None, pl.String))
        .select("cluster", "home", "declared", "held")
    )


def _given(source: pl.DataFrame, options: SplitOptions, names: tuple[str, ...]) -> pl.DataFrame:
    """The units of one source that go to eval and test, in the order of their hash."""
    sizes, counts = source["n_bytes"].to_numpy(), source["counted"].to_numpy()
    total, n = int(sizes.sum()), int(counts.sum())
    half = options.max_share / 2
    open_units = np.flatnonzero((sizes <= half * total) & (counts <= max(half * n, 1)))
    picked: list[pl.DataFrame] = []
    shares = {"eval": options.eval_share, "test": options.test_share}
    for name in names:
        ends, have = np.cumsum(sizes[open_units]), np.cumsum(counts[open_units])
        enough = (ends >= max(shares[name] * total, min(options.min_eval_bytes, half * total))) & (
            have >= max(1, min(options.min_eval_documents, half * n))
        )
        within = ends <= half * total
        wanted = int(enough.argmax()) + 1 if enough.any() else len(ends)
        # Going past the wanted size is fine, past the cap is not: then as many as fit.
        taken = open_units[: min(wanted, int(within.sum()))]
        picked.append(source[taken].select("unit", held=pl.lit(name)))
        open_units = open_units[len(taken) :]
    return pl.concat(picked)


def _enough(result: pl.DataFrame, rows: pl.DataFrame) -> None:
    counts = dict(result.group_by("split").len().iter_rows())
    missing = [name for name in ("train", "eval", "test") if not counts.get(name)]
    if missing == ["train"]:
        raise InputError(
            "every document is declared for eval or test, none is left to train on",
            remedy="add training documents, or do not declare the splits (by a field, a file's or a folder's name)",
        )
    if missing:
        raise InputError(
            f"too few documents to hold any out for {' and '.join(missing)}"
            f" (documents: {len(rows)}, sources: {rows['source'].n_unique()})",
            remedy="add documents, cut long ones up, or declare a split by a field, a file's or a folder's name",
        )


def lacking(result: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    """Sources with nothing in eval or nothing in test."""
    joined = result.join(rows.select("doc_id", "source"), on="doc_id")
    held = (
        joined.filter(pl.col("split").is_in(["eval", "test"]))
        .group_by("source")
        .agg(pl.col("split").n_unique().alias("kinds"))
    )
    whole = held.filter(pl.col("kinds") == 2)["source"].to_list()
    return sorted(set(rows["source"].unique().to_list()) - set(whole))
