"""Size on disk, memory and latency of a model and of its export, each in a fresh process, one after the other.

A request is a row of tokens to a model with a head, a prompt of PROMPT tokens that goes on with NEW to a model that
writes (no stop, so all write as many). Both get the same ones, on as many threads.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import WorkError
from assay.export.runners.engine import RESULT
from assay.export.source import Source
from assay.models.heads import Headed

PROMPT, NEW, ROW = 16, 32, 64  # tokens: of a prompt, that go on from it, and of a row for a head
REQUESTS, BATCH = 16, 16
SECONDS = 1.5  # for requests one by one, and again for batches
MOST_SECONDS = 600
WEIGHTS = (".safetensors", ".onnx", ".onnx.data", ".bin", ".gguf")


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of a directory."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != RESULT
    }


def weights(files: dict[str, int]) -> int:
    """Bytes of those that hold weights."""
    return sum(n for name, n in files.items() if name.endswith(WEIGHTS))


def requests(source: Source) -> tuple[list[list[int]], int]:
    """Rows, and how many tokens go on from each."""
    generator = np.random.default_rng(0)
    positions = source.positions or 10 * ROW
    if not source.writes:
        length, new = min(ROW, positions), 0
    elif source.kind == "translator":
        length, new = min(PROMPT, positions), min(NEW, positions)
    else:
        length = min(PROMPT, max(1, positions // 2))
        new = min(NEW, positions - length)
    rows = generator.integers(0, source.model.config.vocabulary, (REQUESTS, length))
    return rows.tolist(), new


def runs(target: str) -> bool:
    """Whether an export is run from here."""
    return target in ("onnx", "ctranslate2") or (target == "gguf" and importlib.util.find_spec("llama_cpp") is not None)


def both(source: Source, folder: Path, target: str, facts: dict[str, Any], threads: int = 1) -> dict[str, Any]:
    """Of the model and of its export: memory (bytes at most), seconds of a request (median, p90), requests a second in
    batches. `faster`: how many times as many requests the export answers, one by one."""
    rows, new = requests(source)
    common = {
        "rows": rows, "new": new, "batch": BATCH, "seconds": SECONDS, "threads": threads, "facts": facts,
        "writes": source.writes, "headed": isinstance(source.model, Headed),
        "positions": len(rows[0]) + new,
    }  # fmt: skip
    mine = _measured({**common, "side": "model", "folder": str(source.folder)})
    theirs = _measured({**common, "side": target, "folder": str(folder)})
    return {
        "model": mine, "export": theirs, "threads": threads, "tokens": len(rows[0]), "new": new,
        "faster": mine["median"] / theirs["median"], "faster_together": theirs["per_second"] / mine["per_second"],
    }  # fmt: skip


def _measured(given: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(given["threads"]), "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "assay.export.worker"], input=json.dumps(given), capture_output=True, text=True,
            check=False, timeout=MOST_SECONDS, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise WorkError(f"did not answer within {MOST_SECONDS} s", where=given["side"]) from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise WorkError(f"could not be measured ({last[0][:200]})", where=given["side"])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
