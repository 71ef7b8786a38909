"""What carries the kernels of the corpus room: threads, processes, or Daft's native runner, on the same gigabyte.

    python benchmarks/corpus_engines.py ../shared/data --gigabytes 1

Documents are read from Parquet, scored (`corpus.signals`), and written as Parquet, by each engine in a process of its
own, in turn. Told of each: MB of text a second, the largest memory (PSS of its processes, sampled), and whether its
rows are those of the first. Daft is a peer here, not a dependency: `pip install daft==0.7.26`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.corpus.signals import scoring
from common import memory, store_result

ENGINES = ("threads", "processes", "daft", "daft-processes")
SOURCES = ("mix-en", "mix-zh")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--run", nargs=3, metavar=("ENGINE", "FROM", "TO"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        engine, source, target = given.run
        run(engine, sorted(Path(source).glob("*.parquet")), Path(target))
        return
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        size = write(given.data, Path(folder) / "documents", given.gigabytes * 1e9)
        rows = [
            {"engine": engine, "round": i, **measured(engine, given.data, Path(folder), size)}
            for i in range(given.rounds)
            for engine in given.engines
        ]
        first = table(Path(folder) / given.engines[0])
        same = {engine: table(Path(folder) / engine).equals(first) for engine in given.engines}
    store_result("corpus_engines", {"bytes": size, "rows": rows, "equal_rows": same})


def write(data: Path, folder: Path, wanted: float) -> float:
    """Documents of both mixes, again and again under new names, up to so many bytes; returns the bytes of text."""
    folder.mkdir()
    total, copy = 0.0, 0
    with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer:
        while total < wanted:
            for batch in open_sources([str(data / name) for name in SOURCES], ReadOptions()).batches(ReadReport()):
                ids = pa.array([f"{copy:04x}{value[4:]}" for value in batch.column("doc_id").to_pylist()])
                named = batch.set_column(0, documents.DOCUMENTS.field("doc_id"), ids)
                writer.write(named)
                total += sum(batch.column("n_bytes").to_pylist())
                if total >= wanted:
                    break
            copy += 1
    return total


def measured(engine: str, data: Path, folder: Path, size: float) -> dict[str, Any]:
    """One engine's run in a process of its own."""
    target = folder / engine
    command = [sys.executable, __file__, str(data), "--run", engine, str(folder / "documents"), str(target)]
    subprocess.run(["rm", "-rf", str(target)], check=True)
    began, peak = time.monotonic(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.2)
        told = json.loads(process.stdout.read()) if process.stdout else {}
        if process.returncode:
            raise SystemExit(f"{engine} failed")
    seconds = time.monotonic() - began
    found = {"seconds": seconds, "mb_per_second": size / 1e6 / seconds, "peak_mb": peak / 1e6, **told}
    print(engine, found, file=sys.stderr, flush=True)
    return found


def run(engine: str, parts: list[Path], target: Path) -> None:
    """Score all parts with one engine."""
    target.mkdir()
    began = time.process_time()
    {"threads": by_threads, "processes": by_processes, "daft": by_daft, "daft-processes": by_daft}[engine](
        parts, target, **({"processes": True} if engine == "daft-processes" else {})
    )
    print(json.dumps({"own_processor_seconds": time.process_time() - began}))


def by_threads(parts: list[Path], target: Path) -> None:
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool, documents.PartsWriter(target, "signals", scoring.SIGNALS) as writer:
        waiting: list[Any] = []
        for batch in documents.read(parts, ["doc_id", "text"]):
            waiting.append(pool.submit(scoring.signals, batch))
            while len(waiting) > cores + 1:
                writer.write(waiting.pop(0).result())
        for future in waiting:
            writer.write(future.result())


def by_processes(parts: list[Path], target: Path) -> None:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        list(pool.map(one_part, parts, [target / part.name.replace("documents", "signals") for part in parts]))


def one_part(source: Path, target: Path) -> None:
    with pq.ParquetWriter(target, scoring.SIGNALS, compression="zstd", compression_level=1) as writer:
        for batch in documents.read([source], ["doc_id", "text"]):
            writer.write_batch(scoring.signals(batch))


def by_daft(parts: list[Path], target: Path, *, processes: bool = False) -> None:
    os.environ["DO_NOT_TRACK"] = "true"
    import daft
    from daft import DataType, Series

    fields = {name: DataType.int32() if name in scoring.COUNTS else DataType.float32() for name in scoring.NAMES}

    @daft.func.batch(return_dtype=DataType.struct(fields), use_process=processes)
    def score(doc_id: Series, text: Series) -> pa.StructArray:
        batch = pa.record_batch({"doc_id": doc_id.to_arrow(), "text": text.to_arrow()})
        made = scoring.signals(batch)
        return pa.StructArray.from_arrays([made.column(name) for name in scoring.NAMES], names=list(scoring.NAMES))

    frame = daft.read_parquet([str(part) for part in parts]).select("doc_id", "text")
    frame = frame.select(daft.col("doc_id"), score(daft.col("doc_id"), daft.col("text")).alias("signals"))
    frame.write_parquet(str(target), compression="zstd")


def table(folder: Path) -> pl.DataFrame:
    frame = pl.read_parquet(folder / "*.parquet")
    if "signals" in frame.columns:
        frame = frame.unnest("signals")
    return frame.select("doc_id", *scoring.NAMES).sort("doc_id")


if __name__ == "__main__":
    main()
