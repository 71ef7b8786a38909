"""`assay corpus`: sources and options -> what a verb of the corpus room makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.front.printing import command, printed

if TYPE_CHECKING:
    from assay.corpora.scanned import Request


def _corpus(
    sources: list[str], out: Path, reading: Mapping[str, Any], language: str, *, as_json: bool, ray: str | None = None
) -> Request:
    """What every verb of `assay corpus` is given. `reading` are the fields of `ReadOptions`."""
    from assay.corpora.scanned import Request
    from assay.corpus.reading.source import ReadOptions

    return Request(sources, out, ReadOptions(**reading), command(), language, quiet=as_json, ray=ray)


def corpus_scan(
    *, sources: list[str], out: Path, ray: str | None, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus scan`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import told, verbs

    request = _corpus(sources, out, reading, language, as_json=as_json, ray=ray)
    made = verbs.scan(request)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.scanned(made, language)))


def corpus_select(
    *,
    sources: list[str],
    out: Path,
    packs: list[str],
    where: list[str],
    words: list[Path],
    scores: list[str],
    device: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus select`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import told, verbs
    from assay.corpus.cleaning.rules import chosen
    from assay.corpus.signals import listed

    lists = listed.read(words)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    if scores:
        from assay.corpora import curating, told_curating

        made = curating.run_scored(request, packs, where, lists, scores, device)
        lines = [*told_curating.scored(made, language), *told.selected(made, language)]
        printed(*([json.dumps(made, ensure_ascii=False)] if as_json else lines))
        return
    asked = chosen(packs, where, [one.name for one in lists])
    made = verbs.run_select(request, asked, lists)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.selected(made, language)))


def corpus_dedup(
    *,
    sources: list[str],
    out: Path,
    level: Any,
    options: dict[str, Any],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus dedup`. `options` are those of some levels only, None where not given; `reading` are the fields of
    `ReadOptions`."""
    from assay.corpora import repeats, told, verbs

    repeats.see_that_options_fit(level, options)
    given = {name: value for name, value in options.items() if value is not None}
    request = _corpus(sources, out, reading, language, as_json=as_json)
    if level in repeats.LEVELS:
        made = repeats.run(request, repeats.Asked(level, **given))
        lines = told.cut(made, language)
    elif level == "semantic":
        from assay.corpora import curating, told_curating

        keep, by = given.pop("keep", "first"), given.pop("by", None)
        made = curating.run_semantic(request, curating.meant(given), keep, by)
        lines = [*told_curating.alike(made, language), *told.deduplicated(made, language)]
    elif "score" in given:
        from assay.corpora import curating, told_curating

        wanted = given.get("keep", "first"), given.get("by"), given["score"], given.get("device", "auto")
        made = curating.run_scored_dedup(request, level, *wanted)
        lines = [*told_curating.scored(made, language), *told.deduplicated(made, language)]
    else:
        made = verbs.run_dedup(request, level, given.get("keep", "first"), given.get("by"))
        lines = told.deduplicated(made, language)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else lines))


def corpus_privacy(
    *,
    sources: list[str],
    out: Path,
    action: Any,
    kinds: list[str],
    shown: bool,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus privacy`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import cleaning, told

    wanted = cleaning.kinds_of(kinds)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = cleaning.run_privacy(request, action, wanted, shown=shown)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.private(made, language)))


def corpus_decontaminate(
    *,
    sources: list[str],
    out: Path,
    against: dict[str, Any],
    report_only: bool,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus decontaminate`. `against` are the fields of `Against`, `reading` those of `ReadOptions`."""
    from assay.corpora import cleaning, told

    wanted = cleaning.Against(**{**against, "shape": cleaning.Shape(*against["shape"])})
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = cleaning.run_decontaminate(request, wanted, report_only=report_only)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.decontaminated(made, language)))


def corpus_clean(
    *, sources: list[str], out: Path, cleaning: dict[str, Any], reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus clean`. `cleaning` are the fields of `Cleaning`, `reading` those of `ReadOptions`."""
    from assay.corpora import altering, told_altering

    wanted = altering.Cleaning(**cleaning)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_clean(request, wanted)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.cleaned(made, language)))


def corpus_damage(
    *,
    sources: list[str],
    out: Path,
    defect: str,
    dose: float,
    seed: int,
    given: dict[str, Any],
    items: tuple[list[str], list[str]],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus damage`. `given` are fields of `Damage`, `reading` those of `ReadOptions`; `items` files and fields
    of evaluation items."""
    from assay.corpora import altering, told_altering

    planted = altering.Items(tuple(items[0]), tuple(items[1]))
    how = altering.how_of(defect, dose, seed, given, planted)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_damage(request, how, planted)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.damaged(made, language)))


def corpus_augment(
    *,
    sources: list[str],
    out: Path,
    augmentation: dict[str, Any],
    models: dict[str, Any],
    mixture: dict[str, Any],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus augment`. `augmentation`, `models` and `mixture` are the fields of `Augmentation`, `Models` and
    `Mixture`, `reading` those of `ReadOptions`."""
    from assay.corpora import altering, told_altering

    how, wanted = altering.Augmentation(**augmentation), altering.Mixture(**mixture)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_augment(request, how, altering.Models(**models), wanted)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.augmented(made, language)))


def corpus_profile(
    *,
    sources: list[str],
    out: Path,
    packs: list[str],
    title: str | None,
    license_: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus profile`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import profiling, told

    wanted = profiling.Wanted(tuple(packs), title, license_)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = profiling.run_profile(request, wanted)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told.profiled(made, language)))


def corpus_classifier(
    *, good: list[str], bad: list[str], out: Path, bits: int, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus classifier`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import curating, told_curating

    request = _corpus([*good, *bad], out, reading, language, as_json=as_json)
    made = curating.run_classifier(request, good, bad, bits)
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else told_curating.classified(made, language)))
