"""Small data sets of tasks, made up, in English and Chinese; a tokenizer and models that fit them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from assay.tasks.coding import Coder
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder

GOOD, BAD = ["lovely", "great", "superb", "喜欢", "精彩"], ["awful", "dull", "poor", "讨厌", "无聊"]
NAMES, PLACES = ["Ann", "Bob", "王明", "李华"], ["Rome", "Oslo", "北京", "上海"]
FILL = ["the", "film", "was", "a", "very", "story", "and", "so", "with"]


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def reviews(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts with a word that tells their label."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        good = bool(rng.randrange(2))
        words = [*rng.choices(FILL, k=rng.randint(3, 9)), rng.choice(GOOD if good else BAD)]
        rng.shuffle(words)
        made.append({"text": " ".join(words) + f" {i}", "label": "pos" if good else "neg"})
    return made


def sentences(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Words with names and places among them, tags in IOB1 as the first CoNLL-2003 has them."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        tokens, tags = [], []
        for _ in range(rng.randint(3, 8)):
            kind = rng.choice(["", "", "PER", "LOC"])
            word = rng.choice({"": FILL, "PER": NAMES, "LOC": PLACES}[kind])
            again = bool(tags) and kind != "" and tags[-1].endswith(kind)
            tokens.append(word)
            tags.append("O" if not kind else f"{'B' if again else 'I'}-{kind}")
        made.append({"tokens": tokens, "tags": tags})
    return made


def questions(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Contexts that say who lives where; some questions have no answer."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        name, other = rng.sample(NAMES, 2)
        place = rng.choice(PLACES)
        context = f"{' '.join(rng.choices(FILL, k=4))} {name} lives in {place} {' '.join(rng.choices(FILL, k=3))}"
        asked = name if rng.random() < 0.8 else other
        answers = {"text": [place], "answer_start": [context.index(f"in {place}") + 3]} if asked == name else {
            "text": [], "answer_start": []}  # fmt: skip
        made.append({"id": str(i), "question": f"where lives {asked}", "context": context, "answers": answers})
    return made


@cache
def encoder(kind: str = "bpe") -> Encoder:
    texts = [row["text"] for row in reviews(80)] + [" ".join(row["tokens"]) for row in sentences(80)]
    texts += [row["context"] + " " + row["question"] for row in questions(80)]
    return Encoder(train_tokenizer(texts, 400, kind))  # type: ignore[arg-type]


def coder(kind: str = "bpe", most: int = 32) -> Coder:
    return Coder.of(encoder(kind), most)
