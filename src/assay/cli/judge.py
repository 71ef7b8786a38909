"""`assay eval`: typed options and help. `assay eval MODEL ...` judges a model; what else is done is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from assay.cli.options import NOTHING, PLAIN, SOURCES, Answer, Debug, Json, Lang, Reading, reads
from assay.cli.tasks import Field, Format, OptionOfTask, Rows, TaskFile


class _ModelFirst(TyperGroup):
    """What begins with no name of a command begins with a model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["model", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ModelFirst,
    help="How good a model is, with intervals: at predicting text, at its task, or against another one.",
    no_args_is_help=True,
    epilog="Examples: assay eval gpt/model my-texts/; assay eval sentiment/model test.jsonl; assay eval compare a b",
)


@app.command("model")
@reads
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    sources: Annotated[
        list[str] | None, typer.Argument(help=f"Text to predict, or examples of its task. {SOURCES}.")
    ] = None,
    perplexity: Annotated[
        bool, typer.Option("--perplexity", help="Loss, perplexity and bits per byte; what is done when text is given.")
    ] = False,
    words: Annotated[
        list[Path] | None, typer.Option(help="Word similarities or analogies, for word vectors. Repeatable.")
    ] = None,
    window: Annotated[int | None, typer.Option(min=2, help="Tokens that the model sees at once.")] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="From window to window; default half of one.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Of a task: write the answers to this file, to be scored and compared.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What a language model is asked as it is: choice (by likelihood) or exact (written answers); or the"
            " Python file of a task of one's own."
        ),
    ] = None,
    option: OptionOfTask = None,
    train_corpus: Annotated[
        list[str] | None,
        typer.Option(help="With --task: what the model was trained on, to look for the items; default: its run's."),
    ] = None,
    format_: Format = None,
    field: Field = None,
    rows: Rows = 32,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda, for neural models; auto: a GPU where there is one, else cpu.")
    ] = "auto",
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """How well a model predicts a text, does its task, or how well word vectors answer tests, with intervals.

    \b
    Examples:
      assay eval gpt/model my-texts/ --perplexity
      assay eval sentiment/model reviews.test.jsonl --answers answers.jsonl
      assay eval gpt/model cmmlu.test.jsonl --task choice --option shots=5 --option dev=cmmlu.dev.jsonl
      assay eval vectors/model --words wordsim353.tsv --words analogies.txt
    """
    from assay import front

    front.evaluate(
        model=model, sources=sources or [], words=words or [], window=window, stride=stride, device=device, level=level,
        of_task={"answers": answers, "format": format_, "fields": field or [], "rows": rows, "task": task,
                 "options": option or [], "train_corpus": train_corpus or []}, perplexity=perplexity,
        reading=reading, **answer,
    )  # fmt: skip


@app.command()
def compare(
    a: Annotated[list[Path], typer.Argument(help="Two folders of `assay finetune`, or files of answers.")],
    with_: Annotated[
        list[Path] | None, typer.Option("--with", help="The other system's, where both have several seeds. Repeatable.")
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="The i-th seeds of both share what a seed decides (weights, order).")
    ] = False,
    task: TaskFile = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Two systems on the same examples: differences, and whether they are more than noise (paired tests, Holm).

    \b
    Examples:
      assay eval compare tuned-a tuned-b
      assay eval compare a-0 a-1 a-2 --with b-0 --with b-1 --with b-2
    """
    from assay import front

    front.compare_answers(a=a, b=with_ or [], task=task, paired=paired, level=level, language=lang, as_json=json_)


@app.command()
def score(
    task: Annotated[str, typer.Argument(help="classification, tagging, extraction, ...")],
    examples: Annotated[list[str], typer.Argument(help="Files of examples that say what is right.")],
    answers: Annotated[Path, typer.Option(help='A row an example, in their order: {"label": ...} and the like.')],
    option: OptionOfTask = None,
    format_: Format = None,
    field: Field = None,
    on_error: Annotated[Literal["stop", "skip"], typer.Option(help="What a bad row does.")] = "stop",
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Score answers that any program wrote: no model, no network.

    \b
    Example:
      assay eval score classification test.jsonl --answers theirs.jsonl
    """
    from assay import front

    front.score_answers(
        task=task, options=option or [], answers=answers, asked={"sources": examples, "format": format_,
        "fields": field or [], "on_error": on_error, "level": level}, language=lang, as_json=json_,
    )  # fmt: skip


@app.command()
def errors(
    run: Annotated[Path, typer.Argument(help="A folder of `assay finetune`, or a file of answers.")],
    task: TaskFile = None,
    part: Annotated[Literal["dev", "test"] | None, typer.Option(help="Of a folder: whose answers. Else test.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a page to this file, which ends in .html.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Examples and labels that are listed.")] = 20,
    label_errors: Annotated[
        bool, typer.Option("--label-errors", help="List labels of --data that are likely wrong (needs assay[errors]).")
    ] = False,
    data: Annotated[
        list[str] | None, typer.Option(help="Training data whose labels are looked at. Repeatable.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that the training data is dealt into.")] = 5,
    format_: Format = None,
    field: Field = None,
    on_error: Annotated[Literal["stop", "skip"], typer.Option(help="What a bad row does.")] = "stop",
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """What a model of a task gets wrong: confusion, parts that are worse than the rest, hardest examples, wrong labels.

    \b
    Examples:
      assay eval errors tuned --out errors.html
      assay eval errors tuned --label-errors --data train.jsonl
    """
    from assay import front

    front.answer_errors(
        run=run, task=task, part=part, out=out, most=most, level=level, label_errors=label_errors, folds=folds,
        data={"sources": data or [], "format": format_, "fields": field or [], "on_error": on_error},
        language=lang, as_json=json_,
    )  # fmt: skip
