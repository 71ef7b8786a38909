"""`assay serve`: a request -> a port that listens, models in memory, a service that runs to its end.

The port is taken before a model is opened, so that one in use is told at once.
"""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.serve import registry, writing
from assay.serve.registry import Model, Room
from assay.serve.tasks import abilities
from assay.serve.writing import Limits
from assay.store import fingerprint
from assay.web import keys, running
from assay.web.guard import BODY

EXAMPLES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "你好"}], "max_tokens": 64},
    "completions": {"prompt": "Once upon a time", "max_tokens": 64},
    "answer": {"question": "Who wrote it?", "context": "It was written by Li Bai."},
}
TEXT: dict[str, Any] = {"input": ["a wonderful film", "一部好电影"]}


@dataclass(frozen=True)
class Request:
    """What is to be served, and how.

    Attributes:
        models: DIRECTORY or NAME=DIRECTORY.
        key_file: that holds the key; None: of the environment, or a new one.
        drain: seconds that running answers have after Ctrl-C.
    """

    models: tuple[str, ...]
    host: str = running.LOOPBACK
    port: int = 8000
    key_file: Path | None = None
    room: Room = registry.USUAL
    limits: Limits = writing.USUAL
    body: int = BODY
    drain: float = 30.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        numbers = {
            "--max-rows": self.room.rows, "--max-tokens": self.limits.tokens, "--max-prompt": self.limits.prompt,
            "--timeout": self.limits.seconds, "--max-body": self.body, "--drain": self.drain,
        }  # fmt: skip
        for name, value in numbers.items():
            if not value > 0:
                raise InputError(f"{value} is not above 0", where=name, remedy="give a number above 0")
        if self.room.queue < 0:
            raise InputError(f"{self.room.queue} is below 0", where="--queue", remedy="give 0 or more")


@dataclass(frozen=True)
class Ready:
    """A service that can run.

    Attributes:
        key: that was made now; None: whoever started it knows it.
    """

    app: Any
    listener: socket.socket
    models: dict[str, Model]
    key: str | None
    drain: float

    @property
    def address(self) -> str:
        return running.address(self.listener)

    @property
    def is_open(self) -> bool:
        """Whether other machines reach it."""
        return not running.is_loopback(self.listener.getsockname()[0])

    def curl(self) -> str:
        """A line to copy, for the first model."""
        name, model = next(iter(self.models.items()))
        routes = abilities(model)
        route = next((one for one in EXAMPLES if one in routes), routes[0] if routes else "models")
        key = self.key or f"${keys.VARIABLE}"
        data = {"model": name, **EXAMPLES.get(route, TEXT)}
        body = shlex.quote(json.dumps(data, ensure_ascii=False))
        return (
            f'curl {self.address}/v1/{route} -H "Authorization: Bearer {key}" -H "Content-Type: application/json" '
            f"-d {body}"
        )

    def told(self) -> dict[str, Any]:
        """As JSON: once, when it listens."""
        models = [{"name": name, "routes": abilities(model), "base": model.base} for name, model in self.models.items()]
        digests = {name: model.doing.digest for name, model in self.models.items()}
        return {"url": self.address, "key": self.key, "models": models, "assay_version": __version__,
                "fingerprint": fingerprint(digests)}  # fmt: skip

    def run(self, stopping: Callable[[], None]) -> None:
        """To the end: SIGINT or SIGTERM, and what runs then."""
        running.run(self.app, self.listener, drain=self.drain, stopping=stopping)


def ready(request: Request) -> Ready:
    """Everything but its running.

    Raises:
        InputError: the port cannot be had, a model cannot be opened, the key is no good, a library is missing.
    """
    running.check_installed()
    from assay.serve.api import Service, application
    from assay.serve.engine import Engine
    from assay.serve.metrics import Metrics
    from assay.serve.registry import open_models

    key = keys.chosen(request.key_file)
    listener = running.listening(request.host, request.port)
    try:
        engine, metrics = Engine(), Metrics()
        models = open_models(request.models, engine, metrics, request.room, request.device)
    except BaseException:
        listener.close()
        raise
    app = application(Service(models, engine, metrics, request.limits), keys.Keys(key.key), body=request.body)
    return Ready(app, listener, models, key.key if key.is_new else None, request.drain)
