"""Small language models with a tokenizer of English and Chinese, and what they are asked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.models.build import build
from assay.models.interop.directory import write_directory
from assay.models.ngram import KneserNey
from assay.models.presets import Size, preset
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import TOKENIZER_JSON, Encoder
from assay.train.predict import NGRAM

TEXTS = [
    "Question: What do bees make?\nAnswer: honey and wax\n\nThe farmer said that the cats sleep on the warm mat.",
    "The following are multiple choice questions (with answers) about rivers.\n\nA. one\nB. two\nC. three\nD. four",
    "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n水在多少度结冰\nA. 零度\nB. 十度\n答案：A",
    "问题：蜜蜂酿造什么\n答案：蜂蜜。农民说猫在温暖的垫子上睡觉，答案：B，答案：C，答案：D。",
] * 3

PIQA = [
    {"goal": "make honey", "sol1": "Keep bees. ", "sol2": "Keep cats and wait.", "label": 0},
    {"goal": "sleep well", "sol1": "Drink six cups of tea", "sol2": "lie on a warm mat", "label": 1},
    {"goal": "cross a river", "sol1": "use the bridge", "sol2": "use the mat", "label": 0},
]
BLIMP = [
    {"sentence_good": f"The cats {verb} on mats.", "sentence_bad": f"The cats {verb}s on mats.", "UID": uid}
    for verb, uid in (("sleep", "agreement"), ("sit", "agreement"), ("run", "number"))
]
LAMBADA = [{"text": "The farmer said that the cats sleep on the warm mat"}, {"text": "农民说猫在温暖的垫子上睡觉。"}]
CMMLU = [
    {"subject": "agronomy", "Question": "蜜蜂酿造什么", "A": "蜡", "B": "蜂蜜", "C": "水", "D": "茶", "Answer": "B"},
    {
        "subject": "agronomy",
        "Question": "猫睡在哪里",
        "A": "水里",
        "B": "河上",
        "C": "垫子上",
        "D": "茶里",
        "Answer": "C",
    },
    {"subject": "rivers", "Question": "水在多少度结冰", "A": "零度", "B": "十度", "C": "B", "D": "五度", "Answer": "A"},
]
DEV = [
    {"subject": subject, "Question": f"{subject}的第{i}题是什么", **dict(zip("ABCD", "一二三四", strict=True)),
     "Answer": "ABCD"[i % 4]}
    for subject in ("agronomy", "rivers")
    for i in range(5)
]  # fmt: skip
AGIEVAL = [
    {"task": "lsat", "passage": "Bees make honey.", "question": "What do bees make?", "label": "B", "answer": None,
     "options": ["(A)tea", "(B)honey", "(C)mats", "(D)rivers", "(E)cats"]},
    {"task": "gaokao", "passage": None, "question": "蜜蜂酿造什么", "label": "A", "answer": None,
     "options": ["(A)蜂蜜", "(B)茶"]},
]  # fmt: skip
GENERIC = [
    {"question": "What do bees make?", "choices": ["tea", "honey"], "answer": 1},
    {"question": "What do cats like?", "options": ["mats", "rivers", "tea"], "answer": "A"},
    {"question": "猫喜欢什么", "choices": ["垫子", "河"], "answer": "垫子"},
    {"prompt": "The cats sleep on the", "endings": ["mat", "honey"], "label": "0"},
    {"question": "How much?", "choices": {"text": ["two", "four"], "label": ["1", "2"]}, "answerKey": "2"},
    {"prompt": "Bees make", "answer": "honey"},
]
BBH = [
    {"task": "dates", "input": "What day is it?\nOptions:\n(A) one\n(B) two\n(C) three", "target": "(B)"},
    {"task": "causes", "input": "Did the cats sleep?\nOptions:\n- Yes\n- No", "target": "No"},
]
OPEN = [
    {"task": "logic", "input": "not ( True ) is", "target": "False"},
    {"task": "logic", "input": "True is", "target": "True"},
    {"task": "sums", "input": "二加二等于几", "target": "4"},
]


@cache
def tokenizer() -> str:
    return train_tokenizer(TEXTS, 600)


def model(folder: Path, name: str = "gpt2", positions: int = 128) -> Path:
    """A model directory: n-gram, or a preset with random weights, of which none is near zero."""
    content = tokenizer()
    encoder = Encoder(content)
    if name == "ngram":
        ids, offsets = encoder.encode(TEXTS)
        folder.mkdir(parents=True)
        KneserNey(encoder.vocabulary, 3).fit(np.insert(ids.astype(np.int64), offsets[:-1], 0)).save(folder / NGRAM)
        (folder / TOKENIZER_JSON).write_text(content, encoding="utf-8")
        return folder
    made: Any = build(preset(name, Size(encoder.vocabulary, 2, 32, 4, positions)), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    write_directory(folder, made, content, card="")
    return folder
