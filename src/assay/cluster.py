"""A Ray cluster: whether one is there, and a connection to it.

What is sent to a cluster reads and writes files that all machines see under the same name, and assay is installed on
all of them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from assay.errors import InputError

RETRIES = 5  # of a task whose machine or process died


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected; within a connection the same one.

    Args:
        address: host:port, "auto" (the cluster that this machine is of) or "local" (one that is started here).

    Raises:
        InputError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        remedy = "pip install 'assay[cluster]', on all machines of the cluster"
        raise InputError("Ray is not installed", where=f"--ray {address}", remedy=remedy) from error
    if ray.is_initialized():
        yield ray
        return
    _reachable(address)
    options: dict[str, Any] = (
        {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if address == "local" else {}
    )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _reachable(address: str) -> None:
    """See that somebody listens there: Ray itself would try for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> InputError:
    what = f"there is no such cluster ({' '.join(str(error).split())[:120]})"
    return InputError(
        what, where=f"--ray {address}", remedy="give host:port, auto, or local (ray start --head makes one)"
    )
