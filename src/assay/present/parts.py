"""Small parts of a page, as safe markup: text in both languages, badges, tiles, folds, figures, bars.

Text in both languages stands in the page twice; the style sheet shows the one whose language the page has.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from assay.present.numbers import estimate
from assay.present.words import LANGUAGES, Both, both

HTML_LANG = {"en": "en", "zh": "zh-CN"}
Content = str | Both  # Markup (a str) is taken as it is; a plain str is escaped


def spans(text: Content, tag: str = "span") -> Markup:
    """`text` as markup: both languages side by side, or one text where they are equal."""
    if not isinstance(text, Mapping):
        return escape(text)
    if len({text[language] for language in LANGUAGES}) == 1:
        return escape(text[LANGUAGES[0]])
    return Markup("").join(
        Markup('<{tag} class="l-{key}" lang="{lang}">{text}</{tag}>').format(
            tag=tag, key=language, lang=HTML_LANG[language], text=text[language]
        )
        for language in LANGUAGES
    )


def said(key: str, **values: object) -> Markup:
    """The words of `key` in both languages, as markup."""
    return spans(both(key, **values))


def swapped(text: Content) -> Markup:
    """Attributes that hold both languages for text that only the script can change (a tooltip, an option)."""
    languages = text if isinstance(text, Mapping) else dict.fromkeys(LANGUAGES, text)
    return Markup(" ").join(Markup('data-{}="{}"').format(language, languages[language]) for language in LANGUAGES)


def slug(name: str) -> str:
    """`name` as a part of an id: letters of any script, digits and dashes."""
    return re.sub(r"[^\w]+", "-", name).strip("-").lower() or "x"


class Ids:
    """Ids that are unique in one page."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str) -> str:
        """`name` as an id, with a number added where it was given out before."""
        base = candidate = slug(name)
        number = 1
        while candidate in self._taken:
            number += 1
            candidate = f"{base}-{number}"
        self._taken.add(candidate)
        return candidate


def badge(text: Content, tone: str, sign: str) -> Markup:
    """A verdict: `sign` and words carry it, the colour (`tone`, a class of the style sheet) only helps."""
    return Markup('<span class="badge {}"><span class="sign" aria-hidden="true">{}</span>{}</span>').format(
        tone, sign, spans(text)
    )


def tile(label: Content, value: Content, more: Content = "") -> Markup:
    """One figure to remember, what it is, and a line below it."""
    return Markup('<div class="tile"><dt>{}</dt><dd><b>{}</b>{}</dd></div>').format(
        spans(label), spans(value), Markup("<small>{}</small>").format(spans(more)) if more else ""
    )


def estimated(value: float, interval: Sequence[float], *, signed: bool = False) -> Markup:
    """A value with its interval below it, both with the decimals that it deserves (`numbers.estimate`)."""
    return Markup("{}<small>{}</small>").format(*estimate(value, interval, signed=signed))


def json_address(found: Mapping[str, Any]) -> str:
    """Values as an address that a browser saves: a JSON file within the page."""
    content = json.dumps(found, ensure_ascii=False, indent=1).encode()
    return "data:application/json;base64," + base64.b64encode(content).decode()


def share_bar(share: float, text: str) -> Markup:
    """A share as a bar with its number beside it."""
    width = f"{max(0.0, min(share, 1.0)) * 100:.1f}%"
    return Markup(
        '<span class="share"><span class="share-bar" aria-hidden="true"><i style="width:{}"></i></span><b>{}</b></span>'
    ).format(width, text)


def fold(summary: Content, body: Content, kind: str = "") -> Markup:
    """Something that opens on demand."""
    return Markup('<details class="{}"><summary>{}</summary>{}</details>').format(kind, spans(summary), spans(body))


@dataclass(frozen=True)
class Key:
    """One entry of a legend: the mark as drawn in the plot, and what it means."""

    mark: str  # dot, ring, diamond, line, dashes, band, bracket
    tone: str
    text: Content


_MARKS = {
    "dot": '<path class="whisker" d="M14 0v14"/><circle class="fill" cx="14" cy="7" r="3.5"/>',
    "ring": '<path class="whisker" d="M14 0v14"/><circle class="open" cx="14" cy="7" r="3.5"/>',
    "diamond": '<path class="whisker" d="M14 0v14"/><path class="fill" d="M14 1l6 6-6 6-6-6z"/>',
    "line": '<line class="curve" x1="2" y1="7" x2="26" y2="7"/>',
    "dashes": '<line class="curve dashed" x1="2" y1="7" x2="26" y2="7"/>',
    "band": '<rect class="band" x="2" y="1" width="24" height="12"/>',
    "bracket": '<path class="bracket" d="M9 1.5h10M9 12.5h10M14 1.5v11"/>',
}


def legend(keys: Iterable[Key]) -> Markup:
    """The legend of a plot, as text beside small drawings of its marks."""
    item = Markup('<li><svg class="{}" viewBox="0 0 28 14" width="28" height="14" aria-hidden="true">{}</svg>{}</li>')
    items = (item.format(key.tone, Markup(_MARKS[key.mark]), spans(key.text)) for key in keys)
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def figure(drawing: Markup, *, title: Content, about: Content, ident: str, keys: Iterable[Key] = ()) -> Markup:
    """A plot with its title, its legend, and `about`, the text that stands for the picture.

    `drawing` is labelled by the title and described by `about` through `ident`, as given to `plots.plot`.
    """
    keys = list(keys)
    return Markup(
        '<figure class="plot"><figcaption><span class="title" id="{ident}-title">{title}</span>'
        '<span class="about" id="{ident}-about">{about}</span></figcaption>{drawing}{legend}</figure>'
    ).format(
        ident=ident,
        title=spans(title),
        about=spans(about),
        drawing=drawing,
        legend=legend(keys) if keys else "",
    )
