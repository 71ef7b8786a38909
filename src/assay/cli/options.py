"""Options that several verbs share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, cast

import typer

SOURCES = "Files, folders, hf://datasets/OWNER/NAME, s3://BUCKET/PREFIX, https://, builtin:starter or builtin:python"
SourceField = Annotated[str | None, typer.Option(help="Field of each row that names its source.")]
TextField = Annotated[str | None, typer.Option(help="Field that holds the text.")]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of all files; auto, the default: by file, a byte-order mark, UTF-8, or detected."),
]
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
Settings = Mapping[str, Any]
"""One that stands for those which say how a model writes: those that were given, by name."""
Answer = Mapping[str, Any]
"""One that stands for those which say how the verb answers: `language` and `as_json`, as `front` takes them."""
NOTHING: Reading = MappingProxyType({})
PLAIN: Answer = MappingProxyType({"language": "en", "as_json": False})
_HOW: dict[str, Any] = {
    "source_field": SourceField, "text_field": TextField, "encoding": Encoding, "on_error": OnError, "html": Html,
}  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "max_new_tokens": Annotated[int | None, typer.Option(min=1, help="Tokens of an answer. Default 128.")],
    "min_new_tokens": Annotated[int | None, typer.Option(min=0, help="So many before anything ends it.")],
    "temperature": Annotated[float | None, typer.Option(help="0: the likeliest token. Above: drawn, the flatter.")],
    "top_k": Annotated[int | None, typer.Option(help="Draw among so many of the likeliest tokens.")],
    "top_p": Annotated[float | None, typer.Option(help="Draw among the likeliest that have this probability.")],
    "min_p": Annotated[float | None, typer.Option(help="Draw among those of this share of the likeliest's.")],
    "typical": Annotated[float | None, typer.Option(help="Draw among those that surprise as is expected.")],
    "repetition": Annotated[float | None, typer.Option(help="Above 1: what was said is said less.")],
    "no_repeat": Annotated[int | None, typer.Option(help="No stretch of so many tokens comes twice.")],
    "beams": Annotated[int | None, typer.Option(help="Search with so many beams.")],
    "length_penalty": Annotated[float | None, typer.Option(help="Of beams: above 0, longer ones gain.")],
    "n": Annotated[int | None, typer.Option("--n", "-n", help="Answers to a prompt.")],
    "alpha": Annotated[float | None, typer.Option(help="Contrastive search with this penalty: 0.6, say.")],
    "stop": Annotated[list[str] | None, typer.Option(help=r"A text that ends an answer; \n: a new line. Repeatable.")],
    "seed": Annotated[int | None, typer.Option(help="Of what is drawn. Default 0.")],
    "choices": Annotated[list[str] | None, typer.Option("--choice", help="An answer is one of these. Repeatable.")],
    "regex": Annotated[str | None, typer.Option(help="An answer matches this regular expression.")],
    "json_schema": Annotated[str | None, typer.Option(help="An answer is JSON of this schema: a file, or its text.")],
    "grammar": Annotated[str | None, typer.Option(help="An answer is of this grammar (Lark): a file, or its text.")],
}  # fmt: skip
_ANSWER: dict[str, tuple[Any, Any]] = {"lang": (Lang, "en"), "json_": (Json, False), "debug": (Debug, False)}
_NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD
_Verb = TypeVar("_Verb", bound=Callable[..., None])


def reads(verb: _Verb) -> _Verb:
    """The verb with the options that all who read sources share, in the places of `reading` and `answer`."""
    return _typed(verb, "reading", _HOW)


def writes(verb: _Verb) -> _Verb:
    """The verb with the options of how a model writes, in the place of `settings`, and those of `answer`."""
    return _typed(verb, "settings", _SETTINGS)


def _typed(verb: _Verb, group: str, options: Mapping[str, Any]) -> _Verb:
    own = inspect.signature(verb, eval_str=True)
    shared = {
        group: [inspect.Parameter(name, _NAMED, default=None, annotation=one) for name, one in options.items()],
        "answer": [inspect.Parameter(n, _NAMED, default=d, annotation=one) for n, (one, d) in _ANSWER.items()],
    }
    parameters = [one for name, parameter in own.parameters.items() for one in shared.get(name, [parameter])]

    @functools.wraps(verb)
    def typed(**given: Any) -> None:
        given[group] = {name: value for name in options if (value := given.pop(name)) is not None}
        if "answer" in own.parameters:
            lang, json_, _ = (given.pop(name) for name in _ANSWER)  # `debug` is for the command as a whole
            given["answer"] = {"language": lang, "as_json": json_}
        verb(**given)

    typed.__dict__["__signature__"] = own.replace(parameters=parameters)
    typed.__annotations__ = {one.name: one.annotation for one in parameters}
    return cast(_Verb, typed)
