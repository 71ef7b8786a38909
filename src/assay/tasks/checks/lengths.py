"""What a model's tokenizer makes of texts: what is cut off, what needs several windows, what it does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from assay.tasks.checks.finding import Finding, Parts, found, place, texts_of
from assay.tasks.classification import _OfTexts
from assay.tasks.coding import Coder
from assay.tasks.embedding import Embedding
from assay.tasks.extraction import Extraction
from assay.tasks.protocol import Example, Task
from assay.tasks.tagging import Tagging

UNKNOWN = 0.005  # of the tokens, from which on it is told


def lengths(parts: Parts, task: Task, coder: Coder) -> list[Finding]:
    """All findings about tokens."""
    examples = [e for own in parts.values() for e in own]
    return [*_cut(examples, task, coder), *_unknown(examples, coder)] if examples else []


def _cut(examples: list[Example], task: Task, coder: Coder) -> Iterator[Finding]:
    if isinstance(task, _OfTexts | Embedding):
        second = task.second if isinstance(task, _OfTexts) else None
        firsts = [e.given[task.text] for e in examples]
        rows = coder.texts(firsts, None if second is None else [e.given[second] for e in examples])
        cut = [(e, row.cut) for e, row in zip(examples, rows, strict=True) if row.cut]
        if cut:
            tokens = sum(int(row.own.sum()) + row.cut for row in rows)
            cut.sort(key=lambda pair: -pair[1])
            told = [place(e, f"-{n}: {texts_of(e)[0]}") for e, n in cut]
            lost = sum(n for _, n in cut)
            yield found("cut", "look", told, len(examples), most=coder.most, share=lost / tokens)
        return
    if not isinstance(task, Tagging | Extraction):
        return
    count = np.bincount([item.example for item in task.items(examples, coder)], minlength=len(examples))
    several = np.argsort(-count, kind="stable")[: int((count > 1).sum())].tolist()
    if several:
        told = [place(examples[i], f"{count[i]}: {texts_of(examples[i])[-1]}") for i in several]
        yield found("windows", "note", told, len(examples), most=coder.most, rows=int(count.sum()))


def _unknown(examples: list[Example], coder: Coder) -> Iterator[Finding]:
    if coder.encoder.unknown is None:
        return
    texts = [" ".join(texts_of(e)) for e in examples]
    ids = coder.ids(texts)
    hits = [int((own == coder.encoder.unknown).sum()) for own in ids]
    total = sum(map(len, ids))
    if sum(hits) < UNKNOWN * total:
        return
    of_texts = [i for i, n in enumerate(hits) if n]
    characters = Counter(c for i in of_texts for c in texts[i] if not c.isspace())
    names = list(characters)
    bare = {c for c, own in zip(names, coder.ids(names), strict=True) if coder.encoder.unknown in own}
    which = [c for c, _ in characters.most_common() if c in bare][:12]
    told = [place(examples[i]) for i in of_texts]
    yield found("unknown", "look", told, total, sum(hits), which=which, texts=len(of_texts))
