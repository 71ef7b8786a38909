"""Studies of real text at two proxy sizes: are predictions kept, damaged sources found, and what do defects cost?

    python benchmarks/real_fleets.py ../shared/data --work FOLDER [--only en-0.4m] [--tokens 1e8]

Four sources of an English and of a Chinese mix (`mix-en`, `mix-zh`), proxies of 0.4M and 1.3M parameters: four studies
with three defects in three doses, in all sources and in one alone; doses and mixtures that no fit sees are predicted
for every source's text before they are measured. A study that was stopped goes on; `--only` does one of them. Of each a
line is stored: how often registered intervals of 50, 80 and 90 % held, which damaged sources were found, and the share
of the training tokens that each defect costs, with 90 % intervals. Printed at the end: how often they held in the
newest lines of all four.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.fits import calibration
from assay.impact import predictions
from assay.impact.plan import Plan
from assay.impact.results import StudyResults
from assay.recipe.load import load
from assay.recipe.study import StudyRecipe
from assay.study import verb
from assay.study.request import Request
from common import share, store_result, stored

MIXES = {
    "en": ("mix-en", ("fiction", "news", "techdoc", "usenet"), "news"),
    "zh": ("mix-zh", ("classical", "medical", "newsletter", "tech_news"), "tech_news"),
}  # folder, sources, the one that is damaged alone
SIZES = {"0.4m": (2, 64), "1.3m": (4, 128)}  # layers, width
VOCABULARY, SEEDS = 2048, 3
LOST = {"near_duplicates": 0.3, "character_noise": 0.1, "shuffle_words": 0.3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", choices=[f"{mix}-{size}" for mix in MIXES for size in SIZES])
    parser.add_argument("--tokens", type=float, default=1e8, help="of each study")
    given = parser.parse_args()
    for size, (layers, width) in SIZES.items():
        for mix, (folder, sources, damaged) in MIXES.items():
            name = f"{mix}-{size}"
            if given.only not in (None, name):
                continue
            files = [
                str(given.data / folder / f"{source}.{split}.jsonl.zst")
                for source in sources
                for split in ("train", "valid")
            ]
            options = [
                f"train.layers={layers}", f"train.width={width}", f"train.seeds={SEEDS}", "train.dtype=bfloat16",
                f"tokens.vocabulary={VOCABULARY}", f"design.defects=[{', '.join(LOST)}]",
                "design.doses=[0.1, 0.3, 0.5]",
                "design.held_out_doses=[0.2, 0.4]", "design.held_out_mixtures=4", f"design.damaged_sources=[{damaged}]",
            ]  # fmt: skip
            recipe = load(StudyRecipe, None, options)[0]
            out, command = given.work / name, ["assay", "study", *files, "--out", str(given.work / name)]
            results = verb.run(Request(files, out, recipe, given.tokens, None, "en", command))
            held = calibration.run([out])["table"]
            store_result(
                "real_fleets",
                {"study": name, "tokens_asked": given.tokens, "seeds": SEEDS, "held": held, **_told(results, out)},
            )
    print(json.dumps(together(stored("real_fleets")), indent=1))


def together(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often intervals of each level held in the newest line of every study."""
    newest = {line["study"]: line["held"] for line in lines}
    found = {}
    for level in predictions.BANDS:
        rows = [row for held in newest.values() for row in held if not row["kind"] and row["level"] == level]
        hits, n = sum(round(row["held"] * row["n"]) for row in rows), sum(row["n"] for row in rows)
        found[f"{level:g}"] = share([True] * hits + [False] * (n - hits))
    return {"studies": list(newest), "held": found}


def _told(results: StudyResults, out: Path) -> dict[str, Any]:
    plan = Plan.model_validate_json((out / "plan.json").read_text(encoding="utf-8"))
    tested = [claim.outcome for claim in results.claims if claim.outcome]
    return {
        "parameters": {"N": results.parameters, "all": results.parameters_total},
        "run_tokens": results.run_tokens,
        "runs": results.cost.runs,
        "tokens": results.cost.training_tokens,
        "seconds": round(results.cost.seconds),
        "claims": len(results.effects),
        "supported": sum(claim.verdict == "supported" for claim in results.effects),
        "predictions": {"tested": len(tested), "hits": sum(one.verdict == "hit" for one in tested)},
        "detectable": plan.detectable,
        "damaged": [
            {
                "defect": row.defect,
                "dose": row.dose,
                "source": row.source,
                "effect": row.effects[row.source].estimate,
                "interval": row.effects[row.source].interval,
                "worst": row.worst,
                "found": row.found,
            }
            for row in results.damaged
        ],
        "doses": [
            {
                "defect": view.defect,
                "dose": point.dose,
                "effect": point.effect.estimate,
                "interval": point.effect.interval,
                "tokens_lost": point.tokens_lost,
                "asked": LOST[view.defect] == point.dose,
            }
            for view in results.doses
            for point in view.points
        ],
    }


if __name__ == "__main__":
    main()
