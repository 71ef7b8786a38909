"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

SOURCES = "Files, folders, hf://datasets/OWNER/NAME, s3://BUCKET/PREFIX, https://, builtin:starter or builtin:python"
SourceField = Annotated[str | None, typer.Option(help="Field of each row that names its source.")]
TextField = Annotated[str | None, typer.Option(help="Field that holds the text.")]
Encoding = Annotated[str | None, typer.Option(help="Encoding of the files; UTF-8 when not given.")]
OnError = Annotated[
    Literal["stop", "skip"] | None,
    typer.Option(help="What a bad row or file does: stop, or be skipped and counted. Default stop."),
]
Html = Annotated[
    Literal["resiliparse", "trafilatura", "both"] | None,
    typer.Option(help="What finds the main text of web pages. Default resiliparse; the others need the extra html."),
]
Lang = Annotated[
    Literal["en", "zh"], typer.Option(help="Language of progress and answers; error lines are always English.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def reading(
    source_field: str | None,
    text_field: str | None,
    encoding: str | None,
    on_error: str | None,
    html: str | None = None,
) -> dict[str, str]:
    """The options of reading that were given."""
    options = {
        "source_field": source_field,
        "text_field": text_field,
        "encoding": encoding,
        "on_error": on_error,
        "html": html,
    }
    return {name: value for name, value in options.items() if value is not None}
