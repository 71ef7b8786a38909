"""What a job has found: a row of `runs` for each branch, losses by source and document, and the artifact of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from torch import Tensor

from assay import ledger
from assay.models.protocol import Model
from assay.store import fingerprint
from assay.tokens.sampler import Sampler
from assay.train import checkpoint
from assay.train.energy import Spent
from assay.train.job import Branch, Job, JobData

TRAIN_LOSS_POINTS = 40  # of the training loss that a branch's ledger rows hold


class Record:
    """The rows of one job."""

    def __init__(self, job: Job, data: JobData) -> None:
        self.job, self.data = job, data
        self.sampler = Sampler(job.stream, data.streams, max(b.steps for b in job.branches), data.orders)
        self.runs: list[dict[str, Any]] = []
        self.losses: list[dict[str, Any]] = []
        self.documents: dict[str, dict[str, list[float]]] = {}  # run -> split -> nll by document

    def state(self) -> dict[str, Any]:
        """All rows so far, as JSON."""
        return {"runs": self.runs, "losses": self.losses, "documents": self.documents}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.runs, self.losses, self.documents = state["runs"], state["losses"], state["documents"]

    def add(
        self, branch: Branch, model: Model, read_SB: np.ndarray, held_out: Mapping[str, np.ndarray], spent: Spent,
        computed: int,
    ) -> None:  # fmt: skip
        """A branch that is done.

        Args:
            model: of the branch's shape.
            read_SB: nats of each row that was read, of all steps since the job's start.
            held_out: (documents,) nats by split.
            spent: on the branch, and on the trunk since the one before.
            computed: tokens that this took.
        """
        job, stream = self.job, self.job.stream
        tokens = branch.steps * job.step_tokens
        run_id = fingerprint({"inputs": self.data.inputs, "job": job.config(), "steps": branch.steps})[:20]
        n_inside, n_total = model.n_parameters()
        sampler = Sampler(stream, self.data.streams, branch.steps, self.data.orders)
        self.documents[run_id] = {split: nll.tolist() for split, nll in held_out.items()}
        self.losses += self._training_losses(run_id, read_SB, branch.steps)
        self.runs.append(
            {
                "run_id": run_id,
                "study": self.data.study,
                "cell": job.cell,
                "axis": job.axis,
                "defect": f"{stream.defect}+{stream.also}" if stream.also else stream.defect,
                "dose": stream.dose,
                "mixture": dict(stream.weights),
                "epochs": dict(sampler.epochs()),
                "seed": stream.seed,
                "pair": f"seed-{stream.seed}",
                "trunk": fingerprint({"cell": job.cell, "seed": stream.seed})[:12],
                "tokenizer": self.data.inputs["tokenizer"],
                "evaluation_set": fingerprint({k: v for k, v in self.data.inputs.items() if k.startswith("evalset")}),
                "N": n_inside,
                "N_total": n_total,
                "D": tokens,
                "U": _distinct_rows(sampler) * stream.row_tokens,
                "C": model.flops_per_token(stream.row_tokens) * tokens,
                "computed_tokens": computed,
                "config": fingerprint(job.config()),
                "status": "done",
                "wall_seconds": spent.seconds,
                "device": self.data.device,
                "energy_joules": spent.joules,
            }
        )

    def _training_losses(self, run_id: str, read_SB: np.ndarray, total: int) -> list[dict[str, Any]]:
        """Training loss by source, summed over stretches of the run; `step` is a stretch's last."""
        names, (steps, B) = self.sampler.sources, read_SB.shape
        width = max(1, -(-total // TRAIN_LOSS_POINTS))
        step_S = self.job.start_step + np.arange(steps)
        ends_S = np.minimum(total, (step_S // width + 1) * width)
        source_SB = self.sampler.slots[0].reshape(-1, B)[step_S]
        found, place = np.unique((ends_S[:, None] * len(names) + source_SB).ravel(), return_inverse=True)
        rows, nll = np.bincount(place), np.bincount(place, read_SB.ravel())
        return [
            {
                "run_id": run_id,
                "step": int(key) // len(names),
                "split": "train",
                "source": names[int(key) % len(names)],
                "n_tokens": int(n) * self.job.stream.row_tokens,
                "n_bytes": None,
                "nll": float(x),
            }
            for key, n, x in zip(found, rows, nll, strict=True)
        ]

    def write(self, folder: Path, trunk: Mapping[str, Tensor] | None) -> dict[str, Any]:
        """The job's ledger tables, and its trunk where it is to be kept."""
        losses, documents = [], []
        for run in self.runs:
            step = run["D"] // self.job.step_tokens
            for split, nll in self.documents[run["run_id"]].items():
                table = self.data.evaluation[split].documents.with_columns(
                    pl.lit(run["run_id"]).alias("run_id"),
                    pl.lit(step, pl.Int64).alias("step"),
                    pl.lit(split).alias("split"),
                    pl.Series("nll", nll, pl.Float64),
                )
                documents.append(table.select(ledger.DOCUMENT_LOSSES.names))
                by_source = table.group_by("run_id", "step", "split", "source", maintain_order=True)
                losses.append(by_source.agg(pl.col("n_tokens", "n_bytes", "nll").sum()))
        training = pa.Table.from_pylist(self.losses, schema=ledger.LOSSES)
        held_out = pl.concat(losses).select(ledger.LOSSES.names).to_arrow().cast(ledger.LOSSES)
        ledger.write_tables(
            folder,
            {
                "runs": [_with_maps(run) for run in self.runs],
                "losses": pa.concat_tables([training, held_out]),
                "document_losses": pl.concat(documents).to_arrow().cast(ledger.DOCUMENT_LOSSES),
            },
        )
        if trunk is not None:
            checkpoint.write(folder / "trunk", dict(trunk))
        return {"cell": self.job.cell, "seed": self.job.stream.seed, "runs": len(self.runs)}


def _distinct_rows(sampler: Sampler) -> int:
    """How many different rows a run reads; a row and its damaged copy are two."""
    return np.unique(np.stack(sampler.slots), axis=1).shape[1]


def _with_maps(run: dict[str, Any]) -> dict[str, Any]:
    """A row of `runs` with its maps as Arrow takes them; as dicts they survive a saved state."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in run.items()}
