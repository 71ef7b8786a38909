"""The front door: one function a verb, no logic. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from assay import __version__
from assay.cli import compressing, corpus, fits, judge, tasks, tokenizer
from assay.cli import explore as explored
from assay.cli import export as exporting
from assay.cli import generate as generating
from assay.cli import labels as labelled
from assay.cli import serve as serving
from assay.cli.options import NOTHING, SOURCES, Debug, Json, Lang, Reading, reads
from assay.errors import AssayError, InputError, Stopped, WorkError, interrupted

app = typer.Typer(
    name="assay",
    help="What your data does to your language model: measured, predicted and verified.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Examples: assay study my-texts/ --budget 10m; assay study --help; assay doctor env",
)
doctor_app = typer.Typer(
    help="What is wrong, before time is spent.", no_args_is_help=True, epilog="Example: assay doctor env"
)
app.add_typer(doctor_app, name="doctor")
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(corpus.app, name="corpus")
app.add_typer(fits.law, name="law")
app.add_typer(fits.mixture, name="mixture")
app.add_typer(judge.app, name="eval")
app.add_typer(compressing.app, name="compress")
app.command()(tasks.finetune)
app.command()(tasks.predict)
doctor_app.command("data")(tasks.check)
app.command()(labelled.labels)
app.command()(explored.explore)
app.command()(generating.generate)
app.command()(generating.chat)
app.command()(serving.serve)
app.command()(exporting.export)


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
@reads
def study(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help=f"{SOURCES}; the starter corpus when none is given."),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for all of it: 90s, 10m, 1h. Default 10m.")] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="Training tokens instead of time: 5e6, 20M. Independent of the machine."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; a rerun goes on from what is there.")] = Path("study"),
    recipe: Annotated[Path | None, typer.Option(help="YAML file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: key=value, e.g. train.seeds=5.")] = None,
    reading: Reading = NOTHING,
    ray: Annotated[
        str | None, typer.Option(help="Train on a Ray cluster: its address, auto or local; for the same claims.")
    ] = None,
    lang: Annotated[
        Literal["en", "zh"], typer.Option(help="Language of progress and page; error lines are always English.")
    ] = "en",
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every derived value and why, and train nothing.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Measure what a corpus does to a language model: size, quality, distribution.

    \b
    Examples:
      assay study                             the starter corpus, ten minutes
      assay study my-texts/ --budget 10m      its folders are the sources
      assay study d.jsonl --source-field tag  a field names the source
      assay study my-texts/ --tokens 5e6      the same plan on every machine
      assay study my-texts/ --lang zh         a page in Chinese
      assay study my-texts/ --explain         what would be done, and why
      assay study my-texts/ --ray auto        the machines of a cluster do the runs
    """
    from assay import front

    front.study(
        sources=sources, budget=budget, tokens=tokens, out=out, recipe=recipe, overrides=set_ or [],
        options={f"corpus.{name}": value for name, value in reading.items()},
        language=lang, explain=explain, as_json=json_, ray=ray,
    )  # fmt: skip


@app.command()
def convert(
    model: Annotated[Path, typer.Argument(help="A model directory, or a file of weights (.bin, .pt).")],
    out: Annotated[Path, typer.Option(help="Folder that is written.")],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Rewrite pickled weights as safetensors, without running what a pickle could run.

    \b
    Examples:
      assay convert old-bert/ --out bert/      its config and tokenizer are copied
      assay convert weights.pt --out model/    the weights alone
    """
    from assay import front

    front.convert(model, out, as_json=json_)


@app.command()
def average(
    models: Annotated[list[Path], typer.Argument(help="Model directories of one shape: checkpoints of a run, say.")],
    out: Annotated[Path, typer.Option(help="New folder that is written.")],
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Write the model whose weights are the mean of several: the last checkpoints of a run, or several runs' models.

    \b
    Examples:
      assay average run/checkpoints/step-* --out mean
      assay average seed-0/model seed-1/model --out soup
    """
    from assay import front

    front.average(models, out, lang, as_json=json_)


@app.command()
def align(
    one: Annotated[Path, typer.Argument(help="Word vectors of one language.")],
    other: Annotated[Path, typer.Argument(help="Word vectors of the other, of the same width.")],
    pairs: Annotated[Path, typer.Option(help="A dictionary: a word, a tab, its translation, a line each.")],
    out: Annotated[Path, typer.Option(help="New folder that is written.")],
    rounds: Annotated[
        int, typer.Option(min=0, max=50, help="Find the rotation again so often from mutual nearest words.")
    ] = 3,
    both: Annotated[
        bool, typer.Option("--both", help="Write the words of both languages, for a model of both.")
    ] = False,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Bring word vectors of two languages into one space by a rotation, so that translations are near each other.

    \b
    Examples:
      assay align vectors-en vectors-zh --pairs en-zh.tsv --out zh-in-en
      assay align vectors-en vectors-zh --pairs en-zh.tsv --both --out bilingual
    """
    from assay import front

    front.align(one, other, pairs, out, rounds=rounds, both=both, language=lang, as_json=json_)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file, such as those in recipes/train/.")],
    sources: Annotated[list[str] | None, typer.Argument(help=f"{SOURCES}; the recipe's when none is given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a rerun goes on from what is there.")] = Path("run"),
    budget: Annotated[str | None, typer.Option(help="Time to train: 90s, 10m, 1h.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Training tokens instead: 5e6, 20M.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override: key=value, e.g. model.layers=6.")] = None,
    lang: Lang = "en",
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every value and its meaning, train nothing.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model from a recipe: GPT, BERT, encoder-decoder, RNN/LSTM, n-grams, word vectors.

    \b
    Examples:
      assay train recipes/train/gpt.yaml --out gpt
      assay train recipes/train/bert.yaml my-texts/ --out bert --budget 30m
      assay train recipes/train/lstm.yaml --tokens 5e6 --set model.width=512
      torchrun --nproc-per-node 2 -m assay train recipes/train/gpt.yaml --out gpt
    """
    from assay import front

    front.train(
        recipe=recipe, sources=sources or [], out=out, overrides=set_ or [], budget=budget, tokens=tokens,
        language=lang, explain=explain, as_json=json_,
    )  # fmt: skip


@app.command()
def calibration(
    folders: Annotated[list[Path], typer.Argument(help="Folders of studies, or folders that hold such.")],
    out: Annotated[Path | None, typer.Option(help="New or empty folder for a page and all numbers as JSON.")] = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """How often what studies predicted held: 50, 80 and 90 % intervals, over all their registered predictions.

    \b
    Examples:
      assay calibration studies/
      assay calibration study-1 study-2 --out calibration --lang zh
    """
    from assay import front

    front.calibration(folders=folders, out=out, language=lang, as_json=json_)


@doctor_app.command("env")
def doctor_env(
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Check this machine and this installation.

    \b
    Example:
      assay doctor env
    """
    from assay import front

    front.doctor_env(as_json=json_)


# What terminals of other encodings than UTF-8 (GBK, say) get in place of characters that they do not have.
_PLAIN = {"\u2212": "-", "–": "-", "×": "x", "“": '"', "”": '"', "…": "..."}


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


STOPPED = Stopped("stopped", remedy="run the same command again to go on from here")


def main() -> None:
    """Run a verb; say errors in one line and exit with their code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _on_interrupt)
    interrupted.clear()
    codecs.register_error("plain", _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
    try:
        code = app(standalone_mode=False) or 0
    except SystemExit:
        raise
    except BaseException as error:  # a library in Rust tells its own defects, and a Ctrl-C in it, past Exception
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C would be told a second time
        if "--debug" in sys.argv:
            raise
        code = _tell(_in_words(error))
        if code == Stopped.exit_code or _in_company():
            end_now(code)
    else:
        if code == Stopped.exit_code:  # a Ctrl-C outside of the work, which typer took for itself
            end_now(_tell(STOPPED))
    raise SystemExit(code)


def _in_company() -> bool:
    """Whether processes train together: where another one was lost, gloo's threads abort an interpreter that winds
    down."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def end_now(code: int) -> None:
    """End now: one more Ctrl-C while the interpreter winds down would end it by the signal, with words of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _tell(error: AssayError | None) -> int:
    if error is None:  # nothing is wrong: no arguments at all, say, and the help was printed
        return 0
    print(f"assay: {error.line()}", file=sys.stderr)
    return error.exit_code


def _in_words(error: BaseException) -> AssayError | None:
    if isinstance(error, AssayError):
        return error
    if isinstance(error, KeyboardInterrupt) or (interrupted.is_set() and not isinstance(error, Exception)):
        return STOPPED
    if isinstance(error, BrokenPipeError):  # whoever read the answer has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return None
    usage = getattr(error, "format_message", None)
    if usage is not None:
        return InputError(usage().replace("Value error, ", "").rstrip("."), remedy="see --help") if usage() else None
    place = traceback.extract_tb(error.__traceback__)[-1]
    return WorkError(
        f"{type(error).__name__}: {error}",
        where=f"{Path(place.filename).name}:{place.lineno}",
        remedy="this is a defect of assay: run again with --debug and report what is printed",
    )


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    """The first Ctrl-C, or a scheduler's SIGTERM, stops cleanly, a second one at once."""
    signal.signal(number, _on_second_interrupt)
    interrupted.set()
    raise KeyboardInterrupt


def _on_second_interrupt(number: int, frame: FrameType | None) -> None:
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}assay: {STOPPED.line()}\n".encode())
    os._exit(Stopped.exit_code)  # workers end with their parent
