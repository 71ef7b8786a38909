"""Texts to test with: made-up English and Chinese, and documents batches of them."""

from __future__ import annotations

import random

import pyarrow as pa

from assay.corpus import documents
from assay.corpus.text import characters as ch

WORDS = [a + b for a in ("ka", "lo", "mi", "ner", "tus", "vel", "sor") for b in ("dan", "fe", "gim", "hol", "ra")]
HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈"


def batch_of(texts: list[str], source: str = "s") -> pa.RecordBatch:
    n = len(texts)
    return documents.batch(texts, [source] * n, ["a.jsonl"] * n, list(range(n)), [None] * n)


def places(texts: list[str]) -> tuple[ch.U32, ch.I64, ch.I64]:
    """Code points, and where each text begins and ends in them."""
    points, offsets = ch.points_of(pa.array(texts, pa.string()))
    return points, offsets[:-1], offsets[1:]


def english(seed: int, words: int = 120) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) + ("." if draw.random() < 0.1 else "") for _ in range(words))


def chinese(seed: int, chars: int = 240) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(HAN) + ("，" if draw.random() < 0.08 else "") for _ in range(chars))
