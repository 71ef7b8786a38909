"""What the benchmarks share: running studies, describing the machine, storing results.

Every benchmark prints one JSON line and appends it to `benchmarks/results/NAME.jsonl`, with hardware, versions and
commit, so that figures can be compared over time.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy import stats

HERE = Path(__file__).resolve().parent
CORPUS_STAGES = ("documents", "signals", "duplicates", "splits", "profile")


def machine() -> dict[str, Any]:
    """Hardware, versions and commit."""
    import torch

    import assay

    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "assay": assay.__version__,
        "commit": commit.stdout.strip(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def store_result(name: str, result: dict[str, Any]) -> None:
    """Print the result as one line, and append it to the stored ones."""
    line = json.dumps({"benchmark": name, **result, "machine": machine()}, ensure_ascii=False)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line)


def stored(name: str) -> list[dict[str, Any]]:
    """The stored lines of a benchmark, the oldest first."""
    return [json.loads(line) for line in (HERE / "results" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def binomial(hits: int, n: int, level: float = 0.9) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.isf(tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def share(held: Sequence[bool]) -> dict[str, Any]:
    """How often something held, with Wilson's interval at 95 %."""
    found = stats.binomtest(sum(held), len(held)).proportion_ci(method="wilson")
    return {"share": sum(held) / len(held), "interval": [float(found.low), float(found.high)], "n": len(held)}


def memory(pid: int, kind: str = "Pss") -> float:
    """PSS in bytes of a process and those that it started; `kind` "Pss_Anon": without pages of files, which the kernel
    takes back when it needs them."""
    total = 0.0
    for one in [pid, *children(pid)]:
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += 1024 * int(next(line for line in text.splitlines() if line.startswith(f"{kind}:")).split()[1])
        except (OSError, StopIteration):
            continue
    return total


def children(pid: int) -> list[int]:
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*own, *(one for child in own for one in children(child))]


def study(source: str, out: Path, tokens: str, *settings: str, corpus_from: Path | None = None) -> dict[str, Any]:
    """Run `assay study` as a person would, and return its results.json.

    Args:
        settings: further arguments of the command.
        corpus_from: the folder of another study of the same corpus: its scanned corpus is taken over (artifacts are
            addressed by content, so nothing stale can be).
    """
    if corpus_from is not None and not out.exists():
        for stage in CORPUS_STAGES:
            shutil.copytree(corpus_from / "artifacts" / stage, out / "artifacts" / stage)
        (out / "study.json").write_text("{}")  # a folder in which no study has begun
    began = time.monotonic()
    command = ["assay", "study", source, "--tokens", tokens, "--out", str(out), "--json", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    results: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    print(f"{out.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return results
