"""Carbon emissions: codecarbon is asked offline, and its lines are added up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from assay.errors import InputError
from assay.train.emissions import EMISSIONS, kilograms, tracked


class Tracker:
    """What codecarbon's tracker does with a country and a file."""

    def __init__(self, country_iso_code: str, output_dir: str, output_file: str, **_: Any) -> None:
        assert country_iso_code == "CHN"
        self.path, self.counting = Path(output_dir) / output_file, False

    def start(self) -> None:
        self.counting = True

    def stop(self) -> None:
        assert self.counting
        lines = self.path.read_text() if self.path.exists() else "project_name,emissions\n"
        self.path.write_text(lines + "run,0.25\n")


class DataSource:
    """What it knows of countries."""

    def get_global_energy_mix_data(self) -> dict[str, object]:
        return {"CHN": {}}


@pytest.fixture
def codecarbon(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = ModuleType("codecarbon"), ModuleType("codecarbon.input")
    module.OfflineEmissionsTracker = Tracker  # type: ignore[attr-defined]
    data.DataSource = DataSource  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    monkeypatch.setitem(sys.modules, "codecarbon.input", data)


def test_every_stretch_of_a_run_is_counted_however_it_ends(tmp_path: Path, codecarbon: None) -> None:
    with pytest.raises(KeyboardInterrupt), tracked(tmp_path, "CHN"):
        raise KeyboardInterrupt
    with tracked(tmp_path, "CHN"):
        pass
    assert kilograms(tmp_path) == 0.5


def test_without_a_country_nothing_is_counted(tmp_path: Path, codecarbon: None) -> None:
    with tracked(tmp_path, None):
        pass
    assert kilograms(tmp_path) is None
    assert not (tmp_path / EMISSIONS).exists()


def test_a_country_that_is_none_is_refused(tmp_path: Path, codecarbon: None) -> None:
    with pytest.raises(InputError, match="'XXX' is no country"), tracked(tmp_path, "XXX"):
        pass


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(InputError, match="codecarbon is not installed"), tracked(tmp_path, "CHN"):
        pass


def test_the_real_one_counts(tmp_path: Path) -> None:
    pytest.importorskip("codecarbon", reason="codecarbon is not installed")
    with tracked(tmp_path, "CHN"):
        sum(range(10**6))
    found = kilograms(tmp_path)
    assert found is not None
    assert 0 < found < 0.01
    with pytest.raises(InputError, match="'XXX' is no country"), tracked(tmp_path, "XXX"):
        pass
