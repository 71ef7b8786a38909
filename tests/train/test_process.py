"""A process that trains: freed memory is kept, and numbers too small to matter are zero."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest
import torch

from assay.train.process import denormals_are_zero, flushes

FAULTS = """
import json, resource, sys, torch
from assay.models.decoder import proxy
from assay.models.protocol import Batch
from assay.train.process import keep_freed_memory
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig

torch.set_num_threads(1)
kept = keep_freed_memory() if sys.argv[1] == "kept" else None
state = TrainState(TrainSpec(proxy(2048, 2, 64, 2), OptimizerConfig(), 0))
ids_BT = torch.randint(0, 2048, (32, 128))
faults = []
for _ in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    state.update(Batch(ids_BT, ids_BT.roll(-1, 1)), 1.0)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(json.dumps([kept, sum(faults[5:])]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library without mallopt")
def test_a_step_does_not_fault_its_buffers_in_again() -> None:
    kept, plain = (
        json.loads(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("kept", "plain")
    )
    assert kept[0] is True
    assert kept[1] * 10 < plain[1]


def test_denormals_are_zero_within_and_numbers_again_afterwards() -> None:
    small = torch.full((4,), 1e-30)
    assert not flushes()
    with denormals_are_zero():
        assert flushes() and (small * 1e-9 == 0).all()
        with denormals_are_zero():
            pass
        assert flushes()
    assert not flushes() and (small * 1e-9 != 0).all()


THREADS = """
import torch
from assay.train.process import denormals_are_zero

torch.set_num_threads(4)
with denormals_are_zero():
    print(int((torch.full((4_000_000,), 1e-30) * 1e-9).count_nonzero()))
"""


def test_they_are_zero_in_all_threads_of_a_process() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "0"
