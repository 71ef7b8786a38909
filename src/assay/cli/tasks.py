"""`assay finetune` and what goes with it: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import Debug, Json, Lang

Format = Annotated[
    Literal["table", "conll", "squad", "parallel", "chat", "preference", "kto", "spans"] | None,
    typer.Option("--format", help="What rows say; told by the first one when not given."),
]
Field = Annotated[
    list[str] | None,
    typer.Option(help="Another name of a field: text=sentence reads `sentence` as `text`. Repeatable."),
]
TaskFile = Annotated[str | None, typer.Option("--task", help="The Python file of a task of one's own.")]
Rows = Annotated[int, typer.Option(min=1, help="Examples at a time; the answers do not depend on it.")]
OptionOfTask = Annotated[
    list[str] | None, typer.Option("--option", help="Of the task: second=premise, say. Repeatable.")
]


def finetune(
    task: Annotated[
        str,
        typer.Argument(
            help="classification, multilabel, relation, regression, tagging, extraction, embedding, translation,"
            " summarization, completion, instruction, preference; or the Python file of one's own."
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files, a folder, or the common name of files x.train.*, x.dev.*, x.test.*"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model directory to begin with, or the preset of a new one: bert, lstm, ...")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a rerun goes on from what is there.")] = Path("tuned"),
    dev: Annotated[
        list[str] | None, typer.Option(help="What decides when to stop; else cut from the examples.")
    ] = None,
    test: Annotated[list[str] | None, typer.Option(help="Looked at once, at the end.")] = None,
    epochs: Annotated[float | None, typer.Option(help="How often the examples are read.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of a new head, the order, and what is dropped.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train with so many seeds: means, with intervals over them.")] = 1,
    sweep: Annotated[
        list[str] | None, typer.Option(help="Train with each of several values: tune.rate=1e-4,3e-4. Repeatable.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: key=value, e.g. task.text=sentence.")
    ] = None,
    lang: Lang = "en",
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every value of the recipe, and train nothing.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on labelled examples of a task, and judge it.

    \b
    Examples:
      assay finetune classification reviews.jsonl --model bert/ --out sentiment
      assay finetune tagging ner/conll2003 --model lstm --set model.crf=true
      assay finetune classification pairs.csv --set task.text=premise --set task.second=hypothesis
    """
    from assay import front

    front.finetune(
        task=task, data=data or [], model=model, out=out, recipe=recipe, overrides=set_ or [],
        options={"data.dev": tuple(dev or ()), "data.test": tuple(test or ()), "budget.epochs": epochs,
                 "tune.rate": rate, "train.seed": seed},
        language=lang, explain=explain, as_json=json_, seeds=seeds, sweep=sweep or [],
    )  # fmt: skip


def predict(
    model: Annotated[Path, typer.Argument(help="A folder that `assay finetune` wrote.")],
    sources: Annotated[list[str] | None, typer.Argument(help="Files of rows, without labels or with them.")] = None,
    task: TaskFile = None,
    text: Annotated[list[str] | None, typer.Option(help="A text to answer. Repeatable.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write answers to this file: JSON lines; a page where it ends in .html.")
    ] = None,
    format_: Format = None,
    field: Field = None,
    on_error: Annotated[Literal["stop", "skip"], typer.Option(help="What a bad row does.")] = "stop",
    rows: Rows = 32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Answer texts with a model of a task: labels and how likely they are, spans, numbers.

    \b
    Examples:
      assay predict sentiment/model --text "a wonderful film" --text "一部好电影"
      assay predict ner/model news.jsonl --out found.jsonl
      assay predict ner/model news.jsonl --out found.html
    """
    from assay import front

    front.predict(
        model=model, task=task, texts=text or [], out=out, asked={"sources": sources or [], "format": format_,
        "fields": field or [], "on_error": on_error, "rows": rows, "device": device}, language=lang, as_json=json_,
    )  # fmt: skip


def check(
    task: Annotated[str, typer.Argument(help="What is to be learned: classification, tagging, ...")],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files, a folder, or the common name of files x.train.*, x.dev.*, x.test.*"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to begin with: tells what its tokenizer cuts off or does not know.")
    ] = None,
    dev: Annotated[list[str] | None, typer.Option(help="What will decide when to stop.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="What will be looked at once, at the end.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file, as of `assay finetune`.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: key=value, e.g. task.text=sentence.")
    ] = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Check the examples of a task: labels, tags, leaks between parts, contradictions, texts, lengths.

    Exit code 1 where something should be mended.

    \b
    Examples:
      assay doctor data classification reviews.jsonl
      assay doctor data tagging ner/resume --model bert/ --lang zh
    """
    from assay import front

    front.doctor_data(
        task=task, data=data or [], model=model, recipe=recipe, overrides=set_ or [],
        options={"data.dev": tuple(dev or ()), "data.test": tuple(test or ())}, language=lang, as_json=json_,
    )  # fmt: skip
