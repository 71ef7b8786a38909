"""Writes a study's page."""

from __future__ import annotations

from pathlib import Path

from assay.impact.results import StudyResults
from assay.report.page import render
from assay.store import write_atomic

REPORT = "report.html"


def write(results: StudyResults, out: Path, language: str = "en") -> Path:
    """Write `report.html` into the folder `out` in one step, and return its path.

    Raises:
        WorkError: the disk is full.
        InputError: the folder cannot be written.
    """
    path = Path(out) / REPORT
    write_atomic(path, render(results, language))
    return path
