"""Relations between two stretches of a text: both are marked in it, and the text is classified (Baldini Soares et al.
2019, entity markers).

    {"text": "Ann lives in Oslo", "head": [0, 3], "tail": [13, 17], "label": "lives in"}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assay.errors import InputError
from assay.tasks.classification import Classification
from assay.tasks.protocol import Example, Fields, register, text_of

MARKS = (("<1>", "</1>"), ("<2>", "</2>"))


@register
@dataclass(frozen=True, kw_only=True)
class Relation(Classification):
    """See the module.

    Attributes:
        first, other: names of the fields of both stretches: [begin, end] in characters, or their text, whose first
            place counts.
    """

    name = "relation"

    first: str = "head"
    other: str = "tail"

    def read(self, fields: Fields, where: str) -> Example:
        text = text_of(fields, self.text, where)
        spans = [self._span(fields.get(name), text, name, where) for name in (self.first, self.other)]
        (a, b), (c, d) = spans
        if max(a, c) < min(b, d):
            raise InputError("both stretches overlap", where=where, remedy="mend the row, or skip bad ones")
        marked, shift = text, 0
        for (begin, end), (opens, closes) in sorted(zip(spans, MARKS, strict=True)):
            at, behind = begin + shift, end + shift
            marked = marked[:at] + opens + marked[at:behind] + closes + marked[behind:]
            shift += len(opens) + len(closes)
        return super().read({**fields, self.text: marked}, where)

    @staticmethod
    def _span(value: Any, text: str, name: str, where: str) -> tuple[int, int]:
        if isinstance(value, dict):
            value = value.get("pos") or [value.get("start"), value.get("end")]
        if isinstance(value, str) and value in text:
            begin = text.index(value)
            return begin, begin + len(value)
        whole = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(i, int) for i in value)
        if not whole or not 0 <= value[0] < value[1] <= len(text):
            raise InputError(
                f"{name} is no stretch of the text ({value!r})", where=where, remedy="write [begin, end], or its text"
            )
        return value[0], value[1]
