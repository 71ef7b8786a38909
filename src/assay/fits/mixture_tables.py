"""Tables of mixtures and of losses, one row a run, joined by their key.

    mixtures   key, then a share of each source
    losses     key, then a positive loss of each target

A row of shares sums to 1, or to 100, within one per cent, and is made to sum to 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assay.errors import InputError
from assay.impact import table
from assay.impact.table import F64

LEAST_RUNS = 8
_ROUNDING = 0.01  # of a row's sum: shares are published with few decimals


@dataclass(frozen=True)
class Runs:
    """Trained mixtures with what was measured of them.

    Attributes:
        keys: of the runs, in the order of the table of mixtures.
        shares: (runs, sources), each row sums to 1.
        losses: (runs, targets), positive.
        percent: whether shares were given in per cent.
        key: the column that names the runs.
    """

    keys: list[str]
    sources: list[str]
    targets: list[str]
    shares: F64
    losses: F64
    percent: bool
    key: str


def read(mixtures: Path, losses: Path, key: str | None) -> Runs:
    """Both tables.

    Args:
        key: the column that names the runs; None: the first one of both.

    Raises:
        InputError: they cannot be read or joined, or a number is none that a share or a loss can be.
    """
    x, y = table.read(mixtures), table.read(losses)
    key = _key(x, y, key, losses)
    keys, others = _names(x, key, mixtures), _names(y, key, losses)
    if keys != others:
        _same(keys, others, f"{key} ", mixtures, losses, "give both tables the same runs")
    sources, targets = ([name for name in each.columns if name != key] for each in (x, y))
    for names, path in ((sources, mixtures), (targets, losses)):
        if not names:
            raise InputError(f"has no column but {key!r}", where=path, remedy="give a column a source, or a target")
    shares, percent = _shares(x, sources, mixtures)
    place = {name: row for row, name in enumerate(others)}
    measured = np.stack([table.numbers(y, name, losses, positive=True) for name in targets], 1)
    for target, values in zip(targets, measured.T, strict=True):
        if values.min() == values.max():
            what = f"column {target!r} is the same in every row"
            raise InputError(what, where=losses, remedy="take the column out: nothing follows from it")
    return Runs(keys, sources, targets, shares, measured[[place[name] for name in keys]], percent, key)


def training(mixtures: Path, losses: Path, key: str | None) -> Runs:
    """As `read`, with as many runs as a fit needs, and sources that vary.

    Raises:
        InputError: as `read`; or there are fewer runs than sources or than eight, or a source never varies.
    """
    runs = read(mixtures, losses, key)
    needed = max(LEAST_RUNS, len(runs.sources))
    if len(runs.keys) < needed:
        what = f"{len(runs.keys)} runs are too few for {len(runs.sources)} sources"
        raise InputError(what, where=mixtures, remedy=f"train {needed} mixtures at least, better three for each source")
    for source, share in zip(runs.sources, runs.shares.T, strict=True):
        if share.max() - share.min() < 1e-9:
            what = f"column {source!r} is the same in every row"
            remedy = "take the column out and let the others sum to 1: nothing follows about it"
            raise InputError(what, where=mixtures, remedy=remedy)
    return runs


def testing(mixtures: Path, losses: Path, key: str | None, like: Runs) -> Runs:
    """As `read`, with columns in the order of the training tables.

    Raises:
        InputError: as `read`; or a source or target is in one of them only, or there are fewer than eight runs.
    """
    runs = read(mixtures, losses, key)
    _same(runs.sources, like.sources, "column ", mixtures, "the training mixtures", "give both the same sources")
    _same(runs.targets, like.targets, "column ", losses, "the training losses", "give both the same targets")
    if len(runs.keys) < LEAST_RUNS:
        raise InputError(f"{len(runs.keys)} runs are too few to test on", where=mixtures, remedy="give eight at least")
    shares = runs.shares[:, [runs.sources.index(name) for name in like.sources]]
    measured = runs.losses[:, [runs.targets.index(name) for name in like.targets]]
    return Runs(runs.keys, like.sources, like.targets, shares, measured, runs.percent, runs.key)


def one_mixture(path: Path, key: str, sources: Sequence[str]) -> F64:
    """(sources,) shares of a table with one row, with or without the key.

    Raises:
        InputError: it is no such table.
    """
    found = table.read(path)
    names = [name for name in found.columns if name in sources or name != key]
    if found.height != 1:
        raise InputError(f"has {found.height} rows, not one", where=path, remedy="give the natural mixture alone")
    _same(names, sources, "column ", path, "the training mixtures", "give both the same sources")
    return _shares(found, sources, path)[0][0]


def column(name: str, there: Sequence[str], option: str, what: str) -> int:
    """Where a column is that a person named.

    Raises:
        InputError: nowhere; the nearest one is named.
    """
    if name in there:
        return there.index(name)
    near = difflib.get_close_matches(name, there, 1, 0.3)
    remedy = f"did you mean {near[0]}?" if near else f"name one of {', '.join(there[:8])}"
    raise InputError(f"there is no {what} {name!r}", where=option, remedy=remedy)


def _key(x: pl.DataFrame, y: pl.DataFrame, key: str | None, losses: Path) -> str:
    if key is None and x.columns[0] != y.columns[0]:
        what = f"its first column is {y.columns[0]!r}, that of the mixtures {x.columns[0]!r}"
        raise InputError(what, where=losses, remedy="name the column that both have with --key")
    return x.columns[0] if key is None else key


def _names(found: pl.DataFrame, key: str, path: Path) -> list[str]:
    names = [(cell or "").strip() for cell in table.text(found, key, path)]
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise InputError(f"column {key!r} is empty", where=f"{path}:{row + 2}", remedy="name every run")
        if name in rows:
            what = f"{key} {name!r} stands in line {rows[name] + 2} already"
            raise InputError(what, where=f"{path}:{row + 2}", remedy="give every run its own name")
        rows[name] = row
    return names


def _same(a: Sequence[str], b: Sequence[str], kind: str, path: Path, other: Path | str, remedy: str) -> None:
    for names, rest, there, missing in ((a, set(b), path, other), (b, set(a), other, path)):
        alone = [name for name in names if name not in rest]
        if alone:
            shown = ", ".join(map(repr, alone[:3])) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
            raise InputError(f"{kind}{shown} of {there} is missing", where=missing, remedy=remedy)


def _shares(found: pl.DataFrame, sources: Sequence[str], path: Path) -> tuple[F64, bool]:
    """(rows, sources), and whether they were given in per cent."""
    shares = table.columns(found, sources, path)
    for row, column_ in np.argwhere(shares < 0)[:1]:
        what = f"column {sources[column_]!r} holds {shares[row, column_]:g}, and no share is negative"
        raise InputError(what, where=f"{path}:{row + 2}", remedy="correct the cell, or take the row out")
    sums = shares.sum(1)
    percent = bool(abs(np.median(sums) - 100) <= 100 * _ROUNDING)
    whole = 100 if percent else 1
    for row in np.flatnonzero(np.abs(sums / whole - 1) > _ROUNDING + 1e-9)[:1]:
        raise InputError(
            f"shares sum to {sums[row]:g}, not to {whole}", where=f"{path}:{row + 2}",
            remedy="every column but the key must be a source's share; correct the row, or take it out",
        )  # fmt: skip
    return shares / sums[:, None], percent
