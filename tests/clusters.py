"""Ray clusters of several nodes on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


def at_work(node: Any, task: str) -> bool:
    """Whether a process of a node is doing such a task now: Ray says so in its title."""
    (raylet,) = node.all_processes["raylet"]
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            title = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet.process.pid and title.startswith(f"ray::{task}".encode()):
                return True
    return False


@contextlib.contextmanager
def two_nodes() -> Iterator[tuple[Any, str]]:
    """A core each; gives the cluster and its address."""
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    here = Path(__file__).parent
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here), str(here / "corpus"), os.environ.get("PYTHONPATH", "")])
    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    made.add_node(**NODE)
    try:
        yield made, f"127.0.0.1:{made.address.rpartition(':')[2]}"  # which is as far as tests connect
    finally:
        made.shutdown()
