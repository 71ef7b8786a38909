"""Signals, rule packs, and documents at the bounds of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from assay.present.numbers import fixed, percent, significant
from assay.present.parts import Content, Ids, fold, said, spans
from assay.present.shapes import Shade, matrix, strip, tipped
from assay.present.tables import Column, framed, table
from assay.present.words import both, known
from assay.report.portrait.amounts import name_of, part, text_of, with_all

FIRST = ("letters", "line_punctuation", "duplicate_line_chars", "repeated_10chars", "language_score", "listed_words")
"""Signals shown at once; the others are in a fold."""
OTHERS = (
    "short_lines", "punctuation", "digits", "code_lines", "second_language_share", "mean_word_length",
    "mean_line_length",
)  # fmt: skip
_AMOUNTS = ("mean_word_length", "mean_line_length")  # in characters; all others are shares
_LANGUAGES, _NAMED = 6, 0.01  # languages that are shown, those of so many documents
_RULES = 12
_FEW = 20  # documents below which a share says little: they are counted
_TEXT = 320


def signals(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "signals": for each signal, the quantiles of each source as strips."""
    return {
        "first": [_signal(found, name, ids) for name in FIRST],
        "others": [_signal(found, name, ids) for name in OTHERS],
    }


def _signal(found: Mapping[str, Any], signal: str, ids: Ids) -> Markup:
    form = (lambda value: significant(value, 3)) if signal in _AMOUNTS else percent
    held = [own["signals"][signal] for _, own in with_all(found)]
    values = [value for row in held if row for value in row]
    low, high = min(values, default=0.0), max(values, default=1.0)
    ends = Markup('<span class="ends"><span>{}</span><span>{}</span></span>').format(form(low), form(high))
    columns = [
        Column(both("portrait.column.source"), number=False), Column(ends, number=False),
        Column(both("portrait.column.q50")),
    ]  # fmt: skip
    rows: list[list[Content]] = []
    for (name, _), row in zip(with_all(found), held, strict=True):
        if not row:
            rows.append([_short(name), "", both("portrait.none")])
            continue
        a, b, c, d, e = (form(value) for value in row)
        tip = both("portrait.signals.tip", a=a, b=b, c=c, d=d, e=e)
        rows.append([_short(name), strip(row, low, high, tip), c])
    title = Markup("<b>{}</b> <code>{}</code>").format(said(f"portrait.signal.{signal}"), signal)
    return table(title, columns, rows, ident=ids.new(f"signal-{signal}"), kind="strips")


def _short(name: Content) -> Markup:
    """A name in one line, cut where it is long, and whole in its tooltip."""
    return Markup('<span class="short" {}>{}</span>').format(tipped(name), spans(name))


def packs(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "packs": what each pack drops, by source and by language, and rule by rule."""
    names = list(found["packs"])
    sources = [name_of(source) for source in found["sources"]]
    columns = [*(found["packs"][pack] for pack in names), found["together"]]
    rows = [[_dropped(column["sources"][g]) for column in columns] for g in range(len(sources))]
    if len(rows) > 1:
        sources.append(both("portrait.all"))
        rows.append([_dropped(column["all"]) for column in columns])
    by_language = found["packs"][names[0]]["languages"]
    least = min(_NAMED * found["documents"], max(own["documents"] for own in by_language.values()))
    tongues = [code for code, own in by_language.items() if own["documents"] >= least][:_LANGUAGES]
    said_of = [
        Markup("{}<small>{}</small>").format(
            spans(known(f"language.{code}", code)),
            said("portrait.packs.documents", n=fixed(by_language[code]["documents"], 0)),
        )
        for code in tongues
    ]
    more = [[_dropped(column["languages"][code]) for column in columns] for code in tongues]
    heads: list[Content] = [
        *(Markup("<code>{}</code>").format(name) for name in names),
        both("portrait.packs.together"),
    ]
    return {
        "sources": framed(
            both("portrait.packs.by_source"), matrix(sources, heads, rows, both("portrait.column.source")),
            ident=ids.new("packs-sources"), kind="matrix named",
        ),
        "languages": framed(
            both("portrait.packs.by_language"), matrix(said_of, heads, more, both("portrait.column.languages")),
            ident=ids.new("packs-languages"), kind="matrix named",
        ),
        "alone": _alone(found, names, ids),
        "rules": [fold(_summary(found, pack), _rules(found, pack, ids)) for pack in names],
    }  # fmt: skip


def _dropped(own: Mapping[str, int]) -> Shade:
    if not own["asked"]:
        return Shade(None, both("portrait.packs.not_asked"))
    counts = {name: fixed(own[name], 0) for name in ("drops", "asked", "only") if name in own}
    tip = both("portrait.packs.tip" if "only" in own else "portrait.packs.tip_together", **counts)
    if own["asked"] < _FEW:
        return Shade(None, both("portrait.packs.few", drops=own["drops"], asked=own["asked"]), tip)
    share = own["drops"] / own["asked"]
    return Shade(share, percent(share), tip)


def _alone(found: Mapping[str, Any], names: Sequence[str], ids: Ids) -> Markup:
    keys = ("pack", "asked", "drops", "only")
    columns = [Column(both(f"portrait.column.{name}"), number=name != "pack") for name in keys]
    rows: list[list[Content]] = []
    for pack in names:
        own = found["packs"][pack]["all"]
        numbers = [_of(own[key], own["asked"]) for key in ("drops", "only")]
        rows.append([Markup("<code>{}</code>").format(pack), fixed(own["asked"], 0), *numbers])
    own = found["together"]["all"]
    rows.append([both("portrait.packs.together"), fixed(own["asked"], 0), _of(own["drops"], own["asked"]), ""])
    return table(both("portrait.packs.alone"), columns, rows, ident=ids.new("packs-alone"), kind="slim")


def _of(n: int, asked: int) -> Content:
    return (
        Markup("{}<small>{}</small>").format(part(n, asked), fixed(n, 0)) if asked else both("portrait.packs.not_asked")
    )


def _summary(found: Mapping[str, Any], pack: str) -> Content:
    rules = found["packs"][pack]["rules"]
    fire = sum(rule["all"]["drops"] > 0 for rule in rules.values())
    return both("portrait.packs.rules", pack=pack, n=len(rules), fire=fire)


def _rules(found: Mapping[str, Any], pack: str, ids: Ids) -> Markup:
    """The rules of a pack: what each drops alone, that no other does, and of each source."""
    rules = found["packs"][pack]["rules"]
    names = [
        Markup("<code>{}</code><small>{}</small>").format(name.split(".", 1)[1], rule["keeps"])
        for name, rule in rules.items()
    ]
    several = len(found["sources"]) > 1
    numbers = [str(g + 1) for g in range(len(found["sources"]))] if several else []
    heads: list[Content] = [both(f"portrait.column.{name}") for name in ("asked", "drops", "only")]
    rows = []
    for rule in rules.values():
        every = rule["all"]
        cells = [Shade(None, fixed(every["asked"], 0))]
        for key in ("drops", "only"):
            cells.append(Shade(None, part(every[key], every["asked"]), fixed(every[key], 0)))
        cells += [_dropped(own) for own in rule["sources"]] if several else []
        rows.append(cells)
    key = numbered(found) if several else Markup("")
    body = matrix(names, [*heads, *numbers], rows, both("portrait.column.rule"))
    caption = both("portrait.packs.rules_caption", pack=pack)
    return framed(caption, body, ident=ids.new(f"rules-{pack}"), kind="matrix") + key


def numbered(found: Mapping[str, Any]) -> Markup:
    """The numbers that stand for sources in the heads of columns."""
    items = [
        Markup("<span><b>{}</b> {}</span>").format(g + 1, said("portrait.plain", text=text_of(source)))
        for g, source in enumerate(found["sources"])
    ]
    return Markup('<p class="small numbered">{}</p>').format(Markup(" ").join(items))


def margins(found: Mapping[str, Any]) -> dict[str, Any]:
    """The section "margins": documents on both sides of the bounds of the rules that drop most."""
    rules = found["margins"]["rules"]
    fired = [rule for rule in rules if rule["drops"]]
    return {
        "packs": ", ".join(found["margins"]["packs"]),
        "rules": [_margin(found, rule) for rule in fired[:_RULES]],
        "more": len(fired) - _RULES if len(fired) > _RULES else 0,
        "silent": ", ".join(rule["rule"] for rule in rules if not rule["drops"] and rule["asked"]),
        "not_asked": ", ".join(rule["rule"] for rule in rules if not rule["asked"]),
    }


def _margin(found: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    sides = []
    for side in ("kept", "dropped"):
        shown = [
            {
                "value": both("portrait.margins.value", signal=rule["signal"], value=_shown(one["value"])),
                "source": text_of(found["sources"][one["g"]]),
                "doc_id": one["doc_id"],
                "text": one["text"][:_TEXT] + (" …" if one["cut"] else ""),
                "language": {"zh": "zh-CN", "und": "", "zxx": ""}.get(one["language"], one["language"]),
            }
            for one in rule[side]
        ]
        sides.append((f"portrait.margins.{side}", shown))
    about = both(
        "portrait.margins.about", keeps=rule["keeps"], drops=fixed(rule["drops"], 0), asked=fixed(rule["asked"], 0),
        share=part(rule["drops"], rule["asked"]),
    )  # fmt: skip
    return {"rule": rule["rule"], "about": about, "sides": sides}


def _shown(value: float) -> str:
    """Counts as they are, all else to four digits."""
    return fixed(value, 0) if value == int(value) else significant(value, 4)
