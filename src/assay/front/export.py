"""Models for other engines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assay.errors import InputError
from assay.front.printing import printed
from assay.front.tasks import pairs


def export(
    *,
    model: Path,
    out: Path,
    target: str,
    dtype: str,
    data: Sequence[str],
    format_: str | None,
    fields: Sequence[str],
    measure: bool,
    threads: int,
    licence: str | None,
    language: str,
    as_json: bool,
) -> None:
    """`assay export`."""
    if not data and (format_ is not None or fields):
        raise InputError("--format and --field say how --data is read", where="assay export", remedy="give --data, too")

    from assay.export import told, verb
    from assay.export.judging import Data
    from assay.export.request import Request

    given = Data(tuple(data), format_, tuple(pairs(fields, "--field").items())) if data else None
    request = Request(model, target, out, dtype, given, measure, licence, language, threads)
    answer = verb.run(request, quiet=as_json)
    printed(*([json.dumps(answer, ensure_ascii=False)] if as_json else told.exported(answer, language)))
