"""Energy: by the processor's counter, by the GPU's power over time, or an estimate that is not called a measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from assay.train import energy
from assay.train.energy import Meter, Spent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(energy.time, "monotonic", lambda: now[0])
    return now


def test_the_counter_is_read_where_it_can_be(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "energy_uj"
    counter.write_text("5000000")
    monkeypatch.setattr(energy, "RAPL", counter)
    monkeypatch.setattr(energy.os, "cpu_count", lambda: 4)
    meter = Meter(Spent(7.0, 3.0))
    clock[0] += 2
    counter.write_text("45000000")
    assert meter.spent() == Spent(9.0, 3.0 + 40 / 4)
    assert energy.measurable()


def test_without_a_counter_it_is_an_estimate(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "RAPL", tmp_path / "none")
    meter = Meter()
    clock[0] += 3
    assert meter.spent() == Spent(3.0, 3 * energy.WATTS_PER_CORE)
    assert not energy.measurable()


def test_a_gpus_power_is_summed_over_the_time(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "RAPL", tmp_path / "none")
    watts = [300]
    monkeypatch.setattr(torch.cuda, "power_draw", lambda device: 1000 * watts[0])
    meter = Meter(device="cuda:0")
    clock[0] += 2
    assert meter.spent().joules == 2 * energy.WATTS_PER_CORE + 600
    watts[0] = 100
    clock[0] += 5
    assert meter.spent().joules == 7 * energy.WATTS_PER_CORE + 600 + 500


def test_a_gpu_that_does_not_tell_is_an_estimate(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(device: str) -> int:
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "power_draw", silent)
    monkeypatch.setattr(energy, "RAPL", Path("/dev/zero"))  # readable
    assert energy.measurable()
    assert not energy.measurable("cuda:0")


def test_work_on_several_cores_takes_their_energy(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "measurable", lambda *_: False)
    one, three = Meter(), Meter(cores=3)
    clock[0] += 10.0
    assert three.spent().joules == pytest.approx(3 * one.spent().joules)
    assert one.spent().joules > 0
