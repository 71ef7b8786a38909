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
tokenizer_app = typer.Typer(
    help="Train tokenizers, encode text with them, and see what they make of it.", no_args_is_help=True,
    epilog="Examples: assay tokenizer train my-texts/ --out tok; assay tokenizer compare tok gpt2/ --on my-texts/",
)  # fmt: skip
app.add_typer(tokenizer_app, name="tokenizer")
corpus_app = typer.Typer(
    help="Score a corpus once, then ask rules of it.", no_args_is_help=True,
    epilog="Examples: assay corpus scan my-texts/ --out scored; assay corpus select scored --pack fineweb --out kept",
)  # fmt: skip
app.add_typer(corpus_app, name="corpus")

# Options that several verbs share.
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
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
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
    """
    from assay import front

    front.study(
        sources=sources, budget=budget, tokens=tokens, out=out, recipe=recipe, overrides=set_ or [],
        options={
            "corpus.source_field": source_field, "corpus.text_field": text_field,
            "corpus.encoding": encoding, "corpus.on_error": on_error,
        },
        language=lang, explain=explain, as_json=json_,
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
def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file, such as those in recipes/train/.")],
    sources: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, builtin:starter...; the recipe's when none is given.")
    ] = None,
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


@app.command("eval")
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    sources: Annotated[list[str] | None, typer.Argument(help="Text to predict: files, folders, builtin:...")] = None,
    perplexity: Annotated[
        bool, typer.Option("--perplexity", help="Loss, perplexity and bits per byte; what is done when text is given.")
    ] = False,
    words: Annotated[
        list[Path] | None, typer.Option(help="Word similarities or analogies, for word vectors. Repeatable.")
    ] = None,
    window: Annotated[int | None, typer.Option(min=2, help="Tokens that the model sees at once.")] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="From window to window; default half of one.")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda, for neural models; auto: a GPU where there is one, else cpu.")
    ] = "auto",
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Level of the intervals.")] = 0.95,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """How well a model predicts a text, or how well word vectors answer tests, with intervals.

    \b
    Examples:
      assay eval gpt/model my-texts/ --perplexity
      assay eval vectors/model --words wordsim353.tsv --words analogies.txt
    """
    from assay import front

    front.evaluate(
        model=model, sources=sources or [], words=words or [], window=window, stride=stride, device=device, level=level,
        reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


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


@corpus_app.command("scan")
def corpus_scan(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, builtin:starter or builtin:python.")],
    out: Annotated[Path, typer.Option(help="New or empty folder; a rerun goes on from what is there.")],
    ray: Annotated[
        str | None, typer.Option(help="Score on a Ray cluster: its address, auto or local; for the same rows.")
    ] = None,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    html: Html = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Read a corpus and score every document: signals, language, exact and near duplicates.

    \b
    Examples:
      assay corpus scan my-texts/ --out scored
      assay corpus scan d.jsonl --source-field tag --out scored
      assay corpus scan 语料/ --lang zh --out scored
      assay corpus scan my-texts/ --ray auto --out /shared/scored
    """
    from assay import front

    front.corpus_scan(
        sources=sources, out=out, ray=ray, reading=_reading(source_field, text_field, encoding, on_error, html),
        language=lang, as_json=json_,
    )  # fmt: skip


@corpus_app.command("select")
def corpus_select(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or files and folders, scanned first.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and decisions.")],
    pack: Annotated[
        list[str] | None,
        typer.Option(help="gopher-quality, gopher-repetition, c4, fineweb, dclm, data-juicer, zh, or pack.rule."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Keep what this SQL expression over signals is true of. Repeatable.")
    ] = None,
    words: Annotated[
        list[Path] | None,
        typer.Option(help="A list of words, one a line: drop what holds one; or ask --where about words_NAME."),
    ] = None,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    html: Html = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Keep the documents that rules let pass, and tell what each rule drops: alone, and that no other does.

    \b
    Examples:
      assay corpus select scored --pack gopher-quality --pack gopher-repetition --out kept
      assay corpus select scored --pack zh --out kept-zh --lang zh
      assay corpus select scored --pack fineweb.line_punctuation --out kept
      assay corpus select scored --where "n_words > 50 AND NOT is_near_duplicate" --out kept
      assay corpus select scored --words insults.txt --out kept
      assay corpus select scored --words 脏话.txt --where "words_脏话 <= 2" --out kept
      assay corpus select my-texts/ --pack c4 --out kept
    """
    from assay import front

    front.corpus_select(
        sources=sources, out=out, packs=pack or [], where=where or [], words=words or [],
        reading=_reading(source_field, text_field, encoding, on_error, html), language=lang, as_json=json_,
    )  # fmt: skip


@corpus_app.command("dedup")
def corpus_dedup(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or files and folders, scanned first.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and decisions.")],
    level: Annotated[
        Literal["exact", "near"], typer.Option(help="exact: equal text; near: alike to 0.7 (Jaccard, of shingles).")
    ] = "near",
    keep: Annotated[
        Literal["first", "longest", "best"], typer.Option(help="Which document of a cluster stands for it.")
    ] = "first",
    by: Annotated[str | None, typer.Option(help="best: largest in this SQL expression over signals.")] = None,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Keep one document of each cluster of duplicates, with the number of copies that it stands for.

    \b
    Examples:
      assay corpus dedup scored --out unique
      assay corpus dedup scored --level exact --out unique
      assay corpus dedup scored --keep best --by "alpha_words - flagged_words" --out unique
    """
    from assay import front

    front.corpus_dedup(
        sources=sources, out=out, level=level, keep=keep, by=by,
        reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


@corpus_app.command("privacy")
def corpus_privacy(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or files and folders.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and the findings.")],
    action: Annotated[
        Literal["mask", "drop", "report"],
        typer.Option(help="Put placeholders such as <EMAIL>, drop documents that hold some, or only report."),
    ] = "mask",
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            help="secret, email, resident_id, bank_card, phone, ip, social; several with commas. Default: all."
        ),
    ] = None,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Write what is found beside its place. By default it is not repeated.")
    ] = False,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Find personal data and secrets: e-mail, telephones, IDs, bank cards, addresses, keys; mask, drop or report.

    \b
    Examples:
      assay corpus privacy my-texts/ --out masked
      assay corpus privacy scored --action report --out findings
      assay corpus privacy scored --action drop --kinds secret,resident_id --out kept
      assay corpus privacy 语料/ --out masked --lang zh
    """
    from assay import front

    front.corpus_privacy(
        sources=sources, out=out, action=action, kinds=kinds or [], shown=show_text,
        reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


@corpus_app.command("decontaminate")
def corpus_decontaminate(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or files and folders.")],
    against: Annotated[list[str], typer.Option(help="Evaluation file or folder, an item a row. Repeatable.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and the evidence.")],
    item_field: Annotated[
        list[str] | None,
        typer.Option(help="Field of an item that holds its text; repeated, they are joined: question, choices."),
    ] = None,
    action: Annotated[
        Literal["drop", "report"], typer.Option(help="Drop documents that hold items, or only report.")
    ] = "drop",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Drop from this share of an item's n-grams on; 0: from one n-gram on.")
    ] = 0.0,
    words: Annotated[int, typer.Option(min=2, max=100, help="Words of an n-gram.")] = 13,
    characters: Annotated[
        int, typer.Option(min=2, max=200, help="Characters of an n-gram, in items of Chinese and other unspaced text.")
    ] = 20,
    shortest: Annotated[int, typer.Option(min=1, help="Items of fewer words (characters) are not looked for.")] = 5,
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Find evaluation items in a corpus by n-grams of 13 words, with the place of each; drop documents that hold some.

    \b
    Examples:
      assay corpus decontaminate my-texts/ --against test.jsonl --out clean
      assay corpus decontaminate scored --against mmlu.jsonl --item-field question --item-field choices --out clean
      assay corpus decontaminate scored --against eval/ --action report --out evidence --lang zh
      assay corpus decontaminate scored --against test.jsonl --threshold 0.5 --out clean
    """
    from assay import front

    front.corpus_decontaminate(
        sources=sources, out=out,
        against={
            "files": against, "fields": tuple(item_field or ()), "shape": (words, characters, shortest),
            "threshold": threshold,
        },
        report_only=action == "report", reading=_reading(source_field, text_field, encoding, on_error), language=lang,
        as_json=json_,
    )  # fmt: skip


@tokenizer_app.command("train")
def tokenizer_train(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, builtin:starter or builtin:python.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for tokenizer.json and tokenizer_config.json.")],
    kind: Annotated[
        Literal["bpe", "unigram", "wordpiece", "character", "word"],
        typer.Option(help="bpe, unigram and character spell any text; wordpiece and word have an unknown token."),
    ] = "bpe",
    vocabulary: Annotated[
        int, typer.Option(help="Token ids, special tokens and bytes among them; fewer where the text has no more.")
    ] = 8192,
    special: Annotated[
        list[str] | None, typer.Option(help="Reserve a special token, such as '<|mask|>': ids 1, 2, ... Repeatable.")
    ] = None,
    min_count: Annotated[int, typer.Option(help="word, character: what is rarer is left out.")] = 1,
    lower: Annotated[bool, typer.Option("--lower", help="wordpiece, word: case does not count.")] = False,
    spaces: Annotated[
        bool, typer.Option("--spaces", help="word: the text is cut into words by spaces already, as Penn Treebank is.")
    ] = False,
    sample: Annotated[str, typer.Option(help="Bytes of text to learn from, balanced over the sources.")] = "6M",
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Learn a tokenizer from the training text of a corpus.

    \b
    Examples:
      assay tokenizer train my-texts/ --out tok
      assay tokenizer train builtin:starter --out tok --vocabulary 16384
      assay tokenizer train my-texts/ --out bert --kind wordpiece --lower
      assay tokenizer train my-texts/ --out words --kind word --min-count 3
      assay tokenizer train ptb.txt --out ptb --kind word --spaces
      assay tokenizer train my-texts/ --out tok --special '<|mask|>'
    """
    from assay import front

    front.tokenizer_train(
        sources=sources, out=out,
        learning={
            "kind": kind, "vocabulary": vocabulary, "special": tuple(special or ()), "min_count": min_count,
            "lower": lower, "spaces": spaces,
        },
        sample=sample, reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


@tokenizer_app.command("encode")
def tokenizer_encode(
    tokenizer: Annotated[Path, typer.Argument(help="A tokenizer.json, or a folder with one in it.")],
    sources: Annotated[list[str], typer.Argument(help="Files, folders, builtin:starter or builtin:python.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the shards and spans.parquet of each split.")],
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Encode documents into flat shards of token ids.

    \b
    Examples:
      assay tokenizer encode tok my-texts/ --out tokens
      assay tokenizer encode bert/tokenizer.json d.jsonl --out tokens --source-field tag
    """
    from assay import front

    front.tokenizer_encode(
        tokenizer=tokenizer, sources=sources, out=out,
        reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


@tokenizer_app.command("compare")
def tokenizer_compare(
    tokenizers: Annotated[list[Path], typer.Argument(help="tokenizer.json files, or folders with one in them.")],
    on: Annotated[list[str], typer.Option("--on", help="A file, folder, builtin:starter... Repeatable.")],
    sample: Annotated[str, typer.Option(help="Bytes of text of each source, at most.")] = "4M",
    source_field: SourceField = None,
    text_field: TextField = None,
    encoding: Encoding = None,
    on_error: OnError = None,
    lang: Lang = "en",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """What tokenizers make of the same text: compression by source and language, unknown words, Chinese characters.

    \b
    Examples:
      assay tokenizer compare tok --on my-texts/
      assay tokenizer compare tok bert gpt2/tokenizer.json --on en.jsonl --on zh.jsonl
      assay tokenizer compare tok bert --on my-texts/ --lang zh
    """
    from assay import front

    front.tokenizer_compare(
        tokenizers=tokenizers, sources=on, sample=sample,
        reading=_reading(source_field, text_field, encoding, on_error), language=lang, as_json=json_,
    )  # fmt: skip


def _reading(
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


# What terminals of other encodings than UTF-8 (GBK, say) get in place of characters that they do not have.
_PLAIN = {"\u2212": "-", "–": "-", "×": "x", "“": '"', "”": '"', "…": "..."}


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


STOPPED = Stopped("stopped", remedy="run the same command again to go on from here")


def main() -> None:
    """Run a verb; say errors in one line and exit with their code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as under nohup
        signal.signal(signal.SIGINT, _on_interrupt)
    interrupted.clear()
    codecs.register_error("plain", _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
    try:
        code = app(standalone_mode=False) or 0
    except (Exception, KeyboardInterrupt) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C would be told a second time
        if "--debug" in sys.argv:
            raise
        code = _tell(_in_words(error))
        if code == Stopped.exit_code:
            _end(code)
    else:
        if code == Stopped.exit_code:  # a Ctrl-C outside of the work, which typer took for itself
            _end(_tell(STOPPED))
    raise SystemExit(code)


def _end(code: int) -> None:
    """End now: one more Ctrl-C while the interpreter winds down would end it by the signal, with words of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
    if isinstance(error, KeyboardInterrupt):
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
    """The first Ctrl-C stops cleanly, a second one at once."""
    signal.signal(signal.SIGINT, _on_second_interrupt)
    interrupted.set()
    raise KeyboardInterrupt


def _on_second_interrupt(number: int, frame: FrameType | None) -> None:
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}assay: {STOPPED.line()}\n".encode())
    os._exit(Stopped.exit_code)  # workers end with their parent
