"""The front door: one function a verb, no logic. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assay import __version__
from assay.errors import AssayError, InputError

app = typer.Typer(
    name="assay",
    help="What your data does to your language model: measured, predicted and verified.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
doctor_app = typer.Typer(help="What is wrong, before time is spent.", no_args_is_help=True)
app.add_typer(doctor_app, name="doctor")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"assay {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def study(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, builtin:starter or builtin:python; the starter corpus when none is given."
        ),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for all of it: 90s, 10m, 1h. Default 10m.")] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="Training tokens instead of time: 5e6, 20M. Independent of the machine."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; a rerun goes on from what is there.")] = Path("study"),
    recipe: Annotated[Path | None, typer.Option(help="YAML file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: key=value, e.g. train.seeds=5.")] = None,
    source_field: Annotated[str | None, typer.Option(help="Field of each row that names its source.")] = None,
    text_field: Annotated[str | None, typer.Option(help="Field that holds the text.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the files; UTF-8 when not given.")] = None,
    on_error: Annotated[str, typer.Option(help="What a bad row does: stop, or skip (and be counted).")] = "stop",
    lang: Annotated[str, typer.Option(help="Language of progress and page: en or zh.")] = "en",
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every derived value and why, and train nothing.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure what a corpus does to a language model: size, quality, distribution.

    \b
    Examples:
      assay study                                   the bilingual starter corpus, ten minutes
      assay study my-texts/ --budget 10m            folders below my-texts/ are the sources
      assay study docs.jsonl --source-field domain  a field names the source
      assay study my-texts/ --tokens 5e6 --lang zh  the same plan on every machine; a page in Chinese
      assay study my-texts/ --explain               what would be done, and why
    """
    from assay import front

    front.study(
        sources=sources, budget=budget, tokens=tokens, out=out, recipe=recipe, overrides=set_ or [],
        fields={"source_field": source_field, "text_field": text_field, "encoding": encoding, "on_error": on_error},
        language=lang, explain=explain, as_json=json_,
    )  # fmt: skip


@doctor_app.command("env")
def doctor_env(
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Check this machine and this installation.

    \b
    Example:
      assay doctor env
    """
    from assay import front

    front.doctor_env(as_json=json_)


def main() -> None:
    """Run a verb; say errors in one line and exit with their code."""
    try:
        app(standalone_mode=False)
    except AssayError as error:
        if "--debug" in sys.argv:
            raise
        print(f"assay: {error.line()}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except typer.Exit as done:
        raise SystemExit(done.exit_code) from None
    except KeyboardInterrupt:
        print("assay: stopped -> run the same command again to go on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        _usage_or_raise(error)


def _usage_or_raise(error: Exception) -> None:
    show = getattr(error, "format_message", None)
    if show is None:
        raise error
    if not show():  # no arguments at all: the help was printed
        raise SystemExit(0)
    wrong = InputError(show().rstrip("."), where="assay", remedy="see --help")
    print(wrong.line(), file=sys.stderr)
    raise SystemExit(wrong.exit_code)
