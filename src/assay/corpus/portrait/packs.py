"""What every rule pack would drop, by group of sources and by language, and the documents at each rule's bound.

    documents + signals, part by part -> every rule of every pack as one column: kept, fails, or not asked
        -> sums by group, by language, over all
        -> for the rules of some packs, the documents nearest to the bound on either side

Parts are added up one by one, so that memory holds one part's signals and sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from assay.corpus.cleaning.rules import PACKS, Rule

EXAMPLES = 6
"""Documents on each side of a bound; more than are shown, since some say the same."""
_COLUMNS = ["doc_id", "source", "language", "script", "n_bytes"]


def packs(
    texts: Sequence[Path], signals: Sequence[Path], groups: Mapping[str, int], shown: Sequence[str]
) -> dict[str, Any]:
    """
    Args:
        texts, signals: the parts of documents and signals, one beside the other.
        groups: the number of each source's group.
        shown: packs whose rules get examples.

    Returns:
        `packs`: of each, `all`, `sources` (by group) and `languages`, each with `documents`, `asked` (of which any of
        its rules is asked), `drops`, `drops_bytes`, and `only` (that no other pack drops); `rules`: of each, what it
        `keeps`, and `all` and `sources` with `asked`, `drops` and `only` (that no other rule of its pack drops).
        `together`: `all`, `sources` and `languages` with what any pack drops.
        `margins`: of each rule of `shown`, `kept` and `dropped` documents at its bound (doc_id, group, value, bound,
        distance), nearest first.
    """
    sums: dict[str, list[pl.DataFrame]] = {"g": [], "language": []}
    margins: dict[str, dict[str, list[pl.DataFrame]]] = {}
    number = pl.DataFrame(
        {"source": list(groups), "g": list(groups.values())}, schema={"source": pl.String, "g": pl.Int32}
    )
    every = [rule for pack in PACKS.values() for rule in pack]
    for text, signal in zip(texts, signals, strict=True):
        table = pl.concat(
            [
                pl.read_parquet(text, columns=_COLUMNS, glob=False),
                pl.read_parquet(signal, glob=False).rename({"doc_id": "_signals_id"}),
            ],
            how="horizontal",
        )
        assert (table["doc_id"] == table["_signals_id"]).all(), "signals are of other documents"
        table = table.join(number, on="source", how="left", maintain_order="left")
        kept = table.select(rule.kept() for rule in every)
        counts = pl.concat(
            [table.select("g", pl.col("language").fill_null("und"), "n_bytes"), _counted(kept)], how="horizontal"
        )
        for by, parts in sums.items():
            parts.append(_sums(counts, by))
        for name in shown:
            for rule in PACKS[name]:
                found = margins.setdefault(rule.name, {"kept": [], "dropped": []})
                for side, frame in _nearest(table, kept[rule.name], rule).items():
                    found[side].append(frame)
    by_group = pl.concat(sums["g"]).group_by("g").sum().sort("g")
    by_language = (
        pl.concat(sums["language"]).group_by("language").sum().sort("documents", "language", descending=[True, False])
    )
    told = _told(by_group, by_language)
    return {**told, "margins": {name: _merged(one) for name, one in margins.items()}}


def _counted(kept: pl.DataFrame) -> pl.DataFrame:
    """For each rule and pack, whether it is asked, drops, and is the only one to drop."""
    fires = kept.select((~pl.all()).fill_null(False))
    asked = kept.select(pl.all().is_not_null())
    made: dict[str, pl.Series] = {}
    of_pack: dict[str, pl.Series] = {}
    for pack, rules in PACKS.items():
        names = [rule.name for rule in rules]
        count = fires.select(pl.sum_horizontal(pl.col(names).cast(pl.Int32))).to_series()
        of_pack[pack] = count > 0
        made[f"{pack}|asked"] = asked.select(pl.any_horizontal(names)).to_series()
        for name in names:
            made[f"{name}|asked"], made[f"{name}|drops"] = asked[name], fires[name]
            made[f"{name}|only"] = fires[name] & (count == 1)
    together = pl.DataFrame(of_pack).select(pl.sum_horizontal(pl.all().cast(pl.Int32))).to_series()
    for pack, drops in of_pack.items():
        made[f"{pack}|drops"], made[f"{pack}|only"] = drops, drops & (together == 1)
    made["any|drops"] = together > 0
    return pl.DataFrame(made)


def _sums(counts: pl.DataFrame, by: str) -> pl.DataFrame:
    flags = [name for name in counts.columns if "|" in name]
    sizes = [name for name in flags if name.endswith("|drops")]
    return counts.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("documents"),
        *(pl.col(name).sum().cast(pl.Int64) for name in flags),
        *(pl.col("n_bytes").filter(name).sum().cast(pl.Int64).alias(f"{name}_bytes") for name in sizes),
    )


def _nearest(table: pl.DataFrame, kept: pl.Series, rule: Rule) -> dict[str, pl.DataFrame]:
    """The documents nearest to the bound of a rule: those that it keeps, and those that it drops."""
    value = table[rule.signal].cast(pl.Float64)
    frame = table.select("doc_id", "g").with_columns(value=value, kept=kept)
    bounds = [pl.lit(float(bound)) for bound in (rule.low, rule.high) if bound is not None]
    away = [(pl.col("value") - bound).abs() for bound in bounds]
    frame = frame.with_columns(
        distance=pl.min_horizontal(away),
        bound=pl.when(away[0] <= away[-1]).then(bounds[0]).otherwise(bounds[-1]),
    )
    frame = frame.drop_nulls("value")
    return {
        side: frame.filter(pl.col("kept") == keeps).sort("distance", "doc_id").head(EXAMPLES)
        for side, keeps in (("kept", True), ("dropped", False))
    }


def _merged(found: Mapping[str, Sequence[pl.DataFrame]]) -> dict[str, list[dict[str, Any]]]:
    return {
        side: pl.concat(frames).sort("distance", "doc_id").head(EXAMPLES).drop("kept").to_dicts()
        for side, frames in found.items()
    }


def _told(by_group: pl.DataFrame, by_language: pl.DataFrame) -> dict[str, Any]:
    whole = by_group.drop("g").sum().to_dicts()[0]
    rows = by_group.sort("g").to_dicts()
    tongues = by_language.to_dicts()

    def of(row: Mapping[str, Any], name: str, more: Sequence[str]) -> dict[str, int]:
        return {key: row[f"{name}|{key}"] for key in more}

    made: dict[str, Any] = {}
    for pack, rules in PACKS.items():
        keys = ("asked", "drops", "drops_bytes", "only")
        own = ("asked", "drops", "only")
        made[pack] = {
            "all": {"documents": whole["documents"], **of(whole, pack, keys)},
            "sources": [{"documents": row["documents"], **of(row, pack, keys)} for row in rows],
            "languages": {row["language"]: {"documents": row["documents"], **of(row, pack, keys)} for row in tongues},
            "rules": {
                rule.name: {
                    "keeps": rule.bounds(),
                    "fits": rule.fits,
                    "all": of(whole, rule.name, own),
                    "sources": [of(row, rule.name, own) for row in rows],
                }
                for rule in rules
            },
        }
    both = ("drops", "drops_bytes")
    together = {
        "all": {"asked": whole["documents"], **of(whole, "any", both)},
        "sources": [{"asked": row["documents"], **of(row, "any", both)} for row in rows],
        "languages": {row["language"]: {"asked": row["documents"], **of(row, "any", both)} for row in tongues},
    }
    return {"packs": made, "together": together}
