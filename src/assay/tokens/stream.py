"""Reading encoded text: flat shards of token ids, in rows of T tokens without padding.

    a shard --rows--> row r is tokens [r*T, r*T + T + 1): T inputs and, one later, T targets

The special token begins every document, so a row's segments (which document does each position belong to) are read
off the tokens themselves. Needs NumPy alone: `pack` writes what is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from assay.store import Artifact

END_OF_TEXT_ID = 0
UNITS_SUFFIX = ".units"


@dataclass(frozen=True)
class TokenStream:
    """One encoded stream, memory-mapped: `shards[source]` is a flat array of token ids.

    `units[source]`: for each document the number of its unit (itself, or the text that it is a piece of); where a
    source has no entry, every document is its own.
    `aligned`: a damaged copy of every document of the training stream, one after another in the same order.
    `vocabulary`: ids of the tokenizer that it was encoded with; None where nobody says.
    """

    shards: dict[str, np.ndarray]
    units: dict[str, np.ndarray] = field(default_factory=dict)
    aligned: bool = False
    vocabulary: int | None = None
    _begins: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, artifact: Artifact) -> TokenStream:
        summary = artifact.summary
        shards, units = {}, {}
        for source, total in summary["sources"].items():
            path = artifact.file(total["shard"])
            empty = np.zeros(0, np.dtype(summary["dtype"]))
            shards[source] = np.memmap(path, summary["dtype"], "r") if total["tokens"] else empty
            if total.get("units", 0) < total.get("documents", 0):
                units[source] = np.fromfile(path.with_suffix(UNITS_SUFFIX), "<u4").astype(np.int64)
        return cls(shards, units, bool(summary.get("aligned")), summary.get("vocabulary"))

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest id that it can hold: what its tokenizer has, else what is there."""
        if self.vocabulary is not None:
            return 0, self.vocabulary - 1
        held = [shard for shard in self.shards.values() if len(shard)]
        return min((int(s.min()) for s in held), default=0), max((int(s.max()) for s in held), default=0)

    def begins(self, source: str) -> np.ndarray:
        """(documents,) where each document of a source begins, in tokens; the first one at 0."""
        if source not in self._begins:
            self._begins[source] = np.union1d([0], np.flatnonzero(self.shards[source] == END_OF_TEXT_ID))
        return self._begins[source]

    def n_rows(self, source: str, row_tokens: int) -> int:
        """How many whole rows of `row_tokens` inputs (and one more target) the source holds."""
        return max(0, (len(self.shards[source]) - 1) // row_tokens)

    def n_tokens(self, source: str, row_tokens: int) -> int:
        """Tokens that are read when everything is read once."""
        return len(self.shards[source])

    def place(self, source: str, index: int, row_tokens: int) -> tuple[int, int]:
        """Where a row's inputs begin and end in the shard."""
        return index * row_tokens, (index + 1) * row_tokens

    def row(self, source: str, index: int, row_tokens: int) -> np.ndarray:
        """(T + 1,) token ids: the inputs and, shifted by one, the targets."""
        begin, end = self.place(source, index, row_tokens)
        return self.shards[source][begin : end + 1]


def segments_of(inputs_BT: np.ndarray) -> np.ndarray:
    """(B, T) ids of the documents within each row, read off the special tokens that begin them."""
    return (inputs_BT == END_OF_TEXT_ID).cumsum(axis=1, dtype=np.int32)
