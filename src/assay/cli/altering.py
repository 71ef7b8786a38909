"""`assay corpus clean`, `damage`, `augment`: altered copies of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assay.cli.options import NOTHING, PLAIN, Answer, Reading, reads

Sources = Annotated[list[str], typer.Argument(help="The folder of a scan; or sources as of scan.")]
Out = Annotated[Path, typer.Option(help="New or empty folder for the documents; a rerun goes on from what is there.")]


@reads
def corpus_clean(
    sources: Sources,
    out: Out,
    unicode: Annotated[
        Literal["nfc", "nfkc"] | None, typer.Option(help="Normal form: nfc composes é; nfkc also turns ﬁ, ①, Ａ plain.")
    ] = None,
    drop_html: Annotated[
        bool, typer.Option("--drop-html", help="Take out tags, comments, scripts; entities: &.")
    ] = False,
    drop_urls: Annotated[bool, typer.Option("--drop-urls", help="Take out web addresses.")] = False,
    drop_emails: Annotated[bool, typer.Option("--drop-emails", help="Take out e-mail addresses.")] = False,
    lines: Annotated[
        Literal["c4", "c4-fineweb", "refinedweb"] | None,
        typer.Option(help="Take out the lines that this recipe does: no mark at the end, menus, notices, capitals."),
    ] = None,
    width: Annotated[
        Literal["alphanumeric", "all"] | None,
        typer.Option(help="Full-width letters and digits to half-width, or all forms: ，：（ among them."),
    ] = None,
    script: Annotated[
        Literal["simplified", "traditional"] | None, typer.Option(help="Chinese characters, by OpenCC's phrases.")
    ] = None,
    case: Annotated[Literal["lower"] | None, typer.Option(help="Lower case.")] = None,
    digits: Annotated[
        Literal["zero", "drop"] | None, typer.Option(help="Every digit becomes 0, or is dropped.")
    ] = None,
    stop_words: Annotated[
        list[str] | None, typer.Option(help="Drop the stop words of these languages: en,zh. Chinese is cut by jieba.")
    ] = None,
    rare_words: Annotated[int, typer.Option(min=0, help="Drop words that the corpus holds fewer times than this.")] = 0,
    punctuation: Annotated[Literal["drop"] | None, typer.Option(help="Drop punctuation, all of Unicode's.")] = None,
    spaces: Annotated[
        bool,
        typer.Option("--spaces", help="Tidy spaces, U+3000, line ends and blank lines; drop zero-width characters."),
    ] = False,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Clean text character by character, line by line and word by word, in one order; says what each step changed.

    \b
    Examples:
      assay corpus clean my-texts/ --out clean --unicode nfc --spaces
      assay corpus clean scored --out clean --drop-html --drop-urls --spaces
      assay corpus clean my-texts/ --out clean --lines c4
      assay corpus clean 语料/ --out clean --script simplified --width alphanumeric --lang zh
      assay corpus clean my-texts/ --out words --case lower --stop-words en,zh --rare-words 5 --punctuation drop
    """
    from assay import front

    languages = tuple(dict.fromkeys(n.strip() for several in stop_words or [] for n in several.split(",") if n.strip()))
    front.corpus_clean(
        sources=sources, out=out,
        cleaning={
            "unicode": unicode, "html": drop_html, "urls": drop_urls, "emails": drop_emails, "lines": lines,
            "width": width, "script": script, "case": case, "digits": digits, "stop_words": languages,
            "rare_words": rare_words, "punctuation": punctuation, "spaces": spaces,
        },
        reading=reading, **answer,
    )  # fmt: skip


@reads
def corpus_damage(
    sources: Sources,
    out: Out,
    defect: Annotated[
        str,
        typer.Option(
            help="exact_duplicates, near_duplicates, character_noise, misread, shuffle_words, boilerplate, "
            "html_residue, mojibake, truncated, hard_wrapped, unpunctuated, lower_case, joined, wrong_language, "
            "wrong_source, markov_text, contamination."
        ),
    ],
    dose: Annotated[
        float,
        typer.Option(help="Share of the documents (of characters: character_noise, misread; items: contamination)."),
    ],
    seed: Annotated[int, typer.Option(help="Another seed damages others.")] = 0,
    copies: Annotated[
        int | None, typer.Option(help="exact_duplicates, near_duplicates: of a document; contamination: of an item.")
    ] = None,
    edits: Annotated[float | None, typer.Option(help="near_duplicates: share of words edited. Default 0.05.")] = None,
    order: Annotated[int | None, typer.Option(help="markov_text: words that it looks back at. Default 2.")] = None,
    width: Annotated[int | None, typer.Option(help="hard_wrapped: cells of a line. Default 72.")] = None,
    items: Annotated[
        list[str] | None, typer.Option(help="contamination: evaluation file, an item a row. Repeatable.")
    ] = None,
    item_field: Annotated[
        list[str] | None, typer.Option(help="Field of an item that holds its text; repeated, they are joined.")
    ] = None,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Plant a defect in a share of a corpus, for experiments; says which documents and what was done to each.

    \b
    Examples:
      assay corpus damage scored --defect boilerplate --dose 0.1 --out damaged
      assay corpus damage my-texts/ --defect exact_duplicates --dose 0.05 --copies 10 --seed 1 --out damaged
      assay corpus damage my-texts/ --defect contamination --items test.jsonl --dose 1 --copies 8 --out damaged
      assay corpus damage 语料/ --defect mojibake --dose 0.1 --out damaged --lang zh
    """
    from assay import front

    front.corpus_damage(
        sources=sources, out=out, defect=defect, dose=dose, seed=seed,
        given={"copies": copies, "edits": edits, "order": order, "width": width},
        items=(items or [], item_field or []),
        reading=reading, **answer,
    )  # fmt: skip


@reads
def corpus_augment(
    sources: Sources,
    out: Out,
    drop: Annotated[float, typer.Option(help="Each word of a copy is dropped with this probability.")] = 0.0,
    swap: Annotated[float, typer.Option(help="... swapped with the next word of its line.")] = 0.0,
    synonyms: Annotated[float, typer.Option(help="... replaced by a similar one, of --vectors.")] = 0.0,
    vectors: Annotated[
        Path | None, typer.Option(help="Word vectors: the folder of assay train, or a text file as word2vec writes it.")
    ] = None,
    bound: Annotated[float, typer.Option(help="Words are similar from this cosine on.")] = 0.6,
    through: Annotated[
        Path | None, typer.Option(help="Back-translation: a model that translates the text into another language...")
    ] = None,
    back: Annotated[Path | None, typer.Option(help="... and one that translates back.")] = None,
    device: Annotated[str, typer.Option(help="Of the translators: auto, cpu, cuda.")] = "auto",
    copies: Annotated[int, typer.Option(help="Altered copies of each document, behind it.")] = 1,
    weights: Annotated[
        str,
        typer.Option(help="How often text of a source is wanted: web=0.5,books=2; copies: a document, by its copies."),
    ] = "",
    temperature: Annotated[
        float | None, typer.Option(help="Shares in proportion to n^(1/T); 1 leaves them, more evens them out.")
    ] = None,
    over: Annotated[Literal["source", "language"], typer.Option(help="What --temperature evens out.")] = "source",
    seed: Annotated[int, typer.Option(help="Another seed, other words and documents.")] = 0,
    reading: Reading = NOTHING,
    answer: Answer = PLAIN,
) -> None:
    """Add altered copies of documents, or resample: some text several times, some not at all.

    \b
    Examples:
      assay corpus augment my-texts/ --drop 0.1 --swap 0.05 --copies 2 --out more
      assay corpus augment my-texts/ --synonyms 0.1 --vectors vectors/ --out more
      assay corpus augment my-texts/ --through en-zh/ --back zh-en/ --copies 2 --out more
      assay corpus augment scored --weights web=0.5,books=2 --out mixed
      assay corpus augment scored --temperature 3 --over language --out mixed --lang zh
      assay corpus augment unique/kept --source-field source --weights copies --out counted
    """
    from assay import front

    front.corpus_augment(
        sources=sources, out=out,
        augmentation={"drop": drop, "swap": swap, "synonyms": synonyms, "copies": copies, "seed": seed},
        models={"vectors": vectors, "bound": bound, "through": through, "back": back, "device": device},
        mixture={"weights": weights, "temperature": temperature, "over": over},
        reading=reading, **answer,
    )  # fmt: skip
