"""`assay serve`: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import Debug, Json, Lang


def serve(
    models: Annotated[
        list[str],
        typer.Argument(help="Model directories, NAME=DIRECTORY to name one; adapters beside the base they are of."),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on: this machine alone, unless another one is named.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 8000,
    key_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the key. Default: the variable ASSAY_KEY; else a new key, printed once."),
    ] = None,
    max_rows: Annotated[int, typer.Option(min=1, help="Answers that a model writes at a time.")] = 64,
    queue: Annotated[
        int, typer.Option(min=0, help="Answers that may wait for each model; more are told to wait.")
    ] = 256,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")] = 1024,
    max_prompt: Annotated[
        int, typer.Option(min=1, help="Tokens of a prompt, at most, where the model itself has no bound.")
    ] = 8192,
    timeout: Annotated[float, typer.Option(help="Seconds that an answer may take.")] = 300.0,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request, at most.")] = 1 << 20,
    drain: Annotated[float, typer.Option(help="Seconds that running answers have after Ctrl-C.")] = 30.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Serve models over HTTP, as OpenAI does: completions, chat, embeddings; and tasks: classify, tag, answer, ...

    \b
    Examples:
      assay serve gpt/model
      assay serve chat=sft/model sentiment=reviews/model --port 8080
      assay serve base=gpt/model poems=poems-adapter
      ASSAY_KEY=... assay serve gpt/model --host 0.0.0.0
    """
    from assay import front

    front.serve(
        models=models, host=host, port=port, key_file=key_file, rows=max_rows, queue=queue,
        limits={"tokens": max_tokens, "prompt": max_prompt, "seconds": timeout}, body=max_body, drain=drain,
        device=device, language=lang, as_json=json_,
    )  # fmt: skip
