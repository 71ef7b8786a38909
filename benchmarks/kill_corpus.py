"""`assay corpus` killed by SIGKILL at random moments and given again until it ends: the rows of a run left alone?

    python benchmarks/kill_corpus.py SOURCE... [--megabytes 20] [--kills 20] [--seed 0]

The verbs of COMMANDS, as a person gives them, on as much text of the sources. Each gets its share of the kills, by the
time that it takes undisturbed, and one at least; the moments are drawn over that time. Where a verb ends before its
next kill, its folder is compared and it begins anew in another one. Compared are all rows of all tables that are left:
documents, signals, duplicates, decisions, findings, hits, what is removed, planted or kept; and whether a kill left
something half-written behind after the end.
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

ITEMS = "ITEMS"  # stands for a file of evaluation items
COMMANDS = {
    "scan": "scan",
    "select": "select --pack gopher-quality --pack gopher-repetition --pack zh",
    "dedup": "dedup",
    "dedup_paragraph": "dedup --level paragraph",
    "dedup_substring": "dedup --level substring",
    "privacy": "privacy",
    "decontaminate": f"decontaminate --against {ITEMS}",
    "clean": "clean --unicode nfc --lines c4 --rare-words 2 --spaces",
    "damage": "damage --defect markov_text --dose 0.2",
    "damage_items": f"damage --defect contamination --dose 1 --copies 2 --items {ITEMS}",
    "augment": "augment --drop 0.1 --swap 0.05 --copies 2",
}
EVERY = 20  # of so many documents one gives an evaluation item


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
        _run(_command(work, "scan", work / "warm"))  # compiles what is compiled once
        seconds = {}
        for name in COMMANDS:
            if name not in ("scan", "select", "dedup", "privacy"):  # compile theirs
                _run(_command(work, name, work / f"{name}-warm"))
            began = time.monotonic()
            _run(_command(work, name, work / name))
            seconds[name] = time.monotonic() - began
        shares = _shares(seconds, given.kills)
        draw = random.Random(given.seed)
        found = {name: _killed(work, name, seconds[name], shares[name], draw) for name in COMMANDS}
    told = {"kills": sum(len(one["killed_after_seconds"]) for one in found.values()), "seed": given.seed, **amount}
    identical = not any(one["differing"] or one["left_behind"] for one in found.values())
    store_result("kill_corpus", {**told, "identical": identical, "verbs": found})


def _cut(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """As much of the sources as is wanted, an equal part of each label, in files of one source each; and evaluation
    items out of some of it."""
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
                if documents % EVERY == 0:
                    with (folder.parent / ITEMS).with_suffix(".jsonl").open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"text": row["text"][:300]}, ensure_ascii=False) + "\n")
    return {"documents": documents, "bytes": sum(sizes.values()), "sources": len(sizes)}


def _command(work: Path, name: str, out: Path) -> list[str]:
    items = str((work / ITEMS).with_suffix(".jsonl"))
    verb, *options = [items if word == ITEMS else word for word in COMMANDS[name].split()]
    source = work / "texts" if name == "scan" else work / "scan"
    return [sys.executable, "-m", "assay", "corpus", verb, str(source), *options, "--json", "--out", str(out)]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _shares(seconds: dict[str, float], kills: int) -> dict[str, int]:
    """How often each verb is killed: by its time, and at least once."""
    if kills < len(seconds):
        raise SystemExit(f"--kills {kills}: there are {len(seconds)} verbs, each is killed once at least")
    rest = kills - len(seconds)
    shares = {verb: 1 + int(rest * taken / sum(seconds.values())) for verb, taken in seconds.items()}
    longest = max(seconds, key=lambda verb: seconds[verb])
    shares[longest] += kills - sum(shares.values())
    return shares


def _killed(work: Path, name: str, seconds: float, kills: int, draw: random.Random) -> dict[str, Any]:
    moments: list[float] = []
    differing: set[str] = set()
    left: set[str] = set()
    lives = 0
    while len(moments) < kills:
        out = work / f"{name}-killed"
        shutil.rmtree(out, ignore_errors=True)
        lives += 1
        command = _command(work, name, out)
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
        differing |= set(_differing(work / name, out))
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
