"""No network but loopback: for the tests' own process (conftest.py) and, by its name, for every Python that they start.

Python imports a module `sitecustomize` from its path as it comes up; conftest.py puts this folder on PYTHONPATH.
"""

from __future__ import annotations

import socket
from typing import Any

LOOPBACK = ("localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1")


def _refuse(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
        raise OSError(f"tests do not connect to {address[0]}")


class Loopback(socket.socket):
    """A socket that reaches this machine alone."""

    def connect(self, address: Any) -> None:
        _refuse(self.family, address)
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        _refuse(self.family, address)
        return super().connect_ex(address)

    def sendto(self, data: Any, *rest: Any) -> int:
        _refuse(self.family, rest[-1])
        return super().sendto(data, *rest)


socket.socket = Loopback  # type: ignore[misc]
