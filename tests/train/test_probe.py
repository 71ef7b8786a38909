"""The probe times the step that will be trained with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assay.train import optimizers
from assay.train.optimizers import OptimizerConfig
from assay.train.probe import Probe, tokens_per_second
from miniature import MODEL, B, T

PROBE = Probe(MODEL, T, B, "float32", seconds=0.01)


@pytest.mark.parametrize(
    ("probe", "muon"),
    [(PROBE, True), (replace(PROBE, optimizer=OptimizerConfig(matrix="adamw")), False)],
    ids=["by default", "adamw"],
)
def test_the_optimizer_that_was_asked_for_is_timed(monkeypatch: pytest.MonkeyPatch, probe: Probe, muon: bool) -> None:
    """Muon alone orthogonalises."""
    calls: list[object] = []
    orthogonalise = optimizers.orthogonalise
    monkeypatch.setattr(optimizers, "orthogonalise", lambda x: calls.append(x) or orthogonalise(x))
    assert tokens_per_second(probe) > 0
    assert bool(calls) == muon
