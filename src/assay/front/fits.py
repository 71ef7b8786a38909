"""Laws, mixtures and calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.front.printing import command, printed


def law_fit(*, asked: Mapping[str, Any], out: Path | None, language: str, as_json: bool) -> None:
    """`assay law fit`. `asked` are the fields of `fits.laws.Request`."""
    from assay.fits import laws, told

    request = laws.Request(**asked)
    found = laws.run(request) if out is None else laws.written(request, out, command(), language)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.law(found, language)))


def mixture_fit(
    *,
    tables: tuple[Path, Path],
    test: tuple[Path | None, Path | None],
    target: str,
    natural: str | None,
    key: str | None,
    caps: list[str],
    kl: float,
    level: float,
    out: Path | None,
    language: str,
    as_json: bool,
) -> None:
    """`assay mixture fit`. `tables` and `test` are tables of mixtures and of losses."""
    from assay.fits import mixtures, told_mixtures

    if (test[0] is None) != (test[1] is None):
        what = "one of --test-mixtures and --test-losses is given alone"
        raise InputError(what, where="assay mixture fit", remedy="give both, or neither")
    tested = None if test[0] is None or test[1] is None else (test[0], test[1])
    request = mixtures.Request(*tables, tested, target, natural, key, tuple(caps), kl, level)
    found = mixtures.fit(request).answer if out is None else mixtures.written(request, out, command(), language)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told_mixtures.told(found, language)))


def calibration(*, folders: list[Path], out: Path | None, language: str, as_json: bool) -> None:
    """`assay calibration`."""
    from assay.fits import calibration as room
    from assay.fits import told

    found = room.run(folders) if out is None else room.written(folders, out, command(), language)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.calibration(found, language)))
