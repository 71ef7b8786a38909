"""`assay eval errors`: what a model gets wrong, and which labels may be wrong themselves.

answers -> confusion, slices, the hardest examples (`tasks.errors`)
rows    -> folds of the linear floor -> labels that are likely wrong
        -> one JSON object, a terminal's lines, or a page
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.finetune import answers, judging
from assay.metrics.scores import LEVEL, SHARE, bootstrap
from assay.metrics.tagging import spans
from assay.present.progress import Progress
from assay.report import errors as page
from assay.store import fingerprint, write_atomic
from assay.tasks.checks.finding import short, texts_of
from assay.tasks.coding import joined
from assay.tasks.errors import confusion, hardest, slices, suspects
from assay.tasks.errors.suspects import FOLDS
from assay.tasks.protocol import Answer, Example, Task

MOST = 20  # examples, pairs and labels that are listed where nobody says how many
_LONG = 400  # characters of a text that is shown


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        run: a folder of `assay finetune`, or a file of answers.
        part: of a folder; None: test, else dev.
        most: examples and labels that are listed.
        data: training data whose labels are looked at; None: they are not.
    """

    run: Path
    part: str | None = None
    level: float = LEVEL
    most: int = MOST
    data: judging.Asked | None = None
    folds: int = FOLDS
    seed: int = 0


def run(request: Request, progress: Progress) -> dict[str, Any]:
    """The answer of `--json`.

    Raises:
        InputError: no answers; label errors are asked for, and cleanlab is not installed or the task has no labels.
    """
    if request.data is not None:
        suspects.available()  # before time is spent
    held = answers.read_whole(request.run, request.part)
    task, examples, given = held.task, held.examples, held.answers
    groups = answers.groups_of(examples)
    progress.stage("errors")
    try:
        scores = bootstrap(task.measure(examples, given), level=request.level, groups=groups)
        table = confusion.confusion(task, examples, given)
        parts = slices.sliced(task, examples, given, level=request.level, groups=groups)
    except KeyError as error:
        remedy = "write answers as `assay predict` does"
        raise InputError(f"an answer lacks {error}", where=held.file, remedy=remedy) from error
    name = slices.score_of(task)
    loss = hardest.losses(examples, given, held.nll)
    listed = [] if loss is None else hardest.hardest(loss, request.most)
    body: dict[str, Any] = {
        "task": task.name,
        "answers": str(held.file),
        "n": len(examples),
        "score": name,
        "better": task.measure(examples, given).kinds.get(name, SHARE).better,
        "metrics": answers.as_json(scores),
        "shown": list(task.shown),
        "confusion": None if table is None else _told(table),
        "slices": [asdict(one) for one in parts],
        "hardest": [_hard(examples[i], given[i], float(loss[i])) for i in listed] if loss is not None else [],
        "label_errors": None if request.data is None else _suspected(task, request, request.data, progress),
    }
    return body | {"assay_version": __version__, "fingerprint": fingerprint(body)}


def _told(table: confusion.Confusion) -> dict[str, Any]:
    labels, kinds = table.labels, table.kinds
    return {
        "unit": table.unit,
        "labels": None if labels is None else labels.told(),
        "kinds": None if kinds is None else kinds.told(),
        "commonest": [] if labels is None else confusion.commonest(labels, MOST),
    }


def _hard(example: Example, answer: Answer, loss: float) -> dict[str, Any]:
    texts = [text if len(text) <= _LONG else text[:_LONG] + "…" for text in texts_of(example)]
    told = {"where": example.where, "texts": texts, "wanted": None, "found": None, "apart": [], "loss": loss}
    if "tags" in answer:
        return told | _tags_apart(example, answer["tags"])
    wanted, found = (_spelled(value) for value in (example.wanted, answer))
    return told | {"wanted": wanted, "found": found}


def _tags_apart(example: Example, found: list[str]) -> dict[str, Any]:
    """Spans that are there or were found alone; of other tags the tokens whose tags differ."""
    tokens, wanted = example.given["tokens"], example.wanted
    try:
        there, said = spans(wanted), spans(found)
    except InputError:  # labels, each by itself
        pairs = zip(tokens, wanted, found, strict=True)
        return {"apart": [f"{token}: {a} → {b}" for token, a, b in pairs if a != b]}
    each = ((there, said), (said, there))
    alone = [
        [f"{joined(tokens[a:b])} [{kind}]" for kind, a, b in own if (kind, a, b) not in other] for own, other in each
    ]
    return {"wanted": " · ".join(alone[0]) or "–", "found": " · ".join(alone[1]) or "–"}


def _spelled(value: Any) -> str:
    """A wanted value, or an answer, in a line."""
    if isinstance(value, dict):
        for name in ("label", "labels", "text", "score"):
            if name in value:
                return _spelled(value[name])
        return short(str(value))
    if isinstance(value, list):
        return " / ".join(dict.fromkeys(map(str, value))) or "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "–"


def _suspected(task: Task, request: Request, data: judging.Asked, progress: Progress) -> dict[str, Any]:
    examples, left_out, rows = judging.read(task, data, known=False)
    if len(examples) < len(rows):  # some were left out: rows and examples go side by side
        kept = {e.where for e in examples}
        rows = rows.of(row for row in rows if row.where in kept)
    known = [i for i, e in enumerate(examples) if e.wanted is not None]
    if len(known) < len(examples):
        examples, rows = [examples[i] for i in known], rows.of(rows[i] for i in known)
    progress.stage("folds", 1)
    done = [0.0]

    def tell(share: float) -> None:
        progress.advance(share - done[0])
        done[0] = share

    found = suspects.suspects(task, rows, examples, k=request.folds, seed=request.seed, tell=tell)
    return {
        "n": found.n, "agreed": found.agreed, "folds": request.folds, "found": len(found.listed),
        "left_out": left_out, "listed": [asdict(one) for one in found.listed],
    }  # fmt: skip


def write(found: dict[str, Any], out: Path, language: str, most: int = MOST) -> None:
    """The page."""
    write_atomic(out, page.page(found, language, most))
