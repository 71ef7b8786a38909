"""Tiny models of every kind that is served, with random weights, and a server of them in a thread."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import asked
from assay.models.build import build
from assay.models.heads import HeadedConfig
from assay.models.interop.directory import write_directory
from assay.models.presets import Size, preset
from assay.serve.api import Service, application
from assay.serve.engine import Engine
from assay.serve.metrics import Metrics
from assay.serve.registry import USUAL as ROOM
from assay.serve.registry import Room, open_models
from assay.serve.writing import USUAL as LIMITS
from assay.serve.writing import Limits
from assay.tasks.coding import Coder
from assay.tasks.opened import TASK, task_json
from assay.tasks.protocol import HeadTask, Task, made
from assay.tokens.tokenizer import Encoder
from assay.web import running
from assay.web.keys import Keys
from assay.web.running import address, listening

torch.set_num_threads(1)
KEY = "a-key-of-the-tests-alone"
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "mood": ("classification", {"labels": ["bad", "good"]}),
    "topics": ("multilabel", {"labels": ["cats", "honey", "水"], "threshold": 0.4}),
    "stars": ("regression", {}),
    "names": ("tagging", {"labels": ["O", "B-PER", "I-PER"], "kind": "spans", "scheme": "BIO"}),
    "reader": ("extraction", {}),
    "vectors": ("embedding", {}),
}
WRITERS = {"german": ("translation", {"beams": 2, "new": 8}), "short": ("summarization", {"beams": 1, "new": 8})}


def shaken(config: Any, seed: int = 0) -> Any:
    """A model with random weights, of which none is near zero."""
    model: Any = build(config, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def of_task(folder: Path, name: str, options: dict[str, Any]) -> Path:
    """A model of a task: a head on a small BERT, or an encoder-decoder."""
    task: Task = made(name, options)
    encoder = Encoder(asked.tokenizer())
    shape = preset("bert" if isinstance(task, HeadTask) else "bart", Size(encoder.vocabulary, 1, 16, 2, 64))
    config = HeadedConfig(shape, task.head) if isinstance(task, HeadTask) else shape  # type: ignore[arg-type]
    model = shaken(config)
    write_directory(folder, model, asked.tokenizer(), card="")
    coder = Coder.of(encoder, 64, folder, getattr(model.config, "start", None))
    (folder / TASK).write_text(json.dumps(task_json(task, coder)), encoding="utf-8")
    return folder


def directories(folder: Path) -> dict[str, Path]:
    """Of every kind, by name."""
    found = {name: asked.model(folder / name, kind) for name, kind in
             {"gpt": "gpt2", "lstm": "lstm", "ngram": "ngram", "bart": "bart"}.items()}  # fmt: skip
    encoder = Encoder(asked.tokenizer())
    write_directory(
        folder / "bert", shaken(preset("bert", Size(encoder.vocabulary, 1, 16, 2, 64))), asked.tokenizer(), card=""
    )
    found["bert"] = folder / "bert"
    return found | {name: of_task(folder / name, *task) for name, task in {**HEADS, **WRITERS}.items()}


@dataclass
class Served:
    """A server that runs."""

    url: str
    service: Service
    server: Any

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"}

    def idle(self, within: float = 10.0) -> bool:
        """Wait until no lane has anything to do; whether that came to pass."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            lanes = [lane for model in self.service.models.values() for lane in model.lanes]
            if not any(lane.places.taken or lane.writing or lane.waiting for lane in lanes):
                return True
            time.sleep(0.01)
        return False


@contextlib.contextmanager
def serving(
    models: dict[str, Path], room: Room = ROOM, limits: Limits = LIMITS, body: int = 1 << 20
) -> Iterator[Served]:
    """A server of these models, on a free port of this machine."""
    engine, metrics = Engine(), Metrics()
    given = [f"{name}={folder}" for name, folder in models.items()]
    service = Service(open_models(given, engine, metrics, room, "cpu"), engine, metrics, limits)
    listener = listening("127.0.0.1", 0)
    server = running.server(application(service, Keys(KEY), body=body), drain=20)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    url = address(listener)
    thread.start()
    try:
        end = time.monotonic() + 30
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        yield Served(url, service, server)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
