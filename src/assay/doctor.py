"""What is wrong with this machine or installation, before time is spent."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay import __version__
from assay.machine import cores, memory
from assay.store import fingerprint
from assay.train.energy import measurable

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
    rows = [{**asdict(finding), "remedy": "" if finding.ok else finding.remedy} for finding in findings]
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
    """What the package says that it needs, against what is there."""
    remedy = "install assay again: pip install ."
    try:
        needed = importlib.metadata.requires("assay") or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding("assay", "not installed", False, remedy)]
    findings = []
    for requirement in needed:
        name, limits = re.match(r"([\w.-]+)\s*([^;]*)", requirement).groups()  # type: ignore[union-attr]
        if "extra ==" in requirement:
            continue
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(name, "missing", False, remedy))
            continue
        good = all(_within(found, limit) for limit in limits.split(","))
        findings.append(Finding(name, found if good else f"{found}, but {limits} is needed", good, remedy))
    return findings


def _within(version: str, limit: str) -> bool:
    """Whether a version keeps a limit such as `>=2.11` or `<2.14`."""
    match = re.fullmatch(r"\s*(>=|<)\s*([\d.]+)\s*", limit)
    if not match:
        return True
    found, bound = ([int(part) for part in re.findall(r"\d+", text)[:3]] for text in (version, match[2]))
    return found >= bound if match[1] == ">=" else found < bound


def _machine() -> list[Finding]:
    remedy = f"a study wants {LEAST_MEMORY_GB:.0f} GB: try --set train.workers=1"
    findings = [Finding("memory", f"{memory() / 1e9:.1f} GB", memory() >= LEAST_MEMORY_GB * 1e9, remedy)]
    try:
        import torch
    except Exception as error:  # whatever hinders it is what is looked for
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return [*findings, Finding("importing torch", why, False, "install assay again: pip install .")]
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (studies run on the CPU)"
    processor = f"{cores()} cores, {torch.backends.cpu.get_cpu_capability()}"
    energy = "measured" if measurable() else "no counter: estimated in reports"
    return [*findings, Finding("processor", processor), Finding("gpu", gpu), Finding("energy", energy)]


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    remedy = f"a study wants {LEAST_DISK_GB:.0f} GB free: choose another disk with --out"
    return Finding("disk", f"{free:.1f} GB free in {Path.cwd()}", free >= LEAST_DISK_GB, remedy)
