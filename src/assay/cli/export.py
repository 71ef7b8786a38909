"""`assay export`: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import Debug, Json, Lang


def export(
    model: Annotated[Path, typer.Argument(help="A model directory, or the folder of a training or a fine-tuning.")],
    out: Annotated[Path, typer.Option(help="New folder that is written.")],
    to: Annotated[
        Literal["hf", "onnx", "ctranslate2", "gguf"],
        typer.Option(help="hf: transformers; onnx: every family; ctranslate2, gguf: models that write."),
    ],
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16", "int8"],
        typer.Option(help="Type of the weights; int8 in GGUF is q8_0."),
    ] = "float32",
    data: Annotated[
        list[str] | None,
        typer.Option(help="Examples of the model's task, or text: scores before and after. Repeatable."),
    ] = None,
    format_: Annotated[
        Literal["table", "conll", "squad", "parallel", "chat", "preference", "kto", "spans"] | None,
        typer.Option("--format", help="What rows of --data say; told by the first one when not given."),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="Another name of a field of --data: text=sentence. Repeatable.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Measure memory and latency of both, in processes of their own."),
    ] = True,
    threads: Annotated[int, typer.Option(min=1, help="Of each product, where latency is measured.")] = 1,
    licence: Annotated[
        str | None, typer.Option(help="Under which the export is given away; goes into its card.")
    ] = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Write a model for another engine, and check on the spot that it says the same: parity, size, memory, latency.

    \b
    Examples:
      assay export sentiment --to onnx --dtype int8 --data reviews.test.jsonl --out sentiment-int8
      assay export sentiment --to hf --out sentiment-hf       transformers.pipeline(...) opens it
      assay export gpt --to gguf --dtype int8 --out gpt-gguf  for llama.cpp
      assay export en-zh --to ctranslate2 --out en-zh-ct2
    """
    from assay import front

    front.export(
        model=model, out=out, target=to, dtype=dtype, data=data or [], format_=format_, fields=field or [],
        measure=measure, threads=threads, licence=licence, language=lang, as_json=json_,
    )  # fmt: skip
