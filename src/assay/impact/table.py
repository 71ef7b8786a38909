"""A table of runs as others publish them: a CSV, columns of which are numbers.

Nothing of it is guessed: a cell that is missing, is no number, or has a value that the law cannot take is an error with
its line, and a row is left out only where a person said so.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from assay.errors import InputError

F64 = npt.NDArray[np.float64]
_SHOWN = 8  # names in an error


def read(path: Path) -> pl.DataFrame:
    """All columns as text, as they stand.

    Raises:
        InputError: it is no CSV with a line of names and at least one row, or two columns have one name.
    """
    if not path.is_file():
        raise InputError("there is no such file", where=path, remedy="name a CSV with a row a run")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.strip() for name in next(csv.reader(file), [])]
        table = pl.read_csv(path, infer_schema=False)
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", where=path, remedy="save it as a CSV in UTF-8") from error
    except (pl.exceptions.PolarsError, csv.Error, OSError) as error:
        what = f"cannot be read as a CSV ({' '.join(str(error).split())[:120]})"
        raise InputError(what, where=path, remedy="give a table with commas and a line of names") from error
    if table.is_empty():
        raise InputError("has no rows", where=path, remedy="give a table with a row a run")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two columns are called {twice[0]!r}", where=path, remedy="give each column its own name")
    if len(names) != table.width:
        raise InputError("does not begin with a line of names", where=path, remedy="take out blank lines above it")
    return table.rename(dict(zip(table.columns, names, strict=True)))


def text(table: pl.DataFrame, name: str, path: Path) -> list[str | None]:
    """One column as it stands.

    Raises:
        InputError: there is no such column.
    """
    if name not in table.columns:
        there = ", ".join(table.columns[:_SHOWN]) + (", ..." if table.width > _SHOWN else "")
        raise InputError(f"there is no column {name!r}", where=path, remedy=f"name one of {there}")
    return table[name].to_list()


def numbers(table: pl.DataFrame, name: str, path: Path, *, positive: bool = False) -> F64:
    """One column as numbers.

    Args:
        positive: whether 0 and less are errors, too.

    Raises:
        InputError: there is no such column, or a cell holds no such number.
    """
    found = np.empty(table.height)
    wanted = "a positive number" if positive else "a number"
    for i, cell in enumerate(text(table, name, path)):
        try:
            found[i] = float(cell) if cell is not None else np.nan
        except ValueError:
            found[i] = np.nan
        if not np.isfinite(found[i]) or (positive and found[i] <= 0):
            what = f"column {name!r} is empty" if cell is None else f"column {name!r} holds {cell!r}, not {wanted}"
            raise InputError(what, where=f"{path}:{i + 2}", remedy="correct the cell, or take the row out")
    return found


def columns(table: pl.DataFrame, names: Sequence[str], path: Path) -> F64:
    """(rows, columns) numbers, none of them missing.

    Raises: as `numbers`.
    """
    return np.stack([numbers(table, name, path) for name in names], axis=1)


def truth(table: pl.DataFrame, expression: str, option: str) -> npt.NDArray[np.bool_]:
    """(rows,) for which an SQL expression over the columns is true; a column of numbers is compared as numbers.

    Raises:
        InputError: it cannot be read, asks about no column that there is, or is no condition.
    """
    where, remedy = f"{option} {expression}", 'write a condition on columns, such as "N > 2e9"'
    try:
        made = pl.sql_expr(expression)
        asks = made.meta.root_names()
        typed = table.with_columns(_typed(table[name]) for name in asks if name in table.columns)
        found = typed.select(made.alias("found"))["found"]
    except Exception as error:  # Polars has several kinds, all with their text
        said = " ".join(str(error).split())[:120]
        raise InputError(f"cannot be read as a condition ({said})", where=where, remedy=remedy) from error
    if found.dtype != pl.Boolean or len(found) != table.height:
        raise InputError("is no condition on the rows", where=where, remedy=remedy)
    return found.fill_null(False).to_numpy()


def _typed(column: pl.Series) -> pl.Series:
    """The column as numbers where all of it are."""
    made = column.cast(pl.Float64, strict=False)
    return column if made.null_count() > column.null_count() else made
