"""Which engine does a study's fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from assay.errors import InputError
from assay.machine import cores
from assay.train.engines import Engine
from assay.train.engines.cluster import ClusterEngine
from assay.train.engines.local import LocalEngine
from assay.train.engines.stacked import StackedEngine

Kind = Literal["processes", "stacked"]
WHERE = "train.engine"


@dataclass(frozen=True)
class Choice:
    """An engine, and why it is this one.

    Attributes:
        kind: whether runs are computed each by a process of its own, or as members of stacks.
        device: where.
        ray: the address of a cluster whose processors the processes are on.
    """

    kind: Kind
    device: str
    why: str
    ray: str | None = None

    @property
    def stacked(self) -> bool:
        return self.kind == "stacked"

    def engine(
        self, root: Path, work: Path, workers: int | None, members: int | None, lost: Callable[[str], None]
    ) -> Engine:
        """The engine itself.

        Args:
            root, work: of the store, and of states of unfinished jobs.
            workers: how many processes; None: one a core, or one a processor of the cluster.
            members: of a stack at most; None: as many as fit.
            lost: see `ClusterEngine`.
        """
        if self.ray is not None:
            return ClusterEngine(root, work, self.ray, workers, lost)
        if self.stacked:
            return StackedEngine(root, work, self.device, members)
        return LocalEngine(root, work, workers or cores())


def choose(asked: Literal["auto"] | Kind, before: Kind | None, ray: str | None) -> Choice:
    """The engine of a study.

    Args:
        asked: auto: what the study has begun with, else stacks where there is a GPU, and no cluster.
        before: what it has begun with; results of two engines are equal within rounding alone, and not mixed.

    Raises:
        InputError: another one is asked for than it has begun with, or stacks on a cluster.
    """
    gpu = torch.cuda.is_available()
    if before is not None and asked not in ("auto", before):
        raise InputError(
            f"this study has begun with {before}, and runs of two engines are not mixed", where=WHERE,
            remedy=f"give {before}, or choose another --out",
        )  # fmt: skip
    kind = before or asked
    if ray is not None:
        if kind == "stacked":
            raise InputError(
                "the processors of a cluster compute each run alone", where=WHERE,
                remedy="leave out --ray" if before else "leave out --ray, or give processes",
            )  # fmt: skip
        return Choice("processes", "cpu", "a processor of the cluster each", ray)
    if kind == "auto":
        kind = "stacked" if gpu else "processes"
        why = "auto: there is a GPU here" if gpu else "auto: there is no GPU here"
    else:
        why = "given" if asked == kind else "what the study has begun with"
    if kind == "processes":
        return Choice(kind, "cpu", why)
    return Choice(kind, "cuda" if gpu else "cpu", f"{why}; runs of one schedule together, on the {_named(gpu)}")


def _named(gpu: bool) -> str:
    return torch.cuda.get_device_name(0) if gpu else "CPU"
