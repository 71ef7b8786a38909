"""Models over HTTP."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from assay.front.printing import printed


def serve(
    *,
    models: list[str],
    host: str,
    port: int,
    key_file: Path | None,
    rows: int,
    queue: int,
    limits: dict[str, Any],
    body: int,
    drain: float,
    device: str,
    language: str,
    as_json: bool,
) -> None:
    """`assay serve`."""
    from assay.machine import give_back_memory
    from assay.present.words import say
    from assay.serve.registry import Room
    from assay.serve.verb import Request, ready
    from assay.serve.writing import Limits
    from assay.train.world import device_of

    request = Request(
        tuple(models),
        host,
        port,
        key_file,
        Room(rows, queue),
        Limits(**limits),
        body,
        drain,
        device_of(device, "--device"),
    )
    give_back_memory()  # before anything large is taken: a server runs for long
    found = ready(request)
    _log_to_stderr()
    if as_json:
        printed(json.dumps(found.told(), ensure_ascii=False))
    else:
        lines = [say("serve.listening", language, models=", ".join(found.models), address=found.address)]
        if found.key is not None:
            lines.append(say("serve.key", language, secret=found.key))
        lines += [say("serve.try", language), found.curl()]
        if found.is_open:
            lines.append(say("serve.open", language))
        printed(*lines)
    found.run(lambda: print(say("serve.stopping", language, seconds=f"{drain:g}"), file=sys.stderr, flush=True))


def _log_to_stderr() -> None:
    """Times, routes and statuses; texts are in no log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    for name, level in (("assay.web", logging.INFO), ("assay.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        log = logging.getLogger(name)
        log.setLevel(level)
        log.addHandler(handler)
