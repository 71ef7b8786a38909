"""`assay generate` and `assay chat`: typed options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import NOTHING, PLAIN, Answer, Settings, writes

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Draft = Annotated[
    Path | None, typer.Option(help="A small model of the same tokenizer that proposes tokens: the same text, sooner.")
]


@writes
def generate(
    model: Annotated[Path, typer.Argument(help="A model directory, or the folder of a training.")],
    prompts: Annotated[list[str] | None, typer.Argument(help="Texts to go on with; - reads standard input.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Prompts: a line each, or JSON lines (.jsonl); - is standard input.")
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Field of JSON lines with the prompt. Default messages, prompt or text.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write answers to this file, as JSON lines; a rerun goes on where one stopped.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Prompts as they are, whatever task the model was trained for.")
    ] = False,
    draft: Draft = None,
    settings: Settings = NOTHING,
    rows: Annotated[int, typer.Option(min=1, help="Rows at a time; the answers do not depend on it.")] = 64,
    device: Device = "auto",
    answer: Answer = PLAIN,
) -> None:
    """Go on with texts, translate, answer: whatever the model writes.

    \b
    Examples:
      assay generate gpt "The old man"                        greedily, as it comes
      assay generate gpt "从前" --temperature 0.8 --top-p 0.9   drawn; --seed says which draw
      assay generate gpt "A: yes. B:" --choice yes --choice no
      assay generate gpt "As JSON: " --json-schema person.json
      assay generate translator --file zh.txt --out en.jsonl --beams 4
      cat prompts.txt | assay generate gpt - --json
    """
    from assay import front

    front.generate(
        model=model, prompts=prompts or [], file=file, field=field, out=out, raw=raw, draft=draft, given=settings,
        rows=rows, device=device, **answer,
    )  # fmt: skip


@writes
def chat(
    model: Annotated[Path, typer.Argument(help="A model directory, or the folder of a training.")],
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="Go on with a conversation that /save wrote.")] = None,
    draft: Draft = None,
    settings: Settings = NOTHING,
    device: Device = "auto",
    answer: Answer = PLAIN,
) -> None:
    """Talk with a model. /help says what else a line may ask; Ctrl-C stops an answer.

    \b
    Examples:
      assay chat tuned/model
      assay chat tuned/model --system "你是一个简洁的助手。" --lang zh
      echo "Who are you?" | assay chat tuned/model --temperature 0
    """
    from assay import front

    front.chat(model=model, system=system, start=start, draft=draft, given=settings, device=device, **answer)
