"""`assay corpus`: score a corpus once, then ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli import altering, curating, profiling
from assay.cli.curating import Device, Model, Threshold, Windows
from assay.cli.options import NOTHING, PLAIN, SOURCES, Answer, Reading, reads

app = typer.Typer(
    help="Score a corpus once, then ask rules of it.", no_args_is_help=True,
    epilog="Examples: assay corpus scan my-texts/ --out scored; assay corpus select scored --pack fineweb --out kept",
)  # fmt: skip


@app.command("scan")
@reads
def corpus_scan(
    sources: Annotated[list[str], typer.Argument(help=f"{SOURCES}.")],
    out: Annotated[Path, typer.Option(help="New or empty folder; a rerun goes on from what is there.")],
    ray: Annotated[
        str | None, typer.Option(help="Score on a Ray cluster: its address, auto or local; for the same rows.")
    ] = None,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Read a corpus and score every document: signals, language, exact and near duplicates.

    \b
    Examples:
      assay corpus scan my-texts/ --out scored
      assay corpus scan d.jsonl --source-field tag --out scored
      assay corpus scan 语料/ --lang zh --out scored
      assay corpus scan my-texts/ --ray auto --out /shared/scored
      assay corpus scan hf://datasets/OWNER/NAME s3://BUCKET/news https://HOST/law.jsonl.gz --out scored
    """
    from assay import front

    front.corpus_scan(
        sources=sources, out=out, ray=ray, reading=reading, **answer,
    )  # fmt: skip


@app.command("select")
@reads
def corpus_select(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan, scanned first.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and decisions.")],
    pack: Annotated[
        list[str] | None,
        typer.Option(
            help="gopher-quality, gopher-repetition, c4, c4-fineweb, fineweb, dclm, data-juicer, zh, or pack.rule."
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Keep what this SQL expression over signals is true of. Repeatable.")
    ] = None,
    words: Annotated[
        list[Path] | None,
        typer.Option(help="A list of words, one a line: drop what holds one; or ask --where about words_NAME."),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(help="NAME=DIR: a classifier, or a model that predicts text; --where may ask about NAME."),
    ] = None,
    device: Annotated[str, typer.Option(help="Of --score: auto, cpu or cuda.")] = "auto",
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
      assay corpus select scored --score quality=judge/model --where "quality > 0.7" --out kept
      assay corpus select scored --score ccnet=ngram/model --where "ccnet_rank <= 0.33" --out head
      assay corpus select my-texts/ --pack c4 --out kept
    """
    from assay import front

    front.corpus_select(
        sources=sources, out=out, packs=pack or [], where=where or [], words=words or [], scores=score or [],
        device=device,
        reading=reading, **answer,
    )  # fmt: skip


@app.command("dedup")
@reads
def corpus_dedup(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan, scanned first.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the documents that are kept, and decisions.")],
    level: Annotated[
        Literal["exact", "near", "semantic", "paragraph", "sentence", "substring"],
        typer.Option(
            help="Documents: exact, of equal text; near, alike to 0.7 (Jaccard, of shingles); semantic, see "
            "--model. Or within documents: paragraph, sentence, substring."
        ),
    ] = "near",
    keep: Annotated[
        Literal["first", "longest", "best"] | None,
        typer.Option(help="exact, near, semantic: which document of a cluster stands for it. Default first."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="best: largest in this SQL expression over signals.")] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            help="exact, near: NAME=DIR, a classifier or a model that predicts text; --by may ask about NAME."
        ),
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(min=1, max=100, help="sentence: how many make a span. Default 3.")
    ] = None,
    shortest: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="paragraph, sentence: what has fewer letters and digits stays. Default 30; Chinese ones count 3.",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            min=20, max=100_000, help="substring: characters of the shortest. Default 200; Chinese ones count 3."
        ),
    ] = None,
    min_words: Annotated[
        int | None,
        typer.Option(min=1, help="Within documents: one that lost something is dropped below this. Default 50."),
    ] = None,
    min_characters: Annotated[
        int | None, typer.Option(min=1, help="The same, where words are not spaced. Default 90.")
    ] = None,
    model: Model = None,
    threshold: Threshold = None,
    windows: Windows = None,
    device: Device = None,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Keep one document of each cluster of duplicates; or remove from documents what stands earlier in the corpus.

    Paragraphs (lines) and spans of sentences are compared by letters and digits,
    substrings as they stand. Earlier is what comes first by source, then origin,
    then ordinal, or in the same document; the order of files does not matter.

    \b
    Examples:
      assay corpus dedup scored --out unique
      assay corpus dedup scored --level exact --out unique
      assay corpus dedup scored --keep best --by "alpha_words - flagged_words" --out unique
      assay corpus dedup scored --score quality=judge/model --keep best --by quality --out unique
      assay corpus dedup my-texts/ --level paragraph --out unique
      assay corpus dedup my-texts/ --level sentence --sentences 3 --min-words 50 --out unique
      assay corpus dedup 语料/ --level substring --length 200 --out unique --lang zh
      assay corpus dedup scored --level semantic --model all-MiniLM-L6-v2/ --threshold 0.9 --out kept
    """
    from assay import front

    front.corpus_dedup(
        sources=sources, out=out, level=level,
        options={
            "keep": keep, "by": by, "score": score, "sentences": sentences, "shortest": shortest, "length": length,
            "min_words": min_words, "min_characters": min_characters, "model": model, "threshold": threshold,
            "windows": windows, "device": device,
        },
        reading=reading, **answer,
    )  # fmt: skip


@app.command("privacy")
@reads
def corpus_privacy(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan.")],
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
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
        reading=reading, **answer,
    )  # fmt: skip


@app.command("decontaminate")
@reads
def corpus_decontaminate(
    sources: Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan.")],
    against: Annotated[
        list[str], typer.Option(help="Evaluation file or folder, or any source, an item a row. Repeatable.")
    ],
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
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
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
        report_only=action == "report", reading=reading, **answer,
    )  # fmt: skip


app.command("clean")(altering.corpus_clean)
app.command("damage")(altering.corpus_damage)
app.command("augment")(altering.corpus_augment)
app.command("profile")(profiling.corpus_profile)
app.command("classifier")(curating.corpus_classifier)
