"""Evaluation items planted in real documents: how many of those that hold one are found, and how many others are.

    python benchmarks/decontamination.py --data ../shared/data [--items 300] [--seed 0]

Items are passages of 40 words (English) or 60 characters (Chinese) of held-out text of mix-en and mix-zh, hosts are
documents of their training text. Each item is planted once in every way of HELD, and once in every way of MISSED: what
looks like the item and shares no n-gram of 13 words, or 20 characters, with it. Recall is the share of documents with a
planting of HELD that are dropped, by way; precision the share of dropped documents that have one. A host that holds a
whole n-gram of some item by itself is left out and counted (a plain search over sets finds them). What is dropped is
what `assay corpus decontaminate` drops, at its default sizes. Intervals are Clopper and Pearson's, 95 %.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.cleaning import decontaminate
from common import binomial, store_result
from labelled import rows

SHAPE = decontaminate.Shape()
HOST = 2000  # characters of a host, at most


class Tongue(NamedTuple):
    """How a language is written here: where items come from, how they look, the sizes of an item and an n-gram, and
    what a unit is changed into, which stands in no text."""

    folder: str
    plain: re.Pattern[str]
    unit: re.Pattern[str]
    joined: str
    item: int
    gram: int
    changed: str


TONGUES = {
    "en": Tongue(
        "mix-en", re.compile(r"[A-Za-z ,.;:?!]{200,}"), re.compile("[A-Za-z]+"), " ", 40, SHAPE.words, "xylograph"
    ),
    "zh": Tongue(
        "mix-zh", re.compile("[一-鿿，。、；：？！]{80,}"), re.compile("[一-鿿]"), "", 60, SHAPE.characters, "囧"
    ),
}


def edited(units: list[str], step: int, changed: str) -> list[str]:
    """Every `step`th unit changed."""
    return [changed if (i + 1) % step == 0 else unit for i, unit in enumerate(units)]


Way = Callable[[list[str], Tongue, random.Random], str]
HELD: dict[str, Way] = {
    "whole": lambda units, t, _: t.joined.join(units),
    "cut to two thirds": lambda units, t, _: t.joined.join(units[: 2 * t.item // 3]),
    "in capitals, with other marks": lambda units, t, _: marked([unit.upper() for unit in units], t),
    "over several lines": lambda units, t, _: "\n".join(t.joined.join(units[i : i + 7]) for i in range(0, t.item, 7)),
    "one unit changed": lambda units, t, draw: t.joined.join(one_changed(units, t, draw)),
    "every 1.5 n-grams changed": lambda units, t, _: t.joined.join(edited(units, 3 * t.gram // 2, t.changed)),
}
MISSED: dict[str, Way] = {
    "nothing": lambda *_: "",
    "every n-gram changed": lambda units, t, _: t.joined.join(edited(units, t.gram, t.changed)),
    "a unit less than an n-gram": lambda units, t, _: t.joined.join([t.changed, *units[: t.gram - 1], t.changed]),
    "units in random order": lambda units, t, draw: t.joined.join(draw.sample(units, len(units))),
}


def marked(units: list[str], tongue: Tongue) -> str:
    """With a mark behind every fifth unit."""
    mark = "；" if not tongue.joined else ";"
    return tongue.joined.join(unit + mark * (i % 5 == 4) for i, unit in enumerate(units))


def one_changed(units: list[str], tongue: Tongue, draw: random.Random) -> list[str]:
    """One unit changed, such that a whole n-gram stays before or behind it."""
    at = draw.choice([i for i in range(len(units)) if max(i, len(units) - 1 - i) >= tongue.gram])
    return [*units[:at], tongue.changed, *units[at + 1 :]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with mix-en and mix-zh")
    parser.add_argument("--items", type=int, default=300, help="of each language")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result = {name: measured(tongue, given, random.Random(given.seed)) for name, tongue in TONGUES.items()}
    store_result("decontamination", {"shape": SHAPE._asdict(), "seed": given.seed, **result})
    if any(found[name]["value"] < 0.99 for found in result.values() for name in ("precision", "recall")):
        raise SystemExit("precision or recall is below 0.99")


def measured(tongue: Tongue, given: argparse.Namespace, draw: random.Random) -> dict[str, Any]:
    folder = given.data / tongue.folder
    items = drawn(passages(folder, "valid", tongue), given.items, draw)
    grams = {gram for item in items for gram in grams_of(item, tongue)}
    ways = {**HELD, **MISSED}
    wanted = len(items) * len(ways)
    hosts, native = [], 0
    for text in drawn(hosts_of(folder), 2 * wanted, draw):
        by_itself = not grams.isdisjoint(grams_of(units_of(text), tongue))
        native += by_itself
        hosts += [] if by_itself else [text]
    plan = [(item, way) for item in range(len(items)) for way in ways][: len(hosts)]
    texts = [
        planted(host, ways[way](items[item], tongue, draw), draw)
        for host, (item, way) in zip(hosts, plan, strict=False)
    ]
    dropped = found([tongue.joined.join(item) for item in items], texts)
    by_way = {way: [drop for drop, (_, own) in zip(dropped, plan, strict=True) if own == way] for way in ways}
    right = sum(sum(by_way[way]) for way in HELD)
    return {
        "items": len(items),
        "documents": len(texts),
        "left_out": native,
        "precision": proportion(right, sum(dropped)),
        "recall": proportion(right, sum(len(by_way[way]) for way in HELD)),
        "found": {way: proportion(sum(by_way[way]), len(by_way[way])) for way in ways},
    }


def passages(folder: Path, part: str, tongue: Tongue) -> Iterator[list[str]]:
    """The first passage of each document that is long enough, as units."""
    for path in sorted(folder.glob(f"*.{part}.jsonl.zst")):
        for row in rows(path):
            for plain in tongue.plain.finditer(row["text"]):
                units = tongue.unit.findall(plain.group())
                if len(units) >= tongue.item:
                    yield units[: tongue.item]
                    break


def hosts_of(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.train.jsonl.zst")):
        yield from (row["text"][:HOST] for row in rows(path))


def drawn(found: Iterator[Any], n: int, draw: random.Random) -> list[Any]:
    """`n` different ones, or all, in random order."""
    different = list({str(one): one for one in found}.values())
    return draw.sample(different, min(n, len(different)))


def units_of(text: str) -> list[str]:
    """Words of letters and digits in lower case; every Chinese character by itself."""
    return re.findall(r"[一-鿿]|[^\W_一-鿿]+", text.lower())


def grams_of(units: list[str], tongue: Tongue) -> set[tuple[str, ...]]:
    low = [unit.lower() for unit in units]
    return {tuple(low[i : i + tongue.gram]) for i in range(len(low) - tongue.gram + 1)}


def planted(host: str, passage: str, draw: random.Random) -> str:
    """A host with a passage on lines of its own between two of its lines, or words."""
    cut = draw.choice([0, len(host), *(space.start() for space in re.finditer(r"\s", host))])
    return f"{host[:cut]}\n{passage}\n{host[cut:]}" if passage else host


def found(items: list[str], texts: list[str]) -> list[bool]:
    """Whether each text is dropped."""
    n = len(texts)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        names = [f"items.jsonl:{i}" for i in range(len(items))]
        pq.write_table(pa.table([names, items], schema=decontaminate.ITEMS), folder / "items.parquet")
        with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer:
            writer.write(documents.batch(texts, ["s"] * n, ["a.jsonl"] * n, list(range(n)), [None] * n))
        parts = sorted(folder.glob("documents-*.parquet"))
        hits = [folder / f"hits-{i}.parquet" for i in range(len(parts))]
        for part, target in zip(parts, hits, strict=True):
            decontaminate.search_part(part, target, 1, items=folder / "items.parquet", shape=SHAPE)
        decontaminate.judge(parts, hits, folder / "items.parquet", SHAPE, 0.0, folder)
        return (~pl.read_parquet(folder / "decisions.parquet")["keep"]).to_list()


def proportion(hits: int, n: int) -> dict[str, Any]:
    low, high = binomial(hits, n, 0.95)
    return {"value": round(hits / n, 4), "interval": [round(low, 4), round(high, 4)], "n": n}


if __name__ == "__main__":
    main()
