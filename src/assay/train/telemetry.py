"""What a run tells while it goes: one JSON line a record, and TensorBoard's events where they are asked for.

    {"kind": "run", "step": 0, "dtype": "bfloat16", "tokens_per_second/float32": 9e4, ...}      the first of all
    {"kind": "train", "step": 200, "tokens": 819200, "loss": 4.1, "loss/news": 4.3, "bits_per_byte": 1.5, ...}
    {"kind": "eval", "step": 200, "split": "eval", "loss": 4.0, "loss/news": 4.2, "bits_per_byte/news": 1.4, ...}

Loss is nats a predicted token, over all sources and by source; bits per byte stands beside it where the objective
spells the text.

A run that was killed wrote records after its last checkpoint; when it goes on from there, they are dropped first, so
every step is told once.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from assay.errors import InputError
from assay.store import disk_errors, write_atomic

METRICS, EVENTS = "metrics.jsonl", "tensorboard"


class Telemetry:
    """Writes the records of one run.

    Args:
        folder: of the run.
        step: records after it are dropped: the run goes on from there.
        tensorboard: write its events, too.

    Attributes:
        empty: nothing was told before.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = False) -> None:
        self._path = folder / METRICS
        with disk_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
        kept = [record for record in read(folder) if record["step"] <= step]
        self.empty = not kept
        write_atomic(self._path, "".join(json.dumps(record) + "\n" for record in kept))
        self._file = self._path.open("a", encoding="utf-8")
        self._events: Any = _events(folder / EVENTS, step) if tensorboard else None

    def write(self, kind: str, step: int, record: Mapping[str, Any]) -> None:
        """Add a record; numbers are drawn by TensorBoard below `kind`."""
        with disk_errors(self._path):
            self._file.write(json.dumps({"kind": kind, "step": step, **record}, ensure_ascii=False) + "\n")
            self._file.flush()
        if self._events is not None:
            group = f"{kind}/{record['split']}" if "split" in record else kind
            for name, value in record.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._events.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Flush and end."""
        self._file.close()
        if self._events is not None:
            self._events.close()


class Nothing(Telemetry):
    """Writes nothing: the telemetry of all processes but the first."""

    def __init__(self) -> None:
        self.empty = False

    def write(self, kind: str, step: int, record: Mapping[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


def read(folder: Path) -> list[dict[str, Any]]:
    """All records of a run; a line that a kill cut off, and what follows it, is left out."""
    path = folder / METRICS
    records: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
            try:
                records.append(json.loads(line))
            except ValueError:
                break
    return records


def _events(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is not installed", where="keep.tensorboard", remedy="pip install 'assay[telemetry]'"
        ) from None
    return SummaryWriter(str(folder), purge_step=step + 1)


def memory_bytes(device: str) -> int:
    """The most memory that was held so far: of the GPU, or of this process."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
