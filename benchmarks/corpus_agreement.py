"""The rules of gopher-quality, gopher-repetition, c4, c4-fineweb, fineweb and zh against datatrove's, document by
document.

    python benchmarks/corpus_agreement.py ../shared/data --peer PYTHON [--every 1] [--work FOLDER]

PYTHON is that of an environment with datatrove 0.10 (see corpus_oracle.py); its verdicts are kept in FOLDER. Every rule
is compared twice: with the words that we cut, and with datatrove's own words given to us, so that it can be seen
whether a difference comes from where words are cut or from the rule. English text (mix-en) is held to datatrove's
English; Chinese (mix-zh), in the pack zh, to datatrove with FineWeb-2's bounds for it, and a table says how many
Chinese documents datatrove's rules for English drop, and ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus.cleaning.rules import PACKS, Rule, chosen
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.corpus.signals import language, scoring
from assay.corpus.text import words
from common import store_result

PACK_NAMES = ("gopher-quality", "gopher-repetition", "c4", "c4-fineweb", "fineweb")
# Of zh, what is FineWeb-2's.
ZH_NAMES = tuple(
    rule.name
    for rule in PACKS["zh"]
    if rule.signal not in ("n_chars", "n_visible", "mean_line_length", "unspaced", "repeated_13chars")
)
# What datatrove calls these, where it is not the same: several of ours may be one of its.
THEIRS = {
    "gopher-quality.hashes": "gopher-quality.symbols",
    "gopher-quality.ellipses": "gopher-quality.symbols",
    "c4.sentences": "c4.too_few_sentences",
    "c4.curly_brackets": "c4.curly_bracket",
    "c4-fineweb.sentences": "c4-fineweb.too_few_sentences",
    "c4-fineweb.curly_brackets": "c4-fineweb.curly_bracket",
    "fineweb.repeated_line_chars": "fineweb.duplicate_line_chars",
    "fineweb.newlines_per_word": "fineweb.newlines",
}
FIRST = ("lorem_ipsum", "curly_bracket")  # where datatrove's C4 stops, and does not count sentences any more
LANGUAGES = {"mix-en": "eng", "mix-zh": "cmn_Hani"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--peer", type=Path, required=True, help="python of datatrove's environment")
    parser.add_argument("--every", type=int, default=1, help="only every so many documents")
    parser.add_argument("--work", type=Path, default=Path("agreement"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"every": given.every}
    for name in LANGUAGES:
        batches = list(sampled(given.data / name, given.every))
        verdicts = asked(given, name, batches)
        result[name] = compared(batches, verdicts, (*PACK_NAMES, *(ZH_NAMES if name == "mix-zh" else ())))
        if name == "mix-zh":
            result[name]["false_drops"] = false_drops(batches, verdicts)
    store_result("corpus_agreement", result)


def sampled(folder: Path, every: int) -> Iterator[pa.RecordBatch]:
    options = ReadOptions(source_field="domain")
    for batch in open_sources([str(folder)], options).batches(ReadReport()):
        yield language.annotate(batch.take(pa.array(range(0, batch.num_rows, every))))


def asked(given: argparse.Namespace, name: str, batches: list[pa.RecordBatch]) -> dict[str, dict[str, Any]]:
    """datatrove's verdicts by document, from two of its processes; kept, and found again."""
    halves = [given.work / f"{name}-{given.every}-{half}.jsonl" for half in range(2)]
    rows = [row for batch in batches for row in batch.select(["doc_id", "text"]).to_pylist()]

    def ask(half: int) -> None:
        if halves[half].exists():
            return
        lines = (json.dumps({"id": row["doc_id"], "text": row["text"]}) + "\n" for row in rows[half::2])
        command = [str(given.peer), str(Path(__file__).with_name("corpus_oracle.py")), LANGUAGES[name]]
        staged = halves[half].with_suffix(".part")
        with staged.open("w") as out:
            subprocess.run(command, input="".join(lines), stdout=out, text=True, check=True)
        staged.rename(halves[half])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, range(2)))
    return {row["id"]: row for path in halves for row in map(json.loads, path.open())}


def compared(
    batches: list[pa.RecordBatch], verdicts: dict[str, dict[str, Any]], packs: tuple[str, ...]
) -> dict[str, Any]:
    """Agreement of every rule, with our words and with theirs."""
    # Not asked for: the score of a language is another model's there (fastText's).
    rules = [rule for rule in chosen(packs, []) if isinstance(rule, Rule) and rule.signal != "language_score"]
    names = list(dict.fromkeys(THEIRS.get(rule.name, rule.name) for rule in rules))
    counts = {cut: {name: Counter[str]() for name in names} for cut in ("ours", "theirs")}
    tokens = Counter[str]()
    documents = all_equal = 0
    for batch in batches:
        pieces = [pieces_of(text, verdicts[key]["words"]) for key, text in _texts(batch)]
        made = {"ours": scoring.signals(batch), "theirs": scoring.signals(batch, pieces)}
        _count_tokens(batch, pieces, tokens)
        fires = {cut: fired(rules, marks) for cut, marks in made.items()}
        documents += batch.num_rows
        for i, key in enumerate(batch.column("doc_id").to_pylist()):
            theirs = {
                "fineweb.line_punctuation" if name == "fineweb.empty" else name for name in verdicts[key]["fails"]
            }
            equal = True
            for cut, by_rule in fires.items():
                ours = {name for name, values in by_rule.items() if values[i]}
                for pack in ("c4", "c4-fineweb"):
                    first = {f"{pack}.{rule}" for rule in FIRST}
                    if theirs & first:
                        ours -= {f"{pack}.too_few_sentences", *first} - theirs
                for name in names:
                    counts[cut][name]["theirs"] += name in theirs
                    counts[cut][name]["ours"] += name in ours
                    counts[cut][name]["differ"] += (name in theirs) != (name in ours)
                equal &= cut != "ours" or ours == theirs
            all_equal += equal
    return {
        "documents": documents,
        "words_cut_alike": tokens["same"] / tokens["theirs"],
        "all_rules_equal": all_equal / documents,
        "rules": {
            name: {
                cut: {**counts[cut][name], "agreement": 1 - counts[cut][name]["differ"] / documents} for cut in counts
            }
            for name in names
        },
    }


def _texts(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    yield from zip(batch.column("doc_id").to_pylist(), batch.column("text").to_pylist(), strict=True)


def pieces_of(text: str, words: list[str]) -> Any:
    """The lengths of words and of what stands between them."""
    cuts, at = [], 0
    for word in words:
        begin = text.index(word, at)
        if begin > at:
            cuts.append(begin - at)
        cuts.append(len(word))
        at = begin + len(word)
    if len(text) > at:
        cuts.append(len(text) - at)
    return np.array(cuts, dtype=np.int64)


def _count_tokens(batch: pa.RecordBatch, pieces: list[Any], tokens: Counter[str]) -> None:
    """How many of their words are words of ours, too: begin and end alike."""
    for (_, text), theirs in zip(_texts(batch), pieces, strict=True):
        spans = [set(spans_of(text, lengths)) for lengths in (theirs, words.pieces(text))]
        tokens["theirs"] += len(spans[0])
        tokens["same"] += len(spans[0] & spans[1])


def spans_of(text: str, lengths: Any) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(lengths)
    for end, length in zip(ends.tolist(), lengths.tolist(), strict=True):
        if not text[end - length : end].isspace():
            yield end - length, end


def fired(rules: list[Rule], marks: pa.RecordBatch) -> dict[str, Any]:
    """Which documents each of datatrove's rules drops by our signals, whatever text it was made for."""
    frame = pl.from_arrow(marks)
    assert isinstance(frame, pl.DataFrame)
    made: dict[str, Any] = {}
    for rule in rules:
        anywhere = Rule(rule.name, rule.signal, rule.low, rule.high)
        fires = ~frame.select(anywhere.kept()).to_series().to_numpy()
        name = THEIRS.get(rule.name, rule.name)
        made[name] = made[name] | fires if name in made else fires
    return made


def false_drops(batches: list[pa.RecordBatch], verdicts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """By source: the share of Chinese documents that datatrove's packs for English drop, and that ours drop."""
    rows: dict[str, Counter[str]] = {}
    for batch in batches:
        marks = pl.from_arrow(pa.Table.from_batches([scoring.signals(batch)]))
        assert isinstance(marks, pl.DataFrame)
        marks = marks.with_columns(
            language=pl.Series(batch.column("language").to_pylist()),
            script=pl.Series(batch.column("script").to_pylist()),
        )
        for pack in (*PACK_NAMES, "zh"):
            keeps = marks.select(pl.all_horizontal(rule.kept().fill_null(True) for rule in PACKS[pack])).to_series()
            for i, (key, source) in enumerate(
                zip(batch.column("doc_id").to_pylist(), batch.column("source").to_pylist(), strict=True)
            ):
                row = rows.setdefault(source, Counter())
                row["documents"] += pack == "zh"
                row[f"ours {pack}"] += not keeps[i]
                row[f"datatrove {pack}"] += any(name.startswith(f"{pack}.") for name in verdicts[key]["fails"])
    return [{"source": source, **row} for source, row in sorted(rows.items())]


if __name__ == "__main__":
    main()
