"""`assay finetune` and what goes with it: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import Debug, Json, Lang


def finetune(
    task: Annotated[str, typer.Argument(help="What to learn: classification, tagging, ...")],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files, a folder, or the common name of files x.train.*, x.dev.*, x.test.*"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model directory to begin with, or the preset of a new one: bert, lstm, ...")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a rerun goes on from what is there.")] = Path("tuned"),
    dev: Annotated[list[str] | None, typer.Option(help="What decides when to stop; else cut from the examples.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Looked at once, at the end.")] = None,
    epochs: Annotated[float | None, typer.Option(help="How often the examples are read.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of a new head, the order, and what is dropped.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: key=value, e.g. task.text=sentence.")
    ] = None,
    lang: Lang = "en",
    explain: Annotated[bool, typer.Option("--explain", help="Print every value of the recipe, and train nothing.")] = False,
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
        language=lang, explain=explain, as_json=json_,
    )  # fmt: skip
