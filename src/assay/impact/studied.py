"""The runs of finished studies as a table, as if somebody had published them: what `assay law fit STUDY` reads.

One row a run on the corpus as it is, of the study's proxy and of others: N, D, U, seed, trunk, and bits per byte on the
eval text: the mean over sources (`bpb`) and each (`bpb:SOURCE`). Losses on other text or of another tokenizer are
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from assay.errors import InputError
from assay.impact.design import NATURAL
from assay.ledger import JOB, Ledger
from assay.store import Store, fingerprint

LOSS = "bpb"
_RUNS = f"""
    SELECT r.run_id, r.seed, r.trunk, r.N, r.D, r.U, r.tokenizer, r.evaluation_set, '{LOSS}:' || l.source AS target,
        arg_max(l.nll / ln(2) / l.n_bytes, l.step) AS bpb
    FROM losses l JOIN runs r USING (run_id)
    WHERE l.split = 'eval' AND r.status = 'done' AND (r.cell = '{NATURAL}' OR r.cell LIKE 'scale:%') AND l.n_bytes > 0
    GROUP BY ALL ORDER BY r.run_id, target"""


def runs(folders: Sequence[Path]) -> pl.DataFrame:
    """All columns as text (`table`), one row a run.

    Raises:
        InputError: a folder holds no finished run, or studies are not comparable.
    """
    tables: list[pl.DataFrame] = []
    made_by: dict[str, tuple[str, Path]] = {}
    for folder in folders:
        found = _of(folder)
        for what in ("tokenizer", "evaluation_set"):
            name = what.replace("_", " ")
            for value in found[what].unique().to_list():
                if made_by.setdefault(what, (value, folder))[0] != value:
                    raise InputError(
                        f"has another {name} than {made_by[what][1]}", where=folder,
                        remedy="losses are compared on the same text and tokens alone: fit each study by itself",
                    )  # fmt: skip
        name = folder.resolve().name
        # A trunk is named by its cell and seed, so that those of two studies are called alike.
        trunk = pl.format("{}/{}", pl.lit(str(folder)), pl.col("trunk"))
        tables.append(found.with_columns(trunk, study=pl.lit(name)))
    every = pl.concat(tables, how="diagonal")
    columns = ["study", "run_id", "seed", "trunk", "N", "D", "U", LOSS]
    columns += [name for name in every.columns if name.startswith(f"{LOSS}:")]
    return every.select(pl.col(columns).cast(pl.String))


def fingerprint_of(folder: Path) -> str:
    """Of the runs in the ledger of a study, wherever its folder is."""
    return fingerprint(sorted(part.fingerprint for part in Store(folder / "artifacts").all(JOB)))


def _of(folder: Path) -> pl.DataFrame:
    store = Store(folder / "artifacts")
    parts = store.all(JOB)
    rows = Ledger(store).query(parts, _RUNS)
    if rows.is_empty():
        remedy = "name the folder of a study that has run, or a CSV"
        raise InputError("holds no finished runs of a study", where=folder, remedy=remedy)
    keys = ["run_id", "seed", "trunk", "N", "D", "U", "tokenizer", "evaluation_set"]
    wide = rows.pivot("target", index=keys, values="bpb")
    return wide.with_columns(pl.mean_horizontal(pl.exclude(keys)).alias(LOSS))
