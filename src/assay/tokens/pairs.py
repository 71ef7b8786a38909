"""Reading encoded pairs of texts: a flat shard as any other, in rows of whole pairs.

    a pair is one document:   0 source END target         (a row's batch gives the target an END of its own)
    a shard --rows--> row r is as many pairs that follow one another as T tokens hold; the rest of it is filled

T counts source and target with an end each, which are as many tokens as the document has in the shard. A pair that is
longer than a row is in no row. Rows follow from the shard and T alone, so that state is a value here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assay.tokens.stream import END_OF_TEXT_ID, TokenStream


@dataclass(frozen=True)
class PairStream(TokenStream):
    """A stream whose documents are pairs."""

    _rows: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    def n_rows(self, source: str, row_tokens: int) -> int:
        return len(self._places(source, row_tokens))

    def n_tokens(self, source: str, row_tokens: int) -> int:
        return self.n_rows(source, row_tokens) * row_tokens

    def place(self, source: str, index: int, row_tokens: int) -> tuple[int, int]:
        begin, end = self._places(source, row_tokens)[index]
        return int(begin), int(end)

    def row(self, source: str, index: int, row_tokens: int) -> np.ndarray:
        """(T + 1,) token ids: whole pairs, then the special token."""
        begin, end = self.place(source, index, row_tokens)
        made = np.full(row_tokens + 1, END_OF_TEXT_ID, dtype=np.int64)
        made[: end - begin] = self.shards[source][begin:end]
        return made

    def too_long(self, source: str, row_tokens: int) -> tuple[int, int]:
        """How many pairs are in no row, and of how many."""
        lengths = np.diff(self._edges(source))
        return int((lengths > row_tokens).sum()), len(lengths)

    def sides(self, source: str, row_tokens: int, end: int) -> tuple[float, float]:
        """Tokens of sources and of targets, each with its end, as shares of all rows."""
        edges = self._edges(source)
        lengths = np.diff(edges)
        read = np.flatnonzero(self.shards[source] == end) - edges[:-1]
        kept, held = lengths <= row_tokens, max(1, self.n_tokens(source, row_tokens))
        return float(read[kept].sum()) / held, float((lengths - read)[kept].sum()) / held

    def _edges(self, source: str) -> np.ndarray:
        """Where each pair begins, and the last one ends."""
        shard = self.shards[source]
        return np.append(self.begins(source), len(shard)) if len(shard) else np.zeros(1, dtype=np.int64)

    def _places(self, source: str, row_tokens: int) -> np.ndarray:
        """(rows, 2) begin and end of every row in the shard."""
        if (source, row_tokens) not in self._rows:
            edges, at, rows = self._edges(source), 0, []
            while at < len(edges) - 1:
                last = int(np.searchsorted(edges, edges[at] + row_tokens, side="right")) - 1
                if last > at:
                    rows.append((edges[at], edges[last]))
                at = max(last, at + 1)  # a pair that is too long is passed over
            self._rows[source, row_tokens] = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return self._rows[source, row_tokens]
