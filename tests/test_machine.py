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
