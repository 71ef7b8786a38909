"""What a language model is shown: an item in a template, behind shots that are answered.

    DESCRIPTION                        of letters, where a template has one
    QUESTION 1 ANSWER 1                shots: rows of a file of their own, or other rows of the same file
    ...
    QUESTION                           the item; its answer, or each of its choices, is what goes on

Templates are those of lm-evaluation-harness where it has some (PIQA, CMMLU), and their like in the other language; an
item is Chinese if a Chinese character stands in its question.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

from assay.errors import InputError
from assay.metrics.pieces import has_han
from assay.store import fingerprint
from assay.tasks.protocol import Example, Fields, Task
from assay.tasks.questions import LETTERS, Names, question_of

Ask = Literal["auto", "texts", "letters"]
BETWEEN_SHOTS = "\n\n"
_TEMPLATES = {
    ("texts", "en"): "{passage}Question: {question}\nAnswer:",
    ("texts", "zh"): "{passage}问题：{question}\n答案：",
    ("letters", "en"): "{passage}{question}\n{choices}\nAnswer:",
    ("letters", "zh"): "{passage}{question}\n{choices}\n答案：",
}
_PASSAGE = {"en": "Passage: {passage}\n", "zh": "文章：{passage}\n"}
_DESCRIPTION = {
    "en": ("The following are multiple choice questions (with answers){subject}.", " about {subject}"),
    "zh": ("以下是{subject}单项选择题，请直接给出正确答案的选项。", "关于{subject}的"),
}
_BETWEEN = {"en": " ", "zh": ""}


@dataclass(frozen=True, kw_only=True)
class Prompted(Task):
    """A task that a language model does as it is, by going on with a prompt.

    Attributes:
        question, choices, answer, passage, subject: names of fields; "": usual ones (`questions.USUAL`).
        ask: texts: each choice's text goes on with the question; letters: the choices are listed, and letters go on;
            auto: letters where the set has letters.
        language: of the template; auto: the item's.
        template: instead of the usual one: {question}, {choices}, {passage}, {subject} are filled in.
        description: what stands before all else; None: the template's.
        between: a prompt and what goes on; None: a space, after a Chinese template nothing.
        shots: answered examples before the item.
        dev: the file of shots; "": the files that are asked. The item itself is none of its shots, nor is its like.
        seed: that shots are drawn by, the same ones for all items; None: the first ones of the file.
        by_subject: shots are of the item's subject, where there are enough of it.
    """

    question: str = ""
    choices: str = ""
    answer: str = ""
    passage: str = ""
    subject: str = ""
    ask: Ask = "auto"
    language: Literal["auto", "en", "zh"] = "auto"
    template: str = ""
    description: str | None = None
    between: str | None = None
    shots: int = 0
    dev: str = ""
    seed: int | None = 0
    by_subject: bool = True

    def __post_init__(self) -> None:
        if self.shots < 0:
            raise InputError(f"shots is {self.shots}", where=f"task {self.name}", remedy="give 0 or more")

    def read(self, fields: Fields, where: str) -> Example:
        names = Names(self.question, self.choices, self.answer, self.passage, self.subject)
        asked = question_of(fields, names, where)
        return Example(asked.given, asked.right, where, together(asked.passage))

    def letters(self, example: Example) -> bool:
        """Whether letters are asked for."""
        given = example.given
        return len(given["choices"]) > 1 and given["form"] != "sentence" and (
            self.ask == "letters" or (self.ask == "auto" and bool(given["lettered"]))
        )  # fmt: skip

    def labels(self, example: Example) -> list[str]:
        """What may go on: letters, or the texts of the choices."""
        choices: list[str] = example.given["choices"]
        return list(LETTERS[: len(choices)]) if self.letters(example) else choices

    def language_of(self, example: Example) -> str:
        """en or zh, of the template."""
        if self.language != "auto":
            return self.language
        return "zh" if has_han(example.given["text"]) else "en"

    def delimiter(self, example: Example) -> str:
        """What stands between the prompt and what goes on. A whole sentence has no prompt; Chinese has no spaces."""
        if self.between is not None:
            return self.between
        if example.given["form"] == "sentence":
            return ""
        if example.given["form"] == "prompt" and example.given["choices"] and not self.letters(example):
            return "" if has_han(example.given["choices"][0][:1]) else " "
        return _BETWEEN[self.language_of(example)]

    def asked(self, example: Example) -> str:
        """The item in its template."""
        given, lettered = example.given, self.letters(example)
        if given["form"] == "sentence":
            return ""
        if given["form"] == "prompt" and not lettered and not self.template:
            return str(given["text"])
        language = self.language_of(example)
        passage = given.get("passage", "")
        listed = "\n".join(f"{a}. {b}" for a, b in zip(LETTERS, map(str.strip, given["choices"]), strict=False))
        parts = {
            "passage": passage if self.template or not passage else _PASSAGE[language].format(passage=passage),
            "question": given["text"].strip() if lettered else given["text"],
            "choices": listed,
            "subject": _subject(example),
        }
        text = self.template or _TEMPLATES["letters" if lettered else "texts", language]
        return _filled(text, parts)

    def head(self, example: Example) -> str:
        """What stands before shots and item."""
        if self.description is not None:
            told = _filled(self.description, {"subject": _subject(example)})
        elif self.letters(example) and not self.template:
            whole, part = _DESCRIPTION[self.language_of(example)]
            subject = _subject(example)
            told = whole.format(subject=part.format(subject=subject) if subject else "")
        else:
            return ""
        return told + BETWEEN_SHOTS if told else ""

    def answered(self, example: Example) -> str:
        """The item and what is right."""
        return self.asked(example) + self.delimiter(example) + self.right(example).strip()

    def right(self, example: Example) -> str:
        """What is right, as it would go on."""
        return self.labels(example)[example.wanted]


def together(passage: str) -> str:
    """What questions about one passage are drawn by, together; "" where there is none."""
    return f"passage {fingerprint(passage)[:16]}" if passage else ""


def _subject(example: Example) -> str:
    return str(example.given.get("subject", "")).replace("_", " ")


def _filled(template: str, parts: dict[str, str]) -> str:
    """A template with its parts, once: a question that has braces is left as it is."""
    pieces, rest = [], template
    while rest:
        at = {name: rest.find("{" + name + "}") for name in parts}
        first = min((name for name in at if at[name] >= 0), key=at.__getitem__, default=None)
        if first is None:
            break
        pieces += [rest[: at[first]], parts[first]]
        rest = rest[at[first] + len(first) + 2 :]
    return "".join([*pieces, rest])


@dataclass(frozen=True)
class Prompt:
    """A prompt that can be shortened.

    Attributes:
        shots: the farthest one first; the first to be left out.
    """

    head: str
    shots: tuple[str, ...]
    asked: str

    @property
    def text(self) -> str:
        return self.head + BETWEEN_SHOTS.join([*self.shots, self.asked])

    def without(self, shots: int) -> Self:
        """Without its first shots."""
        return replace(self, shots=self.shots[shots:])


@dataclass(frozen=True)
class Shots:
    """Examples that shots are taken from."""

    task: Prompted
    pool: Sequence[Example]
    _orders: dict[str | None, list[Example]] = field(default_factory=dict, repr=False)

    @cached_property
    def _by_subject(self) -> dict[str, list[Example]]:
        found: dict[str, list[Example]] = {}
        for example in self.pool:
            found.setdefault(str(example.given.get("subject", "")), []).append(example)
        return found

    def of(self, example: Example) -> list[Example]:
        """The shots of an item: of its subject where there are enough, else of all; never one that asks the same.

        Raises:
            InputError: there are too few, or the item is a minimal pair, which has no prompt.
        """
        k = self.task.shots
        if not k:
            return []
        if example.given["form"] == "sentence":
            what = "minimal pairs have no prompt that shots could stand in"
            raise InputError(what, where=example.where, remedy="leave the shots out")
        subject = str(example.given.get("subject", "")) or None
        own = identity(example)
        for name in [subject, None] if subject and self.task.by_subject else [None]:
            found = []
            for shot in self._ordered(name):
                if identity(shot) != own:
                    found.append(shot)
                if len(found) == k:
                    return found
        raise InputError(
            f"{k} shots are asked for, and there are {len(found)} besides the item", where=example.where,
            remedy="ask for fewer, or name a file of examples with --option dev=FILE",
        )  # fmt: skip

    def _ordered(self, subject: str | None) -> list[Example]:
        """Examples of a subject (None: all) in the order in which shots are taken."""
        if subject not in self._orders:
            some = list(self.pool) if subject is None else list(self._by_subject.get(subject, []))
            if self.task.seed is not None:
                random.Random(f"{self.task.seed} {subject or ''}").shuffle(some)
            self._orders[subject] = some
        return self._orders[subject]

    def prompt(self, example: Example) -> Prompt:
        """All that stands before what goes on.

        Raises:
            InputError: as `of`.
        """
        shots = tuple(self.task.answered(shot) for shot in self.of(example))
        return Prompt(self.task.head(example), shots, self.task.asked(example))


def identity(example: Example) -> tuple[str, str]:
    """What an item asks, whatever its choices, case and spaces: equal for what could tell its answer."""
    return _plain(example.given["text"]), _plain(example.given.get("passage", ""))


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
