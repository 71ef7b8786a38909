"""`assay corpus profile`: what a corpus is, on a page, as numbers, and as a dataset card.

    a scan's folder, or SOURCE... -> amounts, languages, signals, copies          (stage portrait)
                                  -> what rule packs would drop, and at which documents (packs)
                                  -> a sample's words: vocabulary and topics      (words)
                                  -> personal data                                (findings)
                                  -> texts to be shown, masked                    (examples)
    all of it -> profile.json -> profile.html, README.md

Each is a stage of the store: a rerun finds what is done, and `--lang`, `--title` and `--license` change only what is
written at the end. Nothing on the page is computed there: it is all in profile.json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay import __version__
from assay.corpora import advice, card
from assay.corpora.cleaning import findings
from assay.corpora.scanned import Request, opened, reading_of, scored, told_of
from assay.corpus.cleaning import personal
from assay.corpus.cleaning.rules import PACKS
from assay.corpus.duplicates import dedup
from assay.corpus.portrait import copies, draw, figures, packs, table, topics, vocabulary
from assay.corpus.reading.source import encodings
from assay.corpus.scan import Scored
from assay.errors import InputError
from assay.present.progress import Progress
from assay.report.portrait import page
from assay.store import Artifact, Stage, Store, fingerprint, write_atomic, write_json_atomic
from assay.workspace import Workspace

PORTRAIT = Stage("portrait", 1)
PACKED = Stage("packs", 1)
WORDS = Stage("words", 2)
EXAMPLES = Stage("examples", 1)
PAGE, NUMBERS, CARD = "profile.html", "profile.json", "README.md"
LINE, TEXT = 160, 320
"""Characters shown of a document in a list, and at a rule's bound."""
SHOWN = 2
"""Documents shown on each side of a bound."""
_PART = 0.1
"""Of the documents that are Chinese, or are not: from which on a pack for such text is shown at its bounds."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a profile besides its sources.

    Attributes:
        packs: those whose rules are shown with documents at their bounds; none: what fits the corpus.
        title: of the page and the card; None: the sources' names.
        license: of the corpus, an identifier of Hugging Face; nobody is asked where it is not given.
    """

    packs: tuple[str, ...] = ()
    title: str | None = None
    license: str = "unknown"

    def __post_init__(self) -> None:
        for name in self.packs:
            if name not in PACKS:
                remedy = f"packs are {', '.join(PACKS)}"
                raise InputError("there is no such pack", where=f"--pack {name}", remedy=remedy)
        if not self.license.strip() or "\n" in self.license:
            what, remedy = "a licence is one line", "give an identifier such as cc-by-4.0"
            raise InputError(what, where="--license", remedy=remedy)


def run_profile(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Write `profile.html`, `profile.json` and `README.md`.

    Returns:
        the answer of `--json`, which is what `profile.json` holds.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "profile")
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), "packs": list(wanted.packs)}, request.command, progress):
        parts, uris, reading = _scan(request, space.store, progress)
        found, made = _stages(parts, wanted, space.store, progress)
        progress.stage("report", 1.0)
        answer = _answer(found, parts[0].summary, reading, wanted, uris)
        answer["fingerprint"] = made
        answer |= {"out": str(request.out), "command": request.command, "assay_version": __version__}
        answer |= {
            name: str(request.out / path) for name, path in (("page", PAGE), ("numbers", NUMBERS), ("card", CARD))
        }
        answer = rounded(answer)
        space.settle(corpus=made)
        write_json_atomic(request.out / NUMBERS, answer)
        write_atomic(request.out / PAGE, page.render(answer, request.language))
        write_atomic(request.out / CARD, card.card(answer))
    return answer


def _scan(
    request: Request, store: Store, progress: Progress
) -> tuple[Sequence[Artifact], list[str], dict[str, Any] | None]:
    """The documents, signals and duplicates; the sources that they are from; what was said of these."""
    if (corpus := opened(request)) is not None:
        return _parts(corpus), *reading_of(Path(request.sources[0]))
    corpus = scored(request, store, progress)
    assert corpus.sources is not None
    return _parts(corpus), request.sources, told_of(corpus.sources)


def _parts(corpus: Scored) -> Sequence[Artifact]:
    return corpus.documents, corpus.signals, corpus.duplicates


def _stages(parts: Sequence[Artifact], wanted: Wanted, store: Store, progress: Progress) -> tuple[dict[str, Any], str]:
    """All figures, by stage, and a fingerprint of what they were made from."""
    texts, signals, twins = (part.files(".parquet") for part in parts)
    inputs = {part.manifest["stage"]: part.fingerprint for part in parts}

    def built(stage: Stage, make: Callable[[Path], Any], config: Mapping[str, Any], **more: str) -> tuple[Any, str]:
        def write(folder: Path) -> None:
            value = json.dumps(make(folder), ensure_ascii=False)
            (folder / f"{stage.name}.json").write_text(value, encoding="utf-8")

        artifact = store.build(stage, {**inputs, **more}, dict(config), write)
        return json.loads(artifact.file(f"{stage.name}.json").read_text(encoding="utf-8")), artifact.fingerprint

    def portrait(folder: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            scanned = table.Scanned(texts, signals, twins, Path(scratch))
            with table.opened(scanned) as (connection, groups):
                made = figures.figures(connection, groups)
                twinned = copies.copies(connection, len(groups))
                sample = draw.drawn(connection, len(groups))
        return {
            "groups": [asdict(group) for group in groups],
            **made,
            "copies": twinned,
            "sample": [list(row) for row in sample.iter_rows()],
        }

    def words(_: Path) -> dict[str, Any]:
        sample = draw.read(texts, drawn)
        counts = vocabulary.counted(sample.words, sample.groups, n)
        return {
            "vocabulary": vocabulary.divergences(*counts),
            "topics": topics.topics(sample.words, sample.languages, sample.groups, n),
        }

    progress.stage("portrait", 3.0)
    whole, from_portrait = built(PORTRAIT, portrait, {})
    n = len(whole["groups"])
    drawn = draw.rows(whole.pop("sample"))
    progress.advance(1.0)
    numbers = {source: g for g, group in enumerate(whole["groups"]) for source in group["sources"]}
    shown = list(wanted.packs or fitting(whole["all"]))
    packed, from_packs = built(PACKED, lambda _: packs.packs(texts, signals, numbers, shown), {"shown": shown})
    progress.advance(1.0)
    said, from_words = built(WORDS, words, {}, portrait=from_portrait)
    private = findings(parts[0], personal.KINDS, store, progress, shown=False)
    ids = [one["doc_id"] for rule in packed["margins"].values() for side in rule.values() for one in side]
    ids += [cluster["doc_id"] for cluster in whole["copies"]["largest"]]
    examples, _ = built(EXAMPLES, lambda _: draw.masked(texts, ids, TEXT), {"ids": fingerprint(sorted(set(ids)))})
    found = {**whole, **packed, **said, "private": private.summary, "examples": examples, "shown": shown}
    return found, fingerprint([from_portrait, from_packs, from_words, private.fingerprint])


def fitting(whole: Mapping[str, Any]) -> list[str]:
    """The packs whose bounds are shown where none is named: for Chinese, for other text, or both."""
    share = whole["scripts"].get("Hani", 0) / whole["documents"]
    return [name for name, fits in (("gopher-quality", 1 - share >= _PART), ("zh", share >= _PART)) if fits]


def _answer(
    found: Mapping[str, Any],
    read: Mapping[str, Any],
    reading: dict[str, Any] | None,
    wanted: Wanted,
    uris: Sequence[str],
) -> dict[str, Any]:
    """Everything that the page and the card show."""
    amounts = found["all"]
    answer = {
        "title": wanted.title or _title(uris),
        "license": wanted.license,
        "made_from": list(uris),
        **{name: amounts[name] for name in ("documents", "bytes", "chars")},
        "n_sources": sum(len(group["sources"]) for group in found["groups"]),
        "all": amounts,
        "sources": found["sources"],
        "copies": _with_texts(found["copies"], found["examples"]),
        "packs": found["packs"],
        "together": found["together"],
        "margins": _margins(found),
        "vocabulary": found["vocabulary"],
        "topics": found["topics"],
        "private": _private(found),
        "reading": {
            **{name: read[name] for name in ("empty", "bad_rows", "bad_files")},
            "places": list(read.get("places", []))[:5],
            **(reading or {"skipped": None, "files": []}),
            "notices": [*(reading or {}).get("notices", []), *map(dict, encodings(read))],
        },
        "method": _method(),
    }
    said = advice.summary(answer)
    return {**answer, "summary": said, "advice": advice.advice(answer)}


def _title(uris: Sequence[str]) -> str:
    names = [uri if uri.startswith("builtin:") else Path(uri).name or uri for uri in uris]
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _with_texts(structure: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    largest = []
    for one in structure["largest"]:
        shown = examples[one["doc_id"]]
        line = " ".join(shown["text"].split())
        cut = shown["cut"] or len(line) > LINE
        largest.append({**one, "text": line[:LINE] + (" …" if cut else ""), "language": shown["language"]})
    return {**structure, "largest": largest}


def _margins(found: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of the packs shown, those that drop most first, with documents on both sides of their bounds."""
    rules = []
    for pack in found["shown"]:
        for name, told in found["packs"][pack]["rules"].items():
            sides = {side: _unlike(found["margins"][name][side], found["examples"]) for side in ("kept", "dropped")}
            rule = next(rule for rule in PACKS[pack] if rule.name == name)
            rules.append({"rule": name, "signal": rule.signal, "keeps": told["keeps"], **told["all"], **sides})
    rules.sort(key=lambda rule: (-rule["drops"], rule["rule"]))
    return {"packs": list(found["shown"]), "rules": rules}


def _unlike(documents: Sequence[Mapping[str, Any]], examples: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first few documents that do not begin alike, with their texts."""
    made: dict[str, dict[str, Any]] = {}
    for one in documents:
        shown = {**one, **examples[one["doc_id"]]}
        made.setdefault(shown["text"][:LINE], shown)
    return list(made.values())[:SHOWN]


def _private(found: Mapping[str, Any]) -> dict[str, Any]:
    """Places and documents of each kind, of all and by group."""
    own = found["private"]
    groups = []
    for group in found["groups"]:
        held = [own["sources"][source] for source in group["sources"] if source in own["sources"]]
        kinds = {
            kind: {name: sum(one["kinds"][kind][name] for one in held) for name in ("findings", "documents")}
            for kind in own["kinds"]
        }
        groups.append({"affected": sum(one["affected"] for one in held), "kinds": kinds})
    return {**{name: own[name] for name in ("documents", "affected", "findings", "kinds")}, "sources": groups}


def _method() -> dict[str, Any]:
    """The constants that the figures rest on."""
    return {
        "mixed": figures.MIXED, "code": figures.CODE, "unsure": figures.UNSURE, "short": figures.SHORT,
        "forms": list(figures.FORMS), "quantiles": list(figures.QUANTILES), "bins": figures.BINS,
        "similarity": dedup.THRESHOLD, "sample": draw.MOST, "sample_of_source": draw.MOST_OF_GROUP,
        "sample_chars": draw.CHARS, "groups": table.MOST_GROUPS, "mapped": topics.MAPPED, "topics_from": topics.LEAST,
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers with six significant digits, as many as they are worth."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value
