"""Every defect by its name, and a corpus with a dose of one.

    documents batch -> those that the dose chooses (a hash of id and seed) -> the defect -> altered copies in their
    place, or copies behind them, with what was done -> a batch of PLANTED

The impact lab asks `DEFECTS` what there is, and what a dose means. Wrong labels are a defect of supervised data: a
corpus of text has none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.altering import boilerplate, defects, distortions, planted, pools
from assay.corpus.altering.counting import by_source
from assay.corpus.altering.distortions import Told
from assay.corpus.altering.edits import Bools, Texts, compared, in_rows, seeds, share
from assay.errors import InputError
from assay.store import Artifact, Stage, Store

Unit = Literal["documents", "characters", "items"]
Needs = Literal["language", "source", "items"]
_SALT = 0x5EED  # so that what a dose chooses has nothing to do with the edits of the same seed

PLANTED = pa.schema(
    [
        *documents.DOCUMENTS,
        pa.field("defect", pa.string()),
        pa.field("what", pa.string()),
        pa.field("removed", pa.int32()),
        pa.field("added", pa.int32()),
    ]
)
"""Documents after damage. Of a damaged one: the defect, what was done, and how many of its parent's characters are gone
and how many came in; null of all others."""


@dataclass(frozen=True)
class Damage:
    """What is done to a corpus.

    Attributes:
        defect: a name in DEFECTS.
        dose: a share, 0 to 1, of what the defect's `unit` says.
        copies: of each document (exact_duplicates, near_duplicates), of each item (contamination).
        edits: share of words that are edited in a near-duplicate.
        order: words that a Markov chain looks back at.
        width: cells of a wrapped line.
        pool: the file that the defect needs: `pools.gathered`, `planted.hosts`.
    """

    defect: str
    dose: float
    seed: int = 0
    copies: int = 1
    edits: float = 0.05
    order: int = 2
    width: int = 72
    pool: Path | None = None

    def __post_init__(self) -> None:
        where = "assay corpus damage"
        if self.defect not in DEFECTS:
            near = difflib.get_close_matches(self.defect.replace("-", "_"), DEFECTS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"defects are {', '.join(DEFECTS)}"
            raise InputError("there is no such defect", where=f"--defect {self.defect}", remedy=remedy)
        for name, value, good, wanted in (
            ("dose", self.dose, 0 <= self.dose <= 1, "a share from 0 to 1, such as 0.1"),
            ("edits", self.edits, 0 <= self.edits <= 1, "a share from 0 to 1, such as 0.05"),
            ("copies", self.copies, 1 <= self.copies <= 1000, "a whole number from 1 to 1000"),
            ("order", self.order, 1 <= self.order <= 8, "a whole number from 1 to 8"),
            ("width", self.width, 10 <= self.width <= 1000, "a whole number from 10 to 1000"),
        ):
            if not good:
                raise InputError(f"--{name} is {value}", where=where, remedy=f"give {wanted}")


@dataclass(frozen=True)
class Defect:
    """A kind of damage.

    Attributes:
        unit: what a dose is a share of: documents, each of which is damaged as a whole; characters, in every document;
            evaluation items.
        make: damages every document of a batch; the text of one that it cannot damage stays as it is.
        needs: a pool by this label, or the hosts of evaluation items.
        adds: its copies come in behind the document, which stays.
        uses: fields of `Damage` that mean something to it.
    """

    unit: Unit
    make: Callable[[pa.RecordBatch, Damage], Told]
    needs: Needs | None = None
    adds: bool = False
    uses: tuple[str, ...] = ()


def _noise(batch: pa.RecordBatch, how: Damage) -> Told:
    return defects.character_noise(batch, how.dose, how.seed), [f"rate {how.dose}"] * len(batch)


def _near(batch: pa.RecordBatch, how: Damage) -> Told:
    made = defects.near_duplicates(batch, how.copies, how.edits, how.seed)
    return made, _numbered(batch, how, f"copy {{}} of {how.copies}, edits {how.edits}")


def _exact(batch: pa.RecordBatch, how: Damage) -> Told:
    made = [
        documents.altered(batch, batch.column("text"), f"exact_duplicate {how.seed} {copy}")
        for copy in range(how.copies)
    ]
    table = pa.Table.from_batches(made, documents.DOCUMENTS).combine_chunks().to_batches()
    return (table[0] if table else batch), _numbered(batch, how, f"copy {{}} of {how.copies}")


def _numbered(batch: pa.RecordBatch, how: Damage, text: str) -> list[str]:
    return [text.format(copy + 1) for copy in range(how.copies) for _ in range(len(batch))]


def _pool(how: Damage) -> pools.Pool:
    if how.pool is None:
        raise ValueError(f"{how.defect} needs a pool")
    return pools.opened(how.pool)


def _markov(batch: pa.RecordBatch, how: Damage) -> Told:
    if how.pool is None:
        raise ValueError(f"{how.defect} needs a pool")
    return pools.markov_text(batch, pools.counted(how.pool, how.order), how.order, how.seed)


def _contaminated(batch: pa.RecordBatch, how: Damage) -> Told:
    if how.pool is None:
        raise ValueError(f"{how.defect} needs its hosts")
    return planted.contaminated(batch, planted.opened(how.pool), how.seed)


DEFECTS: dict[str, Defect] = {
    "exact_duplicates": Defect("documents", _exact, adds=True, uses=("copies",)),
    "near_duplicates": Defect("documents", _near, adds=True, uses=("copies", "edits")),
    "character_noise": Defect("characters", _noise),
    "misread": Defect("characters", lambda batch, how: distortions.misread(batch, how.dose, how.seed)),
    "shuffle_words": Defect(
        "documents", lambda batch, how: (defects.shuffle_words(batch, how.seed), [""] * len(batch))
    ),
    "boilerplate": Defect("documents", lambda batch, how: boilerplate.boilerplate(batch, how.seed)),
    "html_residue": Defect("documents", lambda batch, how: distortions.html_residue(batch, how.seed)),
    "mojibake": Defect("documents", lambda batch, how: distortions.mojibake(batch, how.seed)),
    "truncated": Defect("documents", lambda batch, how: distortions.truncated(batch, how.seed)),
    "hard_wrapped": Defect(
        "documents", lambda batch, how: distortions.hard_wrapped(batch, how.width, how.seed), uses=("width",)
    ),
    "unpunctuated": Defect("documents", lambda batch, how: distortions.unpunctuated(batch, how.seed)),
    "lower_case": Defect("documents", lambda batch, how: distortions.lower_case(batch, how.seed)),
    "joined": Defect("documents", lambda batch, how: pools.joined(batch, _pool(how), how.seed), "source"),
    "wrong_language": Defect(
        "documents", lambda batch, how: pools.of_another(batch, _pool(how), "language", how.seed), "language"
    ),
    "wrong_source": Defect(
        "documents", lambda batch, how: pools.of_another(batch, _pool(how), "source", how.seed), "source"
    ),
    "markov_text": Defect("documents", _markov, "language", uses=("order",)),
    "contamination": Defect("items", _contaminated, "items", uses=("copies",)),
}  # fmt: skip


POOL = Stage("pool", 1)


def pool(
    read: Callable[[list[str]], Iterator[pa.RecordBatch]],
    how: Damage,
    store: Store,
    inputs: Mapping[str, str],
    tell: Callable[[float], None],
    where: str,
) -> Artifact:
    """Gather the documents that a defect takes text from, or find them gathered, as `pool.parquet`.

    Args:
        read, tell: as `pools.gathered` takes them.
        how: the defect, and the seed that draws them.
        inputs: fingerprints of what is read.
        where: what asked for the defect, for an error.

    Raises:
        InputError: all text is of one label, and that of another is wanted.
    """
    label: pools.Label = "language" if DEFECTS[how.defect].needs == "language" else "source"
    size = pools.CHAIN_BYTES if how.defect == "markov_text" else pools.POOL_BYTES

    def gather(folder: Path) -> dict[str, Any]:
        table = pools.gathered(read, label, how.seed, tell, size)
        pq.write_table(table, folder / "pool.parquet", compression="zstd")
        return {"documents": len(table), "labels": sorted(set(table.column("label").to_pylist()))}

    made = store.build(POOL, inputs, {"label": label, "seed": how.seed, "bytes": size}, gather)
    known = [name for name in made.summary["labels"] if name not in pools.UNKNOWN]
    if how.defect.startswith("wrong_") and len(known) < 2:
        what = f"the corpus has text of one {label} alone ({', '.join(known) or 'none that is known'})"
        remedy = f"name sources of another {label} beside it"
        raise InputError(what, where=where, remedy=remedy)
    return made


def damaged(batch: pa.RecordBatch, how: Damage) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """A batch after damage, rows of PLANTED, and counts by source: `documents`, `bytes`, `chosen` by the dose,
    `damaged` (documents that came into being), `spared` (chosen, but there was nothing to damage), `removed` and
    `added` characters."""
    defect = DEFECTS[how.defect]
    chosen = _chosen(batch, how, defect.unit)
    parents = batch.filter(pa.array(chosen))
    made, what = defect.make(parents, how) if len(parents) else (parents, [])
    parents_of = np.resize(np.arange(len(parents)), len(made))
    changed, gone, came = _compared(parents, made)
    placed = np.ones(len(made), dtype=bool) if defect.adds else changed
    at = np.flatnonzero(chosen)[parents_of][placed]  # the row that each comes to, or behind
    gone, came = (values[placed].astype(np.int32) for values in (gone, came))
    marks = {
        "defect": pa.array([how.defect] * len(at), pa.string()),
        "what": pa.array([text for text, good in zip(what, placed, strict=True) if good], pa.string()),
        "removed": pa.array(gone, pa.int32()),
        "added": pa.array(came, pa.int32()),
    }
    altered = made.filter(pa.array(placed))
    if defect.adds:
        altered = documents.uncounted(altered)
    new = pa.record_batch([marks.get(name, _column(altered, name)) for name in PLANTED.names], PLANTED)
    stays = np.ones(len(batch), dtype=bool)
    if not defect.adds:
        stays[at] = False
    nulls = {name: pa.nulls(int(stays.sum()), PLANTED.field(name).type) for name in marks}
    rest = batch.filter(pa.array(stays))
    old = pa.record_batch([nulls[name] if name in nulls else rest.column(name) for name in PLANTED.names], PLANTED)
    ones = np.ones(len(batch), dtype=np.int64)
    spared = chosen.copy()
    spared[at] = False
    per_row = {
        name: np.bincount(at, values, len(batch))
        for name, values in (("damaged", np.ones(len(at))), ("removed", gone), ("added", came))
    }
    sizes = batch.column("n_bytes").to_numpy()
    counts = by_source(
        batch.column("source"), documents=ones, bytes=sizes, chosen=chosen, spared=spared, **per_row
    )  # fmt: skip
    return in_rows(old, np.flatnonzero(stays), new, at, PLANTED), counts


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(name) if name in batch.schema.names else None


def _chosen(batch: pa.RecordBatch, how: Damage, unit: Unit) -> Bools:
    """The documents that are to be damaged: by the dose, all, or those that are hosts of items."""
    if unit == "characters":
        return np.full(len(batch), how.dose > 0)
    if unit == "items":
        if how.pool is None:
            raise ValueError(f"{how.defect} needs its hosts")
        return np.isin(documents.keys(batch.column("doc_id")), planted.opened(how.pool).keys)
    return np.asarray(share(seeds(batch.column("doc_id"), how.seed ^ _SALT)) < how.dose)


def _compared(parents: pa.RecordBatch, made: pa.RecordBatch) -> tuple[Bools, Any, Any]:
    """`edits.compared`, of copies that may be several of each parent."""
    found = [
        compared(Texts(parents.column("text")), Texts(made.column("text").slice(first, len(parents))))
        for first in range(0, len(made), max(1, len(parents)))
    ]
    if not found:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    changed, gone, came = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return changed, gone, came
