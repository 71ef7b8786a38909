"""`assay finetune` and what follows it through the front door, in this process."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from assay import front

SMALL = ("model.layers=1", "model.width=16", "tokenizer.vocabulary=420", "train.row_tokens=32", "train.batch_rows=8")

CNN = ("budget.epochs=6", "tune.rate=0.01")


def finetune(
    task: str, data: list[str], out: Path, *overrides: str, model: str = "bert", **options: Any
) -> dict[str, Any]:
    """The answer of `assay finetune --json`."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.finetune(
            task=task, data=data, model=model, out=out, recipe=None, overrides=[*SMALL, *overrides], options=options,
            language="en", explain=False, as_json=True,
        )  # fmt: skip
    answer: dict[str, Any] = json.loads(said.getvalue())
    return answer


def said(verb: Any, **given: Any) -> Any:
    """What a verb prints; as JSON if that was asked for."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        verb(**{"language": "en", "as_json": True, **given})
    return json.loads(out.getvalue()) if given.get("as_json", True) else out.getvalue()


def evaluated(model: Path, *sources: Path, **more: Any) -> dict[str, Any]:
    of_task = {"answers": None, "format": None, "fields": [], "rows": 32, **more}
    found: dict[str, Any] = said(
        front.evaluate, model=model, sources=[str(s) for s in sources], words=[], window=None, stride=None,
        device="cpu", level=0.95, of_task=of_task, perplexity=False, reading={},
    )  # fmt: skip
    return found
