"""Studies: their claims, curves, laws, doses and mixtures, as they were stored; nothing is computed anew.

`results.json` of a study holds everything that its page shows. What a list of claims needs is handed out; so are the
works of `assay labels`, whose claims have the same form.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from assay.errors import InputError
from assay.explore.catalog import Entry
from assay.impact.claims import Claim
from assay.impact.results import StudyResults

PAGES = ("report.html", "labels.html")
_SHOWN = {
    "title", "command", "created_at", "budget", "level", "n_seeds", "parameters", "parameters_total", "architecture",
    "tokenizer", "run_tokens", "false_discovery_rate", "notices", "claims", "profile", "curves", "law", "doses",
    "mixtures", "filters", "leaks", "orders", "decisions", "samples", "cost", "fingerprints",
}  # fmt: skip


@lru_cache(maxsize=1024)
def summary(entry: Entry) -> dict[str, Any]:
    """What the overview says of a study; of one that is not done, that alone."""
    if not entry.finished:
        return {}
    try:
        claims = _claims(entry)
    except InputError:
        return {}
    outcomes = [claim.outcome for claim in claims if claim.outcome is not None]
    effects = [claim for claim in claims if claim.kind != "prediction"]
    headlines = [claim.statement.model_dump() for claim in effects if claim.headline]
    return {
        "claims": len(effects), "supported": sum(claim.verdict == "supported" for claim in effects),
        "tested": len(outcomes), "hits": sum(outcome.verdict == "hit" for outcome in outcomes),
        "headlines": headlines[:3],
    }  # fmt: skip


def study(entry: Entry) -> dict[str, Any]:
    """A study's results; of a work on labels, its claims.

    Raises:
        InputError: it has not run to its end, or a file is damaged.
    """
    page = next((name for name in PAGES if (entry.path / name).is_file()), None)
    if entry.kind == "labels":
        return {"claims": [claim.model_dump(mode="json") for claim in _claims(entry)], "report": page}
    try:
        results = StudyResults.model_validate(entry.json("results.json"))
    except ValidationError as error:
        raise InputError("is of another version", where="results.json", remedy="run the study again") from error
    return {**results.model_dump(mode="json", include=_SHOWN), "report": page}


def _claims(entry: Entry) -> list[Claim]:
    try:
        return [Claim.model_validate(one) for one in entry.json("claims.json")]
    except (ValidationError, TypeError) as error:
        raise InputError("is damaged", where="claims.json", remedy="run the study again") from error
