"""What is computed with one thread, whatever is allowed outside."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from threadpoolctl import threadpool_info, threadpool_limits
from assay.machine import one_thread

def threads():
    return [pool["num_threads"] for pool in threadpool_info()]

with one_thread():
    import sklearn.cluster, sklearn.linear_model, sklearn.manifold
    assert len(threads()) >= 2 and set(threads()) == {1}, threads()
with threadpool_limits(2):
    with one_thread():
        assert set(threads()) == {1}, threads()
    assert 2 in threads(), threads()
"""


def test_libraries_have_one_thread_within_and_what_they_had_after() -> None:
    """In a process of its own, that has loaded none of them."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


MEMORY = """
import sys
import numpy as np
from assay.machine import give_back_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

if "give" in sys.argv and not give_back_memory():
    raise SystemExit(0)
begun = resident()
for size in range(1, 25):  # buffers that grow, each with a small one behind it that stays
    buffers = [np.ones(size << 17) for _ in range(4)]
    kept = [np.ones(1000) for _ in range(200)]
    del buffers
print(resident() - begun)
"""


def test_a_process_that_says_so_keeps_no_large_buffers() -> None:
    """Of some 100 MB that were taken at a time, nothing is left; where another C library is, nothing is said."""
    command = [sys.executable, "-c", MEMORY, "give"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout or 0) < 20
