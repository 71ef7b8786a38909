"""What datatrove 0.10 and datasketch do with a folder of JSON lines: the peers of corpus_speed.py, in an environment of
their own (`pip install "datatrove[processing,multilingual]==0.10.0" datasketch`).

    python benchmarks/corpus_peers.py rules|minhash|datasketch FOLDER OUT LANGUAGE WORKERS

FOLDER holds one file a worker. Prints one JSON line: seconds of the work, imports and models left out.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rules(folder: Path, out: Path, language: str, workers: int) -> dict[str, Any]:
    """The four packs as datatrove's own example for FineWeb puts them in a row: a document leaves at the first rule
    that it fails."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(folder)),
            GopherRepetitionFilter(language=language),
            GopherQualityFilter(language=language),
            C4QualityFilter(language=language),
            FineWebQualityFilter(language=language),
            JsonlWriter(str(out / "kept")),
        ],
        tasks=workers, workers=workers, logging_dir=str(out / "logs"),
    ).run()  # fmt: skip
    return {}


def minhash(folder: Path, out: Path, language: str, workers: int) -> dict[str, Any]:
    """datatrove's four steps with its defaults (14 bands of 8 rows, 5 words, 64 bits)."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(hash_config=HashConfig(precision=64))
    steps: list[tuple[list[Any], int]] = [
        ([JsonlReader(str(folder)),
          MinhashDedupSignature(output_folder=str(out / "signatures"), config=config, language=language)], workers),
        ([MinhashDedupBuckets(input_folder=str(out / "signatures"), output_folder=str(out / "buckets"),
                              config=config)], config.num_buckets),
        ([MinhashDedupCluster(input_folder=str(out / "buckets"), output_folder=str(out / "remove"),
                              config=config)], 1),
        ([JsonlReader(str(folder)), MinhashDedupFilter(input_folder=str(out / "remove")),
          JsonlWriter(str(out / "kept"))], workers),
    ]  # fmt: skip
    for i, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=workers, logging_dir=str(out / f"logs-{i}")).run()
    return {}


def datasketch(folder: Path, out: Path, language: str, workers: int) -> dict[str, Any]:
    """MinHash of 120 values in as many processes, and its index of 20 bands of 6 rows."""
    from datasketch import MinHashLSH

    files = sorted(folder.glob("*.jsonl"))
    with multiprocessing.Pool(workers) as pool:
        signed = [row for rows in pool.starmap(_signed, [(path, language) for path in files]) for row in rows]
    index = MinHashLSH(threshold=0.7, num_perm=120, params=(20, 6))
    kept = set()
    for name, made in signed:
        if not index.query(made):
            index.insert(name, made)
            kept.add(name)
    out.mkdir(parents=True)
    for path in files:
        with path.open() as file, (out / path.name).open("w") as to:
            to.writelines(line for line in file if json.loads(line)["id"] in kept)
    return {"kept": len(kept)}


def _signed(path: Path, language: str) -> list[tuple[str, Any]]:
    """The usual recipe: 5-grams of words, or of characters where words are not spaced."""
    from datasketch import MinHash

    made = []
    with path.open() as file:
        for line in file:
            row = json.loads(line)
            units = re.findall(r"\w+", row["text"].lower()) if language == "eng" else list(row["text"])
            grams = {" ".join(units[i : i + 5]).encode() for i in range(max(1, len(units) - 4))}
            one = MinHash(num_perm=120)
            one.update_batch(list(grams))
            made.append((row["id"], one))
    return made


def main() -> None:
    work, folder, out, language, workers = sys.argv[1:]
    todo: dict[str, Callable[[Path, Path, str, int], dict[str, Any]]] = {
        "rules": rules, "minhash": minhash, "datasketch": datasketch,
    }  # fmt: skip
    if work != "datasketch":
        import datatrove.executor  # noqa: F401
        from datatrove.utils.word_tokenizers import load_word_tokenizer

        load_word_tokenizer(language).word_tokenize("one two. 一二三。")
    began = time.monotonic()
    found = todo[work](Path(folder), Path(out), language, int(workers))
    print(json.dumps({"seconds": time.monotonic() - began, **found}))


if __name__ == "__main__":
    main()
