"""`assay compress`: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import Debug, Json, Lang

app = typer.Typer(
    help="Make a model smaller, and say what that costs: fewer bits, fewer weights, fewer layers.",
    no_args_is_help=True,
    epilog="Example: assay compress quantize sentiment --bits 8 --data reviews.test.jsonl --out sentiment-8",
)

Model = Annotated[Path, typer.Argument(help="A model directory, or the folder of a training or a fine-tuning.")]
Out = Annotated[Path, typer.Option(help="New folder that is written.")]
Data = Annotated[
    list[str] | None,
    typer.Option(help="Examples of the model's task, or text: scores before and after. Repeatable."),
]
Calibrate = Annotated[
    list[str] | None,
    typer.Option(help="Text, or examples of the task, that the model is shown to find out what matters. Repeatable."),
]
Rows = Annotated[int, typer.Option("--calibrate-rows", min=1, help="How many rows of it, at most.")]
Measure = Annotated[
    bool, typer.Option("--measure/--no-measure", help="Measure memory and latency of both, in processes of their own.")
]
Threads = Annotated[int, typer.Option(min=1, help="Of each product, where latency is measured.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key of the training's recipe: budget.epochs=5.")
]


@app.command()
def quantize(
    model: Model,
    out: Out,
    bits: Annotated[int, typer.Option(help="8 or 4.")] = 8,
    inputs: Annotated[
        Literal["dynamic", "static"],
        typer.Option(help="8 bits: scales of a layer's inputs, found row by row, or fixed by --calibrate."),
    ] = "dynamic",
    method: Annotated[
        Literal["rtn", "gptq", "awq"],
        typer.Option(help="4 bits: round to nearest, or by what --calibrate does to each layer."),
    ] = "rtn",
    group: Annotated[int, typer.Option(help="4 bits: inputs that share a scale: 32, 64 or 128.")] = 64,
    calibrate: Calibrate = None,
    rows: Rows = 128,
    data: Data = None,
    measure: Measure = True,
    threads: Threads = 1,
    seed: Seed = 0,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Keep a model's matrices as whole numbers of 8 or 4 bits.

    \b
    Examples:
      assay compress quantize sentiment --data reviews.test.jsonl --out sentiment-8
      assay compress quantize sentiment --inputs static --calibrate reviews.train.jsonl --out sentiment-8s
      assay compress quantize gpt --bits 4 --method gptq --calibrate texts/ --data test.txt --out gpt-4
    """
    from assay import front

    front.compress_quantize(
        model=model, out=out, bits=bits, inputs=inputs, method=method, group=group,
        shown={"calibrate": calibrate or [], "rows": rows, "seed": seed},
        judged={"data": data or [], "measure": measure, "threads": threads}, language=lang, as_json=json_,
    )  # fmt: skip


@app.command()
def prune(
    model: Model,
    out: Out,
    method: Annotated[
        Literal["magnitude", "wanda"] | None,
        typer.Option(help="Single weights: the smallest, or those that carry least of --calibrate."),
    ] = None,
    sparsity: Annotated[
        str | None, typer.Option(help="Of single weights the share that goes, or 2:4. Default 0.5.")
    ] = None,
    within: Annotated[
        Literal["row", "layer", "model"] | None,
        typer.Option(help="What single weights are compared within. Default row for wanda, layer for magnitude."),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Layers that stay (of each side of an encoder-decoder).")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads of a layer that stay.")] = None,
    width: Annotated[int | None, typer.Option(help="Units of each layer's MLP that stay.")] = None,
    calibrate: Calibrate = None,
    rows: Rows = 128,
    retrain: Annotated[
        list[str] | None,
        typer.Option(help="Train what is left on this data of the task, or on this text; zeros stay. Repeatable."),
    ] = None,
    set_: Set = None,
    data: Data = None,
    measure: Measure = True,
    threads: Threads = 1,
    seed: Seed = 0,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Take weights out of a model: single ones, which become 0, or whole layers, heads and units.

    \b
    Examples:
      assay compress prune gpt --method wanda --calibrate texts/ --data test.txt --out gpt-half
      assay compress prune bert --layers 4 --calibrate texts/ --out bert-4-layers
      assay compress prune sentiment --width 512 --calibrate reviews.train.jsonl --retrain reviews --out sentiment-512
    """
    from assay import front

    front.compress_prune(
        model=model, out=out, method=method, sparsity=sparsity, within=within,
        parts={"layers": layers, "heads": heads, "width": width},
        shown={"calibrate": calibrate or [], "rows": rows, "seed": seed}, retrain=retrain or [], overrides=set_ or [],
        judged={"data": data or [], "measure": measure, "threads": threads}, language=lang, as_json=json_,
    )  # fmt: skip


@app.command()
def distill(
    teacher: Annotated[Path, typer.Argument(help="A model of a task, or one that predicts text.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a rerun goes on from what is there.")],
    data: Annotated[
        list[str], typer.Option(help="Examples of the teacher's task, as of `assay finetune`, or text. Repeatable.")
    ],
    layers: Annotated[
        str | None, typer.Option(help="The student begins with so many of the teacher's layers, or with these: 0,3,5.")
    ] = None,
    student: Annotated[Path | None, typer.Option(help="A model directory that the student begins as, instead.")] = None,
    share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the loss that is the teacher's. Default 0.9.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="What logits are divided by. Default 2.")] = None,
    hidden: Annotated[
        float | None, typer.Option(help="Tasks with a head: weight of the distance to the teacher's states.")
    ] = None,
    unlabelled: Annotated[
        list[str] | None, typer.Option(help="Tasks with a head: more texts, without labels. Repeatable.")
    ] = None,
    copies: Annotated[
        int | None, typer.Option(help="Tasks with a head: copies of each text with words left out.")
    ] = None,
    dev: Annotated[list[str] | None, typer.Option(help="What decides which weights are kept.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="What both are judged on; else dev. Repeatable.")] = None,
    epochs: Annotated[float | None, typer.Option(help="How often the data is read.")] = None,
    rate: Annotated[float | None, typer.Option(help="Tasks: peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of order, copies and dropout.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file, as of `assay finetune` or `assay train`.")] = None,
    set_: Set = None,
    measure: Measure = True,
    threads: Threads = 1,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Train a smaller model to answer as a larger one does.

    \b
    Examples:
      assay compress distill sentiment --layers 2 --data reviews --out sentiment-2
      assay compress distill sentiment --layers 2 --data reviews --unlabelled more.jsonl --copies 4 --out sentiment-2
      assay compress distill gpt --layers 2 --data texts/ --set budget.tokens=5e6 --out gpt-2-layers
      assay compress distill en-zh --student small/ --data pairs.jsonl --out en-zh-small
    """
    from assay import front

    front.compress_distill(
        teacher=teacher, out=out, data=data, layers=layers, student=student,
        taught={"share": share, "temperature": temperature, "hidden": hidden, "unlabelled": tuple(unlabelled or ()),
                "copies": copies},
        training={"dev": tuple(dev or ()), "test": tuple(test or ()), "epochs": epochs, "rate": rate, "seed": seed},
        recipe=recipe, overrides=set_ or [], measure=measure, threads=threads, language=lang, as_json=json_,
    )  # fmt: skip
