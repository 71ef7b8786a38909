"""Templates of this room -> pages."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2

from assay.present.page import environment

# Unseen characters that can break a page: controls, and marks that turn the direction of what follows.
_UNSEEN = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


def filled(template: str, **values: Any) -> str:
    """A template with its values, without characters that can break a page."""
    return _environment().get_template(template).render(**values).translate(_UNSEEN).encode("utf-8", "replace").decode()


@cache
def _environment() -> jinja2.Environment:
    return environment("assay.report")
