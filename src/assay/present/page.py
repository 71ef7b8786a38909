"""The shell of every page: one HTML file that carries its style and script and asks the network for nothing.

A room that makes pages keeps its Jinja2 templates in its own package, extends `shell.html`, and renders
through `environment(package)`. In templates: `t(key, **values)` says fixed words in both languages, `b(text)`
shows a text that is in both languages, `numbers` are the number formats. Autoescaping is on; `Markup` alone
passes unescaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import jinja2
from markupsafe import Markup

from assay.present import numbers, parts
from assay.present.words import LANGUAGES, both

_HERE = Path(__file__).parent


def environment(package: str) -> jinja2.Environment:
    """A Jinja2 environment over `package`'s templates and the shared ones."""
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.FileSystemLoader(_HERE / "templates")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(
        t=parts.said,
        b=parts.spans,
        both=both,
        swapped=parts.swapped,
        numbers=numbers,
        html_lang=parts.HTML_LANG,
        languages=LANGUAGES,
        style=Markup((_HERE / "static" / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "static" / "page.js").read_text(encoding="utf-8")),
    )
    return found


def begun(language: str, sections: Iterable[str]) -> parts.Ids:
    """The ids of a page, those that the shell and its sections have taken.

    Raises:
        ValueError: there is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no language {language!r}; there are {', '.join(LANGUAGES)}")
    ids = parts.Ids()
    for taken in ("top", "main", "nav-name", "command", *sections):
        ids.new(taken)
    return ids
