"""The mixtures as a heat map: what each mixture changes on each source's held-out text."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from assay.impact.results import Effect, MixtureRow, MixtureView, StudyResults
from assay.present.numbers import estimate, fixed, percent, significant
from assay.present.parts import Content, Ids, fold, said, spans
from assay.present.tables import Column, Heat, framed, heat_row, heat_scale, table
from assay.present.words import both

MEAN = ""  # the target that is the mean over sources


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "mixtures" places; None where no mixtures were compared."""
    mixtures = results.mixtures
    if mixtures is None or not mixtures.rows:
        return None
    targets = [MEAN, *mixtures.sources]
    reach = _reach(mixtures)
    decimals = _decimals(reach)
    return {
        "scale": heat_scale(
            reach,
            both("mixtures.below"),
            both("mixtures.above"),
            both("mixtures.unsure"),
            max(0, decimals - 1),
        ),
        "table": _heat_map(mixtures, targets, reach, results.level, ids),
        "held_out": any(row.held_out for row in mixtures.rows),
        "weights": _weights(mixtures, ids),
    }


def _reach(mixtures: MixtureView) -> float:
    """The effect at which a colour is full: the largest supported one, else the largest."""
    effects = [effect for row in mixtures.rows for effect in row.effects.values()]
    finite = [effect for effect in effects if math.isfinite(effect.estimate)]
    sure = [abs(effect.estimate) for effect in finite if effect.supported]
    return max(sure or [abs(effect.estimate) for effect in finite], default=0.0) or 1.0


def _decimals(reach: float) -> int:
    """Decimals that show a hundredth of the full colour: 0.2 -> 3, 0.04 -> 4."""
    return max(0, min(6, 2 - math.floor(math.log10(reach))))


def _heat_map(mixtures: MixtureView, targets: list[str], reach: float, level: float, ids: Ids) -> Markup:
    names: list[Content] = [target or both("mixtures.mean") for target in targets]
    head = Markup("").join(Markup('<th scope="col" class="n">{}</th>').format(_clamped(name)) for name in names)
    rows = [_baseline(mixtures, targets)]
    for row in mixtures.rows:
        cells = [_cell(row, target, name, level, _decimals(reach)) for target, name in zip(targets, names, strict=True)]
        rows.append(heat_row(_row_name(row), cells, reach))
    inner = Markup('<thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody>').format(
        said("mixtures.row"), head, Markup("").join(rows)
    )
    return framed(both("mixtures.caption"), inner, ident=ids.new("mixtures-caption"), kind="heat")


def _clamped(name: Content) -> Markup:
    """A heading that may be as long as a file's name."""
    return Markup('<span class="clamp">{}</span>').format(spans(name))


def _baseline(mixtures: MixtureView, targets: list[str]) -> Markup:
    values = [mixtures.baseline_bpb.get(target) for target in targets]
    cells = Markup("").join(Markup('<td class="n">{}</td>').format(significant(value)) for value in values)
    return Markup('<tr class="base"><th scope="row">{}</th>{}</tr>').format(said("mixtures.baseline"), cells)


def _row_name(row: MixtureRow) -> Markup:
    tag = Markup('<br><span class="tag">{}</span>').format(said("mixtures.held_out")) if row.held_out else ""
    return Markup("{}{}").format(spans(row.label), tag)


def _cell(row: MixtureRow, target: str, name: Content, level: float, decimals: int) -> Heat | None:
    effect: Effect | None = row.effects.get(target)
    if effect is None or not math.isfinite(effect.estimate):
        return None
    value, interval = estimate(effect.estimate, effect.interval, signed=True)
    tip = both(
        "mixtures.tip",
        mixture=row.label,
        target=name,
        value=value,
        level=percent(level),
        interval=interval,
    )
    text = fixed(effect.estimate, decimals, signed=True)
    return Heat(effect.estimate, text, effect.supported is not False, tip)


def _weights(mixtures: MixtureView, ids: Ids) -> Markup:
    columns = [Column(both("mixtures.row")), *(Column(_clamped(source)) for source in mixtures.sources)]
    natural: list[Content] = [
        both("mixtures.natural"),
        *(percent(mixtures.natural.get(source)) for source in mixtures.sources),
    ]
    rows = [natural]
    for row in mixtures.rows:
        rows.append([_row_name(row), *(_share(row, source) for source in mixtures.sources)])
    body = table(both("mixtures.weights_caption"), columns, rows, ident=ids.new("weights-caption"), kind="by-source")
    return fold(both("mixtures.weights"), body)


def _share(row: MixtureRow, source: str) -> Content:
    share = percent(row.weights.get(source, 0.0))
    if source not in row.epochs:
        return share
    epochs = said("mixtures.epochs", n=significant(row.epochs[source], 2))
    return Markup("{}<small>{}</small>").format(share, epochs)
