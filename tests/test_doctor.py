"""`assay doctor env`: what is wrong with a machine is found and told with a remedy."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import Any

import pytest

from assay import doctor, front


def test_a_good_machine(capsys: pytest.CaptureFixture[str]) -> None:
    findings = doctor.environment()
    names = [finding.what for finding in findings]
    assert {"python", "torch", "gigatoken", "memory", "processor", "gpu", "energy", "disk"} <= set(names)
    assert "pytest" not in names
    assert next(finding for finding in findings if finding.what == "torch").ok
    assert set(doctor.answer(findings)) == {"ok", "findings", "assay_version", "fingerprint"}


def _env(as_json: bool) -> int:
    try:
        front.doctor_env(as_json=as_json)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_bad_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "duckdb":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"torch": "2.9.1+cpu"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(doctor, "memory", lambda: 1_500_000_000)
    monkeypatch.setattr(doctor, "LEAST_DISK_GB", 1e9)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    assert _env(as_json=False) == 1
    lines = capsys.readouterr().out.splitlines()
    bad = {line.split(":")[0]: line for line in lines if line.startswith("MEND")}
    assert set(bad) == {"MEND torch", "MEND duckdb", "MEND memory", "MEND importing torch", "MEND disk"}
    assert "2.9.1+cpu, but " in bad["MEND torch"]
    assert all(" -> " in line for line in bad.values())
    assert _env(as_json=True) == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert sum(not finding["ok"] for finding in answer["findings"]) == len(bad)


@pytest.mark.parametrize(
    ("version", "limit", "within"),
    [
        ("2.11.0", ">=2.11", True), ("2.9.1", ">=2.11", False), ("2.14.0", "<2.14", False),
        ("2.13.9+cpu", "<2.14", True),
        ("0.8.2.1", ">=0.8", True), ("1.0", "", True),
    ],
)  # fmt: skip
def test_limits_of_versions(version: str, limit: str, within: bool) -> None:
    assert doctor._within(version, limit) is within
