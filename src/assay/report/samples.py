"""Documents with the lowest and highest loss per source, for a person to read."""

from __future__ import annotations

from dataclasses import dataclass

from assay.impact.results import Sample, StudyResults
from assay.present.numbers import significant
from assay.present.parts import Ids
from assay.present.words import both

CLIP = 900  # characters shown of a document
_SURE = 0.8  # share of a source's documents in one language from which its text is marked as that language


@dataclass(frozen=True)
class Shown:
    """A document as the page shows it; `language` is "" where it is not known."""

    doc_id: str
    origin: str
    bpb: dict[str, str]
    text: str
    clipped: bool
    language: str


def view(results: StudyResults, ids: Ids) -> list[dict[str, object]]:
    """What the section "samples" places: per source the two lists and the range of losses."""
    languages = {profile.source: _language(profile.languages) for profile in results.profile}
    sources = dict.fromkeys(sample.source for sample in results.samples)
    return [
        _source(source, [s for s in results.samples if s.source == source], languages.get(source, ""))
        for source in sources
    ]


def _source(source: str, samples: list[Sample], language: str) -> dict[str, object]:
    losses = [sample.bpb for sample in samples]
    lowest = sorted((s for s in samples if s.extreme == "lowest"), key=lambda s: s.bpb)
    highest = sorted((s for s in samples if s.extreme == "highest"), key=lambda s: -s.bpb)
    lists = [("samples.lowest", lowest), ("samples.highest", highest)]
    return {
        "source": source,
        "range": both("samples.range", low=significant(min(losses)), high=significant(max(losses))),
        "extremes": [(key, [_shown(s, language) for s in held]) for key, held in lists if held],
    }


def _shown(sample: Sample, language: str) -> Shown:
    text = "".join(c for c in sample.text if c in "\n\t" or c.isprintable() or c.isspace()).strip()
    clipped = len(text) > CLIP
    return Shown(
        doc_id=sample.doc_id,
        origin=sample.origin,
        bpb=both("samples.bpb", value=significant(sample.bpb)),
        text=text[:CLIP].rstrip() + " …" if clipped else text,
        clipped=clipped,
        language=language,
    )


def _language(shares: dict[str, float]) -> str:
    """The language that a source's documents are in, where nearly all are in one."""
    code, share = max(shares.items(), key=lambda item: item[1], default=("", 0.0))
    if share < _SURE or not code.isalpha() or code == "und":
        return ""
    return "zh-CN" if code == "zh" else code
