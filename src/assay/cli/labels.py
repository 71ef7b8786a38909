"""`assay labels`: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import Debug, Json, Lang


def labels(
    task: Annotated[str, typer.Argument(help="As of `assay finetune`: classification, tagging, regression, ...")],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files, a folder, or the common name of files x.train.*, x.dev.*, x.test.*"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model directory to begin with, or the preset of a new one: bert, textcnn, ...")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs; a rerun goes on from what is there.")] = Path("labels"),
    seeds: Annotated[int, typer.Option(help="Train everything with so many seeds.")] = 3,
    sizes: Annotated[int, typer.Option(help="How many sizes, a factor of two apart, down from all examples.")] = 5,
    target: Annotated[
        float, typer.Option(help="A value of the task's best score: how many labelled examples does it need?")
    ] = 0.9,
    noise: Annotated[
        str | None, typer.Option(help='Shares of the labels that are made wrong. Default 0.05,0.1,0.2,0.4; "": none.')
    ] = None,
    imbalance: Annotated[
        str | None,
        typer.Option(
            help='Shares of the rarest class that are taken away (classification). Default 0.5,0.75,0.9; "": none.'
        ),
    ] = None,
    augment: Annotated[
        bool, typer.Option("--augment", help="Train with copies, too, whose words are dropped or swapped.")
    ] = False,
    equal: Annotated[
        Literal["epochs", "steps"],
        typer.Option(help="What sizes have in common: how often examples are read, or how many steps are taken."),
    ] = "epochs",
    dev: Annotated[
        list[str] | None, typer.Option(help="What decides when to stop; else cut from the examples.")
    ] = None,
    test: Annotated[list[str] | None, typer.Option(help="What everything is judged on; else dev.")] = None,
    epochs: Annotated[float | None, typer.Option(help="How often the examples are read.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="The first seed.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file, as of `assay finetune`.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: key=value, e.g. task.text=sentence.")
    ] = None,
    lang: Lang = "en",
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what would be run, and how long it takes; train nothing.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """What labelled data does to a task's model: its size, wrong labels, imbalance, copies, and what to label next.

    \b
    Examples:
      assay labels classification reviews --model textcnn --out reviews-labels --explain
      assay labels classification reviews --model bert/ --target 0.92 --augment
      assay labels tagging ner --model bilstm --noise 0.1,0.3 --seeds 5
    """
    from assay import front

    front.labels(
        task=task, data=data or [], model=model, out=out, recipe=recipe, overrides=set_ or [],
        options={"data.dev": tuple(dev or ()), "data.test": tuple(test or ()), "budget.epochs": epochs,
                 "tune.rate": rate, "train.seed": seed},
        asked={"seeds": seeds, "sizes": sizes, "target": target, "augment": augment, "equal": equal},
        doses={"noise": noise, "imbalance": imbalance}, language=lang, explain=explain, as_json=json_,
    )  # fmt: skip
