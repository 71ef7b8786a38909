"""What a person asked `assay labels` for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assay.errors import InputError
from assay.recipe.finetune import FinetuneRecipe

Equal = Literal["epochs", "steps"]
NOISE, IMBALANCE = (0.05, 0.1, 0.2, 0.4), (0.5, 0.75, 0.9)
LEVEL = 0.95
LEAST, MOST = 4, 12  # sizes: three to fit a law, one to predict
LEAST_EXAMPLES = 8  # of the smallest size


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        task: its name.
        recipe: of a run on all examples.
        seeds: so many, from the recipe's own on; a seed chooses the examples of smaller sizes, too.
        sizes: how many, a factor of two apart, down from all.
        target: a value of the task's best score.
        noise: shares of the labels that are wrong; None: the usual ones where the task can have them.
        imbalance: shares of the rarest class that are taken away; None: the usual ones where there are classes.
        equal: what sizes have in common: how often they read their examples, or how many steps they take.
        language: of what is said.
        command: as typed.
    """

    task: str
    recipe: FinetuneRecipe
    out: Path
    seeds: int = 3
    sizes: int = 5
    target: float | None = 0.9
    noise: tuple[float, ...] | None = None
    imbalance: tuple[float, ...] | None = None
    augment: bool = False
    equal: Equal = "epochs"
    language: str = "en"
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise InputError(f"{self.seeds} seed", where="--seeds", remedy="give 2 or more, or nothing tells the noise")
        if not LEAST <= self.sizes <= MOST:
            remedy = f"give {LEAST} to {MOST}: three fit a law, and the largest is predicted"
            raise InputError(f"{self.sizes} sizes", where="--sizes", remedy=remedy)
        if self.target is not None and not 0 < self.target <= 100:
            raise InputError(f"{self.target:g} is no value of a score", where="--target", remedy="give one such as 0.9")
        for option, doses in (("--noise", self.noise), ("--imbalance", self.imbalance)):
            for dose in doses or ():
                if not 0 < dose < 1:
                    raise InputError(f"{dose:g} is no share", where=option, remedy="give shares such as 0.1,0.2")

    def identity(self) -> dict[str, Any]:
        """What makes the folder this work's: doses can be added to it later."""
        return {
            "task": self.task, "recipe": self.recipe.identity(), "seeds": self.seeds, "sizes": self.sizes,
            "equal": self.equal,
        }  # fmt: skip

    @property
    def numbers(self) -> range:
        """Of the seeds."""
        first = self.recipe.train.seed
        return range(first, first + self.seeds)


def shares(typed: str | None, option: str) -> tuple[float, ...] | None:
    """Doses as they are typed: `0.05,0.1`; nothing between the commas: none.

    Raises:
        InputError: no numbers.
    """
    if typed is None:
        return None
    try:
        return tuple(sorted({float(part) for part in typed.split(",") if part.strip()}))
    except ValueError as error:
        raise InputError(f"{typed!r} is no list of shares", where=option, remedy="write it like 0.05,0.1") from error


def named(doses: Sequence[float], kind: str) -> list[str]:
    """Names of cells."""
    return [f"{kind}-{dose:g}" for dose in doses]
