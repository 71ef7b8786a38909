"""The proxy of a study and the tokens that its budget buys: what has to be known before the tokenizer is trained.

    probe of this machine -> speed, type of the arithmetic -> tokens of the budget      (or --tokens)
    tokens                -> the largest proxy whose comparison runs read enough of them

What the trunk costs stands here, too, since the proxy has to be chosen before there is a plan.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from assay.recipe.study import StudyRecipe

# Proxies by size: layers, width, heads, vocabulary; 0.36, 0.92 and 1.8 million parameters.
LADDER = ((2, 64, 2, 2048), (3, 96, 3, 3072), (4, 128, 4, 4096))
TOKENS_PER_PARAMETER = 0.9  # a comparison run on a larger rung reads at least this many tokens a parameter
BRANCH_RATIO = 2**0.5
LARGEST_BRANCH = 2.0  # x D_c
HELD_OUT_SIZE = 4.0  # x D_c: twice the largest run that the law is fitted on
# The tokens that a time budget buys: training steps in the fleet run at this share of the probe's speed (the sampler,
# the ledger, uneven last jobs), measured over studies on two cores.
FLEET_EFFICIENCY = 0.85


class Shape(BaseModel):
    """The proxy and the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int
    width: int
    heads: int
    vocabulary: int
    dtype: str
    workers: int
    total_tokens: int
    tokens_per_second: float | None  # of the whole fleet, by the probe; None with --tokens
    training_seconds: float | None  # of a time budget that are left for training, and those that are not
    other_seconds: float | None
    why: list[tuple[str, str, str]]

    @property
    def size(self) -> tuple[int, int]:
        """Layers and width."""
        return self.layers, self.width

    def cost_of(self, layers: int, width: int) -> float:
        """FLOPs of a step of another proxy, against those of this one."""
        return _cost((layers, width, 1, self.vocabulary)) / _cost((self.layers, self.width, 1, self.vocabulary))


def choose_shape(
    recipe: StudyRecipe,
    tokens: float | None,
    seconds: float | None,
    workers: int,
    n_sources: int,
    probe: Callable[[tuple[int, int, int, int], str], float],
    other_seconds: float = 0.0,
) -> Shape:
    """The proxy's size, the type of the arithmetic, and the tokens that the budget buys.

    Args:
        tokens: the budget in training tokens, or None.
        seconds: the time left for training, or None.
        other_seconds: the rest of that budget: what is gone, and what is kept for the end.
        probe: (layers, width, heads, vocabulary), dtype -> tokens a second of the whole fleet.
    """
    why: list[tuple[str, str, str]] = []
    base = _rung(recipe, LADDER[0])
    speed: float | None = None
    dtype: str = "float32" if recipe.train.dtype == "auto" else recipe.train.dtype
    if tokens is None:
        assert seconds is not None
        speeds: dict[str, float] = {
            kind: probe(base, kind)
            for kind in (("float32", "bfloat16") if recipe.train.dtype == "auto" else (recipe.train.dtype,))
        }
        speed, dtype = max((value, kind) for kind, value in speeds.items())
        shown = ", ".join(f"{kind} {value:,.0f} tokens/s" for kind, value in speeds.items())
        why.append(("train.dtype", dtype, f"the fastest in the probe with {workers} workers: {shown}"))
        tokens = speed * seconds * FLEET_EFFICIENCY
        reason = f"{seconds:.0f} s left for training x {speed:,.0f} tokens/s x {FLEET_EFFICIENCY} (fleet efficiency)"
    else:
        reason = "given with --tokens: the plan does not depend on the machine"
        why.append(
            (
                "train.dtype",
                dtype,
                "given" if recipe.train.dtype != "auto" else "with --tokens always float32",
            )
        )
    rung = _affordable_rung(recipe, tokens, n_sources)
    if speed is not None and rung != base:
        tokens *= _cost(base) / _cost(rung)
        reason += f", scaled to the larger proxy by its FLOPs ({_cost(base) / _cost(rung):.2f})"
    why.append(("tokens", f"{tokens:,.0f}", reason))
    sizes = f"{rung[0]} layers x {rung[1]}, vocabulary {rung[3]}"
    why.append(
        (
            "model",
            sizes,
            f"the largest proxy whose comparison runs read {TOKENS_PER_PARAMETER} tokens a parameter",
        )
    )
    layers, width, heads, vocabulary = rung
    return Shape(
        layers=layers, width=width, heads=heads, vocabulary=vocabulary, dtype=dtype, workers=workers,
        total_tokens=int(tokens), tokens_per_second=speed, training_seconds=seconds,
        other_seconds=None if seconds is None else other_seconds, why=why,
    )  # fmt: skip


def _rung(recipe: StudyRecipe, rung: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """A rung of the ladder, with what the recipe fixes."""
    layers, width = recipe.train.layers or rung[0], recipe.train.width or rung[1]
    heads = rung[2] if width == rung[1] else max(1, width // 32)
    return layers, width, heads, recipe.tokens.vocabulary or rung[3]


def _parameters(rung: tuple[int, int, int, int]) -> int:
    layers, width, _, vocabulary = rung
    return 12 * layers * width * width + 2 * vocabulary * width


def _cost(rung: tuple[int, int, int, int]) -> int:
    layers, width, _, vocabulary = rung
    return 12 * layers * width * width + vocabulary * width


def _affordable_rung(recipe: StudyRecipe, tokens: float, n_sources: int) -> tuple[int, int, int, int]:
    rungs = list(dict.fromkeys(_rung(recipe, rung) for rung in LADDER))
    base, asked, n_cells = rungs[0], recipe.design, _n_cells(recipe, n_sources)
    for rung in reversed(rungs[1:]):
        scales = sum(_cost((*size, 1, rung[3])) for size in {*asked.scales}) / _cost(rung)
        proxies = n_cells + scales * (1 + len({*asked.rates})) + len({*asked.rates})
        paid = (1 - asked.second_pass) * tokens * _cost(base) / _cost(rung)
        run_tokens = paid / 5 / (proxies + trunk_cost(recipe))
        if run_tokens >= TOKENS_PER_PARAMETER * _parameters(rung):
            return rung
    return base


def _n_cells(recipe: StudyRecipe, n_sources: int) -> int:
    """Cells of the study's own proxy, before it is known what can be afforded."""
    asked = recipe.design
    doses, fitted_doses = len({*asked.doses, *asked.held_out_doses}), len(set(asked.doses))
    n_cells = n_sources + 2 + asked.held_out_mixtures + len(asked.defects) * doses
    n_cells += 2 * len(asked.filters) + len(asked.damaged_sources) * len(asked.defects) * fitted_doses
    return n_cells + len(set(asked.leaks)) + len(set(asked.orders)) + len(set(asked.together)) * fitted_doses


def stacks(recipe: StudyRecipe, n_sources: int, seeds: int) -> list[tuple[int, float]]:
    """How many runs of so many seeds have one schedule, and their share of the tokens: of trunks, and of cells."""
    cells, trunk = _n_cells(recipe, n_sources), trunk_cost(recipe)
    return [(seeds, trunk / (trunk + cells)), (seeds * cells, cells / (trunk + cells))]


def branch_sizes(recipe: StudyRecipe) -> list[float]:
    """Sizes of the trunk's branches in D_c, smallest first."""
    n = recipe.design.size_branches
    return [LARGEST_BRANCH / BRANCH_RATIO**i for i in reversed(range(n))]


def trunk_cost(recipe: StudyRecipe) -> float:
    """Tokens computed for a seed's trunk, its branches and the held-out run, in D_c."""
    decay = recipe.train.decay_share
    return (1 - decay) * HELD_OUT_SIZE + decay * (sum(branch_sizes(recipe)) + HELD_OUT_SIZE)
