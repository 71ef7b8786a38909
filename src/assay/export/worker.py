"""A process of its own that opens a model or an export, answers requests, and says how long they took and how much
memory that was: `python -m assay.export.worker`, a JSON object in, one out.

What opens an export imports no torch: its memory is that of a machine which has none.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Row = list[int]
Ask = Callable[[list[Row]], Any]
"""Answers rows, all together."""


def main() -> None:
    given = json.load(sys.stdin)
    ask = OPEN[given["side"]](given)
    rows: list[Row] = given["rows"]
    began = time.perf_counter()
    ask(rows[:1])  # what is set up at the first request
    first = time.perf_counter() - began
    alone = _timed(lambda i: ask([rows[i % len(rows)]]), given["seconds"], least=5, most=50)
    batch = rows[: given["batch"]]
    together = _timed(lambda _: ask(batch), given["seconds"], least=2, most=20)
    print(json.dumps({
        "memory": peak_memory(), "first": first, "median": float(np.median(alone)),
        "p90": float(np.percentile(alone, 90)), "requests": len(alone), "batch": len(batch),
        "per_second": len(batch) / float(np.median(together)),
    }))  # fmt: skip


def _timed(once: Callable[[int], Any], seconds: float, least: int, most: int) -> list[float]:
    """Seconds of each call, for so long."""
    taken: list[float] = []
    while len(taken) < least or (sum(taken) < seconds and len(taken) < most):
        began = time.perf_counter()
        once(len(taken))
        taken.append(time.perf_counter() - began)
    return taken


def peak_memory() -> int:
    """The most bytes that were in memory. Linux says it of the program that runs; `getrusage` there remembers the one
    that started it, too."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(next(line for line in text.splitlines() if line.startswith("VmHWM:")).split()[1])
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _ours(given: dict[str, Any]) -> Ask:
    import torch

    from assay.models import interop

    torch.set_num_threads(given["threads"])
    model: Any = interop.load(Path(given["folder"]))
    if given["writes"]:
        from assay.inference.generate import generate
        from assay.inference.limits import Limits

        return lambda rows: generate(model, rows, limits=Limits(given["new"]))
    from assay.models.attention import PADDING
    from assay.models.protocol import Batch

    @torch.inference_mode()
    def ask(rows: list[Row]) -> Any:
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
        segments = torch.tensor([[*[0] * len(row), *[PADDING] * (longest - len(row))] for row in rows])
        return model(Batch(ids, ids, segments)) if given["headed"] else model(ids, segments)

    return ask


def _onnx(given: dict[str, Any]) -> Ask:
    from assay.export.runners.engine import Reader, Writer

    if not given["writes"]:
        return Reader(given["folder"], given["threads"]).said
    writer = Writer(given["folder"], given["threads"])

    def ask(rows: list[Row]) -> Any:
        writing = writer.begin(rows)
        ids = [writing.logits.argmax(1)]
        for _ in range(given["new"] - 1):
            writing.step(ids[-1])
            ids.append(writing.logits.argmax(1))
        return ids

    return ask


def _ctranslate(given: dict[str, Any]) -> Ask:
    sys.modules["torch"] = None  # type: ignore[assignment]  # it would be imported for converters alone
    from assay.export.runners.ctranslate import Engine

    engine = Engine(Path(given["folder"]), given["facts"], given["threads"])
    return lambda rows: engine.written(rows, new=given["new"], least=given["new"])


def _gguf(given: dict[str, Any]) -> Ask:
    from assay.export.runners.llama import Llama

    model = Llama(Path(given["folder"]) / "model.gguf", given["positions"], given["threads"])
    return lambda rows: [model.written(row, given["new"]) for row in rows]


OPEN: dict[str, Callable[[dict[str, Any]], Ask]] = {
    "model": _ours, "onnx": _onnx, "ctranslate2": _ctranslate, "gguf": _gguf
}  # fmt: skip

if __name__ == "__main__":
    main()
