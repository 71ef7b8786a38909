"""Carbon emissions of a run, as codecarbon tells them: energy by its own sensors, and the grid of a country.

It works without a network: the country is named, and its mix of electricity comes with the package. Each stretch of
work (a rerun goes on) is a line of RUN/emissions.csv.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.errors import InputError

EMISSIONS = "emissions.csv"
KEY = "keep.emissions"


@contextmanager
def tracked(folder: Path, country: str | None) -> Iterator[None]:
    """Within, emissions are counted, and written into the folder at the end; without a country, nothing is done.

    Args:
        country: ISO 3166-1 alpha-3, such as CHN, DEU or USA.

    Raises:
        InputError: codecarbon is not installed, or does not know the country.
    """
    if country is None:
        yield
        return
    try:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.input import DataSource
    except ImportError:
        raise InputError("codecarbon is not installed", where=KEY, remedy="pip install 'assay[emissions]'") from None
    if country not in DataSource().get_global_energy_mix_data():
        raise InputError(f"{country!r} is no country that codecarbon knows", where=KEY, remedy="give one such as CHN")
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        country_iso_code=country, output_dir=str(folder), output_file=EMISSIONS, project_name=folder.name,
        log_level="critical", allow_multiple_runs=True,
    )  # fmt: skip
    tracker.start()
    try:
        yield
    finally:
        tracker.stop()


def kilograms(folder: Path) -> float | None:
    """kg of CO2 equivalents of all stretches of a run; None where nobody counted."""
    try:
        with (folder / EMISSIONS).open(encoding="utf-8", newline="") as lines:
            return sum(float(line["emissions"]) for line in csv.DictReader(lines))
    except FileNotFoundError:
        return None
