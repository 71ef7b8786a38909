"""Tags of tokens: those that are none, sequences that their scheme does not allow, spans cut off where a row ends.

Nobody says which scheme a file is in, so it is the one that the fewest places break: BIO, IOB1, BIOES (BMES, BILOU),
IO.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from assay.metrics.tagging import LETTERS, OUTSIDE, Tag, spans
from assay.tasks.checks.finding import Finding, Parts, Place, found
from assay.tasks.protocol import Example
from assay.tasks.tagging import Tagging

SCHEMES = ("BIO", "IOB1", "BIOES", "IO")
_TAG = re.compile(r"O|[BIMESLUW]-.+")
_WORD = re.compile(r"[BMESIO]")
MOSTLY = 0.95  # of the tags are spans' where the others are taken for mistakes
_ENDS, _WIDE_ENDS = {".", "!", "?"}, {"。", "！", "？"}
_CHARACTERS = 1.3  # mean length of tokens below which they are characters


def tags(parts: Parts, task: Tagging) -> list[Finding]:
    """All findings about tags; `labels` has those about types."""
    rows = {name: [e for e in own if e.wanted is not None] for name, own in parts.items()}
    counts = Counter(tag for own in rows.values() for e in own for tag in e.wanted)
    if not counts:
        return []
    of_spans = sum(n for tag, n in counts.items() if _TAG.fullmatch(tag)) / counts.total()
    pattern = _TAG if of_spans >= MOSTLY else _WORD
    bad = {tag: n for tag, n in counts.items() if not pattern.fullmatch(tag)}
    if sum(bad.values()) > (1 - MOSTLY) * counts.total():
        return []  # labels, each by itself
    findings = []
    if bad:
        places = (Place(e.where, t) for own in rows.values() for e in own for t in e.wanted if t in bad)
        findings.append(
            found("bad_tags", "mend", places, counts.total(), sum(bad.values()), tags=sorted(bad, key=str)[:8])
        )
    findings += _broken(rows)
    if pattern is _TAG:
        findings += _ends(rows)
    return findings


def parsed(tag: str) -> Tag:
    """Letter, as BIOES calls it, and type; O for what is no tag."""
    letter = LETTERS.get(tag[:1], "")
    if not letter or letter == "O" or (len(tag) > 1 and tag[1] != "-"):
        return OUTSIDE
    return letter, tag[2:]


def broken(tags: Sequence[str], scheme: str) -> list[int]:
    """Places of tags that may not stand where they do; of one that is missing at the end, the number of tags."""
    found, before = [], OUTSIDE
    for place, tag in enumerate([*map(parsed, tags), OUTSIDE]):
        goes_on = before[0] in "BI" and tag[1] == before[1]
        if scheme == "BIOES":
            wrong = (tag[0] in "IE") != (before[0] in "BI") or (tag[0] in "IE" and not goes_on)
        elif scheme == "BIO":
            wrong = tag[0] in "ES" or (tag[0] == "I" and not goes_on)
        elif scheme == "IOB1":
            wrong = tag[0] in "ES" or (tag[0] == "B" and not goes_on)
        else:
            wrong = tag[0] in "BES"
        if wrong:
            found.append(place)
        before = tag
    return found


def scheme_of(rows: Sequence[Sequence[str]]) -> str:
    """The scheme that the fewest places break."""
    return min(SCHEMES, key=lambda scheme: sum(len(broken(tags, scheme)) for tags in rows))


def _broken(rows: dict[str, list[Example]]) -> Iterator[Finding]:
    scheme = scheme_of([e.wanted for own in rows.values() for e in own])
    n = sum(len(e.wanted) for own in rows.values() for e in own)
    inside, over = list[Place](), list[Place]()
    for own in rows.values():
        for before, e, after in zip([None, *own], own, [*own[1:], None], strict=False):
            for place in broken(e.wanted, scheme):
                told = " ".join(e.wanted[max(0, place - 2) : place + 2])
                if place == 0 and _goes_on(before, e):
                    over.append(Place(e.where, told))
                elif place < len(e.wanted) or not _goes_on(e, after):  # else it is told of the next row
                    token = e.given["tokens"][min(place, len(e.wanted) - 1)]
                    inside.append(Place(e.where, f"{token}: … {told}"))
    if over:
        yield found("over_rows", "mend", over, sum(map(len, rows.values())), scheme=scheme)
    if inside:
        yield found("ill_formed", "mend", inside, n, scheme=scheme)


def _goes_on(before: Example | None, after: Example | None) -> bool:
    """Whether a row begins with what the row before it may have left open."""
    if before is None or after is None:
        return False
    last, first = parsed(before.wanted[-1]), parsed(after.wanted[0])
    return last[0] in "BI" and first[0] in "IE" and last[1] == first[1]


def _ends(rows: dict[str, list[Example]]) -> Iterator[Finding]:
    """Spans with the end of a sentence within."""
    every = [e for own in rows.values() for e in own]
    tokens = sum(len(e.given["tokens"]) for e in every)
    letters = sum(len(token) for e in every for token in e.given["tokens"])
    ends = _WIDE_ENDS if letters < _CHARACTERS * tokens else _ENDS | _WIDE_ENDS
    places, n = [], 0
    for e in every:
        own = e.given["tokens"]
        for kind, begin, end in spans(e.wanted) if all(map(_TAG.fullmatch, e.wanted)) else ():
            n += 1
            if any(token in ends for token in own[begin + 1 : end - 1]):
                places.append(Place(e.where, f"{' '.join(own[begin:end])} [{kind}]"))
    if places:
        yield found("sentence_ends", "look", places, n)
