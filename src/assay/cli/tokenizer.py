"""`assay tokenizer`: train, encode, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import NOTHING, PLAIN, SOURCES, Answer, Reading, reads

app = typer.Typer(
    help="Train tokenizers, encode text with them, and see what they make of it.", no_args_is_help=True,
    epilog="Examples: assay tokenizer train my-texts/ --out tok; assay tokenizer compare tok gpt2/ --on my-texts/",
)  # fmt: skip


@app.command("train")
@reads
def tokenizer_train(
    sources: Annotated[list[str], typer.Argument(help=f"{SOURCES}.")],
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
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
        sample=sample, reading=reading, **answer,
    )  # fmt: skip


@app.command("encode")
@reads
def tokenizer_encode(
    tokenizer: Annotated[Path, typer.Argument(help="A tokenizer.json, or a folder with one in it.")],
    sources: Annotated[list[str], typer.Argument(help=f"{SOURCES}.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the shards and spans.parquet of each split.")],
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
        reading=reading, **answer,
    )  # fmt: skip


@app.command("compare")
@reads
def tokenizer_compare(
    tokenizers: Annotated[list[Path], typer.Argument(help="tokenizer.json files, or folders with one in them.")],
    on: Annotated[list[str], typer.Option("--on", help=f"{SOURCES}. Repeatable.")],
    sample: Annotated[str, typer.Option(help="Bytes of text of each source, at most.")] = "4M",
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
        reading=reading, **answer,
    )  # fmt: skip
