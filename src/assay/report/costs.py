"""What the study cost, and how to repeat it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assay.impact.results import StudyResults
from assay.present.numbers import compact, durations, energy, fixed, percent, scientific, significant, size
from assay.present.parts import Content, Ids, share_bar, tile
from assay.present.tables import Column, table
from assay.present.words import both, known


def cost(results: StudyResults, ids: Ids) -> dict[str, Any]:
    """What the section "cost" places."""
    spent = results.cost
    how = spent.energy_how if spent.energy_how in ("measured", "estimated") else "estimated"
    tiles = [
        tile(both("cost.time"), durations(spent.seconds), spent.device),
        tile(
            both("cost.tokens"),
            compact(spent.training_tokens),
            both("cost.speed", n=compact(spent.tokens_per_second)),
        ),
        tile(both("cost.flops"), scientific(spent.flops)),
        tile(both("cost.energy"), energy(spent.energy_joules), both(f"cost.{how}")),
        tile(both("cost.memory"), size(spent.peak_memory_bytes)),
        tile(both("cost.runs"), fixed(spent.runs, 0)),
    ]
    return {"tiles": Markup("").join(tiles), "stages": _stages(spent.seconds_by_stage, ids)}


def _stages(seconds: dict[str, float], ids: Ids) -> Markup | None:
    total = sum(seconds.values())
    if not total > 0:
        return None
    columns = [Column(both("cost.stage")), Column(both("cost.time")), Column(both("cost.share"))]
    rows: list[list[Content]] = [
        [
            known(f"progress.{stage}", stage),
            durations(spent),
            share_bar(spent / total, percent(spent / total)),
        ]
        for stage, spent in seconds.items()
    ]
    return table(both("cost.stages"), columns, rows, ident=ids.new("stages-caption"), kind="slim")


def reproduce(results: StudyResults, ids: Ids) -> dict[str, Any]:
    """What the section "reproduce" places."""
    names: list[tuple[str, Content]] = [
        ("version", results.assay_version),
        ("made", results.created_at),
        ("budget", results.budget),
        ("model", results.architecture),
        (
            "parameters",
            both(
                "reproduce.parameters_value",
                n=fixed(results.parameters, 0),
                total=fixed(results.parameters_total, 0),
            ),
        ),
        ("tokenizer", results.tokenizer),
        ("run_tokens", fixed(results.run_tokens, 0)),
        ("seeds", str(results.n_seeds)),
        ("level", percent(results.level)),
        ("rate", significant(results.false_discovery_rate)),
    ]
    rows: list[list[Content]] = [[both(f"reproduce.{name}"), value] for name, value in names]
    rows += [
        [both("reproduce.fingerprint", name=name), Markup("<code>{}</code>").format(value)]
        for name, value in results.fingerprints.items()
    ]
    columns = [Column(both("reproduce.what")), Column(both("reproduce.value"), number=False)]
    return {
        "table": table(
            both("reproduce.fingerprints"),
            columns,
            rows,
            ident=ids.new("fingerprints-caption"),
            kind="settings",
        )
    }
