"""`assay calibration`: counted by hand on made-up studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from assay.errors import InputError
from assay.fits import calibration, told
from assay.impact.predictions import BANDS, Registered


def study(folder: Path, outcomes: dict[tuple[str, str], float | None], *, bands: bool = True) -> Path:
    """Every prediction is 2 bpb and a change of 0, give or take 0.1, 0.2, 0.3; outcomes are measured bpb."""
    folder.mkdir(parents=True)
    entries, claims = [], []
    for (cell, target), measured in outcomes.items():
        levels = [(level, -half, half) for level, half in zip(BANDS, (0.1, 0.2, 0.3), strict=True)]
        entry = Registered(
            cell=cell, target=target, tokens=10, reference_tokens=5, anchor=2.0, change=(0.0, -0.3, 0.3), level=0.9,
            bands=tuple(levels) if bands else (), registered_at="2031-01-01T00:00:00Z",
        )  # fmt: skip
        entries.append(entry.model_dump(mode="json"))
        outcome = None if measured is None else {"value": measured, "verdict": "hit"}
        claims.append({"id": entry.claim, "outcome": outcome})
    (folder / "predictions.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "claims.json").write_text(json.dumps(claims), encoding="utf-8")
    return folder


def row(found: dict[str, Any], kind: str, level: float) -> dict[str, Any]:
    return next(one for one in found["table"] if one["kind"] == kind and one["level"] == level)


def test_hits_are_counted_by_kind_and_level(tmp_path: Path) -> None:
    study(
        tmp_path / "a", {("natural:larger", ""): 2.05, ("natural:larger", "新闻"): 2.25, ("mix:held-out-2", ""): 1.85}
    )
    study(tmp_path / "deep" / "b", {("shuffle_words:0.4", "x"): 1.65, ("mix:held-out", ""): None})
    study(tmp_path / "old", {("natural:larger", ""): 2.31}, bands=False)
    found = calibration.run([tmp_path, tmp_path / "a"])
    assert (found["n"], found["studies"]) == (5, 3)
    every = {level: row(found, "", level) for level in BANDS}
    assert [(one["n"], one["held"]) for one in every.values()] == [(4, 0.25), (4, 0.5), (5, 0.6)]
    wilson = stats.binomtest(3, 5).proportion_ci(method="wilson")
    assert every[0.9]["interval"] == pytest.approx((wilson.low, wilson.high))
    assert row(found, "size", 0.9)["held"] == pytest.approx(2 / 3) and row(found, "size", 0.5)["n"] == 2
    assert row(found, "mixture", 0.8)["held"] == 1 and row(found, "dose", 0.9)["held"] == 0
    assert {one["claim"] for one in found["predictions"]} >= {"prediction:size@新闻", "prediction:mixture-2"}


def test_the_page_lists_every_prediction(tmp_path: Path) -> None:
    study(tmp_path / "studies" / "a", {("natural:larger", ""): 2.05, ("natural:larger", "新闻"): 2.45})
    found = calibration.written([tmp_path / "studies"], tmp_path / "out", "assay calibration studies", "zh")
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page and "size@新闻" in page and page.count("<figure") == 1
    again = calibration.written([tmp_path / "studies"], tmp_path / "out", "assay calibration studies", "en")
    assert json.loads((tmp_path / "out" / "calibration.json").read_text(encoding="utf-8"))["n"] == again["n"] == 2
    assert told.calibration(again, "en")[-1].endswith("calibration.html")
    assert any("全部" in line for line in told.calibration(found, "zh"))


def test_where_nothing_was_tested_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study with tested predictions"):
        calibration.run([tmp_path])
    study(tmp_path / "a", {("natural:larger", ""): None})
    with pytest.raises(InputError, match="holds no study"):
        calibration.run([tmp_path])
    (tmp_path / "a" / "claims.json").write_text("[{]", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        calibration.run([tmp_path])
    with pytest.raises(InputError, match="is not a folder"):
        calibration.run([tmp_path / "nowhere"])
