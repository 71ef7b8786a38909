"""`assay corpus classifier`, and the options of models in `select` and `dedup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import NOTHING, PLAIN, Answer, Reading, reads

Model = Annotated[Path | None, typer.Option(help="semantic: an encoder's directory, whose vectors are compared.")]
Threshold = Annotated[
    float | None, typer.Option(min=0.5, max=1, help="semantic: cosine from which on two are alike. Default 0.9.")
]
Windows = Annotated[
    int | None, typer.Option(min=1, help="semantic: windows that are read of a long document. Default 4.")
]
Device = Annotated[str | None, typer.Option(help="semantic: auto, cpu or cuda. Default auto.")]


@reads
def corpus_classifier(
    good: Annotated[list[str], typer.Option(help="Good documents: files, folders, a scan's folder. Repeatable.")],
    bad: Annotated[list[str], typer.Option(help="Bad documents, of the same languages and lengths. Repeatable.")],
    out: Annotated[Path, typer.Option(help="New or empty folder; the classifier is in its folder model.")],
    bits: Annotated[int, typer.Option(min=16, max=22, help="2^BITS buckets for n-grams.")] = 20,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Learn what good documents are from samples of good and bad ones, for `select --score`.

    \b
    Examples:
      assay corpus classifier --good wiki/ --bad crawl.jsonl --out judge
      assay corpus classifier --good a.jsonl --good b.jsonl --bad crawl/ --out judge
      assay corpus classifier --good 好/ --bad 差/ --out judge --lang zh
      assay corpus select scored --score quality=judge/model --where "quality > 0.7" --out kept
    """
    from assay import front

    front.corpus_classifier(
        good=good, bad=bad, out=out, bits=bits, reading=reading, **answer,
    )  # fmt: skip
