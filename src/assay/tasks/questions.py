"""Rows of evaluation sets -> what is asked, whatever the set calls its fields.

    {"text"}                                       LAMBADA: the last word is asked for
    {"sentence_good", "sentence_bad"}              BLiMP: a minimal pair, the whole sentences are scored
    {"goal", "sol1", "sol2", "label"}              PIQA
    {"Question", "A", "B", .., "Answer"}           CMMLU and C-Eval: letters
    {"passage", "question", "options", "label"}    AGIEval: options that carry their letters, "(A)..."
    {"input", "target"}                            BBH: options within the text; what has none is written, not chosen
    {"question" or "prompt", "choices", "answer"}  anything else; answer: an index from 0, a letter, or a choice's text
    {"prompt", "answer"}                           one continuation, as LAMBADA's

A `question` is put into a template, a `prompt` (ctx, context) stands as it is and goes on with its continuation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.errors import InputError
from assay.metrics.pieces import has_han
from assay.tokens import words

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
USUAL = {
    "question": ("question", "query", "goal", "input"),
    "prompt": ("prompt", "ctx", "context"),
    "choices": ("choices", "options", "endings"),
    "answer": ("answer", "label", "gold", "target", "answerkey"),
    "passage": ("passage", "article", "support"),
    "subject": ("subject", "uid", "task", "category", "paradigm"),
}
"""Names of fields, whatever their case; the first that a row has."""
_LETTERED = re.compile(r"\s*[(（]?([A-Z])[)）.．、:：]\s*(.*)", re.DOTALL)
_LISTED = re.compile(r"\s*(?:-|\(([A-Z])\))\s*(.+)")
_OPTIONS = re.compile(r"\n\s*Options:\s*\n")
_ONE_LETTER = re.compile(r"[(（]?([A-Z])[)）.．、]?")


@dataclass(frozen=True)
class Names:
    """Names of fields; "": one that is usual."""

    question: str = ""
    choices: str = ""
    answer: str = ""
    passage: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        form: question: put into a template; prompt: stands as it is; sentence: no prompt, each choice is a whole text.
        choices: in their order; one alone is what goes on, to be guessed.
        lettered: the set has letters for its choices.
        right: number of the right choice; None: nobody says.
    """

    form: str
    text: str
    choices: tuple[str, ...]
    right: int | None
    passage: str = ""
    subject: str = ""
    lettered: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """As JSON, without what is right."""
        more = {"passage": self.passage, "subject": self.subject}
        told = {"form": self.form, "text": self.text, "choices": list(self.choices), "lettered": self.lettered}
        return told | {name: value for name, value in more.items() if value}


def question_of(fields: Mapping[str, Any], names: Names, where: str) -> Question:
    """What a row asks.

    Raises:
        InputError: it is of no known shape, lacks what its shape has, or its answer is none of its choices.
    """
    row = _Row(fields, names, where)
    if row.has("sentence_good") and row.has("sentence_bad"):
        pair = row.text("sentence_good"), row.text("sentence_bad")
        return Question("sentence", "", pair, 0, subject=row.subject)
    if row.has("sol1") and row.has("sol2"):
        return row.chosen("question", row.wanted("question"), [row.text("sol1"), row.text("sol2")])
    if not names.choices and row.has("A") and row.has("B"):
        own = [letter for letter in LETTERS if row.has(letter)]
        if own != list(LETTERS[: len(own)]):
            raise row.bad(f"has choices {', '.join(own)}: one is missing", "give A, B, C, ... without gaps")
        return row.chosen("question", row.wanted("question"), [row.text(letter) for letter in own], lettered=True)
    if (field := row.name("choices")) is not None:
        texts, labels = row.listed(field)
        stripped = _without_letters(texts)
        form, text = row.asked()
        return row.chosen(form, text, stripped or texts, lettered=stripped is not None, labels=labels)
    if row.name("question") or row.name("prompt"):
        return _free(row)
    if row.has("text"):
        return _last_word(row)
    there = ", ".join(list(fields)[:8]) or "none"
    raise row.bad(f"asks nothing that is known; its fields: {there}", "name them: --option question=FIELD, choices=...")


def open_question_of(fields: Mapping[str, Any], names: Names, where: str) -> tuple[dict[str, Any], list[str] | None]:
    """What a row asks that has an answer to be written, as `Question.given`; and the right answers, any of which will
    do.

    Raises:
        InputError: it lacks a field, or has one that cannot be meant.
    """
    row = _Row(fields, names, where)
    if not (row.name("question") or row.name("prompt")):
        there = ", ".join(list(fields)[:8]) or "none"
        raise row.bad(f"asks nothing that is known; its fields: {there}", "name them: --option question=FIELD")
    form, text = row.asked()
    answer = row.value("answer")
    several = answer if isinstance(answer, list | tuple) else [answer]
    right = [str(one).strip() for one in several if isinstance(one, str | int | float)]
    if answer is not None and (len(right) < len(several) or not all(right)):
        raise row.bad(f"the answer is no text: {str(answer)[:40]!r}", "write it as a string, or a list of strings")
    return Question(form, text, (), None, row.passage, row.subject).given, right or None


def _free(row: _Row) -> Question:
    """A question without a list of choices: they stand within its text, or one thing is to follow."""
    form, text = row.asked()
    parts = _OPTIONS.split(text)
    if len(parts) == 2:
        found = [_LISTED.fullmatch(line) for line in parts[1].strip().split("\n")]
        if all(found) and len(found) > 1:
            choices = [match[2] for match in found if match]
            return row.chosen(form, parts[0], choices, lettered=bool(found[0] and found[0][1]))
    answer = row.value("answer")
    if form == "prompt" and isinstance(answer, str) and answer.strip():
        return Question("prompt", text, (answer.strip(),), 0, row.passage, row.subject)
    raise row.bad("has no choices", "name their field, --option choices=FIELD, or have answers written: --task exact")


def _last_word(row: _Row) -> Question:
    """The last word of a text, and what stands before it: at a space, and where words are not spaced, by jieba."""
    text = row.text("text").rstrip()
    before, _, last = text.rpartition(" ")
    if has_han(last):
        spans = [(a, b) for a, b in words.spans(text) if any(map(str.isalnum, text[a:b]))]
        begin, end = spans[-1] if spans else (0, 0)
        before, last = text[:begin], text[begin:end]
    if not before.strip() or not last:
        raise row.bad("has one word alone: nothing stands before it", "take the row out, or skip bad ones")
    return Question("prompt", before, (last,), 0, subject=row.subject)


def _without_letters(texts: Sequence[str]) -> list[str] | None:
    """Options without the letters before them; None where not all have theirs."""
    found = [_LETTERED.fullmatch(text) for text in texts]
    if all(match and match[1] == letter and match[2].strip() for match, letter in zip(found, LETTERS, strict=False)):
        return [match[2].strip() for match in found if match]
    return None


@dataclass(frozen=True)
class _Row:
    fields: Mapping[str, Any]
    names: Names
    where: str

    def bad(self, what: str, remedy: str) -> InputError:
        return InputError(what, where=self.where, remedy=remedy)

    def has(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def name(self, kind: str) -> str | None:
        """The field of a kind: the one that was named, else a usual one."""
        if own := getattr(self.names, kind, ""):
            return str(own)
        lower = {str(name).lower(): name for name in self.fields if self.fields[name] is not None}
        return next((lower[name] for name in USUAL[kind] if name in lower), None)

    def value(self, kind: str) -> Any:
        field = self.name(kind)
        return None if field is None else self.fields.get(field)

    def text(self, field: str) -> str:
        value = self.fields.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # a table's column of numbers
        if not isinstance(value, str) or not value.strip():
            what = "is empty" if isinstance(value, str) else "is no text"
            if value is None:
                there = ", ".join(list(self.fields)[:8]) or "none"
                raise self.bad(f"has no field {field!r}", f"it has: {there}; say which it is")
            raise self.bad(f"{field} {what}", "mend the row, or skip bad ones: --on-error skip")
        return value

    def wanted(self, kind: str) -> str:
        return self.text(self.name(kind) or USUAL[kind][0])

    def asked(self) -> tuple[str, str]:
        """(form, text): a question before a prompt, which may stand beside it as what the question is about."""
        if self.name("question"):
            return "question", self.wanted("question")
        return "prompt", self.wanted("prompt")

    @property
    def subject(self) -> str:
        value = self.value("subject")
        return "" if value is None else str(value)

    @property
    def passage(self) -> str:
        value = self.value("passage")
        if value is None and self.name("question") and not self.names.question:
            value = self.fields.get(self.name("prompt") or "")
        return value.strip() if isinstance(value, str) else ""

    def listed(self, field: str) -> tuple[list[str], list[str] | None]:
        """(texts of choices, labels that the answer may name): a list, or ARC's {"text": [..], "label": [..]}."""
        value, labels = self.fields.get(field), None
        if isinstance(value, Mapping):
            labels, value = value.get("label"), value.get("text")
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) < 2:
            raise self.bad(f"{field} is no list of two choices or more", 'write ["...", "..."]')
        texts = [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in value]
        if not all(isinstance(one, str) and one.strip() for one in texts):
            raise self.bad(f"{field} has a choice that is empty or no text", "mend the row, or skip bad ones")
        if labels is not None and (not isinstance(labels, Sequence) or len(labels) != len(texts)):
            raise self.bad(f"{field} has {len(texts)} texts and another number of labels", "mend the row")
        return texts, None if labels is None else [str(label) for label in labels]

    def chosen(
        self,
        form: str,
        text: str,
        choices: Sequence[str],
        *,
        lettered: bool = False,
        labels: Sequence[str] | None = None,
    ) -> Question:
        if len(choices) > len(LETTERS):
            raise self.bad(f"has {len(choices)} choices", f"give {len(LETTERS)} at most")
        answer = self.value("answer")
        if lettered and labels is None:
            labels = list(LETTERS[: len(choices)])
        right = None if answer is None else self.number(answer, choices, labels)
        return Question(form, text, tuple(choices), right, self.passage, self.subject, lettered)

    def number(self, answer: Any, choices: Sequence[str], labels: Sequence[str] | None = None) -> int:
        """The number of the choice that an answer names."""
        try:
            return number_of(answer, choices, labels)
        except ValueError as error:
            remedy = "give an index from 0, a letter, or the text of a choice"
            raise self.bad(str(error), remedy) from None


def number_of(answer: Any, choices: Sequence[str], labels: Sequence[str] | None = None) -> int:
    """The number of the choice that an answer names: by label, text, letter, or index from 0.

    Raises:
        ValueError: none of them, or two.
    """
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    if isinstance(answer, int) and not isinstance(answer, bool):
        if labels is not None and str(answer) in labels:
            return list(labels).index(str(answer))
        if 0 <= answer < len(choices):
            return answer
        raise ValueError(f"the answer is {answer}, and there are {len(choices)} choices, from 0 on")
    if not isinstance(answer, str):
        raise ValueError(f"the answer is none of the choices: {str(answer)[:40]!r}")
    said = answer.strip()
    if labels is not None and said in labels:
        return list(labels).index(said)
    same = [i for i, choice in enumerate(choices) if choice.strip() == said]
    match = _ONE_LETTER.fullmatch(said)
    letter = LETTERS.index(match[1]) if match else len(choices)
    if same and letter < len(choices) and same != [letter]:
        raise ValueError(f"the answer {said!r} is a letter, and the text of another choice")
    if same:
        return same[0]
    if letter < len(choices):
        return letter
    if said.isdecimal() and int(said) < len(choices):
        return int(said)
    raise ValueError(f"the answer is none of the choices: {said[:40]!r}")
