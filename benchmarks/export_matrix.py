"""Every family to every format that takes it: parity, size, memory, latency.

    python benchmarks/export_matrix.py                                     models with random weights, made on the spot
    python benchmarks/export_matrix.py gpt=runs/gpt@news.jsonl bert=runs/sentiment@reviews.test.jsonl

A model that is given is a folder, with `@` and a file on which its scores are found before and after. Models that are
made say nothing of scores; their parity, size and speed are those of any model of their shape.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from assay.errors import InputError
from assay.export import verb
from assay.export.judging import Data
from assay.export.request import TYPES, Request
from assay.models.build import build
from assay.models.heads import HeadConfig, HeadedConfig
from assay.models.interop.directory import Special, write_directory
from assay.models.presets import Size, preset, with_fields
from assay.present.numbers import size
from assay.present.plain import plain_table
from assay.store import write_json_atomic
from assay.tasks.classification import Classification
from assay.tasks.coding import Coder
from assay.tasks.opened import TASK, task_json
from assay.tasks.protocol import HeadTask
from assay.tasks.tagging import Tagging
from assay.tokens.learn import END_OF_TEXT, train_tokenizer
from assay.tokens.tokenizer import Encoder
from common import store_result

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHAPE = (4, 256, 4, 256)  # layers, width, heads, positions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="NAME=FOLDER, or NAME=FOLDER@DATA")
    parser.add_argument("--dtype", default="float32,int8", help="types of the weights, those that a format has")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, (model, data) in (_given(given.models) if given.models else made(folder)).items():
            for target, types in TYPES.items():
                for dtype in [one for one in given.dtype.split(",") if one in types]:
                    rows += exported(name, model, data, target, dtype, folder / f"{name}-{target}-{dtype}")
    print("\n".join(plain_table("Exports", HEAD, [_cells(row) for row in rows], texts=3)), file=sys.stderr)
    store_result("export_matrix", {"shape": SHAPE, "made": not given.models, "rows": rows})


Models = dict[str, tuple[Path, str | None]]


def _given(typed: list[str]) -> Models:
    found: Models = {}
    for one in typed:
        name, _, rest = one.partition("=")
        folder, _, data = rest.partition("@")
        found[name] = (Path(folder), data or None)
    return found


def exported(name: str, model: Path, data: str | None, target: str, dtype: str, out: Path) -> list[dict[str, Any]]:
    """The figures of one export; none where the format does not take the model."""
    try:
        answer = verb.run(Request(model, target, out, dtype, Data((data,)) if data else None), quiet=True)
    except InputError as error:
        print(f"{name} -> {target} {dtype}: {error.what}", file=sys.stderr, flush=True)
        return []
    parity, measured, scores = answer["parity"], answer["measured"], answer["scores"]
    row: dict[str, Any] = {
        "model": name, "target": target, "dtype": dtype, "apart": parity["apart"], "by": parity["by"],
        "greedy": parity["greedy"], "prompts": parity["prompts"],
        "bytes": [answer["size"]["model"], answer["size"]["export"]],
    }  # fmt: skip
    if measured is not None:
        for key in ("median", "p90", "memory", "per_second"):
            row[key] = [measured[side][key] for side in ("model", "export")]
    if scores is not None:
        row |= {key: scores[key] for key in ("best", "lost", "within", "n")}
    return [row]


HEAD = ["Model", "Format", "Weights", "Apart", "Greedy", "Size", "Memory", "Median, ms", "90 %, ms", "A second", "Lost"]


def _cells(row: dict[str, Any]) -> list[str]:
    def pair(key: str, shown: Any) -> str:
        return " > ".join(shown(one) for one in row[key]) if key in row else "-"

    greedy = "-" if row["greedy"] is None else f"{row['greedy']}/{row['prompts']}"
    milliseconds = lambda seconds: f"{1000 * seconds:.3g}"  # noqa: E731
    lost = f"{row['lost']:.2%} {row['best']}" if row.get("lost") is not None else "-"
    return [
        row["model"], row["target"], row["dtype"], f"{row['apart']:.1e}", greedy, pair("bytes", size),
        pair("memory", size), pair("median", milliseconds), pair("p90", milliseconds),
        pair("per_second", lambda x: f"{x:.3g}"), lost,
    ]  # fmt: skip


def made(folder: Path) -> Models:
    """A GPT, a BERT that classifies and one that tags, an encoder-decoder, an LSTM, each with random weights."""
    texts = [line for path in sorted(DOCS.glob("*.md")) for line in path.read_text(encoding="utf-8").splitlines()]
    encoder = Encoder(train_tokenizer(texts, 4096, special=("<|pad|>", "<|end|>")))
    size_ = Size(encoder.vocabulary, *SHAPE)
    tagging = Tagging(kind="spans", labels=("O", *(f"{a}-{b}" for b in ("PER", "LOC") for a in "BIES")))
    bert = with_fields(preset("bert", size_), {"head": False})  # type: ignore[type-var]
    models: dict[str, tuple[Any, HeadTask | None]] = {
        "gpt": (preset("standard", size_), None),
        "bert classifier": (_headed(bert, Classification(labels=("neg", "pos")), dense=True)),
        "bert tagger": (_headed(bert, tagging)),
        "seq2seq": (preset("transformer", size_), None),
        "lstm": (preset("lstm", size_), None),
    }
    found: Models = {}
    for name, (config, task) in models.items():
        model = build(config, torch.Generator().manual_seed(0))
        special = Special(bos=END_OF_TEXT, eos="<|end|>", pad="<|pad|>" if task is not None else None)
        write_directory(folder / name, model, encoder.content, card="", special=special)
        if task is not None:
            write_json_atomic(folder / name / TASK, task_json(task, Coder.of(encoder, SHAPE[3], folder / name)))
        found[name] = (folder / name, None)
    return found


def _headed(body: Any, task: HeadTask, **head: Any) -> tuple[HeadedConfig, HeadTask]:
    own = task.head
    return HeadedConfig(body, HeadConfig(own.kind, own.outputs, **head)), task


if __name__ == "__main__":
    main()
