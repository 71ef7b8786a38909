"""Classical cleaning: what a text is put through before words are counted, in one order, each step on demand.

    invisible characters -> normal form -> HTML, addresses, e-mails -> lines -> widths -> script -> case -> digits
                -> stop words -> rare words -> punctuation -> spaces -> documents that have changed, as altered copies

The order is that in which no step hides from the next what it looks for: tags while they have their marks, words
before punctuation goes that ends them, and spaces last, since all others leave some. A document that ends without a
visible character is dropped. Every step says how many documents and characters it changed, by source.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus.altering import chinese, lines, surface, vocabulary
from assay.corpus.altering.counting import by_source, summed
from assay.corpus.altering.edits import Texts, compared, replaced, together
from assay.corpus.altering.parts import numbers
from assay.corpus.text import characters as ch
from assay.errors import InputError
from assay.store import fingerprint

_AT_ONCE = 1 << 20  # bytes of text: enough that what a step costs by itself does not count
STEPS = (
    "invisible", "unicode", "html", "urls", "emails", "lines", "width", "script", "case", "digits", "stop_words",
    "rare_words", "punctuation", "spaces",
)  # fmt: skip


@dataclass(frozen=True)
class Cleaning:
    """What is done; None, False and nothing: it is not.

    Attributes:
        unicode: a normal form.
        html, urls, emails: are taken out.
        lines: those that a recipe of the field takes out are.
        width: which full-width characters become half-width ones.
        script: Chinese in these characters.
        case: lower.
        digits: become 0, or are dropped.
        stop_words: the languages whose stop words are dropped.
        rare_words: words that stand fewer times than this in the corpus are dropped.
        punctuation: is dropped.
        spaces: are tidied, and characters without width dropped.
    """

    unicode: surface.Form | None = None
    html: bool = False
    urls: bool = False
    emails: bool = False
    lines: lines.Recipe | None = None
    width: surface.Width | None = None
    script: chinese.Script | None = None
    case: surface.Case | None = None
    digits: surface.Digits | None = None
    stop_words: tuple[str, ...] = ()
    rare_words: int = 0
    punctuation: surface.Punctuation | None = None
    spaces: bool = False

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked for."""
        return self == Cleaning()

    def __post_init__(self) -> None:
        for name in self.stop_words:
            if name not in vocabulary.languages():
                near = difflib.get_close_matches(name, vocabulary.languages(), 1)
                remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(vocabulary.languages())}"
                raise InputError(
                    "there are no stop words of this language", where=f"--stop-words {name}", remedy=remedy
                )
        if self.rare_words < 0:
            remedy = "give a whole number, such as 5: words that stand fewer times are dropped"
            raise InputError(f"--rare-words is {self.rare_words}", where="assay corpus clean", remedy=remedy)


def steps(options: Cleaning, frequent: ch.U64 | None = None) -> list[tuple[str, Callable[[Texts], Texts]]]:
    """The steps that are asked for, in their order. `frequent`: hashes of the words that are not rare; None: that step
    is left out."""
    every: dict[str, Callable[[Texts], Texts] | None] = {
        "unicode": partial(surface.normal_form, form=options.unicode) if options.unicode else None,
        "invisible": surface.visible if options.spaces else None,
        "html": surface.without_html if options.html else None,
        "urls": surface.without_urls if options.urls else None,
        "emails": surface.without_emails if options.emails else None,
        "lines": partial(lines.without_lines, recipe=options.lines) if options.lines else None,
        "width": partial(surface.half_width, width=options.width) if options.width else None,
        "script": partial(chinese.converted, script=options.script) if options.script else None,
        "case": surface.lower if options.case else None,
        "digits": partial(surface.digits, how=options.digits) if options.digits else None,
        "stop_words": (
            partial(vocabulary.without_stop_words, wanted=options.stop_words) if options.stop_words else None
        ),
        "rare_words": (
            partial(vocabulary.without_rare_words, frequent=frequent) if frequent is not None else None
        ),
        "punctuation": surface.without_punctuation if options.punctuation else None,
        "spaces": surface.spaces if options.spaces else None,
    }  # fmt: skip
    return [(name, step) for name in order(options) if (step := every[name]) is not None]


def order(options: Cleaning) -> list[str]:
    """The names of all steps in their order. Simplified characters come before words are cut, traditional ones after:
    jieba's dictionary is one of simplified Chinese."""
    names = list(STEPS)
    if options.script == "traditional":
        names.remove("script")
        names.insert(names.index("rare_words") + 1, "script")
    return names


def before_counting(texts: Texts, options: Cleaning) -> Texts:
    """Texts as rare words are counted in them: after the steps that come before."""
    names = order(options)
    for name, step in steps(options):
        if names.index(name) < names.index("rare_words"):
            texts = step(texts)
    return texts


def cleaned_with(
    batch: pa.RecordBatch, options: Cleaning, frequent: Path | None
) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """`cleaned`, with the frequent words in a file."""
    return cleaned(batch, options, numbers(frequent) if frequent is not None else None)


def cleaned(
    batch: pa.RecordBatch, options: Cleaning, frequent: ch.U64 | None = None
) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """The documents of a batch after cleaning, without those that end empty; and counts by source: `documents`,
    `bytes`, `changed`, `emptied`, and of each step [documents, characters] that it changed (`steps`).

    Args:
        frequent: what `vocabulary.frequent` gives, where rare words are dropped.
    """
    variant = f"clean {fingerprint(asdict(options))}"
    wanted = steps(options, frequent)
    made, counts = [], []
    for part in ch.slices(batch, _AT_ONCE):
        before = texts = Texts(part.column("text"))
        told: dict[str, Any] = {}
        for name, step in wanted:
            after = step(texts)
            changed, gone, _ = compared(texts, after)
            told[name] = (changed, gone)
            texts = after
        changed, _, _ = compared(before, texts)
        points, offsets = texts.points
        empty = ch.sums((ch.classes()[points] & ch.SPACE) == 0, offsets) == 0
        documents_made = replaced(part, texts.column, changed & ~empty, variant)
        made.append(documents_made.filter(pa.array(~empty)))
        sizes = part.column("n_bytes").to_numpy()
        counts.append(
            by_source(
                part.column("source"), documents=np.ones(len(part)), bytes=sizes, changed=changed & ~empty,
                emptied=empty, steps=told,
            )
        )  # fmt: skip
    return together(made), summed(counts)
