"""A label for each token: named entities, chunks, parts of speech, words of Chinese.

    spans    tags of any scheme (IOB1, BIO, BIOES, BMES) -> spans -> BIOES inside, whose rows are kept well-formed
    words    B M E S without types: where words begin and end; judged as words
    labels   anything else, each by itself

Rows have `tokens` and `tags`, or a `text` and `spans` of its characters; a text alone is cut into words, Chinese into
characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch

from assay.errors import InputError
from assay.metrics.classification import classification
from assay.metrics.scores import Additive, Measure
from assay.metrics.tagging import Span, segmentation, spans, tagging
from assay.models.crf import Allowed
from assay.models.heads import HeadConfig
from assay.tasks.baseline.tagger import Tagger
from assay.tasks.coding import WIDE, Coder, joined
from assay.tasks.protocol import Answer, Answering, Example, Fields, HeadTask, Item, Said, learned, register

Kind = Literal["auto", "spans", "words", "labels"]
_TOKEN = re.compile(rf"{WIDE.pattern}|\w+|[^\w\s]")
_TAG = re.compile(r"O|[BIMESLUW]-.+")


@register
@dataclass(frozen=True, kw_only=True)
class Tagging(HeadTask):
    """See the module.

    Attributes:
        tokens, tags: names of the fields.
        kind: what tags say; auto: told by those of training.
        scheme: inside.
        labels: all, learned.
        known: words of training, for how well new ones are found (words).
    """

    name = "tagging"
    shown = ("token_accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_f1", "accuracy", "precision",
             "recall", "f1", "oov_recall")  # fmt: skip

    tokens: str = "tokens"
    tags: str = "tags"
    kind: Kind = "auto"
    scheme: Literal["BIOES", "BIO"] = "BIOES"
    labels: tuple[str, ...] = learned(())
    known: tuple[str, ...] = learned(())

    def read(self, fields: Fields, where: str) -> Example:
        if isinstance(tokens := fields.get(self.tokens), list | tuple):
            return self._of_tokens(list(tokens), fields.get(self.tags), where)
        if isinstance(text := fields.get("text"), str) and text.strip():
            return self._of_text(text, fields.get("spans"), where)
        there = ", ".join(list(fields)[:8]) or "none"
        raise InputError(
            f"has no list {self.tokens!r} and no text", where=where, remedy=f"it has: {there}; say which it is"
        )

    def _of_tokens(self, tokens: list[Any], tags: Any, where: str) -> Example:
        if not tokens or not all(isinstance(token, str) and token for token in tokens):
            raise InputError(f"{self.tokens} is no list of words", where=where, remedy="write every word as a string")
        if tags is None:
            return Example({"tokens": tokens}, None, where)
        if not isinstance(tags, list | tuple) or len(tags) != len(tokens):
            n = len(tags) if isinstance(tags, list | tuple) else "no list of"
            raise InputError(
                f"{n} tags for {len(tokens)} tokens", where=where, remedy="give each token its tag, or skip bad rows"
            )
        return Example({"tokens": tokens}, [str(tag) for tag in tags], where)

    def _of_text(self, text: str, marked: Any, where: str) -> Example:
        cut = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
        if not cut:
            raise InputError("text holds no word", where=where, remedy="take the row out, or skip bad ones")
        tokens, begins = [token for token, _ in cut], np.array([begin for _, begin in cut])
        given = {"tokens": tokens, "text": text, "begins": begins.tolist()}
        if marked is None:
            return Example(given, None, where)
        tags = ["O"] * len(tokens)
        for start, end, label in marked:
            first = int(np.searchsorted(begins, start, side="right")) - 1
            last = int(np.searchsorted(begins, end, side="left"))
            if any(tag != "O" for tag in tags[first:last]):
                raise InputError(
                    f"spans overlap at {start}: {text[start:end]!r}", where=where, remedy="keep one of them"
                )
            tags[first:last] = [f"B-{label}"] + [f"I-{label}"] * (last - first - 1)
        return Example(given, tags, where)

    def learn(self, examples: Sequence[Example]) -> Self:
        seen = sorted({tag for e in examples for tag in e.wanted or ()})
        if len(seen) < 2:
            only = f"all tokens have the tag {seen[0]!r}" if seen else "no token has a tag"
            raise InputError(only, where=self.tags, remedy="give examples of two tags or more")
        kind = self.kind
        if kind == "auto":
            of_spans = all(_TAG.fullmatch(tag) for tag in seen)
            kind = "spans" if of_spans else "words" if set(seen) <= set("BMES") else "labels"
        made = replace(self, kind=kind)
        if kind == "spans":
            types = sorted({kind for e in examples for kind, _, _ in spans(e.wanted or ())})
            letters = "BIES" if self.scheme == "BIOES" else "BI"
            return replace(made, labels=("O", *(f"{letter}-{one}" for one in types for letter in letters)))
        words = sorted({word for e in examples for word in made._words(e, e.wanted)}) if kind == "words" else []
        return replace(made, labels=tuple(seen), known=tuple(words))

    def unlike(self, example: Example) -> str | None:
        new = [tag for tag in self.inside(example.wanted) if tag not in self.labels]
        return f"the tag {new[0]!r} is not in the training text" if new else None

    def is_right(self, example: Example, answer: Answer) -> bool:
        return self.inside(answer["tags"]) == self.inside(example.wanted)

    def meant(self, answer: Answer) -> Any:
        return answer["tags"]

    def floor(self, examples: Sequence[Example]) -> Answering:
        model = Tagger.fit([e.given["tokens"] for e in examples], [self.inside(e.wanted) for e in examples])

        def answers(asked: Sequence[Example]) -> list[Answer]:
            return [{"tags": list(tags)} for tags in model.predict([e.given["tokens"] for e in asked])[0]]

        return answers

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("tags", len(self.labels))

    @property
    def allowed(self) -> Allowed | None:
        """What keeps rows of spans, and of words, well-formed."""
        if self.kind == "labels":
            return None
        marks = [label.partition("-")[::2] for label in self.labels]
        n, no = len(marks), -torch.inf
        follows, begins, ends = torch.zeros(n, n), torch.zeros(n), torch.zeros(n)
        open_ended = self.kind == "spans" and self.scheme == "BIO"
        for j, (letter, label) in enumerate(marks):
            inside = letter in "IME"
            begins[j] = no if inside else 0.0
            ends[j] = 0.0 if open_ended or letter in "OES" else no
            for i, (before, its) in enumerate(marks):
                goes_on = before in "BIM" and its == label
                if (inside and not goes_on) or (not inside and before in "BIM" and not open_ended):
                    follows[i, j] = no
        return follows, begins, ends

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        number = {label: i for i, label in enumerate(self.labels)}
        rows = coder.words([e.given["tokens"] for e in examples])
        for i, (example, own) in enumerate(zip(examples, rows, strict=True)):
            tags = [number.get(tag, -1) for tag in self.inside(example.wanted)]
            for row in own:
                marks = np.zeros(len(row.ids), bool)
                marks[row.firsts] = True
                targets = np.full(len(row.ids), -1)
                if tags:
                    targets[row.firsts] = tags[row.begin : row.begin + len(row.firsts)]
                yield Item(i, row.ids, targets, marks=marks)

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        tags = [self.labels[int(tag)] for one in said for tag in one.values]
        likely = [float(p) for one in said if one.likely is not None for p in one.likely]
        made: Answer = {"tags": tags, "likely": likely}
        if self.kind == "spans":
            made["spans"] = [self._told(example, span, likely) for span in spans(tags)]
        if self.kind == "words":
            made["words"] = self._words(example, tags)
        return made

    def _told(self, example: Example, span: Span, likely: list[float]) -> dict[str, Any]:
        """A span for people: its tokens, and its characters where there is a text; as likely as its least likely
        tag."""
        kind, begin, end = span
        tokens = example.given["tokens"]
        told = {"type": kind, "begin": begin, "end": end, "text": joined(tokens[begin:end])}
        if "begins" in example.given:
            start, stop = example.given["begins"][begin], example.given["begins"][end - 1] + len(tokens[end - 1])
            told |= {"start": start, "stop": stop, "text": example.given["text"][start:stop]}
        return told | {"likely": min(likely[begin:end], default=1.0)}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        wanted, found = [self.inside(e.wanted) for e in examples], [self.inside(a["tags"]) for a in answers]
        if self.kind == "spans":
            types = list(dict.fromkeys(label[2:] for label in self.labels if label != "O"))
            return tagging(wanted, found, scheme=self.scheme, types=types)
        if self.kind == "words":
            words = [[self._words(e, tags) for e, tags in zip(examples, c, strict=True)] for c in (wanted, found)]
            return segmentation(words[0], words[1], known=frozenset(self.known))
        return _by_sentence(wanted, found, self.labels)

    @property
    def best(self) -> str:  # type: ignore[override]
        return {"spans": "micro_f1", "words": "f1"}.get(self.kind, "accuracy")

    def inside(self, tags: Sequence[str] | None) -> list[str]:
        """Tags as they are inside."""
        if tags is None or self.kind != "spans":
            return list(tags or ())
        made = ["O"] * len(tags)
        for kind, begin, end in spans(tags):
            made[begin:end] = [f"I-{kind}"] * (end - begin)
            if self.scheme == "BIOES":
                made[end - 1] = f"E-{kind}"
            made[begin] = f"S-{kind}" if self.scheme == "BIOES" and end - begin == 1 else f"B-{kind}"
        return made

    def _words(self, example: Example, tags: Sequence[str] | None) -> list[str]:
        """Characters in words: a word begins at B and S, and behind E and S."""
        words: list[str] = []
        before = "S"
        for token, tag in zip(example.given["tokens"], tags or (), strict=True):
            if tag in "BS" or before in "ES":
                words.append(token)
            else:
                words[-1] += token
            before = tag
        return words


def _by_sentence(wanted: list[list[str]], found: list[list[str]], labels: Sequence[str]) -> Measure:
    """Labels of tokens, drawn by sentences."""
    tokens = classification([t for tags in wanted for t in tags], [t for tags in found for t in tags], labels=labels)
    sizes = [len(tags) for tags in wanted]
    starts = np.cumsum([0, *sizes[:-1]])
    table = tokens.statistics
    summed = table[: len(starts)] if max(sizes, default=1) == 1 else _summed(table, starts, sizes)
    return Additive(summed, tokens.of, tokens.signature, tokens.kinds, tokens.rests_on)


def _summed(table: Any, starts: np.ndarray, sizes: list[int]) -> Any:
    from scipy import sparse

    rows = np.repeat(np.arange(len(starts)), sizes)
    gather = sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(starts), len(rows)))
    return gather @ table
