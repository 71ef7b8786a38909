"""`assay corpus` killed by SIGKILL at random moments and given again until it ends: the rows of a run left alone?

    python benchmarks/kill_corpus.py SOURCE... [--megabytes 20] [--kills 20] [--seed 0]

`scan`, `select`, `dedup` and `privacy`, the real commands, on as much text of the sources. Each verb gets its share of
the kills, by the time that it takes undisturbed; the moments are drawn over that time. Where a verb ends before its
next kill, its folder is compared and it begins anew in another one. Compared are all rows of all tables that are left:
documents, signals, duplicates, decisions, findings, what is kept; and whether a kill left something half-written
behind after the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from common import store_result

VERBS = {
    "scan": [],
    "select": ["--pack", "gopher-quality", "--pack", "gopher-repetition", "--pack", "zh"],
    "dedup": [],
    "privacy": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--source-field")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        amount = _cut(given, work / "texts")
        _run(_command("scan", work / "texts", work / "warm"))  # compiles what is compiled once
        seconds = {}
        for verb in VERBS:
            began = time.monotonic()
            _run(_command(verb, _source(work, verb), work / verb))
            seconds[verb] = time.monotonic() - began
        shares = _shares(seconds, given.kills)
        draw = random.Random(given.seed)
        found = {verb: _killed(work, verb, seconds[verb], shares[verb], draw) for verb in VERBS}
    told = {"kills": sum(len(one["killed_after_seconds"]) for one in found.values()), "seed": given.seed, **amount}
    identical = not any(one["differing"] or one["left_behind"] for one in found.values())
    store_result("kill_corpus", {**told, "identical": identical, "verbs": found})


def _cut(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """As much of the sources as is wanted, an equal part of each label, in files of one source each."""
    options = ReadOptions(source_field=given.source_field, on_error="skip")
    sources = open_sources(given.sources, options)
    labels = sorted({file.label for file in sources.files})
    most = given.megabytes * 1e6 / len(labels)
    sizes = dict.fromkeys(labels, 0)
    folder.mkdir()
    documents = 0
    for batch in sources.batches(ReadReport()):
        for row in batch.to_pylist():
            label = row["source"]
            if sizes.setdefault(label, 0) < most:
                sizes[label] += row["n_bytes"]
                documents += 1
                with (folder / f"{label}.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"text": row["text"]}, ensure_ascii=False) + "\n")
    return {"documents": documents, "bytes": sum(sizes.values()), "sources": len(sizes)}


def _source(work: Path, verb: str) -> Path:
    return work / "texts" if verb == "scan" else work / "scan"


def _command(verb: str, source: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "assay", "corpus", verb, str(source), *VERBS[verb], "--json", "--out", str(out)]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _shares(seconds: dict[str, float], kills: int) -> dict[str, int]:
    """How often each verb is killed: by its time, and at least once."""
    rest = kills - len(seconds)
    shares = {verb: 1 + int(rest * taken / sum(seconds.values())) for verb, taken in seconds.items()}
    longest = max(seconds, key=lambda verb: seconds[verb])
    shares[longest] += kills - sum(shares.values())
    return shares


def _killed(work: Path, verb: str, seconds: float, kills: int, draw: random.Random) -> dict[str, Any]:
    moments: list[float] = []
    differing: set[str] = set()
    left: set[str] = set()
    lives = 0
    while len(moments) < kills:
        out = work / f"{verb}-killed"
        shutil.rmtree(out, ignore_errors=True)
        lives += 1
        command = _command(verb, _source(work, verb), out)
        ended = False
        while not ended and len(moments) < kills:
            moment = draw.uniform(0, seconds)
            running = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                ended = running.wait(moment) == 0
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
                moments.append(round(moment, 1))
        _run(command)
        differing |= set(_differing(work / verb, out))
        left |= {path.name for path in out.rglob("*") if path.name.startswith((".staging-", ".unfinished-"))}
    return {
        "seconds_undisturbed": round(seconds, 1), "killed_after_seconds": moments, "folders": lives,
        "differing": sorted(differing), "left_behind": sorted(left),
    }  # fmt: skip


def _differing(one: Path, other: Path) -> list[str]:
    """The tables of two folders that do not hold the same rows, or that only one of them has."""
    tables = [_tables(out) for out in (one, other)]
    found = sorted(tables[0].keys() ^ tables[1].keys())
    return found + [name for name in tables[0].keys() & tables[1].keys() if not tables[0][name].equals(tables[1][name])]


def _tables(out: Path) -> dict[str, pl.DataFrame]:
    """All rows below a folder: of each table, sorted by all that can be sorted."""
    parts: dict[str, list[Path]] = {}
    for path in sorted(out.rglob("*.parquet")):
        name = path.parent.relative_to(out) / re.sub(r"-?\d*\.parquet$", "", path.name)
        parts.setdefault(name.as_posix(), []).append(path)
    made = {}
    for name, paths in parts.items():
        rows = pl.concat([pl.read_parquet(path, glob=False) for path in paths])
        made[name] = rows.sort([c for c in rows.columns if not rows[c].dtype.is_nested()], nulls_last=True)
    if not made:
        raise SystemExit(f"{out}: no tables")
    return made


if __name__ == "__main__":
    main()
