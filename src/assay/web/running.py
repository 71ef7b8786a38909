"""A service on a port: bound before anything heavy is opened, run until it is told to stop, drained.

listening(host, port) -> a socket      in use, not allowed, no such host: one line
run(app, socket, drain=..)             SIGINT or SIGTERM: no new connections, what runs is finished; again: at once
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from assay.errors import InputError, Stopped, needs

LOOPBACK = "127.0.0.1"


def check_installed() -> None:
    """That what serves is there.

    Raises:
        InputError: it is not.
    """
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        needs(module, "serve", "requests over HTTP")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is a free one.

    Raises:
        InputError: the port is in use, or not to be had, or there is no such host.
    """
    where = f"{host}:{port}"
    if not 0 <= port <= 65535:
        raise InputError(f"there is no port {port}", where="--port", remedy="give 0 (a free one) to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise InputError("is no address of this machine", where=f"--host {host}", remedy=f"say {LOOPBACK}") from error
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(1024)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise _told(error, where) from error
    return made


def _told(error: OSError, where: str) -> InputError:
    if error.errno == errno.EADDRINUSE:
        return InputError("the port is in use", where=where, remedy="give another one with --port, or 0 for a free one")
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError("the port may not be used by you", where=where, remedy="give one above 1023 with --port")
    return InputError(f"cannot be listened on ({error.strerror})", where=where, remedy=f"say --host {LOOPBACK}")


def address(listener: socket.socket) -> str:
    """http://host:port of a socket that listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Any, listener: socket.socket, *, drain: float, stopping: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM, and then to the end of what runs, for so many seconds at most.

    Args:
        stopping: is called with the first signal.
    """
    asyncio.run(server(app, drain=drain, stopping=stopping).serve(sockets=[listener]))


def server(app: Any, *, drain: float, stopping: Callable[[], None] = lambda: None) -> Any:
    """What runs a service: `serve(sockets=[..])`, until its `should_exit` is set."""
    import uvicorn

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="on",
        timeout_graceful_shutdown=max(1, round(drain)), timeout_keep_alive=30, ws="none", proxy_headers=False,
    )  # fmt: skip
    made = _heeding(uvicorn.Server)(config)
    made.stopping = stopping
    return made


def _heeding(base: Any) -> Any:
    """uvicorn's server, whose signals are ours: it would raise them again once it has ended."""

    class Server(base):
        stopping: Callable[[], None]
        should_exit: bool

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            try:
                before = {number: signal.signal(number, self.heard) for number in (signal.SIGINT, signal.SIGTERM)}
            except ValueError:  # not in the main thread: whoever started it stops it
                yield
                return
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def heard(self, number: int, frame: Any) -> None:
            if self.should_exit:
                os._exit(Stopped.exit_code)
            self.should_exit = True
            self.stopping()

    return Server
