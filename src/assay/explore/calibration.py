"""How often the intervals of all studies held, and each prediction with what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from assay.errors import InputError
from assay.explore.catalog import Entry
from assay.fits import calibration as room
from assay.impact import calibration, predictions

MOST = 5_000  # predictions that are told one by one


def calibrated(studies: Sequence[Entry]) -> dict[str, Any]:
    """The table over all studies that can be read, and the predictions behind it, the newest studies first."""
    found, damaged = [], []
    for entry in sorted(studies, key=lambda one: -one.changed):
        if not entry.finished or not (entry.path / "predictions.json").is_file():
            continue
        try:
            found += [(entry, one) for one in room.tested(entry.path)]
        except InputError:
            damaged.append(entry.name)
    rows = [asdict(row) for row in calibration.table([one for _, one in found], predictions.BANDS)]
    listed = [
        {
            **asdict(one),
            "study": entry.id,
            "name": entry.name,
            "held": {level: one.held(level) for level in predictions.BANDS},
        }
        for entry, one in found[:MOST]
    ]
    return {"n": len(found), "table": rows, "predictions": listed, "damaged": damaged}
