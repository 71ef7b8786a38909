"""Options that several verbs share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, cast

import typer

_NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD

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


Reading = Mapping[str, str]
"""A verb's argument that stands for the options which say how sources are read: those that were given, by name."""
NOTHING: Reading = MappingProxyType({})
_HOW: dict[str, Any] = {
    "source_field": SourceField, "text_field": TextField, "encoding": Encoding, "on_error": OnError, "html": Html,
}  # fmt: skip
_Verb = TypeVar("_Verb", bound=Callable[..., None])


def reads(verb: _Verb) -> _Verb:
    """The verb with these options in the place of its argument `reading`."""
    own = inspect.signature(verb, eval_str=True)
    how = [inspect.Parameter(name, _NAMED, default=None, annotation=option) for name, option in _HOW.items()]
    parameters = [
        part
        for one in own.parameters.values()
        for part in (how if one.name == "reading" else [one.replace(kind=_NAMED)])
    ]

    @functools.wraps(verb)
    def typed(**given: Any) -> None:
        reading = {name: value for name in _HOW if (value := given.pop(name)) is not None}
        verb(**given, reading=reading)

    typed.__dict__["__signature__"] = own.replace(parameters=parameters)
    typed.__annotations__ = {one.name: one.annotation for one in parameters}
    return cast(_Verb, typed)
