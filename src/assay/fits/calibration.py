"""`assay calibration`: studies -> how often what they predicted held.

folders -> studies in and below them (predictions.json, claims.json) -> predictions and their outcomes
        -> how often 50, 80 and 90 % intervals held, by kind            -> answer, page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.impact import calibration, predictions
from assay.impact.calibration import Tested
from assay.report import calibration as report
from assay.store import fingerprint, write_atomic, write_json_atomic
from assay.workspace import Workspace


def run(folders: Sequence[Path]) -> dict[str, Any]:
    """The answer of `--json`.

    Raises:
        InputError: there is no study with tested predictions.
    """
    found = [one for path in _studies(folders) for one in tested(path)]
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        remedy = "name folders of studies that have run to their end, or one that holds such folders"
        raise InputError("holds no study with tested predictions", where=where, remedy=remedy)
    rows = [asdict(row) for row in calibration.table(found, predictions.BANDS)]
    listed = [asdict(one) for one in found]
    return {
        "n": len(found), "studies": len({one.study for one in found}), "table": rows, "predictions": listed,
        "assay_version": __version__, "fingerprint": fingerprint(listed),
    }  # fmt: skip


def written(folders: Sequence[Path], out: Path, command: str, language: str) -> dict[str, Any]:
    """The answer, and `calibration.json` and `calibration.html` in a folder; another call there replaces them.

    Raises:
        InputError: as `run`; or the folder holds something else.
    """
    answer = run(folders)
    with Workspace(out, "calibration").enter({"folders": [str(folder) for folder in folders]}, command):
        write_json_atomic(out / "calibration.json", answer)
        page = out / report.PAGE
        write_atomic(page, report.render(answer, command, language))
    return {**answer, "out": str(out), "page": str(page)}


def _studies(folders: Sequence[Path]) -> list[Path]:
    """Folders of studies in and below these, each once."""
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError("is not a folder", where=folder, remedy="name folders of studies")
        for path in sorted(folder.rglob("predictions.json")):
            if (path.parent / "claims.json").is_file():
                found[path.parent.resolve()] = None
    return list(found)


def tested(study: Path) -> list[Tested]:
    """The predictions of one study that have an outcome.

    Raises:
        InputError: a file of the study is damaged.
    """
    try:
        registered = predictions.load(json.loads((study / "predictions.json").read_text(encoding="utf-8")))
        claims = {claim["id"]: claim for claim in json.loads((study / "claims.json").read_text(encoding="utf-8"))}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("is damaged", where=study, remedy="run its study again, or leave it out") from error
    found = []
    for entry in registered:
        claim = claims.get(entry.claim)
        if claim is None or claim["outcome"] is None:
            continue
        own = entry.bands or ((entry.level, *entry.change[1:]),)  # studies of earlier versions have one level alone
        bands = tuple((level, entry.anchor + low, entry.anchor + high) for level, low, high in own)
        measured, predicted = claim["outcome"]["value"], entry.prediction().value
        found.append(Tested(str(study), entry.claim, entry.kind, entry.target, measured, predicted, bands))
    return found
