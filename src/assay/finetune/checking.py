"""`assay doctor data`: the examples of a task, looked over before time is spent on them.

files -> rows, and which cannot be read -> examples of each part -> findings (`tasks.checks`), the worst first
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay import __version__
from assay.errors import InputError
from assay.finetune import data, told_checks
from assay.models import interop
from assay.present.words import LANGUAGES
from assay.recipe.finetune import FinetuneRecipe
from assay.store import fingerprint
from assay.tasks.checks import answers, labels, leaks, lengths, numbers, tags, texts
from assay.tasks.checks.finding import Finding, Place, found, in_order
from assay.tasks.coding import Coder
from assay.tasks.extraction import Extraction
from assay.tasks.protocol import Example, Task, made
from assay.tasks.reading.rows import Met, Rows
from assay.tasks.regression import Regression
from assay.tasks.tagging import Tagging
from assay.tokens.tokenizer import Encoder

_MISSING = re.compile(r"an answer is not at its place|the answer .* is not in its context")
_DIFFER = re.compile(r"\S+( list of)? tags for \S+ tokens")
_LOST = "in the context"
_LEFT = re.compile(r"an answer is left out")
_MOVED = re.compile(r"an answer is not at its place|an answer's place was not told")
_NUMBERED = re.compile(r": (value|row|article) \d+")


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found.

    Attributes:
        parts: examples of each.
        findings: what matters most first.
    """

    task: str
    parts: dict[str, int]
    findings: list[Finding]
    fingerprint: str

    @property
    def ok(self) -> bool:
        """Whether nothing should be mended."""
        return all(finding.level != "mend" for finding in self.findings)


def check(task: str, recipe: FinetuneRecipe) -> Checked:
    """All findings about the data of a recipe.

    Raises:
        InputError: no examples at all, no such task or model.
    """
    asked = made(task, recipe.task)
    coder = None if recipe.model.path is None else _coder(recipe, Path(recipe.model.path))
    rows = data.read_parts(recipe.data.model_copy(update={"on_error": "skip"}))
    if "train" not in rows:
        raise InputError("no examples to train on", where="data.train", remedy="name files, or a folder with them")
    findings, parts = list(_met(rows)), dict[str, list[Example]]()
    for name, own in rows.items():
        met = Met("skip")
        parts[name] = list(_read(asked, own, met, unknown=name == "test"))
        findings += _skipped(met.skipped, met.places, len(own))
    if not parts["train"]:
        list(_read(asked, rows["train"], Met("stop"), unknown=False))  # says why
    findings += _looked_over(asked, parts, coder)
    read = fingerprint({name: own.fingerprint for name, own in rows.items()})
    sizes = {name: len(own) for name, own in parts.items()}
    return Checked(task, sizes, in_order(findings), read)


def _looked_over(asked: Task, parts: dict[str, list[Example]], coder: Coder | None) -> list[Finding]:
    try:
        task = asked.learn(parts["train"])
    except InputError as error:
        return [Finding("nothing", "mend", len(parts["train"]), len(parts["train"]), values={"why": error.what})]
    findings = labels.labels(parts, task)
    if isinstance(task, Tagging):
        findings += tags.tags(parts, task)
    deviation = 0.0
    if isinstance(task, Regression):
        findings += numbers.numbers(parts)
        deviation = float(np.std([e.wanted for e in parts["train"] if e.wanted is not None]))
    findings += leaks.leaks(parts, [task.context] if isinstance(task, Extraction) else None)
    if hasattr(task, "labels") or isinstance(task, Regression | Extraction):  # else several answers are right
        findings += leaks.contradictions(parts, deviation)
    if isinstance(task, Extraction):
        findings += answers.answers(parts, task)
        findings = [f for f in findings if f.kind != "repeats"]  # told as questions that are asked again
    read = _once(parts, task.context) if isinstance(task, Extraction) else _written(parts, task)
    findings += texts.texts(read, sentences=isinstance(task, Tagging))
    if coder is not None:
        findings += lengths.lengths(parts, task, coder)
    return findings


def _once(parts: dict[str, list[Example]], name: str) -> dict[str, list[Example]]:
    """Examples without a text that one before them has, too: contexts of several questions are read once."""
    seen, kept = set[str](), dict[str, list[Example]]()
    for part, own in parts.items():
        kept[part] = []
        for e in own:
            given = dict(e.given)
            if given[name] in seen:
                del given[name]
            seen.add(e.given[name])
            kept[part].append(replace(e, given=given))
    return kept


def _written(parts: dict[str, list[Example]], task: Task) -> dict[str, list[Example]]:
    """Examples with the texts that are to be written, too."""
    if hasattr(task, "labels") or not any(isinstance(e.wanted, str) for e in parts["train"]):
        return parts
    return {name: [replace(e, given={**e.given, "": e.wanted}) for e in own] for name, own in parts.items()}


def _coder(recipe: FinetuneRecipe, folder: Path) -> Coder:
    """How the model reads, as `body.made` has it."""
    longest = getattr(interop.load(folder).config, "max_length", None)
    encoder = Encoder.load(Path(recipe.tokenizer.path) if recipe.tokenizer.path is not None else folder)
    return Coder.of(encoder, min(recipe.train.row_tokens, longest or recipe.train.row_tokens), folder)


def _read(task: Task, rows: Rows, met: Met, *, unknown: bool) -> Iterable[Example]:
    for row in rows:
        try:
            example = task.read(row.fields, row.where)
            if example.wanted is None and not unknown:
                raise InputError("does not say what is right", where=row.where)
        except InputError as error:
            if met.stop:
                raise
            met.left(re.sub(r"'.*'", "'…'", error.what), str(error.where or row.where))
            continue
        yield example


def _met(rows: dict[str, Rows]) -> Iterable[Finding]:
    """What the reader left out and put right."""
    for own in rows.values():
        n = len(own) + sum(own.skipped.values())
        yield from _skipped(own.skipped, own.places, n)
        for kind, like in (("answers_moved", _MOVED), ("answers_left", _LEFT), ("mended", re.compile(""))):
            reasons = [why for why in own.mended if like.match(why)]
            if kind == "mended":
                reasons = [why for why in reasons if not _MOVED.match(why) and not _LEFT.match(why)]
            if reasons:
                lost = kind == "answers_left"
                places = [p for why in reasons for p in _places(why, own.places) if lost or _LOST not in p.what]
                yield found(kind, "look", places, n, sum(own.mended[why] for why in reasons), why=reasons[0])


def _skipped(skipped: dict[str, int], places: Iterable[str], of: int) -> Iterable[Finding]:
    kinds: dict[str, Counter[str]] = {}
    for why, count in skipped.items():
        kind = (
            "answers_missing" if _MISSING.match(why) else "tags_differ" if _DIFFER.match(why) else f"unreadable {why}"
        )
        kinds.setdefault(kind, Counter())[why] += count
    for kind, reasons in kinds.items():
        seen = [place for why in reasons for place in _places(why, places)]
        if kind == "answers_missing":  # the reader says the same of those that it found elsewhere
            seen = [place for place in seen if _LOST in place.what] or seen
        yield found(kind.split()[0], "mend", seen, of, reasons.total(), why=next(iter(reasons)))


def _places(why: str, places: Iterable[str]) -> list[Place]:
    """Those of a reason: `rows.Met` writes "where: what", with numbers where the reason has N."""
    like = re.compile(r": (?=" + re.sub(r"\bN\b", r"\\d[\\d,]*", re.escape(why)) + ")")
    parted = [(like.search(place), place) for place in places]
    parts = [Place(place[: match.start()], place[match.end() :]) for match, place in parted if match]
    return [place for place in parts if ": " not in place.where or _NUMBERED.search(place.where)]


def answer(checked: Checked) -> dict[str, Any]:
    """The answer of `--json`."""
    rows = [
        {
            **asdict(finding), "values": dict(finding.values),
            "statement": {language: told_checks.statement(finding, language) for language in LANGUAGES},
            "remedy": {language: told_checks.remedy(finding, language) for language in LANGUAGES},
        }
        for finding in checked.findings
    ]  # fmt: skip
    return {
        "task": checked.task, "ok": checked.ok, "examples": checked.parts, "findings": rows,
        "assay_version": __version__, "fingerprint": fingerprint([checked.fingerprint, rows]),
    }  # fmt: skip
