"""What a server does, as Prometheus reads it: requests, tokens, queues, rows, how long things take. No texts."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Protocol

from assay.web.guard import App, Receive, Send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Watched(Protocol):
    """A lane."""

    @property
    def waiting(self) -> int: ...

    @property
    def writing(self) -> int: ...


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def made(kind: Any, name: str, told: str, *labels: str, **more: Any) -> Any:
            return kind(f"assay_{name}", told, labels, registry=self.registry, **more)

        self.requests = made(Counter, "requests", "Requests that were answered", "route", "status")
        self.seconds = made(Histogram, "request_seconds", "From a request to the end of its answer", "route",
                            buckets=SECONDS)  # fmt: skip
        self.tokens = made(Counter, "tokens", "Tokens that were read (prompt) or written (answer)", "model", "kind")
        self.first = made(Histogram, "first_token_seconds", "From a request to its first token", "model",
                          buckets=SECONDS)  # fmt: skip
        self.steps = made(Histogram, "step_seconds", "Steps of a batch", "model", buckets=SECONDS)
        self.step_rows = made(Counter, "step_rows", "Rows of all steps: over their count, rows of a step", "model")
        self.left = made(Counter, "left", "Requests whose client left, or whose time ran out", "model", "why")
        self.queue = made(Gauge, "queue", "Answers that wait", "model")
        self.rows = made(Gauge, "rows", "Answers that are being written", "model")

    def watch(self, model: str, lanes: Sequence[Watched]) -> None:
        """Tell of a model's lanes."""
        self.queue.labels(model).set_function(lambda: sum(lane.waiting for lane in lanes))
        self.rows.labels(model).set_function(lambda: sum(lane.writing for lane in lanes))

    def step_of(self, model: str) -> Callable[[int, float], None]:
        """What is told of each step of a model: its rows, and seconds."""
        steps, rows = self.steps.labels(model), self.step_rows.labels(model)

        def counted(n: int, seconds: float) -> None:
            steps.observe(seconds)
            rows.inc(n)

        return counted

    @property
    def text(self) -> bytes:
        """In Prometheus' own form."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)


class Counted:
    """A service whose requests are counted, by the names of its routes (never by paths, which clients make up)."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), "left"

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "none")
            self.metrics.requests.labels(route, status).inc()
            self.metrics.seconds.labels(route).observe(time.monotonic() - began)
