"""`assay corpus profile`: a corpus on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import NOTHING, PLAIN, Answer, Reading, reads


@reads
def corpus_profile(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan, scanned first.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the page, its numbers and the dataset card.")],
    pack: Annotated[
        list[str] | None,
        typer.Option(
            help="Rule pack whose bounds are shown with documents on both sides: gopher-quality, gopher-repetition, "
            "c4, c4-fineweb, fineweb, dclm, data-juicer, zh. Repeatable. Default: what fits the corpus."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page and the card. Default: the sources' names.")] = None,
    license_: Annotated[
        str, typer.Option("--license", help="Of the corpus, for the card: an identifier such as cc-by-4.0.")
    ] = "unknown",
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Show what a corpus is: sizes, languages, quality, rules at their bounds, duplicates, topics, personal data.

    \b
    Writes profile.html (one file, English and Chinese), profile.json (its numbers) and README.md (a dataset card).
    \b
    Examples:
      assay corpus profile my-texts/ --out profile
      assay corpus profile scored --out profile --pack fineweb --pack c4
      assay corpus profile scored --out profile --title "Web 2031" --license cc-by-4.0
      assay corpus profile 语料/ --out profile --lang zh
    """
    from assay import front

    front.corpus_profile(
        sources=sources, out=out, packs=pack or [], title=title, license_=license_,
        reading=reading, **answer,
    )  # fmt: skip
