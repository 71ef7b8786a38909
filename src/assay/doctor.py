"""What is wrong with this machine or installation, before time is spent."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay import __version__
from assay.store import fingerprint

NEEDED = (
    "torch", "numpy", "safetensors", "pydantic", "PyYAML", "scipy", "pyarrow", "polars", "duckdb", "zstandard",
    "xxhash", "tokenizers", "gigatoken", "py3langid", "typer", "rich", "Jinja2",
)  # fmt: skip
LEAST_MEMORY_GB, LEAST_DISK_GB = 4.0, 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    ok: bool = True
    remedy: str = ""


def environment() -> list[Finding]:
    """Python, libraries, processor, memory, disk, energy counter."""
    return [_python(), *_libraries(), *_machine(), _disk()]


def answer(findings: list[Finding]) -> dict[str, Any]:
    """The findings as the JSON answer."""
    rows = [asdict(finding) for finding in findings]
    return {
        "ok": all(finding.ok for finding in findings),
        "findings": rows,
        "assay_version": __version__,
        "fingerprint": fingerprint(rows),
    }


def _python() -> Finding:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", platform.python_version(), good, "use Python 3.11, 3.12 or 3.13")


def _libraries() -> list[Finding]:
    findings = []
    for name in NEEDED:
        try:
            findings.append(Finding(name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(name, "missing", False, "install assay again: pip install ."))
    return findings


def _machine() -> list[Finding]:
    import torch

    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (studies run on the CPU)"
    enough = memory >= LEAST_MEMORY_GB
    return [
        Finding("processor", f"{cores} cores, {torch.backends.cpu.get_cpu_capability()}"),
        Finding(
            "memory",
            f"{memory:.1f} GB",
            enough,
            f"a study wants {LEAST_MEMORY_GB:.0f} GB: try train.workers=1",
        ),
        Finding("gpu", gpu),
    ]


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    remedy = f"a study wants {LEAST_DISK_GB:.0f} GB free: choose another disk with --out"
    return Finding("disk", f"{free:.1f} GB free in {Path.cwd()}", free >= LEAST_DISK_GB, remedy)
