"""What a study tells a terminal, and programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay import __version__
from assay.impact import design
from assay.impact.claims import Claim
from assay.impact.plan import Plan, costs
from assay.impact.results import StudyResults
from assay.recipe.study import StudyRecipe
from assay.report import study as report
from assay.store import fingerprint
from assay.train.engines.choice import Choice


def derived(recipe: StudyRecipe, plan: Plan, chosen: Choice, less: Plan | None) -> list[tuple[str, str, str]]:
    """Every derived value of a plan, and why it is what it is.

    Args:
        chosen: the engine.
        less: the plan that half the budget would have paid for; None where it pays for none.
    """
    spent = ", ".join(f"{axis} {share:.0%}" for axis, share in costs(recipe, plan).items() if share)
    cells = ", ".join(cell.name for cell in plan.cell_list())
    shares = ", ".join(f"{source} {share:.1%}" for source, share in plan.natural.items())
    return [
        *plan.why,
        ("train.engine", chosen.kind, chosen.why),
        ("natural", shares, "share of each source's training tokens in the corpus"),
        ("cells", cells, f"besides {design.NATURAL}; each with {len(plan.seeds)} seeds"),
        ("predictions", ", ".join(plan.predictions) or "none", "registered before the runs that test them"),
        (
            "planned_tokens",
            f"{plan.planned_tokens + plan.more_tokens:,}",
            "training tokens that the fleet will compute",
        ),
        ("costs", spent, "share of the FLOPs that each question takes; the size trunk is the baseline of all"),
        ("half_budget", _less(plan, less), "what half the budget would change"),
    ]


def _less(plan: Plan, less: Plan | None) -> str:
    """What a smaller plan lacks."""
    if less is None:
        return "no study: too small for the fewest seeds and the shortest runs"
    gone = [cell.name for cell in plan.cell_list() if cell.name not in {other.name for other in less.cell_list()}]
    parts = [f"without {', '.join(gone)}" if gone else "all cells stay"]
    for name, now, then in (
        ("seeds", len(plan.seeds), len(less.seeds)),
        ("run_tokens", plan.run_steps * plan.step_tokens, less.run_steps * less.step_tokens),
        ("held-out tokens a source", plan.eval_tokens, less.eval_tokens),
    ):
        if now != then:
            parts.append(f"{name} {then:,} instead of {now:,}")
    if plan.detectable and less.detectable:
        parts.append(f"detectable effect {less.detectable:.2g} instead of {plan.detectable:.2g} bpb")
    return "; ".join(parts)


def summary(results: StudyResults, out: Path) -> dict[str, Any]:
    """The answer of `--json`."""
    tested = [claim.outcome for claim in results.claims if claim.outcome]
    return {
        "out": str(out),
        "claims": str(out / "claims.json"),
        "report": str(out / report.REPORT),
        "n_claims": len(results.claims),
        "n_supported": sum(claim.verdict == "supported" for claim in results.effects),
        "predictions": {
            "registered": sum(claim.prediction is not None for claim in results.claims),
            "tested": len(tested),
            "hits": sum(outcome.verdict == "hit" for outcome in tested),
        },
        "seconds": round(results.cost.seconds, 1),
        "tokens": results.cost.training_tokens,
        "assay_version": __version__,
        "fingerprint": fingerprint(results.fingerprints),
    }


def headlines(claims: Sequence[Claim], language: str) -> list[str]:
    """The headline claims as sentences, for the terminal."""
    return [getattr(claim.statement, language) for claim in claims if claim.headline]
