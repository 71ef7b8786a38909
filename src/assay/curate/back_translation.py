"""Back-translation: every sentence into another language and back, for copies that say the same in other words.

    documents -> sentences (as `corpus dedup --level sentence` cuts them) -> there -> back
              -> texts with the white space between sentences as it was

As Sennrich et al. (2016) made source sentences for translators, and Edunov et al. (2018) found: where several copies
are wanted, what is drawn on the way there teaches more than the likeliest; back it is the likeliest that is taken. A
sentence stays as it is where it has no letter, is longer than a model reads, or a translation of it does not come to an
end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering.augment import REWRITTEN
from assay.corpus.duplicates.spans import sentences
from assay.errors import InputError
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.store import fingerprint, whole_file

SLICE = 32
"""Documents that are translated between two points from which work goes on."""
NUCLEUS = 0.9  # of the probability, what is drawn on the way there is drawn from
_AT_ONCE = 128  # sentences, between two looks at the clock
_LONGER = 2  # times as many tokens as a sentence its translation has at most, and some more:
_MORE = 16


@dataclass(frozen=True)
class Way:
    """A translator into another language, and one back."""

    there: Writer
    back: Writer

    @classmethod
    def of(cls, there: Path, back: Path, device: str) -> Way:
        """The translators of two directories.

        Raises:
            InputError: there is none, or it is no encoder-decoder.
        """
        return cls(_opened(there, "--through", device), _opened(back, "--back", device))

    @property
    def identity(self) -> str:
        """Of the models' files."""
        return fingerprint([self.there.fingerprint, self.back.fingerprint])


def _opened(folder: Path, option: str, device: str) -> Writer:
    writer = Writer.load(folder, device)
    if not writer.is_translator:
        remedy = "name a translator: an encoder-decoder, such as one of assay finetune translation, or a Marian model"
        raise InputError("is no encoder-decoder", where=f"{option} {folder}", remedy=remedy)
    return writer


def rewrite_slice(
    part: Path,
    target: Path,
    threads: int,
    *,
    way: Way,
    copies: int,
    seed: int,
    tell: Callable[[float], None],
) -> dict[str, Any]:
    """Write REWRITTEN rows of the documents of a slice.

    Returns:
        `sentences` that have a letter, and how many `stayed` as they are in a copy or more.
    """
    del threads
    batch = documents.read_group(part, target, ["doc_id", "text"], SLICE)
    cut = sentences(batch.column("text"))
    plain = list(dict.fromkeys(bare for text in cut for one in text if _has_letter(bare := one.strip())))
    size, done = sum(map(len, plain)), 0
    whole = float(sum(map(len, batch.column("text").to_pylist())))
    known: dict[str, list[str | None]] = {}
    order = sorted(plain, key=len)
    for at in range(0, len(order), _AT_ONCE):
        some = order[at : at + _AT_ONCE]
        known.update(zip(some, translated(some, way, copies, seed), strict=True))
        done += sum(map(len, some))
        tell(whole * done / size)
    rows = [
        {"doc_id": doc_id, "number": number, "text": "".join(_put(one, known, number) for one in text)}
        for doc_id, text in zip(batch.column("doc_id").to_pylist(), cut, strict=True)
        for number in range(copies)
    ]
    with whole_file(target) as path, documents.opened(path, REWRITTEN) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=REWRITTEN))
    return {"sentences": len(plain), "stayed": sum(None in said for said in known.values())}


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _put(sentence: str, known: dict[str, list[str | None]], number: int) -> str:
    """A sentence in other words, between the white space that stands around it."""
    bare = sentence.strip()
    said = known[bare][number] if bare in known else None
    return sentence if said is None else sentence.replace(bare, said)


def translated(texts: Sequence[str], way: Way, copies: int, seed: int) -> list[list[str | None]]:
    """Each text there and back, so many times; None where a translation came to no end.

    One copy takes the likeliest words both ways; of several, each is drawn anew on the way there.
    """
    how = Settings(temperature=1.0, top_p=NUCLEUS, n=copies, seed=seed) if copies > 1 else Settings()
    abroad = _said(way.there, texts, how)
    flat = [said for own in abroad for said in own]
    asked = [said for said in flat if said is not None]
    home = iter(_said(way.back, asked, Settings()))
    found = [next(home)[0] if said is not None else None for said in flat]
    return [found[i * copies : (i + 1) * copies] for i in range(len(texts))]


def _said(writer: Writer, texts: Sequence[str], how: Settings) -> list[list[str | None]]:
    """What a translator makes of texts, `how.n` answers each; None where it reads no text as long, or does not stop."""
    lengths = [len(writer.begun(ids, "text")) for ids in writer.ids(texts)]
    most = writer.positions or max(lengths, default=0)
    short = [i for i, n in enumerate(lengths) if n <= most]
    found: list[list[str | None]] = [[None] * how.n for _ in texts]
    if not short:
        return found
    new = min(most, _LONGER * max(lengths[i] for i in short) + _MORE)
    answers = generate(writer, [texts[i] for i in short], how.but(max_new_tokens=new))
    for i, own in zip(short, answers, strict=True):
        found[i] = [one.text.strip() if one.end == "stop" and one.text.strip() else None for one in own]
    return found
