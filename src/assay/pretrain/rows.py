"""A finished training as rows of the ledger, so that whatever reads runs (laws, comparisons) reads this one, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay import ledger
from assay.train.evaluate import Evaluation
from assay.train.feed import TextFeed
from assay.train.run import Outcome

LEDGER = "ledger"
SPLITS = ("eval", "test")  # the loss of training text after training is no run's training loss


def write(folder: Path, outcome: Outcome, feed: TextFeed, answer: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Write the three tables into a folder.

    Args:
        answer: of the run.
        inputs: fingerprints of `tokenizer`, `evaluation_set` and `config`.
    """
    run_id, step = answer["run_id"], outcome.step
    tokens, plan = feed.tokens(step), feed.plan
    inside, everything = outcome.model.n_parameters()
    run = {
        "run_id": run_id, "study": run_id, "cell": "train", "axis": None, "defect": None, "dose": 0.0,
        "mixture": list(plan.weights.items()), "epochs": list(feed.epochs().items()), "seed": plan.seed,
        "pair": f"seed-{plan.seed}", "trunk": run_id, **inputs, "N": inside, "N_total": everything, "D": tokens,
        "U": feed.unique_tokens(step), "C": feed.flops_per_token(outcome.model) * tokens,
        "computed_tokens": outcome.tokens, "status": "done", "wall_seconds": outcome.spent.seconds,
        "device": answer["device"], "energy_joules": outcome.spent.joules,
    }  # fmt: skip
    found = {split: own for split, own in outcome.evaluations.items() if split in SPLITS}
    losses = [row for split, own in found.items() for row in _by_source(run_id, step, split, own)]
    documents = [row for split, own in found.items() for row in _by_document(run_id, step, split, own)]
    ledger.write_tables(folder, {"runs": [run], "losses": losses, "document_losses": documents})


def _by_source(run_id: str, step: int, split: str, found: Evaluation) -> list[dict[str, Any]]:
    return [
        {"run_id": run_id, "step": step, "split": split, "source": source, "n_tokens": int(own.sum("n_tokens")),
         "n_bytes": int(own.sum("n_bytes")) or None, "nll": own.sum("nll")}
        for source, own in found.by_source().items()
    ]  # fmt: skip


def _by_document(run_id: str, step: int, split: str, found: Evaluation) -> list[dict[str, Any]]:
    rows = found.units.select("doc_id", "n_tokens", "nll").iter_rows(named=True)
    return [{"run_id": run_id, "step": step, "split": split, **row} for row in rows]
