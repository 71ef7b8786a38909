"""Small files for the tests of the tasks room."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from assay.errors import InputError
from assay.tasks.reading import source
from assay.tasks.reading.rows import Rows


def written(path: Path, content: str | bytes) -> Path:
    """A file, packed as its name says."""
    data = content.encode() if isinstance(content, str) else content
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(path.suffix, bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(data))
    return path


def lines_of(values: list[Any]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def read(path: Path, content: Any, **how: Any) -> Rows:
    """The rows of a new file; values become lines of JSON."""
    body = content if isinstance(content, str | bytes) else lines_of(content)
    return source.rows(written(path, body), **how)


def fields(rows: Rows) -> list[dict[str, Any]]:
    return [row.fields for row in rows]


def refused(path: Path, content: Any, **how: Any) -> str:
    """The one line that a person reads; what is wrong is counted, too, where it is skipped beside a good row."""
    with pytest.raises(InputError) as caught:
        read(path, content, **how)
    assert caught.value.exit_code == 2 and caught.value.remedy
    return caught.value.line()
