"""How fast, and in how much memory, a corpus is ruled, de-duplicated and tokenized, against datatrove and datasketch.

    python benchmarks/corpus_speed.py ../shared/data --peer PYTHON --work FOLDER [--rounds 3] [--gigabytes 0.3 1 3]

PYTHON is that of an environment with datatrove 0.10 and datasketch (see corpus_peers.py). English (mix-en) and Chinese
(mix-zh), as JSON lines, one file a core. Ours are the commands that people type (`assay corpus select` with the four
packs gopher-quality, gopher-repetition, c4 and fineweb; `assay corpus dedup`), a process each, starting it and reading
and writing included; datatrove and datasketch are timed without their imports. Rounds of ours stand before and after
the peers' one. Datatrove stops at the first rule that a document fails; ours asks all of them.

Memory: scoring and de-duplicating corpora of so many gigabytes (the mixes again and again, each time with other
letters damaged), stage by stage, each in a process of its own; the largest PSS of it and its children, and what
of it is not pages of files (own).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering import defects
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from common import memory, store_result

PACKS = ("gopher-quality", "gopher-repetition", "c4", "fineweb")
LANGUAGES = {"mix-en": "eng", "mix-zh": "cmn_Hani"}
CORES = os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--peer", type=Path, help="python of the peers' environment; none: only ours")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3, help="of ours")
    parser.add_argument("--peer-megabytes", type=float, default=1e9, help="the peers get at most so much text")
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[0.3, 1.0, 3.0])
    parser.add_argument("--stage", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        stage(given.stage[0], Path(given.stage[1]))
        return
    given.work.mkdir(parents=True, exist_ok=True)
    speeds = {name: speed(given, name, language) for name, language in LANGUAGES.items()}
    sizes = [sized(given, gigabytes) for gigabytes in given.gigabytes]
    store_result(
        "corpus_speed",
        {"rounds": given.rounds, "speed": speeds, "memory": sizes, "bytes_a_document": slope(sizes)},
    )


def slope(sizes: list[dict[str, Any]]) -> float | None:
    """Memory of de-duplication that a further document takes, from the smallest and the largest corpus."""
    if len(sizes) < 2:
        return None
    few, many = sizes[0], sizes[-1]
    more = many["duplicates"]["peak_own_mb"] - few["duplicates"]["peak_own_mb"]
    return float(1e6 * more / (many["documents_read"] - few["documents_read"]))


def speed(given: argparse.Namespace, name: str, language: str) -> dict[str, Any]:
    """MB of text a second of ours and of the peers, and their ratios."""
    folder, size = written(given.data / name, given.work / f"in-{name}", 1e18)
    less, peer_size = written(given.data / name, given.work / f"peer-in-{name}", given.peer_megabytes * 1e6)
    tokenizer = given.work / f"tokenizer-{name}"
    if not tokenizer.exists():
        assay("tokenizer", "train", str(folder), "--out", str(tokenizer), "--sample", "20MB")
    packs = [word for pack in PACKS for word in ("--pack", pack)]
    ours = {
        "rules": ["corpus", "select", str(folder), *packs],
        "minhash": ["corpus", "dedup", str(folder)],
        "tokens": ["tokenizer", "encode", str(tokenizer), str(folder)],
    }
    seconds: dict[str, list[float]] = {task: [] for task in ours}

    def once() -> None:
        for task, command in ours.items():
            seconds[task].append(assay(*command, "--out", str(given.work / "out"), clear=given.work / "out"))

    peers: dict[str, float] = {}
    for turn in range(given.rounds):
        once()
        if turn == 0 and given.peer:
            for task in ("rules", "minhash", "datasketch"):
                peers[task] = peer_size / 1e6 / peer(given, task, less, language)
    rates = {task: size / 1e6 / statistics.median(took) for task, took in seconds.items()}
    staged = tokenized(given, folder, tokenizer)
    told = {
        "megabytes": size / 1e6,
        "mb_per_second": {**rates, "tokens_stage": staged},
        "rounds_seconds": seconds,
        "peer_megabytes": peer_size / 1e6,
        "peers_mb_per_second": peers,
        "ratios": {
            task: rates["minhash" if task == "datasketch" else task] / rate for task, rate in peers.items()
        },
    }  # fmt: skip
    print(name, told, file=sys.stderr, flush=True)
    return told


def written(source: Path, folder: Path, most: float) -> tuple[Path, float]:
    """The texts of a mix as JSON lines, dealt to one file a core, from all its sources alike up to so many bytes;
    and the bytes of text."""
    batches = list(open_sources([str(source)], ReadOptions(source_field="domain")).batches(ReadReport()))
    share = min(1.0, most / sum(sum(batch.column("n_bytes").to_pylist()) for batch in batches))
    folder.mkdir(exist_ok=True)
    total, count = 0.0, 0
    files = [(folder / f"{i}.jsonl").open("w", encoding="utf-8") for i in range(CORES)]
    for batch in batches:
        for row in batch.select(["doc_id", "text", "n_bytes"]).to_pylist():
            if int(row["doc_id"][:8], 16) < share * (1 << 32):
                line = json.dumps({"id": row["doc_id"], "text": row["text"]}, ensure_ascii=False)
                files[count % CORES].write(line + "\n")
                total += row["n_bytes"]
                count += 1
    for file in files:
        file.close()
    return folder, total


def assay(*words: str, clear: Path | None = None) -> float:
    """Seconds of a command."""
    if clear is not None:
        shutil.rmtree(clear, ignore_errors=True)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "assay", *words, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"assay {' '.join(words)}: {done.stderr}")
    return time.monotonic() - began


def peer(given: argparse.Namespace, task: str, folder: Path, language: str) -> float:
    out = given.work / "peer-out"
    shutil.rmtree(out, ignore_errors=True)
    script = Path(__file__).with_name("corpus_peers.py")
    done = subprocess.run(
        [str(given.peer), str(script), task, str(folder), str(out), language, str(CORES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{task}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


def tokenized(given: argparse.Namespace, folder: Path, tokenizer: Path) -> float:
    """MB a second of encoding alone: documents in Parquet to shards of tokens; the median of the rounds."""
    from assay.tokens.pack import encode_stream
    from assay.tokens.tokenizer import Encoder

    parts = given.work / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    with documents.PartsWriter(parts, "documents", documents.DOCUMENTS) as writer:
        for batch in open_sources([str(folder)], ReadOptions()).batches(ReadReport()):
            writer.write(batch)
    columns = ["doc_id", "source", "origin", "ordinal", "text"]
    files, encoder = sorted(parts.glob("*.parquet")), Encoder.load(tokenizer)
    sources = sorted({source for batch in documents.read(files, ["source"]) for source in set(batch[0].to_pylist())})
    took, told = [], {}
    for turn in range(given.rounds):
        out = given.work / f"tokens-{turn}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        began = time.monotonic()
        told = encode_stream(documents.read(files, columns), encoder, out, "train", sources)
        took.append(time.monotonic() - began)
    return float(sum(made["bytes"] for made in told["sources"].values())) / 1e6 / statistics.median(took)


def sized(given: argparse.Namespace, gigabytes: float) -> dict[str, Any]:
    """Seconds and the largest memory of each stage on a corpus of that size."""
    folder = given.work / f"sized-{gigabytes:g}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "in").mkdir(parents=True)
    size, rows = repeated(given.data, folder / "in", gigabytes * 1e9)
    found: dict[str, Any] = {"gigabytes": size / 1e9, "documents_read": rows}
    for name in ("documents", "signals", "duplicates"):
        command = [sys.executable, __file__, str(given.data), "--work", str(given.work), "--stage", name, str(folder)]
        began, peak, own = time.monotonic(), 0.0, 0.0
        with subprocess.Popen(command) as process:
            while process.poll() is None:
                peak, own = max(peak, memory(process.pid)), max(own, memory(process.pid, "Pss_Anon"))
                time.sleep(0.1)
            if process.returncode:
                raise SystemExit(f"{name} failed")
        seconds = time.monotonic() - began
        found[name] = {
            "seconds": seconds,
            "mb_per_second": size / 1e6 / seconds,
            "peak_mb": peak / 1e6,
            "peak_own_mb": own / 1e6,
        }
    print(found, file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return found


def repeated(data: Path, folder: Path, wanted: float) -> tuple[float, int]:
    """Both mixes again and again as JSON lines, one letter in a hundred damaged, each time others."""
    total, rows, copy = 0.0, 0, 0
    while total < wanted:
        with (folder / f"copy-{copy}.jsonl").open("w", encoding="utf-8") as file:
            for batch in open_sources([str(data / name) for name in LANGUAGES], ReadOptions()).batches(ReadReport()):
                made: pa.RecordBatch = defects.character_noise(batch, 0.01, copy)
                texts = made.column("text").to_pylist()
                file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
                total += sum(made.column("n_bytes").to_pylist())
                rows += len(texts)
                if total >= wanted:
                    break
        copy += 1
    return total, rows


def stage(name: str, folder: Path) -> None:
    """One stage of a scan; the earlier ones are found."""
    from assay.corpus import scan
    from assay.store import Store

    store, options, sources = Store(folder / "artifacts"), ReadOptions(), [str(folder / "in")]
    corpus = scan.scored(sources, options, store)
    print(getattr(corpus, name).fingerprint, file=sys.stderr)


if __name__ == "__main__":
    main()
