from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.impact import table


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "runs.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_are_numbers_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffN, D ,loss\n1e6,2e7,3.5\n2e6,4e7,3.25\n")
    found = table.read(path)
    assert found.columns == ["N", "D", "loss"]
    np.testing.assert_array_equal(table.columns(found, ["D", "loss"], path), [[2e7, 3.5], [4e7, 3.25]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("N,loss\n1,2\n,3\n", "'N' is empty"),
        ("N,loss\n1,2\nabc,3\n", "'N' holds 'abc', not a positive number"),
        ("N,loss\n1,2\n-4,3\n", "'N' holds '-4', not a positive number"),
        ("N,loss\n1,2\nnan,3\n", "'N' holds 'nan', not a positive number"),
        ("N,loss\n1,2\n1,2,3\n", "cannot be read as a CSV"),
        ("N,loss\n", "has no rows"),
        ("", "cannot be read as a CSV"),
        ("N,N\n1,2\n", "two columns are called 'N'"),
        ("M,loss\n1,2\n", "there is no column 'N'"),
        (b"N,loss\n\xff\xfe,1\n", "is not UTF-8|cannot be read as a CSV"),
    ],
)
def test_what_is_no_table_of_numbers_is_told_with_its_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as error:
        table.numbers(table.read(path), "N", path, positive=True)
    assert any(part in error.value.line() for part in says.split("|")), error.value.line()


def test_the_line_of_a_bad_cell_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "N,loss\n1,2\n3,-\n")
    with pytest.raises(InputError, match=r"runs\.csv:3"):
        table.numbers(table.read(path), "loss", path)
